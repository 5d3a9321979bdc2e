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
    load = load or llamacpp.LoadSettings()
    if gen_type == EMBEDS and load.pooling is None:
        load = dataclasses.replace(load, pooling="mean")
    elif gen_type != EMBEDS and load.pooling is not None:
        load = dataclasses.replace(load, pooling=None)
    return LocalTarget(_path_of(model), _name_of(model), gen_type, load)


def _path_of(model: str) -> Path:
    if model.lower().startswith(("https://", "http://")):
        raise ConfigurationError(
            "A local model is a file on this machine: download the GGUF file, and name its path "
            "as local/path/to/model.gguf."
        )
    if model.lower().endswith(".gguf"):
        return Path(model).expanduser()
    found = weights.find(model or weights.SMOLLM2.name)
    if found is not None:
        return found
    name = model or weights.SMOLLM2.name
    logger.warning(weights.announcement(name))
    with weights.bar(weights.known(name).download_bytes) as progress:
        return weights.pull(name, progress=progress)


def _name_of(model: str) -> str:
    """Return the name an answer is kept under; a path would carry somebody's folders."""
    return Path(model).stem if model.lower().endswith(".gguf") else model.lower()


class LocalTarget(HTTPTarget):
    """A model behind llama.cpp's own server on a loopback port of this process.

    Args:
        path: The GGUF file.
        name: Name it is shown and kept under.
        gen_type: ``"chat"``, ``"text"`` or ``"embedding"``.
        load: How it is loaded; None is the default.
    """

    __slots__ = ("_endpoint_path", "_load", "_path", "_pid", "_server", "identity")

    def __init__(
        self, path: Path, name: str, gen_type: str, load: llamacpp.LoadSettings | None = None
    ) -> None:
        row = provider("local")
        load = load or llamacpp.LoadSettings()
        self.identity = llamacpp.identity(path, load)
        self._path = path
        self._load = load
        self._endpoint_path = row.paths[gen_type]
        self._server: llamacpp.LocalServer | None = None
        self._pid = 0
        super().__init__(
            row,
            name,
            row.paths[gen_type],  # the port is known once the server runs
            None,
            dialect(row.dialects[gen_type]),
            # One more than there are slots: the next prompt waits inside, not on the way.
            limits=Limits(concurrency=load.n_parallel + 1),
        )
        # Servers that are loaded otherwise have slots of their own.
        digest = hashlib.sha256(f"{self.identity} n_parallel={load.n_parallel}".encode())
        self.pool = f"{self.pool}|{digest.hexdigest()[:12]}"

    @property
    def path(self) -> Path:
        """The GGUF file."""
        return self._path

    @property
    def endpoint(self) -> str:
        """Engine, weights and load settings: the port changes with every process."""
        return self.identity

    async def send(self, call: Call, *, on_delta: OnDelta | None) -> RawReply:
        """Send one request; the first one loads the model."""
        await self._started()
        return await super().send(call, on_delta=on_delta)

    def read(self, raw: bytes) -> Reply:
        """Read a reply; an answer that fills the context is as long as this model makes it."""
        reply = super().read(raw)
        if reply.quality == "truncated" and reply.text.strip():
            reply.quality = "good"  # `finish_reason` still says "length"
        return reply

    async def list_models(self) -> list[str]:
        """Return the one model there is."""
        return [self.model]

    def close(self) -> None:
        """Stop the server where it runs; the next request starts it anew."""
        server, self._server = self._server, None
        if server is not None and self._pid == os.getpid():
            llamacpp.close(server)

    async def _started(self) -> None:
        if self._server is not None and self._pid == os.getpid():
            return
        loop = asyncio.get_running_loop()
        serve = functools.partial(llamacpp.serve, self._path, name=self.model, load=self._load)
        server = await loop.run_in_executor(None, serve)
        if self._server is None or self._pid != os.getpid():
            self.url = server.base_url + self._endpoint_path
            self._headers = {**self._headers, "authorization": Secret(f"Bearer {server.api_key}")}
            self._server, self._pid = server, os.getpid()
