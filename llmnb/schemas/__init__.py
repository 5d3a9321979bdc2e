"""Answers that must have a form: what is asked for, how it is asked, how it is read."""

from __future__ import annotations

from llmnb.schemas.functions import arguments, function_schema
from llmnb.schemas.output import (
    Output,
    instruction,
    output_of,
    repair_messages,
    response_format,
)

__all__ = [
    "Output",
    "arguments",
    "function_schema",
    "instruction",
    "output_of",
    "repair_messages",
    "response_format",
]
