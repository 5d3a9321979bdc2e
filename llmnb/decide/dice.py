"""Dice of llmnb's own: the numbers that a person draws from a seeded `random` stay the same."""

from __future__ import annotations

import os
import random

_own = random.Random()

roll = _own.random
"""Returns a number from 0 up to 1."""

if hasattr(os, "register_at_fork"):  # else children would all draw their parent's numbers
    os.register_at_fork(after_in_child=_own.seed)
