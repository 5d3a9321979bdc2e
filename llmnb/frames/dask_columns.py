"""Answers of a partition as columns of the types that the graph was told of."""

from __future__ import annotations

import logging
from collections.abc import Hashable, Sequence
from typing import Any

import pandas as pd

from llmnb.frames.template import is_missing
from llmnb.wire.json_text import json_text

logger = logging.getLogger("llmnb")


def settled(meta: Any, own: Sequence[Hashable]) -> Any:
    """Return the form of a result with types that are the same for every partition.

    A category whose values are not known beforehand would be another one in each.

    Args:
        meta: An empty table.
        own: Columns of it that hold answers.
    """
    if isinstance(meta, pd.Series):
        return meta.astype("object") if _is_open(meta) else meta
    open_ones = [name for name in own if _is_open(meta[name])]
    return meta.astype(dict.fromkeys(open_ones, "object")) if open_ones else meta


def _is_open(column: Any) -> bool:
    return isinstance(column.dtype, pd.CategoricalDtype) and not len(column.dtype.categories)


def fitting(found: Any, meta: Any, own: Sequence[Hashable]) -> Any:
    """Return a partition's result with its answers in the types that were told.

    A value that such a column cannot hold is missing there, and said so.

    Args:
        found: The result.
        meta: An empty table of the same form.
        own: Columns that hold answers.
    """
    if isinstance(found, pd.Series):
        return _column(found, meta.dtype)
    changed = {
        name: _column(found[name], meta[name].dtype)
        for name in own
        if found[name].dtype != meta[name].dtype
    }
    found = found.copy() if changed else found
    for name, column in changed.items():
        found[name] = column
    return found


def _column(column: Any, kind: Any) -> Any:
    if column.dtype == kind:
        return column
    if kind == "object":
        return column.astype("object")
    missing = int(column.isna().sum())
    if isinstance(kind, pd.CategoricalDtype):
        known = set(kind.categories)
        cells = [one if not is_missing(one) and one in known else None for one in column]
        fitted = pd.Series(pd.Categorical(cells, dtype=kind), index=column.index, name=column.name)
    else:
        cells = [_as(one, kind) for one in column]
        fitted = pd.Series(cells, index=column.index, name=column.name, dtype=kind)
    if lost := int(fitted.isna().sum()) - missing:
        logger.warning(
            "%s answers do not fit a column of %s and are NA. Ask the computed frame to have them: "
            "they are kept.",
            f"{lost:,}",
            kind,
        )
    return fitted


def _as(cell: Any, kind: Any) -> Any:
    """Return a cell as a column of that type takes it, None where it cannot."""
    if is_missing(cell):
        return None
    if pd.api.types.is_string_dtype(kind):
        return cell if isinstance(cell, str) else json_text(cell)
    try:
        pd.array([cell], dtype=kind)
    except (TypeError, ValueError, OverflowError):
        return None
    return cell
