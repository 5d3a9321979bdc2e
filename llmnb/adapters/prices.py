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
from collections.abc import Callable, Iterator
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
        read = usage.cache_read
        written = usage.cache_write
        long_written = usage.cache_write_hour
        thought = usage.reasoning
        if not (read or written or thought):
            tokens = usage.prompt * self.input + usage.completion * self.output
            return self.request + tokens / MILLION
        fresh = usage.prompt - read - written
        spoken = usage.completion - thought
        tokens = (
            (fresh if fresh > 0 else 0) * self.input
            + read * self.cache_read
            + written * self.cache_write
            + long_written * (self.cache_write_hour - self.cache_write)
            + (spoken if spoken > 0 else 0) * self.output
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

    is_exact: bool = True
    """False where rates do not tell the price and the table is asked each time."""

    is_by_hand: bool = False
    """Whether the price is a person's, or nothing: then it is the price in every service tier."""


_lock = threading.Lock()
_known: dict[tuple[str, str], _Schedule] = {}
_set_by_hand: dict[tuple[str | None, str], Rates] = {}

_FREE = _Schedule(
    (
        Rates(
            input=0.0,
            output=0.0,
            cache_read=0.0,
            cache_write=0.0,
            cache_write_hour=0.0,
            reasoning=0.0,
        ),
    ),
    math.inf,
    is_by_hand=True,
)
_UNKNOWN = _Schedule((), math.inf)


def price(provider: str, model: str, usage: Usage, *, when: float | None = None) -> float | None:
    """Return what a request cost.

    Args:
        provider: Catalog name of the provider.
        model: Model, as the provider spells it.
        usage: Tokens, as the provider billed them, and the service tier, where it is known.
        when: Moment of the request in seconds since the epoch; None is now. Some
            prices change with the day, some with the hour.

    Returns:
        Dollars; 0.0 for models on this machine; None when the price is not known.

    Example:
        >>> price("local", "smollm2", Usage(prompt=150, completion=2))
        0.0
    """
    if when is not None:
        schedule = _schedule(provider, model, when)
    else:
        known = _known.get((provider, model))
        if known is None or known.expires <= time.time():
            known = _remember(provider, model)
        schedule = known
    factor = 1.0
    if usage.tier is not None and not schedule.is_by_hand:
        of_tier = tier_factor(provider, model, usage.tier)
        if of_tier is None:
            return None
        factor = of_tier
    if not schedule.is_exact:
        found = _by_the_table(provider, model, usage, time.time() if when is None else when)
        return None if found is None else found * factor
    prompt = usage.prompt
    for rates in schedule.rates:
        if prompt <= rates.longest_prompt:
            return rates.dollars(usage) * factor
    return None


_USUAL = frozenset(
    (
        *("default", "standard", "standard_only", "auto", "on_demand", "on-demand", "unspecified"),
        # Capacity that was bought beforehand: its tokens are counted at the usual price.
        "scale",
    )
)
"""Words for what is sold at the usual price."""

_FLEX = "flex"
_FASTER = ("priority", "fast")
"""Two names of one tier: OpenAI renamed it in July 2026 and takes both."""

_DAY_OF_MODEL = r"(?:-\d{4}-\d\d-\d\d)?$"
_FASTER_FACTORS = tuple(
    (re.compile(rf"(?:{models}){_DAY_OF_MODEL}"), factor)
    for models, factor in (
        (r"gpt-5-mini|gpt-5\.1-codex-mini", 1.8),
        (r"gpt-4\.1(?:-mini)?", 1.75),
        (r"gpt-(?:5(?:\.[1-46])?|6(?:\.1)?)(?:-(?:codex|sol|terra|luna|astra))?", 2.0),
        (r"gpt-5\.4-mini", 2.0),
    )
)
"""The faster tier's price by model, at OpenAI and at Azure."""

_FASTER_AT_OPENAI = tuple(
    (re.compile(rf"(?:{models}){_DAY_OF_MODEL}"), factor)
    for models, factor in (
        (r"gpt-5\.5", 2.5),  # for Azure public lists disagree: twice or two and a half times
        (r"o3", 1.75),
        (r"gpt-4\.1-nano", 2.0),
        (r"gpt-4o-mini", 0.25 / 0.15),
        (r"gpt-4o-2024-05-13", 1.75),
        (r"gpt-4o", 1.7),
        (r"o4-mini", 2 / 1.1),
    )
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
    return next((factor for one, factor in listed if one.match(model)), None)


def is_usual(tier: str | None) -> bool:
    """Whether a service tier is sold at the usual price.

    Example:
        >>> is_usual(None), is_usual("default"), is_usual("priority")
        (True, True, False)
    """
    return tier is None or tier in _USUAL


def estimate(provider: str, model: str, prompt_tokens: int, completion_tokens: int) -> float | None:
    """Return what a request would cost now, with nothing cached.

    Example:
        >>> estimate("ollama", "llama3.2", 1000, 100)
        0.0
    """
    return price(provider, model, Usage(prompt=prompt_tokens, completion=completion_tokens))


def rates(provider: str, model: str) -> Rates | None:
    """Return a model's rates for short prompts now, or None when they are not known."""
    price(provider, model, Usage(prompt=0, completion=0))
    found = _known[provider, model].rates
    return found[0] if found else None


@functools.lru_cache(maxsize=1024)
def context_window(provider: str, model: str) -> int | None:
    """Return the tokens a model takes, or None where that is not known."""
    if provider in LOCAL:
        return None

    def window() -> int | None:
        found = _look_up(provider, model)
        return None if found is None else found.model.context_window

    return _unless_unlike(window, None)


def set_price(
    model: str,
    input_per_million: float | None,
    output_per_million: float | None = None,
    *,
    provider: str | None = None,
    cache_read_per_million: float | None = None,
    cache_write_per_million: float | None = None,
) -> None:
    """Say what a model costs, for this process; it wins over the table.

    Args:
        model: Model, as the provider spells it, or ``"provider/model"``.
        input_per_million: Dollars for a million tokens of input; None takes the
            price back.
        output_per_million: Dollars for a million tokens of output; None is nothing.
        provider: Catalog name; None is whoever has a model of that name.
        cache_read_per_million: Input from the provider's cache; None is as other input.
        cache_write_per_million: Input written to it; None is as other input.

    Raises:
        ConfigurationError: If a price is negative or no number.

    Example:
        >>> set_price("my-model", 1.0, 2.0, provider="openai")
        >>> round(estimate("openai", "my-model", 1_000_000, 500_000), 6)
        2.0
        >>> set_price("my-model", None, provider="openai")
    """
    with _lock:
        if input_per_million is None:
            _set_by_hand.pop((provider, model), None)
        else:
            into = _dollars(input_per_million)
            out = _dollars(output_per_million or 0.0)
            written = _dollars(cache_write_per_million, into)
            _set_by_hand[provider, model] = Rates(
                input=into,
                output=out,
                cache_read=_dollars(cache_read_per_million, into),
                cache_write=written,
                cache_write_hour=written,
                reasoning=out,
            )
        _known.clear()


def prices_date() -> str:
    """Return the day of the newest price in the table, as ``2026-10-14``.

    The table does not say when it was made, only from which days some prices
    hold: it is at least as new as the latest of them that has begun.
    """
    today = datetime.now(UTC).date()
    begun: list[date] = _unless_unlike(lambda: [day for day in _starts() if day <= today], [])
    return max(begun, default=today).isoformat()


def _dollars(per_million: float | None, otherwise: float = 0.0) -> float:
    if per_million is None:
        return otherwise
    if not (math.isfinite(per_million) and per_million >= 0):
        raise ConfigurationError(f"A price must be 0 or more dollars, got {per_million!r}.")
    return float(per_million)


# ------------------------------------------------------------ asking the table


def _remember(provider: str, model: str) -> _Schedule:
    with _lock:
        schedule = _schedule(provider, model, time.time())
        _known[provider, model] = schedule
        return schedule


def _schedule(provider: str, model: str, when: float) -> _Schedule:
    by_hand = (
        _set_by_hand.get((provider, model))
        or _set_by_hand.get((None, f"{provider}/{model}"))
        or _set_by_hand.get((None, model))
    )
    if by_hand is not None:
        return _Schedule((by_hand,), math.inf, is_by_hand=True)
    if provider in LOCAL:
        return _FREE
    return _unless_unlike(lambda: _published(provider, model, when), _UNKNOWN)


def _published(provider: str, model: str, when: float) -> _Schedule:
    """Return the table's own prices of a model."""
    found = _look_up(provider, model)
    if found is None:
        return _UNKNOWN
    steps = list(_steps(found, when))
    lines = [_line(found, when, above, upto) for above, upto in steps]
    is_exact = all(
        _holds(found, when, above, line) for (above, _), line in zip(steps, lines, strict=True)
    )
    return _Schedule(tuple(lines), _next_change(found, when), is_exact)


def _unless_unlike(read: Callable[[], T], otherwise: T) -> T:
    """Return what the table says, or `otherwise` where a release has made it otherwise.

    An answer that was paid for is an answer, priced or not.
    """
    try:
        return read()
    except (AttributeError, ImportError, TypeError) as error:
        _logger.warning("genai-prices cannot be read (%s): prices are not known.", error)
        return otherwise


@dataclass(frozen=True, slots=True)
class _Found:
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


def _look_up(provider: str, model: str) -> _Found | None:
    from genai_prices.data_snapshot import get_snapshot

    try:
        return _Found(*get_snapshot().find_provider_model(model, None, provider, None))
    except LookupError:
        return None


def _steps(found: _Found, when: float) -> Iterator[tuple[int, float]]:
    """Yield the lengths of prompt between which the price is one straight line."""
    prices = found.model.get_prices(datetime.fromtimestamp(when, UTC))
    starts = {
        tier.start
        for value in vars(prices).values()
        for tier in getattr(value, "tiers", ())
        if tier.start > 0
    }
    edges: list[float] = [0, *sorted(starts), math.inf]
    for above, upto in itertools.pairwise(edges):
        yield int(above), upto


def _line(found: _Found, when: float, above: int, upto: float) -> Rates:
    """Read the rates off between two lengths of prompt, from prices of whole prompts."""
    size = _within(above, upto)
    ask = functools.partial(found.dollars, when)
    request = ask(input_tokens=0)
    fresh = ask(input_tokens=size)
    thinking = {"output_tokens": MILLION, "output_reasoning_tokens": MILLION}
    return Rates(
        request=request,
        input=_rate(fresh - request, size),
        cache_read=_rate(ask(input_tokens=size, cache_read_tokens=size) - request, size),
        cache_write=_rate(ask(input_tokens=size, cache_write_tokens=size) - request, size),
        cache_write_hour=_rate(
            ask(input_tokens=size, cache_write_tokens=size, cache_write_1h_tokens=size) - request,
            size,
        ),
        output=_rate(ask(input_tokens=size, output_tokens=MILLION) - fresh, MILLION),
        reasoning=_rate(ask(input_tokens=size, **thinking) - fresh, MILLION),
        longest_prompt=upto,
    )


def _within(above: int, upto: float) -> int:
    return above + MILLION if math.isinf(upto) else int(upto)


def _rate(dollars: float, tokens: int) -> float:
    # Published rates have few digits; what floats add beyond them is noise.
    return round(dollars / tokens * MILLION, 12)


def _holds(found: _Found, when: float, above: int, line: Rates) -> bool:
    """Whether rates give the table's own price for a mixed request."""
    size = _within(above, line.longest_prompt)
    usage = Usage(
        prompt=size,
        completion=321,
        cache_read=size // 3,
        cache_write=size // 5,
        cache_write_hour=size // 7,
        reasoning=123,
    )
    return math.isclose(line.dollars(usage), _ask(found, usage, when), rel_tol=1e-9, abs_tol=1e-12)


def _ask(found: _Found, usage: Usage, when: float) -> float:
    hours = {"cache_write_1h_tokens": usage.cache_write_hour} if usage.cache_write_hour else {}
    return found.dollars(
        when,
        input_tokens=max(usage.prompt, usage.cache_read + usage.cache_write),
        output_tokens=max(usage.completion, usage.reasoning),
        cache_read_tokens=usage.cache_read,
        cache_write_tokens=usage.cache_write,
        output_reasoning_tokens=usage.reasoning,
        **hours,
    )


def _by_the_table(provider: str, model: str, usage: Usage, when: float) -> float | None:
    found = _look_up(provider, model)
    return None if found is None else _ask(found, usage, when)


def _next_change(found: _Found, when: float) -> float:
    """Return until when a price certainly holds: a day, or a minute where hours matter."""
    if not isinstance(found.model.prices, list):
        return math.inf
    constraints = [one.constraint for one in found.model.prices]
    step = _MINUTE if any(hasattr(one, "end_time") for one in constraints) else _DAY
    return (when // step + 1) * step


def _starts() -> Iterator[Any]:
    from genai_prices.data_snapshot import get_snapshot

    for provider in get_snapshot().providers:
        for model in provider.models:
            for one in model.prices if isinstance(model.prices, list) else ():
                if (day := getattr(one.constraint, "start_date", None)) is not None:
                    yield day
