"""`%llm_config` and `%llm_key`: what is used when nothing else is said, and the keys."""

from __future__ import annotations

import dataclasses
import getpass
from typing import Any

from IPython.core.error import StdinNotImplementedError, UsageError
from IPython.core.magic import Magics, magics_class

from llmnb import settings
from llmnb.display import durations, numbers
from llmnb.display.money import usd
from llmnb.errors import ConfigurationError, UnknownProvider
from llmnb.notebook.magics_ask import LLMMagics
from llmnb.notebook.options import LIMITS, Report, plain_line_magic, split_words, value_of
from llmnb.wire.api_keys import check_key
from llmnb.wire.catalog import Provider, load_catalog


@magics_class
class SettingsMagics(Magics):
    """Setting what holds for the whole kernel.

    Args:
        shell: IPython's shell.
        asking: The magics that ask, whose options are shown and set here, too.
    """

    def __init__(self, shell: Any, asking: LLMMagics) -> None:
        super().__init__(shell)
        self._asking = asking

    @plain_line_magic
    def llm_config(self, line: str) -> Report | None:
        """Show or set what is used when nothing else is said.

        ::

            %llm_config
            %llm_config model=openai/gpt-4o-mini project=Reviews
            %llm_config rpm=500 tpm=200000 concurrency=20 budget=2.50
            %llm_config max_wait=1200 good_finish=done,fin burst=smooth
            %llm_config show_answers=off
            %llm_config system="Answer in one sentence." stream=off
            %llm_config model=none

        Model, project, limits, whether what a server says is left of them is spent at once
        (`burst`), budget, patience (`max_wait`, in seconds), further good finish reasons and
        whether receipts show answers hold for everything in this kernel: %llm, frames, AsyncLLM.
        `system`, `format` and `stream` are for %llm alone. `llmnb.configure` takes the same words
        and describes each.
        """
        # Everything is read before anything is set.
        wanted = _settings(line)
        if not wanted:
            return self._report()
        settings.configure(**wanted)
        # Take back what an option of %llm would hide; what was said last holds.
        asking = self._asking
        for name in {_TRAITS.get(name, name) for name in wanted} & {
            *asking.trait_names(config=True)
        }:
            setattr(asking, name, asking.traits()[name].default_value)
        asking.limits = {name: value for name, value in asking.limits.items() if name not in wanted}
        return None

    def _report(self) -> Report:
        asking = self._asking
        own = {name: getattr(asking, _TRAITS.get(name, name)) for name in _OWN} | asking.limits
        values = dataclasses.asdict(settings.current()) | {
            "model": settings.model(),
            "project_name": settings.project_name(),
            "cache_dir": str(settings.cache_dir()),
        }
        shown = []
        for name, value in values.items():
            text = _text(name, value)
            if own.get(name) not in (None, ""):
                text = f"{_text(name, own[name])} for %llm; else {text}"
            shown.append((name, text))
        notes = ["Set one with %llm_config model=openai/gpt-4o-mini"]
        return Report(head=("setting", "value"), rows=shown, notes=notes)

    @plain_line_magic
    def llm_key(self, line: str) -> None:
        """Ask for a provider's API key and keep it in memory, nowhere else.

        ::

            %llm_key openai
            %llm_key openai --forget
        """
        names = [word for word in split_words(line) if word != "--forget"]
        if not names:
            raise UsageError("Which provider? Such as: %llm_key openai")
        if len(names) > 1:
            usage = "%llm_key takes a provider's name and nothing else."
            raise UsageError(f"{usage}\n{_KEYS_ELSEWHERE}")
        row = _provider(names[0])
        if "--forget" in line.split():
            settings.keep_key(row.name, None)
            print(f"The key for {row.name} is forgotten.")
            return
        if not row.key_env:
            raise UsageError(f"{row.name} needs no key.")
        key = _asked_for(row.name, row.key_env[0]).strip()
        settings.keep_key(row.name, check_key(key, row.name))
        print(f"The key for {row.name} is kept in memory, until this kernel ends.")


def _settings(line: str) -> dict[str, Any]:
    """Return names and values of ``name=value`` words, which may be quoted."""
    texts: dict[str, str] = {}
    for word in split_words(line):
        name, equals, value = word.partition("=")
        if not equals:
            raise UsageError(
                f"{word[:40]!r} is not name=value. Such as: "
                '%llm_config model=openai/gpt-4o-mini rpm=500 system="Be brief."'
            )
        texts[settings.full_name(name.strip())] = value
    return {name: value_of(name, text) for name, text in texts.items()}


def _provider(name: str) -> Provider:
    catalog = load_catalog()
    try:
        return catalog[name.lower()]
    except KeyError:
        # What was typed is not repeated: it may be a key.
        raise UnknownProvider(
            f"That is no provider. Providers are: {', '.join(catalog)}.\n{_KEYS_ELSEWHERE}"
        ) from None


_OWN = ("model", "project_name", "budget_usd", "system", "format", "stream")
"""Settings that %llm has for itself as well."""

_TRAITS = {"budget_usd": "budget"}
"""What those are called there, where it is another name."""


_UNSET = {
    "model": "not set: the first provider whose key is found",
    "max_wait": durations.exact(600),
    "good_finish": "those that llmnb knows",
    **dict.fromkeys(LIMITS, "what the provider allows"),
}
"""What holds where a setting is not set."""


def _text(name: str, value: Any) -> str:
    if value in (None, ()):
        return _UNSET.get(name, "none")
    match value:
        case bool():
            return "on" if value else "off"
        case tuple():
            return ", ".join(value)
        case str():
            return value
    if name == "budget_usd":
        return usd(value)
    return durations.exact(value) if name == "max_wait" else numbers.limit(value)


_KEYS_ELSEWHERE = (
    "The key is asked for, never written on this line, where it would be saved with the notebook "
    "and in IPython's history. If one stood there, take it out and make a new one."
)


def _asked_for(name: str, variable: str) -> str:
    try:
        # Nothing that is typed here is shown, sent back or written to the history.
        return getpass.getpass(f"API key for {name}: ")
    except (StdinNotImplementedError, EOFError):
        raise ConfigurationError(
            f"Nobody can be asked for a key here: no input is possible. Set {variable} in the "
            "environment or in a .env file, or call llmnb.set_key."
        ) from None
