"""The door to tiktoken: how many tokens a text or a request has, with or without its tables.

Where a text has too many, `longest_fitting` says how much of it fits.

tiktoken fetches its tables when they are first needed, and sets no timeout while
it does. So an encoding is only loaded here when its table is already on this
machine and whole; else the count is an estimate and says so. Nothing is downloaded.

Three answers, for three uses:

* `count_tokens`: as exact as this machine allows, for plans and reports;
* `fast_estimate`: two or three microseconds for a whole request, for admission,
  where the provider's own figure corrects it a moment later;
* `upper_bound`: never too low. A byte-level encoding makes no token of less than
  a byte, so the length in UTF-8 is the only bound that always holds.
"""

from __future__ import annotations

import hashlib
import importlib.util
import math
import os
import re
import tempfile
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson

from llmnb.adapters import environment
from llmnb.errors import ConfigurationError

LARGEST_PIECE = 100_000
"""Characters given to tiktoken at once; it panics on a million spaces."""

TOKENS_PER_MESSAGE = 3
TOKENS_PER_NAME = 1
TOKENS_PER_REPLY = 3
"""What a chat request costs beside its texts.

Source:
    *How to count tokens with tiktoken*, OpenAI Cookbook, section 6: three for each
    message, one more where it has a name, three that open the reply.
"""

TOKENS_PER_IMAGE = 765
"""A square of 1024 pixels in high detail, by OpenAI's vision guide: 85 + 4 * 170."""

_TABLES = {
    "cl100k_base": (
        "9b5ad71b2ce5302211f9c61530b329a4922fc6a4",
        "223921b76ee99bde995b7ff738513eef100fb51d18c93597a113bcffe865b2a7",
    ),
    "o200k_base": (
        "fb374d419588a4632f3f557e76b4b70aebbca790",
        "446a9538cb6c348e3516120d7c08b09f57c36495e2acfffe59a5bf8b0cfb1a2d",
    ),
    "p50k_base": (
        "ec7223a39ce59f226a68acc30dc1af2788490e15",
        "94b5ca7dff4d00767bc256fdd1b27e5b17361d7b8a5f968547f9f23eb70d2069",
    ),
    "r50k_base": (
        "0ea1e91bbb3a60f729a8dc8f777fd2fc07cd8df4",
        "306cd27f03c1a714eca7108e03d66b7dc042abe8c258b44c199a7ed9838dd930",
    ),
}
"""For each table its file name in tiktoken's cache (sha1 of its address) and its sha256."""

_TABLE_OF = {
    **{name: name for name in _TABLES},
    "o200k_harmony": "o200k_base",
    "p50k_edit": "p50k_base",
    "gpt2": "r50k_base",  # the same merges, which tiktoken keeps in two further files
}


@dataclass(frozen=True, slots=True)
class TokenCount:
    """A number of tokens, and whether it was counted."""

    tokens: int

    is_estimate: bool
    """Whether another way of counting than the model's own was used."""


_lock = threading.Lock()
_encodings: dict[str, Any] = {}
"""Loaded encodings by name; None where the table is not on this machine."""


def count_tokens(
    text_or_body: str | Mapping[str, Any],
    encoding: str = "cl100k_base",
    model: str | None = None,
) -> TokenCount:
    """Count the tokens of a text, or of a whole request with its overhead.

    Args:
        text_or_body: A text, or a body with ``messages``, ``prompt`` or ``input``.
        encoding: Name of tiktoken's encoding.
        model: Count as this model does, where tiktoken knows how; then `encoding`
            only serves models it does not know, and their count is an estimate.

    Raises:
        ConfigurationError: If there is no encoding of that name.

    Example:
        >>> count_tokens("").tokens
        0
        >>> count_tokens({"messages": []}).tokens
        3
    """
    known = None if model is None else _encoding_of(model)
    encoder = _encoder(known or encoding)
    contents = _contents_of(text_or_body)
    tokens = contents.overhead
    is_estimate = encoder is None or contents.is_guess or (model is not None and known is None)
    for text in contents.texts:
        for piece in _chunks_of(text):
            counted = None if encoder is None else _count(encoder, piece)
            tokens += _estimate(piece) if counted is None else counted
            is_estimate = is_estimate or counted is None
    return TokenCount(tokens, is_estimate)


def upper_bound(text_or_body: str | Mapping[str, Any]) -> int:
    """Return a number of tokens that no byte-level encoding exceeds.

    Images and files, which are not counted in bytes, are the exception: each is
    taken as `TOKENS_PER_IMAGE`.

    Example:
        >>> upper_bound("naïve")
        6
    """
    contents = _contents_of(text_or_body)
    return contents.overhead + sum(len(_bytes(text)) for text in contents.texts)


