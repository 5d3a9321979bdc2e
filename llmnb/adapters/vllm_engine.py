"""A loaded vLLM engine: batches, single requests, tokens, and its identity for answers' keys.

vLLM's engine is one loop that writes for all its requests together: its callers
must take turns at that loop. A batch (`Engine.generate`) has it to itself until the
batch is done. Single requests (`Engine.stepper`) share it: one thread steps the engine for
as long as there is anything to write, and takes in between two steps what has arrived
meanwhile. A batch that waits for its turn gets it as soon as what was taken in is written.
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
import itertools
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from llmnb.adapters.llamacpp import weights_sha256
from llmnb.errors import ConfigurationError

PACKAGE = "vllm"

_DECISIVE = (".json", ".safetensors", ".bin", ".pt", ".gguf", ".model", ".jinja", ".txt")
"""Endings of the files of a model that decide what it answers."""


YIELD_SECONDS = 0.001
"""Seconds after which single requests look again whether a batch has had its turn."""

Listener = Callable[[Any], None]
"""Called on the stepping thread with each output of vLLM's, or with the exception instead."""


class Engine:
    """A model that is loaded; made by `load`, or around an `LLM` of vLLM's own.

    Args:
        native: vLLM's `LLM`.
        library: The module `vllm` itself.
        name: What the model is called.
        version: Version of vLLM.
        closes: Whether closing ends it.
    """

    def __init__(
        self, native: Any, library: Any, name: str, version: str, *, closes: bool = True
    ) -> None:
        self.native = native
        self.name = name
        self._library = library
        self._version = version
        self.turn = threading.Lock()
        """Held while the engine is stepped."""

        self._counting = threading.Lock()
        self.batches_waiting = 0
        """Batches that wait for their turn: single requests let them pass."""

        self._closes = closes

    @property
    def core(self) -> Any:
        """The `LLMEngine` inside, which takes requests one by one."""
        return self.native.llm_engine

    @functools.cached_property
    def tokenizer(self) -> Any:
        """The model's tokenizer, as the library `transformers` has them."""
        return self.native.get_tokenizer()

    @functools.cached_property
    def max_len(self) -> int:
        """Tokens that prompt and answer may have together."""
        return int(self.core.model_config.max_model_len)

    @functools.cached_property
    def max_requests(self) -> int:
        """Answers that are written at once."""
        return int(self.core.vllm_config.scheduler_config.max_num_seqs)

    @functools.cached_property
    def identity(self) -> str:
        """Engine, weights and what else decides the answers: part of their keys in the store."""
        config = self.core.model_config
        parts = [f"{PACKAGE}/{self._version}", _origin_of(str(config.model), config.hf_config)]
        if str(config.tokenizer) != str(config.model):
            parts.append("tokenizer=" + _origin_of(str(config.tokenizer), None))
        parts += [f"dtype={config.dtype}", f"n_ctx={self.max_len}"]
        if config.quantization:
            parts.append(f"quantization={config.quantization}")
        return " ".join(parts)

    def is_refusal(self, error: BaseException) -> bool:
        """Return whether an error of vLLM's means that the request makes no sense."""
        errors = getattr(self._library, "exceptions", None)
        own = getattr(errors, "VLLMClientError", ValueError)
        return isinstance(error, (ValueError, TypeError, own))

    @functools.cached_property
    def stepper(self) -> Stepper:
        """The one stepper of this engine: with two, single requests would not share its steps."""
        return Stepper(self)

    def encode(self, texts: Sequence[str]) -> list[list[int]]:
        """Return each text as tokens, with what the model wants before and after it."""
        ids: list[list[int]] = self.tokenizer(list(texts))["input_ids"] if texts else []
        return ids

    def decode(self, ids: Sequence[int]) -> str:
        """Return tokens as text, without those that only the model sees."""
        return str(self.tokenizer.decode(list(ids), skip_special_tokens=True))

    def chat_tokens(
        self, turns: Sequence[Mapping[str, str]], options: Mapping[str, Any]
    ) -> list[int]:
        """Return a conversation as tokens, written by the model's own template.

        Args:
            turns: Roles and texts.
            options: Further names that the template reads.

        Raises:
            ConfigurationError: If the model has no template, or the template refuses it.
        """
        if not getattr(self.tokenizer, "chat_template", None):
            raise ConfigurationError(
                f"{self.name} has no chat template: it continues texts and holds no "
                "conversation. Ask with gen_type='text', or load a tokenizer that has one."
            )
        try:
            text = self.tokenizer.apply_chat_template(
                list(turns), tokenize=False, add_generation_prompt=True, **options
            )
        except Exception as error:  # a template is a program of the model's makers
            raise ConfigurationError(
                f"The chat template of {self.name} refuses this conversation: {str(error)[:200]}"
            ) from None
        # The template has written what begins a text; the tokenizer would write it again.
        ids: list[int] = self.tokenizer(text, add_special_tokens=False)["input_ids"]
        return ids

    def sampling(self, **fields: Any) -> Any:
        """Return vLLM's parameters of sampling.

        Raises:
            ConfigurationError: If vLLM refuses one of them.
        """
        library = self._library
        try:
            if (form := fields.pop("structured_outputs", None)) is not None:
                kind = library.sampling_params.StructuredOutputsParams
                fields["structured_outputs"] = kind(**form)
            return library.SamplingParams(**fields)
        except Exception as error:
            if not self.is_refusal(error):
                raise
            raise ConfigurationError(
                f"vLLM refuses these parameters of sampling: {str(error)[:300]}"
            ) from None

    def generate(
        self, prompts: Sequence[str | Sequence[int]], sampling: Sequence[Any], *, bar: bool = False
    ) -> list[Any]:
        """Answer all prompts together, as a batch, and return vLLM's own outputs in order.

        Args:
            prompts: Texts, or what is already tokens.
            sampling: One for each prompt.
            bar: Whether vLLM draws its own bar.

        Raises:
            ConfigurationError: If vLLM refuses a prompt or parameter; nothing was generated.
        """
        wanted = [p if isinstance(p, str) else {"prompt_token_ids": list(p)} for p in prompts]
        with self._its_turn():
            try:
                outputs: list[Any] = self.native.generate(wanted, list(sampling), use_tqdm=bar)
                return outputs
            except BaseException as error:
                # Also at an interrupt: else the next batch would get this one's answers.
                self._drop_unfinished()
                if not self.is_refusal(error):
                    raise
                raise ConfigurationError(f"vLLM refuses the batch: {str(error)[:300]}") from None

    @contextlib.contextmanager
    def _its_turn(self) -> Iterator[None]:
        with self._counting:
            self.batches_waiting += 1
        try:
            self.turn.acquire()
        finally:
            with self._counting:
                self.batches_waiting -= 1
        try:
            yield
        finally:
            self.turn.release()

    def _drop_unfinished(self) -> None:
        core = self.core
        states = getattr(getattr(core, "output_processor", None), "request_states", {})
        for name in list(states):
            # Its states go by names of its own, which it is asked to understand where it can.
            with contextlib.suppress(TypeError):
                core.abort_request([name], internal=True)
                continue
            core.abort_request([name])
        while core.has_unfinished_requests():
            core.step()

    def close(self) -> None:
        """Let go of the model and its memory."""
        if self._closes and self.native is not None:
            with self.turn:
                shutdown = getattr(getattr(self.core, "engine_core", None), "shutdown", None)
                if shutdown is not None:
                    shutdown()
        self.native = None

    def __repr__(self) -> str:
        return f"<Engine {self.name}>"


