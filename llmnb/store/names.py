"""Project names are text, not paths: any name is safe, and spelled as it was first."""

from __future__ import annotations

import hashlib
import re
import unicodedata

from llmnb.errors import InvalidProjectName

MAX_CHARACTERS = 200


def check(name: str) -> str:
    """Return the name in NFC if it can be one.

    Raises:
        InvalidProjectName: If it is empty, too long, or holds control characters.

    Example:
        >>> check("Träume/2026")
        'Träume/2026'
    """
    if not isinstance(name, str):
        raise InvalidProjectName(f"A project's name is text, not {type(name).__name__}.")
    name = unicodedata.normalize("NFC", name)
    if not name.strip():
        raise InvalidProjectName("A project's name must not be empty.")
    if len(name) > MAX_CHARACTERS:
        raise InvalidProjectName(
            f"A project's name has at most {MAX_CHARACTERS} characters, this one {len(name)}."
        )
    for position, character in enumerate(name, start=1):
        if unicodedata.category(character) in ("Cc", "Cs"):
            raise InvalidProjectName(
                f"A project's name holds no control characters; this one has one at {position}."
            )
    return name


def normal(name: str) -> str:
    """Return the form in which names are compared.

    Example:
        >>> normal("Generate_Data") == normal("generate_data")
        True
    """
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", name).casefold())


def folder(name: str) -> str:
    """Return the folder of a project, whatever its name.

    Readable letters come first, a hash of the whole name makes it unique and
    safe on every file system.

    Example:
        >>> folder("../etc/passwd")
        'etc-passwd-7fef78f53440'
    """
    compared = normal(name)
    plain = unicodedata.normalize("NFKD", compared).encode("ascii", "ignore").decode()
    readable = re.sub(r"[^a-z0-9]+", "-", plain).strip("-")[:40].strip("-") or "project"
    return f"{readable}-{hashlib.sha256(compared.encode()).hexdigest()[:12]}"
