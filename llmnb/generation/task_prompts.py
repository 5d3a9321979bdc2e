"""Ready-made tasks for passages of known data sets: go on with this text, in several words.

For each data set there are two variants. Models that follow instructions are
told what to do; others are only shown the text, with at most a line before it.
"""

from __future__ import annotations

from typing import TypedDict

from llmnb.generation.families import is_instruct

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
        if key.lower().endswith("autoregressive"):  # a variant misspelt is no model's name
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

task_prompts_dict_book: dict[str, Variants] = {
    "bookMIA": _variants("a passage from a book", "the book", "From a book:\n\n"),
    "wikiMIA": _WIKI,
    "wikiMIA_hard": _WIKI,
    "wikiMIA_24": _WIKI,
    "wikiMIA_2024": _WIKI,
    "wikiMIA_2024_hard": _WIKI,
    "wikiMIA_update": _WIKI,
    "articles": _variants("a newspaper article", "the article", "From a newspaper:\n\n"),
    "dolma_v17": _variants("a document from the web", "the document", "From the web:\n\n"),
    "tulu_v1": _variants("an answer that an assistant gave", "the answer", "An answer:\n\n"),
    "pile_external": _variants("a document", "the document", "A document:\n\n"),
}
"""Tasks by data set, then by variant or model; later releases of a data set are aliases."""
