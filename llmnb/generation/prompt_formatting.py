"""Tasks and texts as prompts, written the way the model that is asked was trained to read them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Protocol

from llmnb.errors import ConfigurationError
from llmnb.generation.families import family_of, is_instruct
from llmnb.generation.task_prompts import task_prompts_dict_book

__all__ = ["SYSTEM_TEXTS", "make_prompts", "task_prompts_dict_book"]

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
        ConfigurationError: If there is no such `prompt_key`.

    Example:
        >>> make_prompts(["Once upon a time"], "Continue: ", model_name="llama-2-7b-chat")
        ['[INST] Continue: Once upon a time [/INST]']
        >>> make_prompts(["Once upon a time"], "Continue: ", model_name="llama-2-7b")
        ['Continue: Once upon a time']
    """
    if isinstance(prompts, str):
        raise ConfigurationError("make_prompts() takes a list of texts: make_prompts([text], …).")
    system = _system_text(prompt_key)
    questions = [f"{task_preprompt}{task_prompt}{text}{task_postprompt}" for text in prompts]
    if tokenizer is not None and tokenizer.chat_template:
        return [_by_template(tokenizer, question, system) for question in questions]
    family = family_of(model_name)
    if family is None or not is_instruct(model_name):
        return questions
    return [family.render(question, system) for question in questions]


def _system_text(prompt_key: str | None) -> str | None:
    if prompt_key is None:
        return None
    try:
        return SYSTEM_TEXTS[prompt_key]
    except KeyError:
        raise ConfigurationError(
            f"There is no prompt_key {prompt_key!r}: use one of {', '.join(SYSTEM_TEXTS)}, or None."
        ) from None


def _by_template(tokenizer: Tokenizer, question: str, system: str | None) -> str:
    """Write one question as the tokenizer's own template says."""
    turn = {"role": "user", "content": question}
    if system is None:
        return _applied(tokenizer, [turn])
    try:
        return _applied(tokenizer, [{"role": "system", "content": system}, turn])
    except Exception as error:
        # Some templates refuse a system's turn, by an error of their own template language.
        if "Template" not in type(error).__name__:
            raise
    return _applied(tokenizer, [{"role": "user", "content": f"{system}\n\n{question}"}])


def _applied(tokenizer: Tokenizer, messages: list[dict[str, str]]) -> str:
    text = str(tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=True))
    return text.removeprefix(str(tokenizer.bos_token)) if tokenizer.bos_token else text
