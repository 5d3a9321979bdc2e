"""Write tasks and texts as prompts, in the format on which the model was trained.

A family of open models is told by the model's name, whatever its case and wherever it comes
from (``meta-llama/Meta-Llama-3.1-8B-Instruct``, ``llama3.1:8b-instruct-q4``).
No text begins with the mark of the beginning (``<s>``, ``<bos>``, …): engines
add it themselves, and two of them make answers worse. White space is kept.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Protocol, TypedDict

from llmnb.display.texts import cut
from llmnb.errors import ConfigurationError

SYSTEM_TEXTS = {
    "full": (
        "You are a careful and honest assistant. Do exactly what you are asked, as helpfully as "
        "you can, and nothing that would harm anyone. Keep to what you know: where a question "
        "makes no sense or you do not know the answer, say so instead of inventing one."
    ),
    "light": "You are a careful and honest assistant. Do exactly what you are asked.",
    "lightest": "You are an assistant.",
}
"""What `prompt_key` may name: the system's text, whole, short or shortest."""


class Tokenizer(Protocol):
    """The part of a Hugging Face tokenizer that is used here."""

    chat_template: Any
    bos_token: Any

    def apply_chat_template(self, conversation: Any, **options: Any) -> Any:
        """Write a conversation as the model was trained to read it."""


def make_prompts(
    prompts: Iterable[str],
    task_prompt: str,
    task_preprompt: str = "",
    task_postprompt: str = "",
    model_name: str = "default",
    prompt_key: str | None = None,
    *,
    tokenizer: Tokenizer | None = None,
) -> list[str]:
    """Return a prompt for every text, in the order of the texts.

    The task comes first: `task_preprompt`, `task_prompt`, the text, `task_postprompt`,
    with nothing put between them and no white space taken away. Around that go the marks
    of the model's family, where the name is that of a model trained to follow
    instructions; base models and unknown ones get the plain text.

    Args:
        prompts: Texts.
        task_prompt: What is to be done with each.
        task_preprompt: What stands before that.
        task_postprompt: What stands behind the text.
        model_name: Model, in any spelling: Llama 2, 3, 3.1, 3.2, 3.3, Mistral, Mixtral,
            Gemma, OLMo and Tulu are known.
        prompt_key: ``"full"``, ``"light"`` or ``"lightest"``: a system's text of that length,
            for models that have marks; None: no such text.
        tokenizer: A tokenizer with a chat template of its own, which is used then in place
            of what is known of the family.

    Returns:
        Prompts without the mark of the beginning (``<s>``, ``<bos>``, …), which engines add.

    Raises:
        ConfigurationError: If there is no such `prompt_key`, or one of the texts is none.

    Example:
        >>> make_prompts(["Once upon a time"], "Continue: ", model_name="llama-2-7b-chat")
        ['[INST] Continue: Once upon a time [/INST]']
        >>> make_prompts(["Once upon a time"], "Continue: ", model_name="llama-2-7b")
        ['Continue: Once upon a time']
    """
    if isinstance(prompts, str):
        raise ConfigurationError("make_prompts() takes a list of texts: make_prompts([text], …).")
    system = _system_text(prompt_key)
    prompts = list(prompts)
    for position, text in enumerate(prompts):
        if not isinstance(text, str):
            raise ConfigurationError(
                f"make_prompts() takes texts, and prompts[{position}] is {cut(repr(text), 60)}."
            )
    questions = [f"{task_preprompt}{task_prompt}{text}{task_postprompt}" for text in prompts]
    if tokenizer is not None and tokenizer.chat_template:
        return [_by_template(tokenizer, question, system) for question in questions]
    family = family_of(model_name)
    if family is None or not is_instruct(model_name):
        return questions
    return [family.render(question, system) for question in questions]


def _system_text(prompt_key: str | None) -> str | None:
    if prompt_key is None or prompt_key in SYSTEM_TEXTS:
        return prompt_key and SYSTEM_TEXTS[prompt_key]
    raise ConfigurationError(
        f"There is no prompt_key {prompt_key!r}: use one of {', '.join(SYSTEM_TEXTS)}, or None."
    )


def _by_template(tokenizer: Tokenizer, question: str, system: str | None) -> str:
    """Write one question as the tokenizer's own template says."""
    turn = {"role": "user", "content": question}
    if system is None:
        return _apply_template(tokenizer, [turn])
    try:
        return _apply_template(tokenizer, [{"role": "system", "content": system}, turn])
    except Exception as error:
        # Some templates refuse a system's turn, by an error of their own template language.
        if "Template" not in type(error).__name__:
            raise
    return _apply_template(tokenizer, [{"role": "user", "content": f"{system}\n\n{question}"}])