def may_exceed(text: str, most: int) -> bool:
    """Return whether a text can have more tokens than so many, as far as its length tells.

    No token stands for less than one byte, so a text with fewer bytes need not be counted.

    Example:
        >>> may_exceed("short", 100), may_exceed("long " * 50, 100)
        (False, True)
    """
    return len(text) * 4 > most and len(_bytes(text)) > most


def longest_fitting(
    characters: int,
    tokens: int,
    most: int,
    count: Callable[[int], int],
    *,
    enough: float | None = None,
    tries: int | None = None,
) -> int:
    """Return how many characters of a text that is too long fit, searched for between two bounds.

    Args:
        characters: Those of the whole text.
        tokens: Tokens of the whole text.
        most: Tokens that fit.
        count: Counts the tokens of so many characters.
        enough: The search ends where this part of `most` is used; None: where one more character
            would not fit.
        tries: The search ends after so many counts.

    Example:
        >>> longest_fitting(100, 50, 18, lambda characters: characters // 2)
        37
    """
    short, short_tokens = 0, 0
    long, long_tokens = characters, tokens
    turn = 0
    while long - short > 1 and turn != tries:
        if enough is not None and short_tokens >= most * enough:
            break
        part = (most - short_tokens) / max(1, long_tokens - short_tokens)
        if turn % 3 == 2 or short_tokens >= most:
            part = 0.5  # where words get denser a guess by proportion creeps
        length = min(max(short + int((long - short) * part), short + 1), long - 1)
        counted = count(length)
        if counted <= most:
            short, short_tokens = length, counted
        else:
            long, long_tokens = length, counted
        turn += 1
    return short


