"""The batch runs of a cache folder: listed, and found again after the kernel is gone."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from llmnb import bridge, settings
from llmnb.batches import records
from llmnb.batches.card import listing
from llmnb.batches.poller import BatchPoller
from llmnb.batches.records import Record
from llmnb.batches.rows import BatchRow, of_note
from llmnb.batches.run import BatchRun
from llmnb.batches.service import service
from llmnb.batches.start import poller_of
from llmnb.display import moments
from llmnb.display.aligned import columns
from llmnb.display.escape import visible
from llmnb.errors import ConfigurationError
from llmnb.options import checked
from llmnb.records import secret
from llmnb.store.project import ProjectStore, open_project
from llmnb.targets.resolve import endpoint_url, resolve
from llmnb.targets.target import HTTPTarget
from llmnb.wire.catalog import provider, provider_of_url


@dataclass(frozen=True, slots=True, kw_only=True)
class RunNote:
    """What is written down of one batch run."""

    run_id: str
    """What `attach` takes."""

    state: str
    """``"under way"`` or ``"finished"``."""

    provider: str
    model: str
    project: str
    rows: int
    requests: int
    """Requests that were to be submitted."""

    batches: tuple[str, ...]
    """The provider's names of its batches."""

    created: float
    """Seconds since the epoch."""


class RunList(list[RunNote]):
    """Batch runs, the newest first; shows itself as a table."""

    def __repr__(self) -> str:
        if not self:
            return "no batch runs"
        return "\n".join(columns([_HEAD, *map(_cells, self)], right={3}))

    def _repr_html_(self) -> str:
        return listing(_HEAD, (_cells(one) for one in self))


_HEAD = ("run", "begun", "state", "requests", "model", "project")


def _cells(one: RunNote) -> tuple[str, ...]:
    begun = moments.moment(one.created)
    model = visible(f"{one.provider}/{one.model}")
    return one.run_id, begun, one.state, f"{one.requests:,}", model, visible(one.project)


def runs(cache_dir: str | Path | None = None) -> RunList:
    """Return the batch runs that are written down, the newest first; asks no provider.

    Args:
        cache_dir: Folder of all projects; None: ``LLMNB_CACHE_DIR``, else ``.cache/llmnb``.

    Example:
        >>> runs("no such folder")
        no batch runs
    """
    folder = settings.cache_dir(cache_dir) / records.FOLDER
    found = []
    for place, record in records.all_records(folder):
        parts = records.parts_of(place, record)
        found.append(
            RunNote(
                run_id=record.run_id,
                state="under way" if any(part.is_open for part in parts) else "finished",
                provider=record.provider,
                model=record.model,
                project=record.project,
                rows=record.rows,
                requests=sum(part.standing.requests for part in parts),
                batches=tuple(one.standing.batch for one in parts if one.standing.batch),
                created=record.created,
            )
        )
    return RunList(sorted(found, key=lambda one: -one.created))


def attach(
    run_id: str,
    *,
    api_key: str | None = None,
    cache_dir: str | Path | None = None,
    good_finish: str | Sequence[str] = (),
) -> BatchRun:
    """Go on with a batch run of an earlier process, where it ended.

    Its answers go into its project's store as they come, so that the same call as then finds
    them all; the run itself gives outcomes in the order of the rows.

    Args:
        run_id: Its name, as `runs` lists it.
        api_key: The account's key, where it was given with the call; it is not written down.
        cache_dir: Folder of all projects.
        good_finish: Finish reasons that are good though llmnb does not know them.

    Raises:
        ConfigurationError: If there is no such run, or its provider's key is missing.
    """
    api_key = secret(api_key)
    given = checked({"cache_dir": cache_dir, "good_finish": good_finish})
    place = settings.cache_dir(cache_dir)
    # A name is no path.
    folder = place / records.FOLDER / Path(run_id).name
    record = records.read_record(folder)
    target = _target(record, api_key)
    store = open_project(record.project, place, share=record.share)
    rows = _rows(folder, record, given["good_finish"] or ())
    carried = bridge.call(_carried(rows, record, target, store, place))
    return BatchRun(record, target, store, rows, carried)


def forget(run_id: str, *, even_if_open: bool = False, cache_dir: str | Path | None = None) -> None:
    """Remove what is written down of a finished run; its answers stay in the project's store.

    Args:
        run_id: Its name.
        even_if_open: Whether a run goes whose results may still come; they are lost then, though
            billed.
        cache_dir: Folder of all projects.

    Raises:
        ConfigurationError: If there is no such run, or results may still come from it.
    """
    folder = settings.cache_dir(cache_dir) / records.FOLDER / Path(run_id).name
    record = records.read_record(folder)
    is_open = any(part.is_open for part in records.parts_of(folder, record))
    if is_open and not even_if_open:
        raise ConfigurationError(
            f"{run_id} is under way: its results could not be fetched any more. Attach to it "
            "first, and withdraw it where it is not wanted; even_if_open=True forgets it anyway."
        )
    shutil.rmtree(folder)


def _rows(folder: Path, record: Record, good_finish: tuple[str, ...]) -> list[BatchRow]:
    seen: set[str] = set()
    rows = []
    for note in records.read_rows(folder):
        is_first = note.key not in seen
        rows.append(of_note(note, record.run_id, is_first=is_first, good_finish=good_finish))
        seen.add(note.key or "")
    return rows


async def _carried(
    rows: Sequence[BatchRow],
    record: Record,
    target: HTTPTarget,
    store: ProjectStore,
    cache_dir: Path,
) -> dict[str, BatchPoller]:
    how = service(target)
    folder = cache_dir / records.FOLDER
    found = {}
    for name in sorted({row.part for row in rows if row.part is not None}):
        part = records.part_named(folder, name)
        theirs = record if part.folder.name == record.run_id else records.read_record(part.folder)
        found[name] = poller_of(part, theirs, target, how, store, cache_dir)
    return found


def _target(record: Record, api_key: str | None) -> HTTPTarget:
    """Return who was asked, with the key of today."""
    if record.provider == "sim":
        return resolve(f"sim/{record.model}", gen_type=record.gen_type)
    row = provider(record.provider)
    own = provider_of_url(record.url) == row.name
    is_home = own or endpoint_url(row, None, record.gen_type, record.model) == record.url
    if not is_home and api_key is None and "/" in record.model:
        raise ConfigurationError(
            f"{record.run_id} asked {record.model} at an address of its own: give its key with "
            "api_key=… (any text where it needs none)."
        )
    # A key found for a provider never goes to a stranger's address.
    return resolve(
        record.model,
        api_provider=record.provider if is_home or api_key is not None else None,
        api_key=api_key,
        url=record.url,
        gen_type=record.gen_type,
    )