def _apply_template(tokenizer: Tokenizer, messages: list[dict[str, str]]) -> str:
    text = str(tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=True))
    return text.removeprefix(str(tokenizer.bos_token)) if tokenizer.bos_token else text


# --------------------------------------------------------------- families of models


@dataclass(frozen=True, slots=True)
class Family:
    """Models that share a prompt format."""

    name: str
    pattern: re.Pattern[str]
    """Matches the names of its models, base ones included."""

    instruct: re.Pattern[str]
    """Matches the names of those that were trained to follow instructions."""

    form: str
    """The prompt, with ``{system}`` and ``{question}`` for its parts."""

    system_form: str
    """What replaces ``{system}`` if there is a system text, with ``{}`` for the text."""

    def render(self, question: str, system: str | None) -> str:
        """Return a question and the system's text as the models were trained to read them."""
        before = "" if system is None else self.system_form.format(system)
        return self.form.format(system=before, question=question)


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
    name = _without_organisation(model_name)
    return next((family for family in FAMILIES if family.pattern.search(name)), None)


def is_instruct(model_name: str) -> bool:
    """Whether a model follows instructions, as far as its name tells.

    Example:
        >>> is_instruct("Llama-2-7b-chat-hf"), is_instruct("google/gemma-2-9b-IT")
        (True, True)
        >>> is_instruct("meta-llama/Llama-2-7b-hf"), is_instruct("gpt-4o"), is_instruct("gpt2")
        (False, True, False)
    """
    name, family = _without_organisation(model_name), family_of(model_name)
    return (_ANY_INSTRUCT if family is None else family.instruct).search(name) is not None


def _without_organisation(model_name: str) -> str:
    """Return a model's name without its organisation, which may be called like a family."""
    return model_name.strip().rstrip("/").rpartition("/")[2].lower()


# ------------------------------------------------------------------------ the marks

_HEADED = "{}\n\n"
"""The system's text before the question, for families that have no marks for it."""

_HEAD_3 = "<|start_header_id|>{}<|end_header_id|>\n\n"
_USER_3 = f"{_HEAD_3.format('user')}{{question}}<|eot_id|>{_HEAD_3.format('assistant')}"
_SYSTEM_3 = _HEAD_3.format("system")

_LLAMA_2 = ("[INST] {system}{question} [/INST]", "<<SYS>>\n{}\n<</SYS>>\n\n")
_LLAMA_3 = (f"{{system}}{_USER_3}", f"{_SYSTEM_3}{{}}<|eot_id|>")

# From 3.1 on the system's turn is always there and begins with two dates. The second is the one
# that the published templates fall back on, so that a prompt is the same tomorrow.
_DATES = "Cutting Knowledge Date: December 2023\nToday Date: 26 Jul 2024\n\n"
_LLAMA_3_DATED = (f"{_SYSTEM_3}{_DATES}{{system}}<|eot_id|>{_USER_3}", "{}")

# The marks of Mistral's third tokenizer bring no blank behind them, those of Tekken none at all.
_MISTRAL = ("[INST] {system}{question} [/INST]", _HEADED)
_MISTRAL_3 = ("[INST] {system}{question}[/INST]", _HEADED)
_MISTRAL_TEKKEN = ("[INST]{system}{question}[/INST]", _HEADED)
_GEMMA = (
    "<start_of_turn>user\n{system}{question}<end_of_turn>\n<start_of_turn>model\n",
    _HEADED,
)
_TULU = ("{system}<|user|>\n{question}\n<|assistant|>\n", "<|system|>\n{}\n")


# --------------------------------------------------------------------- the families


def _family(name: str, pattern: str, instruct: str, brackets: tuple[str, str]) -> Family:
    return Family(name, re.compile(pattern), re.compile(instruct), *brackets)


_ANY_INSTRUCT = re.compile(
    r"instruct|chat|assistant|zephyr|vicuna|alpaca|tulu|claude|gemini|command-r"
    r"|^gpt-|^o\d(-|$)|(^|[-_.])(it|sft|dpo)([-_.]|$)"
)
_3 = r"llama[-_ ]?v?3"
_MINOR = r"(?:[.p]|[-_](?=\d[-_]))"  # 3.1, 3p1, and 3-1- as some hosts write it
_TRAINED = r"instruct|chat"

