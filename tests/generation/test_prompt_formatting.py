"""Promises about prompts: the marks of each family, white space, and no mark of the beginning."""

from __future__ import annotations

import pytest

from llmnb.errors import ConfigurationError
from llmnb.generation import SYSTEM_TEXTS, make_prompts, task_prompts_dict_book
from llmnb.generation.prompt_formatting import family_of, is_instruct

SYSTEM = SYSTEM_TEXTS["lightest"]
LLAMA_3 = (
    "<|start_header_id|>system<|end_header_id|>\n\n{system}<|eot_id|>"
    "<|start_header_id|>user<|end_header_id|>\n\nDo: it<|eot_id|>"
    "<|start_header_id|>assistant<|end_header_id|>\n\n"
)
DATES = "Cutting Knowledge Date: December 2023\nToday Date: 26 Jul 2024\n\n"
TULU = "<|system|>\n{system}\n<|user|>\nDo: it\n<|assistant|>\n"
MISTRAL = "[INST] {system}\n\nDo: it [/INST]"

WRITTEN = {
    "meta-llama/Llama-2-7b-chat-hf": "[INST] <<SYS>>\n{system}\n<</SYS>>\n\nDo: it [/INST]",
    "llama-2-70B-CHAT": "[INST] <<SYS>>\n{system}\n<</SYS>>\n\nDo: it [/INST]",
    "meta-llama/Meta-Llama-3-8B-Instruct": LLAMA_3,
    "meta-llama/Llama-3.1-405B-Instruct-FP8": LLAMA_3.replace("{system}", DATES + "{system}"),
    "llama-v3p1-8b-instruct": LLAMA_3.replace("{system}", DATES + "{system}"),
    "meta.llama3-1-8b-instruct-v1:0": LLAMA_3.replace("{system}", DATES + "{system}"),
    "llama3.2:1b-instruct-q8_0": LLAMA_3.replace("{system}", DATES + "{system}"),
    "meta-llama/Llama-3.3-70B-Instruct-Turbo": LLAMA_3.replace("{system}", DATES + "{system}"),
    "mistralai/Mistral-7B-Instruct-v0.2": MISTRAL,
    "mistralai/Mistral-7B-Instruct-v0.3": "[INST] {system}\n\nDo: it[/INST]",
    "mistralai/Mistral-Nemo-Instruct-2407": "[INST]{system}\n\nDo: it[/INST]",
    "mistralai/Mixtral-8x7B-Instruct-v0.1": MISTRAL,
    "google/gemma-2-9b-IT": (
        "<start_of_turn>user\n{system}\n\nDo: it<end_of_turn>\n<start_of_turn>model\n"
    ),
    "gemma3:4b-it-qat": (
        "<start_of_turn>user\n{system}\n\nDo: it<end_of_turn>\n<start_of_turn>model\n"
    ),
    "allenai/OLMo-7B-Instruct": TULU,
    "allenai/OLMo-2-1124-13B-Instruct": TULU,
    "allenai/tulu-2-dpo-7b": TULU,
    "allenai/Llama-3.1-Tulu-3-8B": TULU,
}

BASE = [
    *("meta-llama/Llama-2-7b-hf", "meta-llama/Meta-Llama-3-8B", "meta-llama/Llama-3.1-8B"),
    *("meta-llama/Llama-3.2-1B", "mistralai/Mistral-7B-v0.1", "mistralai/Mixtral-8x7B-v0.1"),
    *("google/gemma-7b", "allenai/OLMo-7B", "allenai/OLMo-2-1124-7B", "default", "gpt2"),
]

STRANGERS = ["TinyLlama-1.1B-Chat-v1.0", "gpt-4o-mini", "llama-30b-instruct", "Qwen2-7B-Instruct"]


@pytest.mark.parametrize("name", WRITTEN)
def test_models_that_follow_instructions_get_their_familys_marks(name):
    """
    Told by the name, whatever its case and wherever it comes from.
    """
    (prompt,) = make_prompts(["it"], "Do: ", model_name=name, prompt_key="lightest")

    assert prompt == WRITTEN[name].replace("{system}", SYSTEM)


@pytest.mark.parametrize("name", [*BASE, *STRANGERS])
def test_base_models_and_unknown_ones_get_the_plain_text(name):
    """
    Without marks, whatever the system's text would have been.
    """
    for key in (None, "full"):
        assert make_prompts(["it"], "Do: ", model_name=name, prompt_key=key) == ["Do: it"]


@pytest.mark.parametrize(
    ("name", "wanted"),
    [
        ("llama-2-7b-chat", "[INST] Do: it [/INST]"),
        ("allenai/tulu-2-7b", "<|user|>\nDo: it\n<|assistant|>\n"),
        ("Mixtral-8x7B-Instruct-v0.1", "[INST] Do: it [/INST]"),
        ("Meta-Llama-3-8B-Instruct", LLAMA_3[LLAMA_3.index("<|eot_id|>") + 10 :]),
    ],
)
def test_without_a_prompt_key_there_is_no_systems_text(name, wanted):
    """
    Nor an empty turn in its place.
    """
    assert make_prompts(["it"], "Do: ", model_name=name) == [wanted]


