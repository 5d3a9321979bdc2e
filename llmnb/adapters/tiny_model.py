"""A language model of a few hundred thousand random numbers, made on the spot for trials.

It says nothing sensible, and says it through everything a real model has: a
tokenizer, a chat template, weights in the usual files. vLLM brings along what makes it.
"""

from __future__ import annotations

import importlib.util
import os
import random
from pathlib import Path

from llmnb.errors import MissingExtra

_TEXTS = ("the", "a", "of", "label", "text", "row", "yes", "no", "positive", "negative", "once")
_SPECIAL = ("<s>", "</s>", "<pad>", "<|im_start|>", "<|im_end|>")
_TEMPLATE = (
    "{% for m in messages %}<|im_start|>{{ m['role'] }}\n{{ m['content'] }}<|im_end|>\n"
    "{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)


def make(folder: str | os.PathLike[str]) -> Path:
    """Write a model of the Llama kind with random weights, and its tokenizer.

    Args:
        folder: Where; it is made if it is not there.

    Raises:
        MissingExtra: If torch, tokenizers or transformers is missing; vLLM brings all of them.
    """
    if any(importlib.util.find_spec(name) is None for name in ("torch", "transformers")):
        raise MissingExtra("Making a model needs torch and transformers: pip install 'llmnb[vllm]'")
    path = Path(folder)
    _write_weights(path, _write_tokenizer(path))
    return path


def _write_tokenizer(path: Path) -> dict[str, int]:
    """Train a tokenizer on a few words; returns its size and its special tokens."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    draw = random.Random(0)
    texts = [" ".join(draw.choices(_TEXTS, k=12)) for _ in range(500)]
    bare = Tokenizer(models.BPE())
    bare.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    bare.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(
        vocab_size=507, special_tokens=list(_SPECIAL), initial_alphabet=alphabet
    )
    bare.train_from_iterator(texts, trainer)
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=bare, bos_token="<s>", eos_token="<|im_end|>", pad_token="<pad>"
    )
    tokenizer.chat_template = _TEMPLATE
    tokenizer.save_pretrained(str(path))
    return {
        "vocab_size": (len(tokenizer) + 63) // 64 * 64,
        "bos_token_id": tokenizer.bos_token_id,
        "eos_token_id": tokenizer.eos_token_id,
        "pad_token_id": tokenizer.pad_token_id,
    }


def _write_weights(path: Path, ids: dict[str, int]) -> None:
    import torch
    from transformers import GenerationConfig, LlamaConfig, LlamaForCausalLM

    config = LlamaConfig(
        hidden_size=128,
        intermediate_size=256,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        head_dim=32,
        max_position_embeddings=512,
        **ids,
    )
    with torch.random.fork_rng():
        torch.manual_seed(0)
        LlamaForCausalLM(config).float().save_pretrained(str(path))
    special = {name: value for name, value in ids.items() if name != "vocab_size"}
    GenerationConfig(**special).save_pretrained(str(path))