FAMILIES = (
    # Tulu before what it was trained from, and each number before the bare 3.
    _family("Tulu", r"tulu", r"", _TULU),
    _family("OLMo", r"olmo", r"instruct|chat|sft|dpo", _TULU),
    _family("Llama 3.1", _3 + _MINOR + r"1(?!\d)", _TRAINED, _LLAMA_3_DATED),
    _family("Llama 3.2", _3 + _MINOR + r"2(?!\d)", _TRAINED, _LLAMA_3_DATED),
    _family("Llama 3.3", _3 + _MINOR + r"3(?!\d)", _TRAINED, _LLAMA_3_DATED),
    _family("Llama 3", _3 + r"(?![.p]?\d)", _TRAINED, _LLAMA_3),
    _family("Llama 2", r"llama[-_ ]?v?2(?![.\d])", _TRAINED, _LLAMA_2),
    _family("Mixtral", r"mixtral-8x22b.*v0\.3", _TRAINED, _MISTRAL_3),
    _family("Mixtral", r"mixtral", _TRAINED, _MISTRAL),
    _family("Mistral", r"mistral.*(nemo|-24\d\d|-25\d\d)", _TRAINED, _MISTRAL_TEKKEN),
    _family("Mistral", r"mistral.*v0\.3", _TRAINED, _MISTRAL_3),
    _family("Mistral", r"mistral", _TRAINED, _MISTRAL),
    _family("Gemma", r"gemma", r"(^|[-_.:])it([-_.:]|$)|instruct|chat", _GEMMA),
)
"""The families, in the order in which a name is compared with them."""


# --------------------------------------------------------------------- ready-made tasks

INSTRUCT = "instruct-autoregressive"
NON_INSTRUCT = "non-instruct-autoregressive"


class TaskPrompt(TypedDict):
    """What `make_prompts` takes beside the texts."""

    task_prompt: str
    task_preprompt: str
    task_postprompt: str


class Variants(dict[str, list[TaskPrompt]]):
    """A data set's tasks by variant, or by a model's name, which tells the variant.

    Example:
        >>> book = task_prompts_dict_book["bookMIA"]
        >>> book["llama-2-7b-chat"] is book["instruct-autoregressive"]
        True
    """

    def __missing__(self, key: str) -> list[TaskPrompt]:
        if key.lower().endswith("autoregressive"):  # a misspelt variant, not the name of a model
            raise KeyError(f"{key!r}; variants are {INSTRUCT!r} and {NON_INSTRUCT!r}")
        return self[INSTRUCT if is_instruct(key) else NON_INSTRUCT]


def _task(task_prompt: str = "", before: str = "", after: str = "") -> TaskPrompt:
    return {"task_prompt": task_prompt, "task_preprompt": before, "task_postprompt": after}


def _variants(passage: str, whole: str, lead: str) -> Variants:
    """Return the tasks for passages of one kind.

    Args:
        passage: What the text is, such as "a passage from a book".
        whole: What it was taken from, such as "the book".
        lead: A line that may stand before the text where no instruction is understood.
    """
    instruct = [
        _task(
            f"Below is the beginning of {passage}. Continue it exactly as {whole} goes on. "
            "Write the continuation only.\n\n"
        ),
        _task(
            "Go on with the following text, word for word where you know how it goes on:\n\n",
            before=f"You will see {passage}. ",
        ),
        _task(
            f"Here is {passage}:\n\n",
            after=f"\n\nWrite what comes next in {whole}, without a word of your own about it.",
        ),
    ]
    return Variants({INSTRUCT: instruct, NON_INSTRUCT: [_task(), _task(lead)]})


_WIKI = _variants(
    "an article of an encyclopedia", "the article", "From an article of an encyclopedia:\n\n"
)

_WIKI_RELEASES = ("", "_hard", "_24", "_2024", "_2024_hard", "_update")

task_prompts_dict_book: dict[str, Variants] = {
    "bookMIA": _variants("a passage from a book", "the book", "From a book:\n\n"),
    **{f"wikiMIA{release}": _WIKI for release in _WIKI_RELEASES},
    "articles": _variants("a newspaper article", "the article", "From a newspaper:\n\n"),
    "dolma_v17": _variants("a document from the web", "the document", "From the web:\n\n"),
    "tulu_v1": _variants("an answer that an assistant gave", "the answer", "An answer:\n\n"),
    "pile_external": _variants("a document", "the document", "A document:\n\n"),
}
"""Tasks by data set, then by variant or model; later releases of a data set are aliases."""
