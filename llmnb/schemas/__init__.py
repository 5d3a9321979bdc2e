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
from llmnb.schemas.quotes import QuotedOutput, quoted

__all__ = [
    "Output",
    "QuotedOutput",
    "arguments",
    "function_schema",
    "instruction",
    "output_of",
    "quoted",
    "repair_messages",
    "response_format",
]
