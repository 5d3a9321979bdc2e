"""Certificates that nobody vouches for."""

from __future__ import annotations

import shlex
import subprocess
from pathlib import Path


def self_signed(folder: Path, name: str, *, kind: str) -> tuple[str, str]:
    """Make a certificate for a name; return its path and its key's.

    Args:
        folder: Where both are put.
        name: A host or an address.
        kind: ``"DNS"`` or ``"IP"``.
    """
    cert, key = folder / "cert.pem", folder / "key.pem"
    command = (
        f"openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN={name} "
        f"-addext subjectAltName={kind}:{name} -keyout {key} -out {cert}"
    )
    subprocess.run(shlex.split(command), check=True, capture_output=True)
    return str(cert), str(key)
