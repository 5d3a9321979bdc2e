"""Starting a batch run: what the store lacks is written down, then submitted; nothing twice."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from llmnb import bridge, settings
from llmnb.adapters.file_lock import locked
from llmnb.batches import records
from llmnb.batches import rows as outcomes_of
from llmnb.batches.poller import BatchPoller, pollers
from llmnb.batches.records import Part, Record, RowNote
from llmnb.batches.rows import BatchRow
from llmnb.batches.run import BatchRun
from llmnb.batches.service import Service, service
from llmnb.decide.quality import chosen_length
from llmnb.display.money import usd
from llmnb.engine.run import Run
from llmnb.engine.source import CHUNK_ROWS, get_ready
from llmnb.engine.status import Clock
from llmnb.engine.target import Call
from llmnb.errors import BudgetExceeded, ConfigurationError, InputError
from llmnb.options import checked
from llmnb.records import Outcome
from llmnb.running.asking import Asking
from llmnb.running.preparer import Preparer
from llmnb.running.start import start
from llmnb.store.project import ProjectStore, open_project
from llmnb.targets.target import HTTPTarget
from llmnb.wire.batches import PRICE_FACTOR, name_of, split

_AT_ONCE = 500


@dataclasses.dataclass(frozen=True, slots=True)
class _Setting:
    """Everything that the parts of a run share."""

    asking: Asking
    target: HTTPTarget
    service: Service
    store: ProjectStore
    cache_dir: Path
    share: bool | list[str]
    use_cache: bool
    budget_usd: float | None
    good_finish: tuple[str, ...]


def start_batch(
    requests: Iterable[Any],
    asking: Asking,
    *,
    project_name: str | None = None,
    cache_dir: str | Path | None = None,
    share: bool | str | list[str] = True,
    use_cache: bool = True,
    budget_usd: float | None = None,
    good_finish: str | Sequence[str] | None = (),
) -> BatchRun:
    """Start a batch run over request dictionaries; returns once all is written down.

    Answers that are kept are used; what another run has submitted already is waited for with
    it; only the rest is submitted.

    Args:
        requests: Request dictionaries, all for one model.
        asking: Who is asked.
        project_name: Project that keeps the answers.
        cache_dir: Folder of all projects and of the records of batches.
        share: Whether other projects' answers are used.
        use_cache: False asks anew what is kept.
        budget_usd: Dollars that the batches may cost at most; else nothing is submitted.
        good_finish: Finish reasons that are good though llmnb does not know them.

    Raises:
        ConfigurationError: If the model has no batch API, or several models are named.
        BudgetExceeded: If it may cost more than the budget.
        StoreError: If it cannot be written down. In each case nothing was submitted.
    """
    given = checked(locals())  # the arguments: there is nothing else yet
    good = given["good_finish"] or ()
    preparer = Preparer(asking)
    targets = preparer.defaults
    if len(targets) > 1:
        raise ConfigurationError(
            "mode='batch' asks one model: there is no falling back within a batch. "
            "Nothing was sent."
        )
    place = settings.cache_dir(cache_dir)
    budget = budget_usd if budget_usd is not None else settings.current().budget_usd
    setting = _Setting(
        asking=asking,
        target=targets[0],
        service=service(targets[0]),
        store=open_project(project_name, place, share=given["share"]),
        cache_dir=place,
        share=given["share"],
        use_cache=use_cache,
        budget_usd=budget,
        good_finish=good,
    )
    rows = []
    for number, request in enumerate(_ready(requests)):
        prepared = preparer(request, number)
        call = prepared.call
        rows.append(
            BatchRow(
                key=None if call is None else call.key,
                row=prepared,
                error=prepared.error,
                is_length_chosen=call is None or chosen_length(call.body) is not None,
                good_finish=good,
            )
        )
    return _begun(setting, rows)


def _ready(requests: Iterable[Any]) -> Iterator[Any]:
    """Yield requests once they are ready, a chunk at a time."""
    left = iter(requests)
    while chunk := list(itertools.islice(left, CHUNK_ROWS)):
        bridge.call(get_ready(chunk))
        yield from chunk


def _begun(
    setting: _Setting,
    rows: list[BatchRow],
    on_outcome: Callable[[Outcome], None] | None = None,
) -> BatchRun:
    """Start a run over prepared rows."""
    _check_targets(setting.target, rows)
    known = _known(setting, rows) if setting.use_cache else {}
    folder = records.root(setting.cache_dir)
    # Two runs that begin at once must not both find that nobody asks a row yet.
    with locked(folder / records.LOCK):
        parts = _adopted(setting, folder, rows, known)
        record, own = _written(setting, folder, rows, known)
    carried = bridge.call(_pollers([(part, record) for part in own] + parts, setting))

    def again(failed: list[BatchRow], told: Callable[[Outcome], None]) -> BatchRun:
        fresh = [dataclasses.replace(row, part=None, is_first=True) for row in failed]
        return _begun(dataclasses.replace(setting, use_cache=True), fresh, told)

    def live(failed: list[BatchRow], told: Callable[[Outcome], None]) -> Run:
        if setting.asking.duplicates == "sample":
            raise ConfigurationError(
                "Samples of one request are told apart in their whole run only: make the same "
                "call with mode='live', which asks what is missing."
            )
        return start(
            [None if row.row is None else row.row.tag for row in failed],
            setting.asking,
            project_name=setting.store.name,
            cache_dir=setting.cache_dir,
            share=setting.share,
            budget_usd=setting.budget_usd,
            good_finish=setting.good_finish,
            on_outcome=told,
        )

    return BatchRun(
        record,
        setting.target,
        setting.store,
        rows,
        carried,
        known=known,
        again=again,
        live=live,
        on_outcome=on_outcome,
    )


def _check_targets(target: HTTPTarget, rows: Sequence[BatchRow]) -> None:
    for number, row in enumerate(rows):
        other = None if row.call is None else row.call.target
        if isinstance(other, HTTPTarget) and (other.url, other.model) != (target.url, target.model):
            raise ConfigurationError(
                f"Row {number} is for {other.provider}/{other.model}, others for "
                f"{target.provider}/{target.model}: a batch asks one model. Nothing was sent; "
                "start one run for each."
            )


def _known(setting: _Setting, rows: Sequence[BatchRow]) -> dict[int, Outcome]:
    """Return the outcomes that the store has."""
    found: dict[int, Outcome] = {}
    for first in range(0, len(rows), _AT_ONCE):
        some = list(enumerate(rows[first : first + _AT_ONCE], start=first))
        entries = setting.store.lookup([row.key for _, row in some if row.key is not None])
        for number, row in some:
            entry = entries.get(row.key or "")
            if entry is None:
                continue
            outcome = outcomes_of.answered(number, row, entry, setting.target)
            if outcome is not None:
                found[number] = outcome
    return found


def _adopted(
    setting: _Setting, folder: Path, rows: Sequence[BatchRow], known: Mapping[int, Outcome]
) -> list[tuple[Part, Record]]:
    """Let rows that earlier runs have submitted wait for those; returns their parts."""
    wanted = {row.key for number, row in enumerate(rows) if number not in known and row.key}
    if not wanted:
        return []
    where: dict[str, str] = {}
    found = []
    for record, part, keys in records.under_way(folder):
        shared = wanted & keys - where.keys()
        if not shared or not (record.project == setting.store.name or setting.share is True):
            continue
        where.update(dict.fromkeys(shared, part.name))
        found.append((part, record))
    seen = set()
    for number, row in enumerate(rows):
        if number not in known and row.key in where:
            row.part = where[row.key]
            row.is_first = row.key not in seen
            seen.add(row.key)
    return found


def _written(
    setting: _Setting, folder: Path, rows: Sequence[BatchRow], known: Mapping[int, Outcome]
) -> tuple[Record, list[Part]]:
    """Write down what is to be submitted; where nothing is, nothing is written."""
    missing: dict[str, tuple[int, Call]] = {}
    for number, row in enumerate(rows):
        call = row.call
        if number in known or row.part is not None or call is None:
            continue
        row.is_first = call.key not in missing
        missing.setdefault(call.key, (number, call))
    _check_budget(setting, [call for _, call in missing.values()])
    lines = [
        setting.service.line(name_of(call.key, number), call.wire)
        for number, call in missing.values()
    ]
    _check_sizes(setting, lines, [number for number, _ in missing.values()])
    sizes = list(split(map(len, lines), setting.service.format.capacity))
    now = Clock.wall()
    target = setting.target
    record = Record(
        run_id=records.new_id(now) if lines else "",
        project=setting.store.name,
        share=setting.share,
        provider=target.provider,
        model=target.model,
        url=target.url,
        gen_type=setting.asking.gen_type,
        dialect=target.dialect_name,
        rows=len(rows),
        parts=len(sizes),
        created=now,
    )
    if not lines:
        return record, []
    part_of: dict[str, int] = {}
    parts, keys = [], list(missing)
    for number, size in enumerate(sizes):
        first = sum(sizes[:number])
        parts.append(lines[first : first + size])
        part_of.update(dict.fromkeys(keys[first : first + size], number))
    notes = []
    for number, row in enumerate(rows):
        own = None if number in known or row.part is not None else part_of.get(row.key or "")
        notes.append(_note(row, own))
        if own is not None:
            row.part = f"{record.run_id}/{own}"
    return record, records.write_run(folder / record.run_id, record, notes, parts)


def _note(row: BatchRow, own: int | None) -> RowNote:
    error = row.error
    return RowNote(
        row.key,
        own,
        row.part,
        row.is_length_chosen,
        None if error is None else (type(error).__name__, error.message),
    )


def _check_budget(setting: _Setting, calls: Sequence[Call]) -> None:
    """Refuse what may cost more than the budget: a batch cannot be stopped at a dollar."""
    if setting.budget_usd is None or not calls:
        return
    prices = [setting.target.highest_price(call) for call in calls]
    if None in prices:
        raise ConfigurationError(
            f"budget_usd cannot be kept: the price of {setting.target.provider}/"
            f"{setting.target.model} is not known. Say it with llmnb.set_price(…), or leave the "
            "budget out. Nothing was sent."
        )
    most = sum(price for price in prices if price is not None) * PRICE_FACTOR
    if most > setting.budget_usd:
        raise BudgetExceeded(
            f"The batch of {len(calls):,} requests may cost up to {usd(most)}, above "
            f"budget_usd={setting.budget_usd:g}. Nothing was sent: set max_tokens, or a higher "
            "budget."
        )


def _check_sizes(setting: _Setting, lines: Sequence[bytes], numbers: Sequence[int]) -> None:
    capacity = setting.service.format.capacity
    for number, line in zip(numbers, lines, strict=True):
        if len(line) > capacity.size:
            raise InputError(
                f"Row {number} has {len(line):,} bytes, more than a batch takes "
                f"({capacity.size:,}). Nothing was sent.",
                row=number,
            )


async def _pollers(
    parts: Sequence[tuple[Part, Record]], setting: _Setting
) -> dict[str, BatchPoller]:
    return {
        part.name: poller_of(
            part, record, setting.target, setting.service, setting.store, setting.cache_dir
        )
        for part, record in parts
    }


def poller_of(
    part: Part,
    record: Record,
    target: HTTPTarget,
    how: Service,
    store: ProjectStore,
    cache_dir: Path,
) -> BatchPoller:
    """Return the one poller of this process for a part; call it on the loop thread."""
    name = str(part.path("json"))
    known = pollers().get(name)
    if known is None or known.is_over:
        # The answers go where the run that asked for them wanted them.
        if store.name != record.project:
            store = open_project(record.project, cache_dir, share=record.share)
        known = pollers()[name] = BatchPoller(part, record, target, how, store)
    return known
