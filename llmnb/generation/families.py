"""How each family of open models wants a question written: its marks, and who of it is a chat.

A family is told by the model's name, whatever its case and wherever it comes
from (``meta-llama/Meta-Llama-3.1-8B-Instruct``, ``llama3.1:8b-instruct-q4``).
No text begins with the mark of the beginning (``<s>``, ``<bos>``, …): engines
add it themselves, and two of them make answers worse. White space is kept.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

Render = Callable[[str, str | None], str]
"""Takes the question and the system's text, and returns what the model is to go on from."""


@dataclass(frozen=True, slots=True)
class Family:
    """Models that are written to in one way."""

    name: str
    pattern: re.Pattern[str]
    """Found in the names of its models, base ones included."""

    instruct: re.Pattern[str]
    """Found in the names of those that were trained to follow instructions."""

    render: Render


def family_of(model_name: str) -> Family | None:
    """Return the family of a model, None where it is none of those known here.

    Example:
        >>> family_of("meta-llama/Llama-3.2-1B").name
        'Llama 3.2'
        >>> family_of("allenai/Llama-3.1-Tulu-3-8B").name
        'Tulu'
        >>> family_of("gpt-4o-mini") is None
        True
    """
    name = _bare(model_name)
    return next((one for one in FAMILIES if one.pattern.search(name)), None)


def is_instruct(model_name: str) -> bool:
    """Whether a model follows instructions, as far as its name tells.

    Example:
        >>> is_instruct("Llama-2-7b-chat-hf"), is_instruct("google/gemma-2-9b-IT")
        (True, True)
        >>> is_instruct("meta-llama/Llama-2-7b-hf"), is_instruct("gpt-4o"), is_instruct("gpt2")
        (False, True, False)
    """
    name, family = _bare(model_name), family_of(model_name)
    return (_ANY_INSTRUCT if family is None else family.instruct).search(name) is not None


def _bare(model_name: str) -> str:
    """Return the name without whose it is: an organisation may be called like a family."""
    return model_name.strip().rstrip("/").rpartition("/")[2].lower()


# ------------------------------------------------------------------------ the marks


def _headed(question: str, system: str | None) -> str:
    """Put the system's text before the question, for families without a place for it."""
    return question if system is None else f"{system}\n\n{question}"


def _llama_2(question: str, system: str | None) -> str:
    before = "" if system is None else f"<<SYS>>\n{system}\n<</SYS>>\n\n"
    return f"[INST] {before}{question} [/INST]"


def _llama_3(question: str, system: str | None) -> str:
    before = "" if system is None else _turn_3("system", system)
    return before + _turn_3("user", question) + _head_3("assistant")


def _llama_3_dated(question: str, system: str | None) -> str:
    """From 3.1 on the system's turn is always there and begins with two dates.

    The second is the one that the published templates fall back on, so that a prompt
    is the same tomorrow.
    """
    dates = "Cutting Knowledge Date: December 2023\nToday Date: 26 Jul 2024\n\n"
    return _llama_3(question, dates + (system or ""))


def _head_3(role: str) -> str:
    return f"<|start_header_id|>{role}<|end_header_id|>\n\n"


def _turn_3(role: str, text: str) -> str:
    return f"{_head_3(role)}{text}<|eot_id|>"


def _mistral(question: str, system: str | None) -> str:
    return f"[INST] {_headed(question, system)} [/INST]"


def _mistral_3(question: str, system: str | None) -> str:
    """The third tokenizer has marks that bring no blank behind them."""
    return f"[INST] {_headed(question, system)}[/INST]"


def _mistral_tekken(question: str, system: str | None) -> str:
    return f"[INST]{_headed(question, system)}[/INST]"


def _gemma(question: str, system: str | None) -> str:
    turn = f"<start_of_turn>user\n{_headed(question, system)}<end_of_turn>\n"
    return f"{turn}<start_of_turn>model\n"


def _tulu(question: str, system: str | None) -> str:
    before = "" if system is None else f"<|system|>\n{system}\n"
    return f"{before}<|user|>\n{question}\n<|assistant|>\n"


# --------------------------------------------------------------------- the families


def _family(name: str, pattern: str, instruct: str, render: Render) -> Family:
    return Family(name, re.compile(pattern), re.compile(instruct), render)


_ANY_INSTRUCT = re.compile(
    r"instruct|chat|assistant|zephyr|vicuna|alpaca|tulu|claude|gemini|command-r"
    r"|^gpt-|^o\d(-|$)|(^|[-_.])(it|sft|dpo)([-_.]|$)"
)
_3 = r"llama[-_ ]?v?3"
_MINOR = r"(?:[.p]|[-_](?=\d[-_]))"  # 3.1, 3p1, and 3-1- as some hosts write it
_TRAINED = r"instruct|chat"

FAMILIES = (
    # Tulu before what it was trained from, and each number before the bare 3.
    _family("Tulu", r"tulu", r"", _tulu),
    _family("OLMo", r"olmo", r"instruct|chat|sft|dpo", _tulu),
    _family("Llama 3.1", _3 + _MINOR + r"1(?!\d)", _TRAINED, _llama_3_dated),
    _family("Llama 3.2", _3 + _MINOR + r"2(?!\d)", _TRAINED, _llama_3_dated),
    _family("Llama 3.3", _3 + _MINOR + r"3(?!\d)", _TRAINED, _llama_3_dated),
    _family("Llama 3", _3 + r"(?![.p]?\d)", _TRAINED, _llama_3),
    _family("Llama 2", r"llama[-_ ]?v?2(?![.\d])", _TRAINED, _llama_2),
    _family("Mixtral", r"mixtral-8x22b.*v0\.3", _TRAINED, _mistral_3),
    _family("Mixtral", r"mixtral", _TRAINED, _mistral),
    _family("Mistral", r"mistral.*(nemo|-24\d\d|-25\d\d)", _TRAINED, _mistral_tekken),
    _family("Mistral", r"mistral.*v0\.3", _TRAINED, _mistral_3),
    _family("Mistral", r"mistral", _TRAINED, _mistral),
    _family("Gemma", r"gemma", r"(^|[-_.:])it([-_.:]|$)|instruct|chat", _gemma),
)
"""In the order in which they are looked for."""
