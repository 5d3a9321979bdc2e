"""`local/…`: a model that runs inside this process, found, fetched and started on first use."""

from __future__ import annotations

import asyncio
import dataclasses
import functools
import hashlib
import logging
import os
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


@functools.lru_cache(maxsize=16)
def local_target(
    model: str, gen_type: str, load: llamacpp.LoadSettings | None = None
) -> LocalTarget:
    """Return the target for a local model's name, or for the path of a GGUF file.

    Nothing is started yet: a run that is answered by the store never loads the
    model. Weights that are missing are fetched here.

    Args:
        model: A name such as ``"smollm2"``, or the path of a GGUF file.
        gen_type: ``"chat"``, ``"text"`` or ``"embedding"``.
        load: How the model is loaded; None is the default.

    Raises:
        MissingExtra: If the extra ``local`` is not installed.
        ConfigurationError: If there is no such model or file, or it cannot be fetched.
    """
    row = provider("local")
    if gen_type not in row.dialects:
        raise ConfigurationError(
            f"A local model does not do gen_type={gen_type!r}; it does: "
            f"{', '.join(sorted(row.dialects))}."
        )
    pooling = None
    if gen_type == EMBEDS:
        pooling = (load and load.pooling) or "mean"
    load = dataclasses.replace(load or llamacpp.LoadSettings(), pooling=pooling)
    return LocalTarget(_path_of(model), name_of(model), gen_type, load)


def _path_of(model: str) -> Path:
    if model.lower().startswith(("https://", "http://")):
        raise ConfigurationError(
            "A local model is a file on this machine: download the GGUF file, and name its path "
            "as local/path/to/model.gguf."
        )
    if model.lower().endswith(".gguf"):
        return Path(model).expanduser()
    name = model or weights.SMOLLM2.name
    if (path := weights.find(name)) is not None:
        return path
    logger.warning(weights.announcement(name))
    with weights.bar(weights.by_name(name).download_bytes) as progress:
        return weights.pull(name, progress=progress)


def name_of(model: str) -> str:
    """Return the name that answers are kept under; a path would carry somebody's folders."""
    return Path(model).stem if model.lower().endswith(".gguf") else model.lower()


class LocalTarget(HTTPTarget):
    """A model behind llama.cpp's own server on a loopback port of this process.

    Args:
        path: The GGUF file.
        name: Name it is shown and kept under.
        gen_type: ``"chat"``, ``"text"`` or ``"embedding"``.
        load: How it is loaded.
    """

    __slots__ = ("_gen_type", "_load", "_pid", "_server", "path")

    lists_models = False

    def __init__(self, path: Path, name: str, gen_type: str, load: llamacpp.LoadSettings) -> None:
        row = provider("local")
        identity = llamacpp.identity(path, load)
        # Servers that are loaded otherwise have slots of their own.
        digest = hashlib.sha256(f"{identity} n_parallel={load.n_parallel}".encode()).hexdigest()
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
            account=digest[:12],
            # One more than there are slots: the next prompt waits inside, not on its way there.
            limits=Limits(concurrency=load.n_parallel + 1),
        )

    async def send(self, call: Call, *, on_delta: OnDelta | None) -> RawReply:
        """Send one request; the first one loads the model."""
        if self._server is None or self._pid != os.getpid():
            loop = asyncio.get_running_loop()
            serve = functools.partial(llamacpp.serve, self.path, name=self.model, load=self._load)
            server = await loop.run_in_executor(None, serve)
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

    def close(self) -> None:
        """Stop the server where it runs; the next request starts it anew."""
        server, self._server = self._server, None
        if server is not None and self._pid == os.getpid():
            llamacpp.close(server)
