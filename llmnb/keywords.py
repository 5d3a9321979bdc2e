"""The lists of keywords as types, made from the table of options; those of tables in `frames`.

Type checkers and editors read `keywords.pyi`, which ``tools/stubs`` writes from the same table.
"""

from __future__ import annotations

from typing import Any, TypedDict

from llmnb.options import PARAMS
from llmnb.signatures import FRAME_KEYWORDS, KEYWORDS

globals().update(
    (name, TypedDict(name, dict.fromkeys(options, Any), total=False))
    for name, options in KEYWORDS.items()
    if name not in FRAME_KEYWORDS
)

MadeWith = type(
    "MadeWith",
    (),
    {
        name: option.default
        for name, option in KEYWORDS["AsyncLLMOptions"].items()
        if name not in PARAMS
    },
)