def fast_estimate(body: str | Mapping[str, Any]) -> int:
    """Return an estimate of a prompt's tokens, within microseconds.

    A quarter of a token for each character, and three quarters more for each
    byte that UTF-8 needs beyond one a character: close for English, too high for
    other scripts, too low for columns of figures.

    Example:
        >>> fast_estimate({"messages": [{"role": "user", "content": "four" * 4}]})
        11
        >>> fast_estimate("四" * 4)
        7
    """
    if isinstance(body, str):
        return -(-(len(body) + 3 * _extra_bytes(body)) // 4)
    messages = body.get("messages")
    if messages is None or "tools" in body or "system" in body:
        return _slow_estimate(body)
    quarters = 0
    tokens = TOKENS_PER_REPLY
    try:
        for message in messages:
            content = message["content"]
            tokens += TOKENS_PER_MESSAGE + 1  # its role is a token too
            quarters += len(content)
            if not content.isascii():
                quarters += 3 * _extra_bytes(content)
    except (AttributeError, KeyError, TypeError):
        return _slow_estimate(body)  # parts, tool calls, or what a provider will refuse
    return tokens - (-quarters // 4)


# -------------------------------------------------------------------- counting


def _count(encoder: Any, text: str) -> int | None:
    """Return the tokens of a piece, or None where the counting code breaks down."""
    try:
        # Unlike `encode` it takes "<|endoftext|>" in somebody's data for text.
        return len(encoder.encode_ordinary(text))
    except BaseException as error:
        # Rust's panics arrive as a BaseException of a module that cannot be imported.
        if type(error).__name__ != "PanicException":
            raise
        return None


def _chunks_of(text: str) -> Iterator[str]:
    """Yield pieces of at most `LARGEST_PIECE` characters, cut before white space if near."""
    if len(text) <= LARGEST_PIECE:
        yield text
        return
    start = 0
    while start < len(text):
        end = start + LARGEST_PIECE
        if end < len(text):
            blank = max(text.rfind(mark, end - 1000, end) for mark in " \n\t")
            end = blank if blank > start else end
        yield text[start:end]
        start = end


_KINDS = re.compile(
    r"(?P<word>[A-Z]?[a-z]+|[A-Z]+)|(?P<single>[0-9]{1,3}|\n+|[ \t]{2,})"
    r"|(?P<nonlatin>[^\x00-\x7f]+)|(?P<marks>[^\sA-Za-z0-9]+)"
)


def _estimate(text: str) -> int:
    """Return an estimate of a text's tokens.

    A word is a token, and one more for every four letters beyond the seventh; so is
    every group of up to three digits, every run of blanks, every two punctuation
    marks; what is not ASCII counts two thirds of a token a byte. Against
    cl100k_base: English prose +14 %, code +23 %, JSON and CSV -10 to 0 %, Finnish
    and Polish -39 to -23 %, scripts other than Latin -5 to +100 %.
    """
    total = 0.0
    for run in _KINDS.finditer(text):
        length = run.end() - run.start()
        match run.lastgroup:
            case "word":
                total += 1 + max(0, length - 7) / 4
            case "nonlatin":
                total += len(_bytes(run.group())) * 2 / 3
            case "marks":
                total += (length + 1) // 2
            case _:
                total += 1
    return math.ceil(total)


def _slow_estimate(body: Mapping[str, Any]) -> int:
    contents = _contents_of(body)
    return contents.overhead + sum(fast_estimate(text) for text in contents.texts)


def _extra_bytes(text: str) -> int:
    return 0 if text.isascii() else len(_bytes(text)) - len(text)


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")


# ------------------------------------------------------------- reading a request


_MEDIA = frozenset(("image_url", "inlineData", "fileData"))
"""Fields that hold an image, or something else whose bytes are no text."""


@dataclass(slots=True)
class _Contents:
    """The texts of a request, and what it costs beside them."""

    texts: list[str]
    overhead: int = 0
    is_guess: bool = False
    """Whether something was in it that no published rule counts."""

    def add_message(self, message: Any) -> None:
        """Add a turn of a conversation."""
        if not isinstance(message, Mapping):
            self.add(message)
            return
        self.overhead += TOKENS_PER_MESSAGE
        for field, value in message.items():
            if field == "name":
                self.overhead += TOKENS_PER_NAME
            self.add(value)

    def add(self, value: Any) -> None:
        """Add a text, a list of parts, a part, or numbers of tokens."""
        if isinstance(value, str):
            self.texts.append(value)
        elif isinstance(value, list | tuple):
            if value and all(isinstance(item, int) for item in value):
                self.overhead += len(value)  # tokens already
                return
            for item in value:
                self.add(item)
        elif isinstance(value, Mapping):
            self._add_part(value)
        elif value is not None:
            self.texts.append(str(value))

    def _add_part(self, part: Mapping[str, Any]) -> None:
        if isinstance(part.get("text"), str):
            self.texts.append(part["text"])
        elif "image" in str(part.get("type")) or not _MEDIA.isdisjoint(part):
            self.overhead += TOKENS_PER_IMAGE
            self.is_guess = True
        elif "role" in part:
            self.add_message(part)
        elif "parts" in part:
            self.add(part["parts"])
        else:
            self.add_json(part)

    def add_json(self, value: Any) -> None:
        """Add what no rule counts as the JSON in which it travels."""
        try:
            text = orjson.dumps(value, default=str).decode()
        except TypeError:
            text = str(value)
        self.texts.append(text)
        self.is_guess = True


def _contents_of(text_or_body: str | Mapping[str, Any]) -> _Contents:
    if isinstance(text_or_body, str):
        return _Contents([text_or_body])
    contents, body = _Contents([]), text_or_body
    if "messages" in body:
        contents.overhead += TOKENS_PER_REPLY
        messages = body["messages"]
        for message in messages if isinstance(messages, list | tuple) else [messages]:
            contents.add_message(message)
    # The last three are what Anthropic and Gemini call the system's text and the conversation.
    for field in ("prompt", "input", "system", "systemInstruction", "contents"):
        if field in body:
            contents.add(body[field])
    for field in ("tools", "functions", "response_format", "output_config"):
        if body.get(field):
            contents.add_json(body[field])
    return contents


# ---------------------------------------------------------- loading an encoding


def _encoding_of(model: str) -> str | None:
    import tiktoken

    try:
        return tiktoken.encoding_name_for_model(
            model.removeprefix("openai/").removeprefix("azure/")
        )
    except KeyError:
        return None


def _encoder(name: str) -> Any:
    """Return tiktoken's encoding, or None when its table is not on this machine."""
    try:
        return _encodings[name]
    except KeyError:
        pass
    if name not in _TABLE_OF:
        raise ConfigurationError(
            f"There is no token encoding {name!r}. There are: {', '.join(sorted(_TABLE_OF))}."
        )
    with _lock:
        if name not in _encodings:
            _encodings[name] = _load(name)
        return _encodings[name]


def _load(name: str) -> Any:
    folder = _folder_with(_TABLE_OF[name])
    if folder is None:
        return None
    import tiktoken

    with environment.variables({"TIKTOKEN_CACHE_DIR": str(folder)}):
        return tiktoken.get_encoding(_TABLE_OF[name] if name == "gpt2" else name)


def _folder_with(table: str) -> Path | None:
    """Return the folder that holds a whole copy of a table; None without any."""
    file, sha256 = _TABLES[table]
    for folder in _folders():
        try:
            data = (folder / file).read_bytes()
        except OSError:
            continue
        if hashlib.sha256(data).hexdigest() == sha256:
            return folder
    return None


def _folders() -> Iterator[Path]:
    """Yield the folders that may hold tables: tiktoken's own first, then LiteLLM's copies."""
    for variable in ("TIKTOKEN_CACHE_DIR", "DATA_GYM_CACHE_DIR"):
        if folder := os.environ.get(variable):
            yield Path(folder)
    yield Path(tempfile.gettempdir()) / "data-gym-cache"
    try:
        litellm = importlib.util.find_spec("litellm")  # importing it takes seconds
    except (ImportError, ValueError):
        return
    for folder in (litellm.submodule_search_locations or ()) if litellm else ():
        yield Path(folder) / "litellm_core_utils" / "tokenizers"
