"""The door to genai-prices: what a request cost, in dollars, from offline data.

Looking a model up takes a fifth of a millisecond, and importing the table most
of a second. So the table is imported at the first question about a model that is
not local, and what it says about a model is boiled down to a few rates: prices
are straight lines in the numbers of tokens, with steps at some prompt lengths.
From then on a price is a sum of products. What the rates say is compared
with the table once; should a price ever not be such a line, the table is asked
each time.

Never 0 for want of knowledge: an unknown price is None.
"""

from __future__ import annotations

import functools
import itertools
import logging
import math
import re
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Any, TypeVar

from llmnb.errors import ConfigurationError
from llmnb.records import Usage

LOCAL = frozenset({"local", "llamacpp", "lmstudio", "ollama", "sim", "vllm"})
"""Providers that cost nothing: their models run on the person's own machine."""

MILLION = 1_000_000

T = TypeVar("T")

_logger = logging.getLogger(__name__)

_DAY = 86_400.0
_MINUTE = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Rates:
    """Dollars for a million tokens of each kind, up to a length of prompt."""

    input: float
    output: float

    cache_read: float
    """Input that came from the provider's prompt cache."""

    cache_write: float
    """Input that was written to it."""

    cache_write_hour: float
    """Input that was written to it to be kept for an hour."""

    reasoning: float
    """Output of hidden reasoning."""

    request: float = 0.0
    """Dollars for one request itself."""

    longest_prompt: float = math.inf
    """Tokens of input up to which these rates hold, cached ones included."""

    def dollars(self, usage: Usage) -> float:
        """Return the price of one request at these rates."""
        read, written, thought = usage.cache_read, usage.cache_write, usage.reasoning
        tokens = (
            max(0, usage.prompt - read - written) * self.input
            + read * self.cache_read
            + written * self.cache_write
            + usage.cache_write_hour * (self.cache_write_hour - self.cache_write)
            + max(0, usage.completion - thought) * self.output
            + thought * self.reasoning
        )
        return self.request + tokens / MILLION


@dataclass(frozen=True, slots=True)
class _Schedule:
    """What a model costs until some moment: rates by length of prompt."""

    rates: tuple[Rates, ...]
    """In order of `longest_prompt`; empty when the price is not known."""

    expires: float
    """Seconds since the epoch, from which the table must be asked again."""

    table: _Priced | None = None
    """What is asked each time where rates do not tell the price."""

    is_manual: bool = False
    """Whether the price is a person's, or nothing: then it is the price in every service tier."""


_MOST_KNOWN = 4096
_LONGEST_NAME = 300
"""Characters; no table has a longer name of a model."""

_lock = threading.Lock()
_known: dict[tuple[str, str], _Schedule] = {}
_manual: dict[tuple[str | None, str], _Schedule] = {}

_UNKNOWN = _Schedule((), math.inf)


def _manual_schedule(into: float, out: float, read: float, written: float) -> _Schedule:
    """Return a price that a person has set, in dollars for a million tokens."""
    cached = {"cache_read": read, "cache_write": written, "cache_write_hour": written}
    rates = Rates(input=into, output=out, reasoning=out, **cached)
    return _Schedule((rates,), math.inf, is_manual=True)


_FREE = _manual_schedule(0.0, 0.0, 0.0, 0.0)


def price(provider: str, model: str, usage: Usage) -> float | None:
    """Return what a request cost.

    Args:
        provider: Catalog name of the provider.
        model: Model, as the provider spells it.
        usage: Tokens, as the provider billed them, and the service tier, where it is known.

    Returns:
        Dollars; 0.0 for models on this machine; None when the price is not known.

    Example:
        >>> price("local", "smollm2", Usage(prompt=150, completion=2))
        0.0
    """
    now = time.time()  # some prices change with the day, some with the hour
    known = _known.get((provider, model))
    if known is None or known.expires <= now:
        if len(model) > _LONGEST_NAME:
            return None
        with _lock:
            if len(_known) >= _MOST_KNOWN:  # names come with replies, too
                _known.clear()
            known = _known[provider, model] = _schedule(provider, model, now)
    dollars = None
    if known.table is not None:
        dollars = known.table.price(usage, now)
    else:
        for rates in known.rates:
            if usage.prompt <= rates.longest_prompt:
                dollars = rates.dollars(usage)
                break
    if usage.tier is None or known.is_manual or dollars is None:
        return dollars
    factor = tier_factor(provider, model, usage.tier)
    return None if factor is None else dollars * factor


