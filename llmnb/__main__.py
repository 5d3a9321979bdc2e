"""``python -m llmnb``: the command line, where no ``llmnb`` script is on the path."""

from __future__ import annotations

import sys

from llmnb.cli import main

if __name__ == "__main__":
    sys.exit(main())
