"""Writes prompts by our own hand and by transformers', and prints where their tokens differ.

Run by `test_chat_templates.py` with a Python that has transformers; prints one line of JSON.
The templates are made for the test, with the marks that each family's models read.
"""

from __future__ import annotations

import json
import random

from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import PreTrainedTokenizerFast

from llmnb.generation.prompt_formatting import SYSTEM_TEXTS, make_prompts

REFUSES = "{% if messages[0]['role'] == 'system' %}{{ raise_exception('no system') }}{% endif %}"
ASKS = "{% if add_generation_prompt %}"
DATES = "Cutting Knowledge Date: December 2023\\nToday Date: 26 Jul 2024\\n\\n"


def _llama_3(dates: str, absent: str) -> str:
    """Return a template of turns between headers."""
    head = "<|start_header_id|>{{ m['role'] }}<|end_header_id|>\\n\\n"
    return (
        "{{ bos_token }}{% if messages[0]['role'] != 'system' %}"
        + absent
        + "{% endif %}{% for m in messages %}"
        + head
        + "{% if m['role'] == 'system' %}"
        + dates
        + "{% endif %}{{ m['content'] }}<|eot_id|>{% endfor %}"
        + ASKS
        + "<|start_header_id|>assistant<|end_header_id|>\\n\\n{% endif %}"
    ).replace("\\n", "\n")


def _tulu() -> str:
    return (
        "{{ bos_token }}{% for m in messages %}<|{{ m['role'] }}|>\n{{ m['content'] }}\n"
        "{% endfor %}" + ASKS + "<|assistant|>\n{% endif %}"
    )


def _mistral(before: str, after: str) -> str:
    return (
        REFUSES
        + "{{ bos_token }}{% for m in messages %}[INST]"
        + before
        + "{{ m['content'] }}"
        + after
        + "[/INST]{% endfor %}"
    )


TEMPLATES = {
    "meta-llama/Llama-2-7b-chat-hf": (
        "<s>",
        "{{ bos_token }}{% for m in messages %}{% if m['role'] == 'user' %}[INST] "
        "{% if messages[0]['role'] == 'system' %}<<SYS>>\n{{ messages[0]['content'] }}\n<</SYS>>"
        "\n\n{% endif %}{{ m['content'] }} [/INST]{% endif %}{% endfor %}",
    ),
    "meta-llama/Meta-Llama-3-8B-Instruct": ("<|begin_of_text|>", _llama_3("", "")),
    **{
        f"meta-llama/Llama-3.{minor}-8B-Instruct": (
            "<|begin_of_text|>",
            _llama_3(
                DATES,
                "<|start_header_id|>system<|end_header_id|>\\n\\n" + DATES + "<|eot_id|>",
            ),
        )
        for minor in (1, 2, 3)
    },
    "mistralai/Mistral-7B-Instruct-v0.2": ("<s>", _mistral(" ", " ")),
    "mistralai/Mistral-7B-Instruct-v0.3": ("<s>", _mistral(" ", "")),
    "mistralai/Mistral-Nemo-Instruct-2407": ("<s>", _mistral("", "")),
    "mistralai/Mixtral-8x7B-Instruct-v0.1": ("<s>", _mistral(" ", " ")),
    "google/gemma-2-9b-it": (
        "<bos>",
        REFUSES + "{{ bos_token }}{% for m in messages %}<start_of_turn>{{ m['role'] }}\n"
        "{{ m['content'] }}<end_of_turn>\n{% endfor %}"
        + ASKS
        + "<start_of_turn>model\n{% endif %}",
    ),
    "allenai/OLMo-2-1124-7B-Instruct": ("<|endoftext|>", _tulu()),
    "allenai/tulu-2-7b": ("<s>", _tulu()),
}

MARKS = [
    *("<s>", "</s>", "<bos>", "<|begin_of_text|>", "<|endoftext|>", "<|eot_id|>"),
    *("<|start_header_id|>", "<|end_header_id|>", "[INST]", "[/INST]"),
    *("<start_of_turn>", "<end_of_turn>", "<|user|>", "<|assistant|>", "<|system|>"),
]

TEXTS = ["Once upon a time", "  a\t\n\n b \n", "naïve — 四 🌲", "{{ braces }} and {% more %}", ""]


def tokenizer(bos: str, template: str) -> PreTrainedTokenizerFast:
    """Return a small tokenizer of bytes that knows every mark."""
    bare = Tokenizer(models.BPE())
    bare.decoder = decoders.ByteLevel()
    bare.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    dice = random.Random(0)
    vocabulary = ["once", "upon", "a", "time", "the", "story", "goes", "on", "Continue", "it"]
    lines = [" ".join(dice.choices(vocabulary, k=12)) for _ in range(300)]
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    bare.train_from_iterator(
        lines,
        trainers.BpeTrainer(vocab_size=400, special_tokens=MARKS, initial_alphabet=alphabet),
    )
    made = PreTrainedTokenizerFast(tokenizer_object=bare, bos_token=bos)
    made.chat_template = template
    return made


def main() -> None:
    """Compare every family, with and without a system's text."""
    compared, differences = 0, []
    for name, (bos, template) in TEMPLATES.items():
        own = tokenizer(bos, template)
        for key in (None, "lightest", "full"):
            for text in TEXTS:
                question = f"Continue: {text}"
                turn = {"role": "user", "content": question}
                turns = (
                    [turn]
                    if key is None
                    else [
                        {"role": "system", "content": SYSTEM_TEXTS[key]},
                        turn,
                    ]
                )
                if key is not None and template.startswith(REFUSES):
                    turns = [{"role": "user", "content": f"{SYSTEM_TEXTS[key]}\n\n{question}"}]
                wanted = own.apply_chat_template(
                    turns, tokenize=True, add_generation_prompt=True, return_dict=False
                )
                for how, tok in (("name", None), ("template", own)):
                    (prompt,) = make_prompts(
                        [text], "Continue: ", model_name=name, prompt_key=key, tokenizer=tok
                    )
                    own_tokens = own.encode(bos + prompt, add_special_tokens=False)
                    compared += 1
                    if list(own_tokens) != list(wanted):
                        differences.append([name, how, key, text, own.decode(wanted), prompt])
    print(json.dumps({"compared": compared, "differences": differences}))


if __name__ == "__main__":
    main()