_USUAL = {
    *("default", "standard", "standard_only", "auto", "on_demand", "on-demand", "unspecified"),
    "scale",  # capacity that was bought beforehand: its tokens are counted at the usual price
}
"""Words for what is sold at the usual price."""

_FLEX = "flex"
_FASTER = ("priority", "fast")
"""Two names of one tier: OpenAI renamed it in July 2026 and takes both."""

_DATED = r"(?:-\d{4}-\d\d-\d\d)?$"
_FASTER_FACTORS = (
    (r"gpt-5-mini|gpt-5\.1-codex-mini", 1.8),
    (r"gpt-4\.1(?:-mini)?", 1.75),
    (r"gpt-(?:5(?:\.[1-46])?|6(?:\.1)?)(?:-(?:codex|sol|terra|luna|astra))?", 2.0),
    (r"gpt-5\.4-mini", 2.0),
)
"""The faster tier's price by model, at OpenAI and at Azure."""

_FASTER_AT_OPENAI = (
    (r"gpt-5\.5", 2.5),  # for Azure public lists disagree: twice or two and a half times
    (r"o3", 1.75),
    (r"gpt-4\.1-nano", 2.0),
    (r"gpt-4o-mini", 0.25 / 0.15),
    (r"gpt-4o-2024-05-13", 1.75),
    (r"gpt-4o", 1.7),
    (r"o4-mini", 2 / 1.1),
)

_GEMINI_FASTER = 1.8


@functools.lru_cache(maxsize=256)
def tier_factor(provider: str, model: str, tier: str) -> float | None:
    """Return what a service tier costs, as a multiple of the usual price; None when not known.

    Sources, read in November 2026:

    - OpenAI, "Pricing": flex is half; priority, by model (platform.openai.com/docs/pricing).
    - Azure, "Enable priority processing" (learn.microsoft.com/azure/foundry/openai/concepts/
      priority-processing), which sends to Azure's price page: OpenAI's multiples, for fewer models.
    - Gemini, "Priority inference" (75 to 100 % more) and "Pricing" (exactly 1.8 times, for each
      model that is listed), "Flex inference" (half): ai.google.dev/gemini-api/docs/pricing.
    - Groq, "Flex processing": at the price of the on-demand tier.
    - Anthropic, "Data residency": a tenth more in the United States alone. Its fast mode and its
      priority tier have no one price.

    Example:
        >>> tier_factor("openai", "gpt-5-mini", "flex"), tier_factor("groq", "m", "flex")
        (0.5, 1.0)
        >>> tier_factor("openai", "gpt-4.1", "priority"), tier_factor("azure", "gpt-5", "fast")
        (1.75, 2.0)
        >>> tier_factor("fireworks", "m", "priority") is None
        True
    """
    if tier in _USUAL or (provider == "groq" and tier == _FLEX):
        return 1.0
    if provider == "anthropic":
        return 1.1 if tier == "us" else None
    if provider not in ("openai", "azure", "gemini"):
        return None
    if tier == _FLEX:
        return 0.5
    if tier not in _FASTER:
        return None
    if provider == "gemini":
        return _GEMINI_FASTER
    listed = _FASTER_FACTORS + (_FASTER_AT_OPENAI if provider == "openai" else ())
    factors = (factor for models, factor in listed if re.match(f"(?:{models}){_DATED}", model))
    return next(factors, None)


