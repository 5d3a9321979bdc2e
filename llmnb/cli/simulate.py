"""`llmnb simulate`: the simulated provider as a server."""

from __future__ import annotations

from llmnb.testing.cli import add_arguments
from llmnb.testing.cli import main as act

__all__ = ["act", "add_arguments"]
