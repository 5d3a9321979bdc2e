"""`local/…`: a model that runs inside this process, found, fetched and started on first use."""

from __future__ import annotations

import asyncio
import dataclasses
import functools
import hashlib
import logging
import os
import threading
from pathlib import Path

from llmnb.adapters import llamacpp, weights
from llmnb.engine.target import Call, OnDelta
from llmnb.errors import ConfigurationError
from llmnb.records import Limits, RawReply, Reply, Secret
from llmnb.targets.target import HTTPTarget
from llmnb.wire.catalog import provider
from llmnb.wire.dialect import dialect

logger = logging.getLogger("llmnb")

EMBEDS = "embedding"
"""The kind of generation that gives vectors instead of words."""

_fetching = threading.Lock()


@functools.lru_cache(maxsize=16)
def local_target(
    model: str, gen_type: str, load: llamacpp.LoadSettings = llamacpp.DEFAULT
) -> LocalTarget:
    """Return the target for a local model's name, or for the path of a GGUF file.

    Nothing is started yet: a run that is answered by the store never loads the
    model. Weights that are missing are fetched by `LocalTarget.fetch`.

    Args:
        model: A name such as ``"smollm2"``, or the path of a GGUF file.
        gen_type: ``"chat"``, ``"text"`` or ``"embedding"``.
        load: How the model is loaded.

    Raises:
        MissingExtra: If the extra ``local`` is not installed.
        ConfigurationError: If there is no such model or file.
    """
    row = provider("local")
    model = model or weights.SMOLLM2.name
    if gen_type not in row.dialects:
        raise ConfigurationError(
            f"A local model does not do gen_type={gen_type!r}; it does: "
            f"{', '.join(sorted(row.dialects))}."
        )
    if model.lower().startswith(("https://", "http://")):
        raise ConfigurationError(
            "A local model is a file on this machine: download the GGUF file, and name its path "
            "as local/path/to/model.gguf."
        )
    pooling = (load.pooling or "mean") if gen_type == EMBEDS else None
    if _is_path(model):
        load = dataclasses.replace(load, pooling=pooling)
        return LocalTarget(Path(model).expanduser(), name_of(model), gen_type, load)
    known = weights.by_name(model)
    if known.bert and gen_type != EMBEDS:
        raise ConfigurationError(
            f"local/{known.name} makes vectors and writes no answers: df.llm.embed(…, "
            f"model='local/{known.name}'). Nothing was sent."
        )
    load = dataclasses.replace(load, pooling=pooling, answer_tokens=known.answer_tokens)
    return LocalTarget(weights.find(model), name_of(model), gen_type, load)


def _is_path(model: str) -> bool:
    return model.lower().endswith(".gguf")


def name_of(model: str) -> str:
    """Return the name that answers are kept under; a path would carry somebody's folders."""
    return Path(model).stem if _is_path(model) else model.lower()


class LocalTarget(HTTPTarget):
    """A model behind llama.cpp's own server on a loopback port of this process.

    Args:
        path: The GGUF file; None: its weights are fetched before the first request.
        name: Name it is shown and kept under.
        gen_type: ``"chat"``, ``"text"`` or ``"embedding"``.
        load: How it is loaded.
    """

    lists_models = False

    def __init__(
        self, path: Path | None, name: str, gen_type: str, load: llamacpp.LoadSettings
    ) -> None:
        row = provider("local")
        if path is None:
            identity = llamacpp.identity_of(weights.by_name(name).sha256, load)
        else:
            identity = llamacpp.identity(path, load)
        # Servers that are loaded otherwise have slots of their own.
        account = hashlib.sha256(f"{identity} n_parallel={load.n_parallel}".encode()).hexdigest()
        self.path = path
        self._load = load
        self._gen_type = gen_type
        self._server: llamacpp.LocalServer | None = None
        self._pid = 0
        super().__init__(
            row,
            name,
            row.paths[gen_type],  # the port is known once the server runs
            None,
            dialect(row.dialects[gen_type]),
            endpoint=identity,  # the port changes with every process
            account=account[:12],
            # One more than there are slots: the next prompt waits inside, not on its way there.
            limits=Limits(concurrency=load.n_parallel + 1),
        )

    def fetch(self) -> None:
        """Fetch the weights where they are missing, with a line that says so and a bar.

        Raises:
            ConfigurationError: If they cannot be fetched; nothing was sent.
        """
        with _fetching:
            self.path = self.path or weights.find(self.model)
            if self.path is None:
                logger.warning(weights.announcement(self.model))
                with weights.bar(weights.by_name(self.model).download_bytes) as progress:
                    self.path = weights.pull(self.model, progress=progress)

    async def send(self, call: Call, *, on_delta: OnDelta | None) -> RawReply:
        """Send one request; the first one loads the model."""
        if self._server is None or self._pid != os.getpid():
            server = await asyncio.get_running_loop().run_in_executor(None, self._serve)
            self._server, self._pid = server, os.getpid()
            self.url = server.base_url + self.row.paths[self._gen_type]
            key = Secret(f"Bearer {server.api_key}")
            self.sent_headers = {**self.sent_headers, "authorization": key}
        return await super().send(call, on_delta=on_delta)

    def read(self, raw: bytes) -> Reply:
        """Read a reply; an answer that fills the context is as long as this model makes it."""
        reply = super().read(raw)
        if reply.quality == "truncated" and reply.text.strip():
            reply.quality = "good"  # `finish_reason` still says "length"
        return reply

    def _serve(self) -> llamacpp.LocalServer:
        self.fetch()
        assert self.path is not None
        return llamacpp.serve(self.path, name=self.model, load=self._load)

    def close(self) -> None:
        """Stop the server where it runs; the next request starts it anew."""
        server, self._server = self._server, None
        if server is not None and self._pid == os.getpid():
            llamacpp.close(server)