def is_usual(tier: str | None) -> bool:
    """Whether a service tier is sold at the usual price.

    Example:
        >>> is_usual(None), is_usual("default"), is_usual("priority")
        (True, True, False)
    """
    return tier is None or tier in _USUAL


def rates(provider: str, model: str) -> Rates | None:
    """Return a model's rates for short prompts now, or None when they are not known."""
    price(provider, model, Usage(prompt=0, completion=0))
    known = _known.get((provider, model), _UNKNOWN).rates
    return next(iter(known), None)


@functools.lru_cache(maxsize=1024)
def context_window(provider: str, model: str) -> int | None:
    """Return the tokens a model takes, or None where that is not known."""
    if provider in LOCAL:
        return None

    def window() -> int | None:
        priced = _look_up(provider, model)
        return None if priced is None else priced.model.context_window

    return _or_default(window, None)


def set_price(
    model: str,
    input_per_million: float | None,
    output_per_million: float | None = None,
    *,
    provider: str | None = None,
    cache_read_per_million: float | None = None,
    cache_write_per_million: float | None = None,
) -> None:
    """Set what a model costs in this process; it takes precedence over the table of prices.

    Args:
        model: Model, as the provider spells it, or ``"provider/model"``.
        input_per_million: Dollars for a million tokens of input; None takes the
            price back.
        output_per_million: Dollars for a million tokens of output; None is nothing.
        provider: Catalog name; None is every provider with a model of that name.
        cache_read_per_million: Input from the provider's cache; None is as other input.
        cache_write_per_million: Input written to it; None is as other input.

    Raises:
        ConfigurationError: If a price is negative or no number.

    Example:
        >>> set_price("my-model", 1.0, 2.0, provider="openai")
        >>> price("openai", "my-model", Usage(prompt=1_000_000, completion=500_000))
        2.0
        >>> set_price("my-model", None, provider="openai")
    """
    with _lock:
        if input_per_million is None:
            _manual.pop((provider, model), None)
        else:
            into = _dollars(input_per_million)
            _manual[provider, model] = _manual_schedule(
                into,
                _dollars(output_per_million, 0.0),
                _dollars(cache_read_per_million, into),
                _dollars(cache_write_per_million, into),
            )
        _known.clear()


def prices_date() -> str:
    """Return the day of the newest price in the table, as ``2026-10-14``.

    The table does not say when it was made, only from which days some prices
    hold: it is at least as new as the latest of them that has begun.
    """
    today = datetime.now(UTC).date()

    def latest() -> date:
        from genai_prices.data_snapshot import get_snapshot

        days = (
            getattr(price.constraint, "start_date", None)
            for provider in get_snapshot().providers
            for model in provider.models
            if isinstance(model.prices, list)
            for price in model.prices
        )
        return max((day for day in days if day is not None and day <= today), default=today)

    return _or_default(latest, today).isoformat()


def _dollars(per_million: float | None, otherwise: float = 0.0) -> float:
    if per_million is None:
        return otherwise
    is_number = isinstance(per_million, float | int)
    if not (is_number and math.isfinite(per_million) and per_million >= 0):
        raise ConfigurationError(f"A price is a number, at least 0, not {per_million!r}.")
    return float(per_million)


# ------------------------------------------------------------ asking the table


def _schedule(provider: str, model: str, when: float) -> _Schedule:
    by_hand = (
        _manual.get((provider, model))
        or _manual.get((None, f"{provider}/{model}"))
        or _manual.get((None, model))
    )
    if by_hand is not None:
        return by_hand
    if provider in LOCAL:
        return _FREE

    def published() -> _Schedule:
        priced = _look_up(provider, model)
        return _UNKNOWN if priced is None else priced.schedule(when)

    return _or_default(published, _UNKNOWN)


def _or_default(read: Callable[[], T], otherwise: T) -> T:
    """Return what the table says, or `otherwise` where a release has made it otherwise.

    An answer that was paid for is an answer, priced or not.
    """
    try:
        return read()
    except (AttributeError, ImportError, TypeError) as error:
        _logger.warning("genai-prices cannot be read (%s): prices are not known.", error)
        return otherwise