def _origin_of(source: str, config: Any) -> str:
    """Return what a model is: its revision on the hub, else the hash of its files."""
    folder = Path(source)
    if not folder.exists():
        revision = getattr(config, "_commit_hash", None)
        return f"{source}@{revision or 'unknown'}"
    files = [folder] if folder.is_file() else sorted(folder.rglob("*"))
    digest = hashlib.sha256()
    for file in files:
        if file.is_file() and file.suffix in _DECISIVE:
            digest.update(f"{file.name} {weights_sha256(file)}\n".encode())
    return f"sha256:{digest.hexdigest()}"


@dataclass(slots=True, eq=False)
class _Request:
    name: str
    prompt: list[int]
    sampling: Any
    listener: Listener


class Stepper:
    """Feeds an engine with single requests.

    Args:
        engine: Where they are written.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._numbers = itertools.count()
        self._news = threading.Condition()
        self._new: deque[_Request] = deque()
        self._dropped: deque[str] = deque()
        self._unfinished: dict[str, Listener] = {}
        self._thread: threading.Thread | None = None

    def submit(self, prompt: list[int], sampling: Any, listener: Listener) -> str:
        """Ask for one answer; returns the request's name."""
        name = f"llmnb-{next(self._numbers)}"
        with self._news:
            self._new.append(_Request(name, prompt, sampling, listener))
            if self._thread is None or not self._thread.is_alive():
                self._thread = threading.Thread(target=self._work, name="llmnb-vllm", daemon=True)
                self._thread.start()
            self._news.notify()
        return name

    def drop(self, name: str) -> None:
        """Have a request end where it is; its listener is called no more."""
        with self._news:
            self._dropped.append(name)
            self._news.notify()

    def _work(self) -> None:
        while True:
            with self._news:
                while not self._new and not self._dropped:
                    self._news.wait()
            while self._engine.batches_waiting:
                time.sleep(YIELD_SECONDS)
            with self._engine.turn:
                self._write_all()

    def _write_all(self) -> None:
        """Step until nothing is left, or until a batch wants the engine for itself."""
        core = self._engine.core
        while True:
            self._drop(core)
            if not self._engine.batches_waiting:
                self._add(core)
            if not self._unfinished:
                return
            try:
                outputs = core.step()
            except Exception as error:
                # The engine is broken, and so is every answer.
                listeners, self._unfinished = self._unfinished, {}
                for listener in listeners.values():
                    listener(error)
                return
            for output in outputs:
                if output.request_id in self._unfinished:
                    listener = self._unfinished[output.request_id]
                    if output.finished:
                        del self._unfinished[output.request_id]
                    listener(output)

    def _add(self, core: Any) -> None:
        with self._news:
            new = list(self._new)
            self._new.clear()
        render = getattr(getattr(self._engine.native, "renderer", None), "render_cmpl", None)
        for request in new:
            prompt: Any = {"prompt_token_ids": request.prompt}
            try:
                if render is not None:  # newer releases take prompts that their renderer has made
                    (prompt,) = render([prompt])
                core.add_request(request.name, prompt, request.sampling)
            except Exception as error:  # reported to the one whose request it is
                request.listener(error)
            else:
                self._unfinished[request.name] = request.listener

    def _drop(self, core: Any) -> None:
        with self._news:
            dropped = set(self._dropped)
            self._dropped.clear()
            self._new = deque(request for request in self._new if request.name not in dropped)
        for name in dropped & self._unfinished.keys():
            del self._unfinished[name]
            core.abort_request([name])
