"""Structured answers: describing their form, asking for it, reading them."""

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