def _look_up(provider: str, model: str) -> _Priced | None:
    from genai_prices.data_snapshot import get_snapshot

    try:
        return _Priced(*get_snapshot().find_provider_model(model, None, provider, None))
    except LookupError:
        return None


@dataclass(frozen=True, slots=True)
class _Priced:
    """A model of the table, with its provider there."""

    provider: Any
    model: Any

    def dollars(self, when: float, **tokens: int) -> float:
        """Return the table's price of one request."""
        from genai_prices import Usage as TableUsage

        priced = self.model.calc_price(
            TableUsage(**tokens),
            self.provider,
            genai_request_timestamp=datetime.fromtimestamp(when, UTC),
        )
        return float(priced.total_price)

    def price(self, usage: Usage, when: float) -> float:
        """Return the table's price of a request as it was billed."""
        hours = {"cache_write_1h_tokens": usage.cache_write_hour} if usage.cache_write_hour else {}
        return self.dollars(
            when,
            input_tokens=max(usage.prompt, usage.cache_read + usage.cache_write),
            output_tokens=max(usage.completion, usage.reasoning),
            cache_read_tokens=usage.cache_read,
            cache_write_tokens=usage.cache_write,
            output_reasoning_tokens=usage.reasoning,
            **hours,
        )

    def schedule(self, when: float) -> _Schedule:
        """Return what the model costs from a moment on."""
        prices = self.model.get_prices(datetime.fromtimestamp(when, UTC))
        starts = {
            tier.start
            for value in vars(prices).values()
            for tier in getattr(value, "tiers", ())
            if tier.start > 0
        }
        lines, is_exact = [], True
        # Between two of these lengths of prompt the price is one straight line.
        for above, upto in itertools.pairwise((0, *sorted(starts), math.inf)):
            size = int(above) + MILLION if math.isinf(upto) else int(upto)
            line = self._line(when, size, upto)
            lines.append(line)
            is_exact = is_exact and self._holds(line, when, size)
        # A price certainly holds for a day, or for a minute where hours matter.
        expires = math.inf
        if isinstance(self.model.prices, list):
            constraints = [price.constraint for price in self.model.prices]
            is_of_hours = any(hasattr(constraint, "end_time") for constraint in constraints)
            step = _MINUTE if is_of_hours else _DAY
            expires = (when // step + 1) * step
        return _Schedule(tuple(lines), expires, None if is_exact else self)

    def _line(self, when: float, size: int, longest: float) -> Rates:
        """Read the rates off prices of whole prompts of one size."""

        def rate(otherwise: float, tokens: int, **asked: int) -> float:
            dollars = self.dollars(when, input_tokens=size, **asked) - otherwise
            # Published rates have few digits; what floats add beyond them is noise.
            return round(dollars / tokens * MILLION, 12)

        request = self.dollars(when, input_tokens=0)
        fresh = self.dollars(when, input_tokens=size)
        thinking = {"output_tokens": MILLION, "output_reasoning_tokens": MILLION}
        hours = {"cache_write_tokens": size, "cache_write_1h_tokens": size}
        return Rates(
            request=request,
            input=rate(request, size),
            cache_read=rate(request, size, cache_read_tokens=size),
            cache_write=rate(request, size, cache_write_tokens=size),
            cache_write_hour=rate(request, size, **hours),
            output=rate(fresh, MILLION, output_tokens=MILLION),
            reasoning=rate(fresh, MILLION, **thinking),
            longest_prompt=longest,
        )

    def _holds(self, line: Rates, when: float, size: int) -> bool:
        """Return whether rates give the table's own price for a mixed request."""
        usage = Usage(
            prompt=size,
            completion=321,
            cache_read=size // 3,
            cache_write=size // 5,
            cache_write_hour=size // 7,
            reasoning=123,
        )
        price = self.price(usage, when)
        return math.isclose(line.dollars(usage), price, rel_tol=1e-9, abs_tol=1e-12)
