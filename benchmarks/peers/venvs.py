"""A virtual environment for each peer, made with uv from pinned requirements."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from benchmarks.peers.catalog import Peer

ROOT = Path(__file__).resolve().parents[2]
_VOCABULARY = "lib/python*/site-packages/litellm/litellm_core_utils/tokenizers"


class NotInstalled(Exception):
    """A peer's packages could not be installed; the message says why."""


@dataclass(frozen=True, slots=True)
class Venvs:
    """The environments under one folder; each is made at first use and kept.

    Args:
        folder: Where they stand; None runs every peer in this interpreter.
    """

    folder: Path | None

    def python(self, peer: Peer) -> str:
        """Return the interpreter that runs a peer.

        Raises:
            NotInstalled: If its packages cannot be installed.
        """
        if self.folder is None:
            return sys.executable
        home = self.folder / peer.requirements
        stamp = home / "made-from"
        wanted = hashlib.sha256(peer.requirements_path.read_bytes()).hexdigest()
        if not stamp.exists() or stamp.read_text(encoding="utf-8") != wanted:
            self._make(peer, home)
            stamp.write_text(wanted, encoding="utf-8")
        return str(_interpreter(home))

    def _make(self, peer: Peer, home: Path) -> None:
        home.parent.mkdir(parents=True, exist_ok=True)
        _uv("venv", "--clear", "--python", sys.executable, str(home))
        packages = ["--requirement", str(peer.requirements_path)]
        if peer.installs_us:
            packages += ["--editable", str(ROOT)]
        _uv("pip", "install", "--python", str(_interpreter(home)), *packages)

    def vocabulary(self) -> str:
        """Return a folder with tiktoken's vocabularies; empty where none is at hand.

        LiteLLM's package carries them under tiktoken's own names. They are
        copied, because tiktoken deletes a file that it does not expect.
        """
        if self.folder is None:
            return ""
        copy = self.folder / "vocabularies"
        if not copy.exists():
            found = next((self.folder / "litellm").glob(_VOCABULARY), None)
            if found is None:
                return ""
            shutil.copytree(found, copy)
        return str(copy)


def environment(vocabulary: str) -> dict[str, str]:
    """Return what a peer's process sees: nothing of this person's keys, proxies and settings."""
    ours = ("OPENAI_", "AZURE_", "LITELLM_", "LANGCHAIN_", "LANGSMITH_", "LLMNB_", "PYTHON")
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(ours) and not name.lower().endswith("_proxy")
    }
    found = {"LLMNB_LOOP": "asyncio", "PYTHONPATH": ""}
    if vocabulary:
        found["TIKTOKEN_CACHE_DIR"] = vocabulary
    return {**kept, **found}


def _interpreter(home: Path) -> Path:
    return home / ("Scripts/python.exe" if os.name == "nt" else "bin/python")


def _uv(*arguments: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "uv", "--quiet", *arguments], capture_output=True, text=True
    )
    if done.returncode:
        last = (done.stderr.strip().splitlines() or ["uv ended without a word"])[-1]
        raise NotInstalled(f"uv {arguments[0]} failed: {last}")
