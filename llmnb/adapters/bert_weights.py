"""Weights of a small BERT, as sentence-transformers keeps them, written as a file of llama.cpp.

No number changes: the same bytes get another header and other names, so the vectors
are those of the original, and the file that comes out is always the same one.

Source:
    Format of safetensors; "GGUF" in the documents of ggml; the names that llama.cpp gives to
    the parts of the architecture ``bert``.
"""

from __future__ import annotations

import json
import math
import struct
from collections.abc import Iterable, Mapping
from typing import IO, Any

_ALIGNMENT = 32
_VERSION = 3
_UINT32, _FLOAT32, _BOOL, _STRING, _ARRAY = 4, 6, 7, 8, 9
"""GGUF's numbers of the types of values."""

_F32 = 0
"""GGUF's number of the type of tensors of 32-bit floats, and of files of them."""

_MEAN = 1
"""How the vectors of the tokens become one, in llama.cpp's numbers."""

_WHOLE = {
    "embeddings.word_embeddings": "token_embd",
    "embeddings.position_embeddings": "position_embd",
    "embeddings.token_type_embeddings": "token_types",
    "embeddings.LayerNorm": "token_embd_norm",
}
_OF_LAYER = {
    "attention.self.query": "attn_q",
    "attention.self.key": "attn_k",
    "attention.self.value": "attn_v",
    "attention.output.dense": "attn_output",
    "attention.output.LayerNorm": "attn_output_norm",
    "intermediate.dense": "ffn_up",
    "output.dense": "ffn_down",
    "output.LayerNorm": "layer_output_norm",
}


def write_gguf(
    target: IO[bytes], *, config: Mapping[str, Any], vocabulary: Iterable[str], tensors: IO[bytes]
) -> None:
    """Write a GGUF file.

    Args:
        target: Where.
        config: The model's ``config.json``.
        vocabulary: In order: the lines of ``vocab.txt``.
        tensors: Its ``model.safetensors``, of 32-bit floats; it must be seekable.

    Raises:
        KeyError: If the files are those of another kind of model.
    """
    (length,) = struct.unpack("<Q", tensors.read(8))
    listed = json.loads(tensors.read(length))
    start = 8 + length
    parts = [  # in the order of their bytes, so that they are read once through
        (name, part["shape"], start + part["data_offsets"][0])
        for key, part in sorted(listed.items(), key=lambda item: item[1].get("data_offsets", [0]))
        if (name := _name(key)) is not None
    ]
    metadata = _metadata(config, list(vocabulary))
    target.write(b"GGUF" + struct.pack("<IQQ", _VERSION, len(parts), len(metadata)))
    target.write(b"".join(_string(key) + value for key, value in metadata.items()))
    offset = 0
    for name, shape, _ in parts:
        target.write(_string(name) + struct.pack("<I", len(shape)))
        target.write(struct.pack(f"<{len(shape)}QIQ", *reversed(shape), _F32, offset))
        offset += _padded(_num_bytes(shape))
    target.write(bytes(_padded(target.tell()) - target.tell()))
    for _, shape, position in parts:
        tensors.seek(position)
        target.write(tensors.read(_num_bytes(shape)))
        target.write(bytes(_padded(_num_bytes(shape)) - _num_bytes(shape)))


def _name(key: str) -> str | None:
    """Return llama.cpp's name of a part; None for those that it has no use for."""
    stem, _, kind = key.rpartition(".")
    if stem in _WHOLE:
        return f"{_WHOLE[stem]}.{kind}"
    if not key.startswith("encoder.layer."):
        return None  # a pooler for sentences in pairs, the positions' own numbers
    layer, _, part = stem.removeprefix("encoder.layer.").partition(".")
    return f"blk.{layer}.{_OF_LAYER[part]}.{kind}"


def _metadata(config: Mapping[str, Any], vocabulary: list[str]) -> dict[str, bytes]:
    """Return GGUF's metadata: each key with its value as bytes, the number of its type first."""
    ids = {word: number for number, word in enumerate(vocabulary)}
    special = {"bos": "[CLS]", "eos": "[SEP]", "unknown": "[UNK]", "seperator": "[SEP]"}
    # "seperator" is how llama.cpp spells the key.
    special |= {"padding": "[PAD]", "cls": "[CLS]", "mask": "[MASK]"}
    sizes = {
        "context_length": "max_position_embeddings",
        "embedding_length": "hidden_size",
        "feed_forward_length": "intermediate_size",
        "block_count": "num_hidden_layers",
        "attention.head_count": "num_attention_heads",
    }
    epsilon = struct.pack("<If", _FLOAT32, config["layer_norm_eps"])
    return {
        "general.architecture": _text("bert"),
        "general.file_type": _number(_F32),
        **{f"bert.{key}": _number(config[name]) for key, name in sizes.items()},
        "bert.attention.layer_norm_epsilon": epsilon,
        "bert.attention.causal": struct.pack("<I?", _BOOL, False),
        "bert.pooling_type": _number(_MEAN),
        "tokenizer.ggml.model": _text("bert"),
        "tokenizer.ggml.token_type_count": _number(config["type_vocab_size"]),
        "tokenizer.ggml.tokens": struct.pack("<IIQ", _ARRAY, _STRING, len(vocabulary))
        + b"".join(_string(_as_llamacpp(word)) for word in vocabulary),
        **{f"tokenizer.ggml.{key}_token_id": _number(ids[word]) for key, word in special.items()},
    }


def _as_llamacpp(word: str) -> str:
    """Mark where a word begins; BERT's vocabulary marks where it goes on."""
    if word.startswith("[") and word.endswith("]"):
        return word
    return word[2:] if word.startswith("##") else "\u2581" + word


def _number(value: int) -> bytes:
    return struct.pack("<II", _UINT32, value)


def _text(value: str) -> bytes:
    return struct.pack("<I", _STRING) + _string(value)


def _string(value: str) -> bytes:
    encoded = value.encode()
    return struct.pack("<Q", len(encoded)) + encoded


def _num_bytes(shape: list[int]) -> int:
    return 4 * math.prod(shape)


def _padded(size: int) -> int:
    return -(-size // _ALIGNMENT) * _ALIGNMENT
