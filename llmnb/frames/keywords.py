"""The lists of keywords of tables as types, made from the table of options.

Type checkers and editors read `keywords.pyi`, which ``tools/stubs`` writes from the same table.
"""

from __future__ import annotations

from dataclasses import field, make_dataclass
from typing import Any, TypedDict

from llmnb.options import PARAMS
from llmnb.signatures import FRAME_KEYWORDS

globals().update(
    (name, TypedDict(name, dict.fromkeys(options, Any), total=False))
    for name, options in FRAME_KEYWORDS.items()
)

FrameOptions = make_dataclass(
    "FrameOptions",
    [
        (name, Any, field(default=option.default))
        for name, option in FRAME_KEYWORDS["GenerateOptions"].items()
        if name not in PARAMS
    ],
    namespace={"__post_init__": lambda self: None},  # called, so that a subclass may check
    frozen=True,
    slots=True,
    kw_only=True,
)
