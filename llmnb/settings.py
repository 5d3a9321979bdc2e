"""Settings: `configure()`, environment variables and ``.env``, in one order of precedence.

For every setting the first of these that says something wins:

1. the argument of the call,
2. `configure()` (and `%llm_config`, which calls it),
3. the environment variable, then the same name in a ``.env`` file, searched
   upwards from the working directory,
4. the default.

Keys have two more sources: `set_key()` stands where `configure()` does, and
Colab's secrets are asked last. A key is held in memory only and appears in no
repr, log or message.
"""

from __future__ import annotations

import codecs
import dataclasses
import io
import os
import sys
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Unpack

from llmnb.display.texts import near_names
from llmnb.errors import ConfigurationError
from llmnb.keywords import ConfigureOptions
from llmnb.options import SHORT, checked
from llmnb.rates import Burst
from llmnb.records import Secret, secret
from llmnb.signatures import KEYWORDS, full_signature

DEFAULT_CACHE_DIR = ".cache/llmnb"
DEFAULT_PROJECT = "default"


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """What `configure()` can set; None is "not set here"."""

    model: str | None = None
    """Model to ask when a call names none, such as ``"openai/gpt-4o-mini"``."""

    system: str | None = None
    format: str = "markdown"
    stream: bool = True
    """How `%llm` asks and shows answers; an option of a line or of `LLMMagics` comes before."""

    project_name: str | None = None
    """Project whose store keeps the answers."""

    cache_dir: str | None = None
    """Folder that holds all projects."""

    max_requests_per_minute: float | None = None
    max_tokens_per_minute: float | None = None
    max_concurrent_requests: int | None = None
    """Limits of an account, for all runs together; rates in any form (``"5 per second"``)."""

    burst: Burst = "announced"
    """Whether what a server says is left of its limits is spent at once, or smoothly."""

    budget_usd: float | None = None
    """Dollars that each run may spend."""

    max_wait: float | None = None
    """Seconds that a model may refuse without one success; None: 600."""

    good_finish: tuple[str, ...] = ()
    """Reasons to end an answer that are good though llmnb does not know them."""

    show_answers: bool = True
    """Whether receipts show the first prompts and answers; False keeps them out of notebooks."""

    allow_http: bool = False
    """Whether a key may travel over plain http to another machine."""


_lock = threading.Lock()
_current = Settings()
_keys: dict[str, Secret | None] = {}


@full_signature
def configure(**changes: Unpack[ConfigureOptions]) -> Settings:
    """Set defaults for later calls in this process.

    `%llm_config` takes the same words. What is left out stays as it is; None takes a setting
    back, and without any the settings are only returned.

    Args:
        **changes: The settings.

    Returns:
        The settings now in force.

    Raises:
        ConfigurationError: If a name is not a setting, or has no such value; nothing is changed.

    Example:
        >>> configure(project="tickets", max_requests_per_minute="5 per second").project_name
        'tickets'
        >>> configure(project=None, rpm=None) == Settings()
        True
    """
    global _current
    wanted = checked({full_name(name): value for name, value in changes.items()})
    for name, value in wanted.items():
        if value is None:
            wanted[name] = getattr(Settings(), name)
    with _lock:
        _current = dataclasses.replace(_current, **wanted)
        return _current


def full_name(name: str) -> str:
    """Return the name of a setting, which may be given in short.

    Raises:
        ConfigurationError: If there is none; with the nearest.

    Example:
        >>> full_name("rpm"), full_name("model")
        ('max_requests_per_minute', 'model')
    """
    known = KEYWORDS["ConfigureOptions"]
    if name in known:
        return SHORT.get(name, name)
    near = near_names(name, known)
    hint = f" Did you mean {near[0]}?" if near else ""
    raise ConfigurationError(
        f"There is no setting {name!r}.{hint}\nSettings are: "
        f"{', '.join(name for name in known if name not in SHORT)}; "
        f"in short {', '.join(name for name in known if name in SHORT)}."
    )


def current() -> Settings:
    """Return what `configure()` has set."""
    return _current


def keep_key(provider: str, key: str | None) -> None:
    """Keep a provider's API key in memory; None forgets it."""
    key = secret(key)
    with _lock:
        if key is None:
            _keys.pop(provider.lower(), None)
        else:
            _keys[provider.lower()] = key


def find_key(provider: str, variables: Sequence[str], argument: str | None = None) -> Secret | None:
    """Return the key for a provider, or None where nobody gave one.

    Args:
        provider: Catalog name.
        variables: Environment variables that may hold it, best first.
        argument: The key given with the call; it wins.
    """
    if argument:
        return secret(argument)
    if key := _keys.get(provider.lower()):
        return key
    for read in (environment, _colab_secret):
        for variable in variables:
            if key := secret(read(variable)):
                return key
    return None


def environment(name: str) -> str | None:
    """Return a variable of the environment, else of the nearest ``.env`` file."""
    return os.environ.get(name) or _dotenv().get(name) or None


def model(argument: str | None = None) -> str | None:
    """Return the model to ask, or None when nobody named one."""
    return argument or _current.model or environment("LLMNB_MODEL")


def project_name(argument: str | None = None) -> str:
    """Return the project whose store keeps the answers.

    Example:
        >>> project_name("Maths")
        'Maths'
    """
    if argument is not None:
        return argument
    return _current.project_name or environment("LLMNB_PROJECT") or DEFAULT_PROJECT


def budget_usd(argument: float | None = None) -> float | None:
    """Return the dollars that a run may spend; None where nobody has said."""
    return _current.budget_usd if argument is None else argument


def cache_dir(argument: str | os.PathLike[str] | None = None) -> Path:
    """Return the folder that holds all projects, made absolute."""
    chosen = argument or _current.cache_dir or environment("LLMNB_CACHE_DIR") or DEFAULT_CACHE_DIR
    return Path(os.path.abspath(os.path.expanduser(os.fspath(chosen))))


_dotenv_cache: tuple[tuple[str, float] | None, dict[str, str]] = (None, {})


def _dotenv() -> dict[str, str]:
    """Read the nearest ``.env`` upwards, if we may; read again only when the file has changed."""
    global _dotenv_cache
    try:
        folder = Path.cwd()  # it may have been deleted under us
        paths = (str(place / ".env") for place in (folder, *folder.parents))
        path = next(filter(os.path.isfile, paths))
        stamp = (path, os.stat(path).st_mtime)
        if _dotenv_cache[0] != stamp:
            _dotenv_cache = (stamp, _variables_in(Path(path).read_bytes()))
    except (OSError, StopIteration):
        return {}
    return _dotenv_cache[1]


def _variables_in(file: bytes) -> dict[str, str]:
    """Return the variables in the bytes of a ``.env`` file, in any encoding that editors write."""
    import dotenv

    is_utf16 = file.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))  # PowerShell's
    text = file.decode("utf-16" if is_utf16 else "utf-8-sig", "replace")
    values = dotenv.dotenv_values(stream=io.StringIO(text), interpolate=False)
    return {name: value for name, value in values.items() if value is not None}


def _colab_secret(name: str) -> str | None:
    # Asking opens a consent dialog, so it happens only inside Colab and only last.
    if "google.colab" not in sys.modules:
        return None
    from google.colab import userdata  # type: ignore[import-not-found, unused-ignore]

    try:
        value = userdata.get(name)
    except (userdata.SecretNotFoundError, userdata.NotebookAccessError):
        return None
    return str(value) if value else None
