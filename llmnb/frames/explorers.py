"""Explorers of whatever has rows: a run, a column, a details frame, a project."""

from __future__ import annotations

import os
from collections.abc import Hashable
from typing import Any

from llmnb import settings
from llmnb.engine.handle import AnyRun, RunHandle
from llmnb.errors import InputError
from llmnb.frames.attached_run import AttachedRun
from llmnb.frames.exploring import Explorer
from llmnb.frames.pandas_source import source_of
from llmnb.frames.questions import Questions
from llmnb.frames.row_sources import PairRows, RowSource, TableRows
from llmnb.frames.run import TableRun
from llmnb.frames.run_rows import IndexRows, KeptRows, RunRows
from llmnb.frames.table_source import Source, name_of
from llmnb.frames.truth import truth_of
from llmnb.store import layout, run_index


def rows_of(source: Any, cache_dir: Any = None) -> RowSource:
    """Return the rows of a run or its name, of an explorer, or of a details frame.

    Args:
        source: It.
        cache_dir: Folder of all projects, where a run is known by its name; None: the one in use.

    Raises:
        InputError: If it is none of these.
    """
    if isinstance(source, Explorer):
        return source.source
    if isinstance(source, TableRun) and isinstance(source.questions, Questions):
        return RunRows(source, source.questions)
    if isinstance(source, AttachedRun):
        return IndexRows(source.run_id, source.root)
    if isinstance(source, RunHandle):
        if not source.run_id:
            raise InputError("This run was not written down: its rows cannot be read here.")
        source = source.run_id
    if isinstance(source, str):
        return IndexRows(source, settings.cache_dir(cache_dir))
    if type(source).__module__.partition(".")[0] == "polars":
        from llmnb.frames.polars_source import PolarsSource

        source = PolarsSource(source)
    elif hasattr(source, "columns") and hasattr(source, "iloc"):
        source = source_of(source)
    if hasattr(source, "row_labels"):
        return TableRows(source, _details_column(source))
    raise InputError(
        "Rows are read of a run, a run's name, a details frame or df.llm.explore(column), "
        f"not of {type(source).__name__}."
    )


def _details_column(source: Any) -> str:
    labels = source.columns().labels
    if "response" in labels:
        return "response"
    raise InputError(
        "Which column holds the answers? Say df.llm.explore('column'); a frame made with "
        "details=True names it itself."
    )


def explore_column(table: Source, column: Hashable | None, other: Any, truth: Any) -> Explorer:
    """Return what reads a table's column of answers; see `DataFrameLLM.explore`."""
    source = source_of(table)
    if column is None:
        column = _details_column(source)
    true = None if truth is None else truth_of(source, truth)
    before = other if isinstance(other, str) and other in source.columns().labels else None
    rows: RowSource = TableRows(source, column, true, without=before)
    if before is not None:
        rows = PairRows(rows, TableRows(source, before, without=name_of(column)))
    elif other is not None:
        rows = PairRows(rows, rows_of(other))
    return Explorer(rows)


def explore_run(run: AnyRun | str, other: Any = None, cache_dir: Any = None) -> Explorer:
    """Return what reads the rows of a run, or of one by its name; see `RunHandle.explore`."""
    rows = rows_of(run, cache_dir)
    return Explorer(rows if other is None else PairRows(rows, rows_of(other, cache_dir)))


def explore(
    project: str | None = None,
    other: Any = None,
    *,
    cache_dir: str | os.PathLike[str] | None = None,
) -> Explorer:
    """Return an explorer of the answers that a project keeps, or of the rows of a run.

    Nothing is sent. As a cell's last line it shows a widget.

    Args:
        project: Its name, or the name of a run of today or long ago (`run_id`); None: the project
            in use.
        other: Of a run: another run over the same rows, by its name; what changed most since
            then comes first.
        cache_dir: Folder of all projects; None: the one in use.

    Raises:
        ConfigurationError: If there is no such project and no such run.
        InputError: If it is no name.

    Example:
        >>> import llmnb
        >>> llmnb.explore("no such project")
        Traceback (most recent call last):
        llmnb.errors.ConfigurationError: There is no project 'no such project' in ...
    """
    if not isinstance(project, str | None):
        raise InputError(
            "explore() takes the name of a project or of a run, not "
            f"{type(project).__name__}: a run has run.explore(), a table df.llm.explore(column)."
        )
    root = settings.cache_dir(cache_dir)
    if other is not None or (project is not None and run_index.find(project, root) is not None):
        return explore_run(project or "", other, root)
    return Explorer(KeptRows(layout.project_named(root, settings.project_name(project))))