@pytest.mark.parametrize("name", WRITTEN)
def test_white_space_is_kept_and_nothing_marks_the_beginning(name):
    """
    Engines add ``<s>`` and its like themselves; what is in the text is in the prompt.
    """
    text = "  a\t\n\n b \u00a0\n"

    (prompt,) = make_prompts([text], " go\n", " pre ", " post\n ", model_name=name)

    assert f" pre  go\n{text} post\n " in prompt
    assert not prompt.startswith(("<s>", "<bos>", "<|begin_of_text|>", "<|endoftext|>"))


def test_every_family_has_a_name_that_is_tested():
    """
    Whole families, as the page names them.
    """
    tested = {family_of(name).name for name in WRITTEN}

    assert tested == {
        *("Llama 2", "Llama 3", "Llama 3.1", "Llama 3.2", "Llama 3.3"),
        *("Mistral", "Mixtral", "Gemma", "OLMo", "Tulu"),
    }
    assert all(is_instruct(name) for name in WRITTEN)
    assert not any(is_instruct(name) for name in BASE)


def test_system_texts_are_full_light_and_lightest():
    """
    Each shorter than the one before; another name is an error that lists them.
    """
    lengths = [len(SYSTEM_TEXTS[key]) for key in ("full", "light", "lightest")]

    assert lengths == sorted(lengths, reverse=True)
    with pytest.raises(ConfigurationError, match="full, light, lightest"):
        make_prompts(["it"], "", prompt_key="heavy")


def test_a_text_instead_of_a_list_is_an_error():
    """
    Not a prompt for each letter.
    """
    with pytest.raises(ConfigurationError, match="list of texts"):
        make_prompts("it", "Do: ")
    with pytest.raises(ConfigurationError, match=r"prompts\[1\] is None"):
        make_prompts(["a", None], "Continue: ")


class Tokenizer:
    """What a tokenizer with a template of its own does."""

    chat_template = "…"
    bos_token = "<s>"

    def __init__(self, *, takes_system: bool = True) -> None:
        self.takes_system = takes_system

    def apply_chat_template(self, messages, **options):
        assert options == {"tokenize": False, "add_generation_prompt": True}
        if not self.takes_system and messages[0]["role"] == "system":
            raise TemplateError("no system here")
        turns = "".join(f"<{message['role']}>{message['content']}" for message in messages)
        return f"<s>{turns}<assistant>"


class TemplateError(Exception):
    """What a template language raises, by its name."""


def test_a_tokenizers_own_template_is_used_when_it_has_any():
    """
    In place of the family's marks, without the mark of the beginning.
    """
    prompts = make_prompts(
        ["it"], "Do: ", model_name="llama-2-7b-chat", prompt_key="lightest", tokenizer=Tokenizer()
    )

    assert prompts == [f"<system>{SYSTEM}<user>Do: it<assistant>"]


def test_a_template_that_refuses_a_systems_turn_gets_it_before_the_question():
    """
    As Gemma's does.
    """
    tokenizer = Tokenizer(takes_system=False)

    prompts = make_prompts(["it"], "Do: ", prompt_key="lightest", tokenizer=tokenizer)

    assert prompts == [f"<user>{SYSTEM}\n\nDo: it<assistant>"]


def test_a_tokenizer_without_a_template_leaves_it_to_the_name():
    """
    Base models have such.
    """
    tokenizer = Tokenizer()
    tokenizer.chat_template = None

    prompts = make_prompts(["it"], "Do: ", model_name="llama-2-7b-chat", tokenizer=tokenizer)

    assert prompts == ["[INST] Do: it [/INST]"]


DATASETS = ["bookMIA", "wikiMIA", "articles", "dolma_v17", "tulu_v1", "pile_external"]


@pytest.mark.parametrize("dataset", DATASETS)
def test_the_book_of_tasks_has_every_data_set_in_both_variants(dataset):
    """
    Each task is what `make_prompts` takes, by variant or by a model's name.
    """
    book = task_prompts_dict_book[dataset]

    for variant, model in (
        ("instruct-autoregressive", "meta-llama/Llama-3.1-8B-Instruct"),
        ("non-instruct-autoregressive", "meta-llama/Llama-3.1-8B"),
    ):
        assert book[model] is book[variant]
        for task in book[variant]:
            assert set(task) == {"task_prompt", "task_preprompt", "task_postprompt"}
            (prompt,) = make_prompts(["THE TEXT"], **task, model_name=model)
            assert "THE TEXT" in prompt
    assert {"task_prompt": "", "task_preprompt": "", "task_postprompt": ""} in book[
        "non-instruct-autoregressive"
    ]


def test_later_releases_are_aliases_and_a_misspelt_variant_is_an_error():
    """
    A variant's name is never taken for a model's.
    """
    assert task_prompts_dict_book["wikiMIA_24"] is task_prompts_dict_book["wikiMIA"]
    assert task_prompts_dict_book["wikiMIA_hard"] is task_prompts_dict_book["wikiMIA"]
    with pytest.raises(KeyError, match="variants are"):
        task_prompts_dict_book["bookMIA"]["instuct-autoregressive"]
