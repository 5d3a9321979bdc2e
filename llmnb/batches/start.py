"""Starting a batch run: requests that the store lacks are recorded, then submitted, once."""

from __future__ import annotations

import dataclasses
import itertools
import secrets
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Unpack

from llmnb import bridge, settings
from llmnb.adapters.file_lock import locked
from llmnb.batches import records
from llmnb.batches.persistence import stored_outcomes
from llmnb.batches.poller import pollers_of
from llmnb.batches.records import BatchRow, Part, Record
from llmnb.batches.run import BatchRun
from llmnb.batches.service import Service
from llmnb.decide.quality import chosen_length
from llmnb.display.money import usd
from llmnb.engine.handle import Mode, RunHandle
from llmnb.engine.row_errors import unpriced
from llmnb.engine.source import CHUNK_ROWS, get_ready
from llmnb.engine.status import Clock
from llmnb.engine.target import Call
from llmnb.errors import BudgetExceeded, ConfigurationError, InputError
from llmnb.keywords import BatchOptions
from llmnb.options import OPTIONS, names
from llmnb.records import Outcome, shown_url
from llmnb.running.asking import Asking
from llmnb.running.preparer import Preparer
from llmnb.running.start import start
from llmnb.store.project import ProjectStore, open_project
from llmnb.targets.target import HTTPTarget
from llmnb.wire.batches import PRICE_FACTOR, name_of, split


@dataclasses.dataclass(frozen=True, slots=True)
class _Setting:
    """What a run and those that ask its failed rows again have in common."""

    asking: Asking
    target: HTTPTarget
    service: Service
    store: ProjectStore
    budget_usd: float | None
    good_finish: tuple[str, ...]


_DEFAULTS = {name: OPTIONS[name].default for name in names("batch")}


def start_batch(
    requests: Iterable[Any],
    asking: Asking,
    **keywords: Unpack[BatchOptions],
) -> BatchRun:
    """Start a batch run over request dictionaries; returns once all is written down.

    Answers that are kept are used; what another run has submitted already is waited for with
    it; only the rest is submitted.

    Args:
        requests: Request dictionaries, all for one model.
        asking: Who is asked.
        **keywords: See `llmnb.options`; they have been checked.

    Raises:
        ConfigurationError: If the model has no batch API, or several models are named.
        BudgetExceeded: If it may cost more than the budget.
        StoreError: If it cannot be written down. In each case nothing was submitted.
    """
    options = {**_DEFAULTS, **keywords}
    preparer = Preparer(asking)
    target, *further = preparer.defaults
    if further:
        raise ConfigurationError(
            "mode='batch' asks one model: there is no falling back within a batch. "
            "Nothing was sent."
        )
    setting = _Setting(
        asking=asking,
        target=target,
        service=Service(target),
        store=open_project(options["project_name"], options["cache_dir"], share=options["share"]),
        budget_usd=settings.budget_usd(options["budget_usd"]),
        good_finish=options["good_finish"] or (),
    )
    rows: list[BatchRow] = []
    asked = (target.url, target.model)
    left = iter(requests)
    while chunk := list(itertools.islice(left, CHUNK_ROWS)):
        bridge.call(get_ready(chunk))
        for request in chunk:
            row = preparer(request, len(rows))
            if (call := row.call) is None:
                rows.append(BatchRow(row, None))
                continue
            other = call.target
            if isinstance(other, HTTPTarget) and (other.url, other.model) != asked:
                raise ConfigurationError(
                    f"Row {len(rows)} is for {other.provider}/{other.model}, others for "
                    f"{target.provider}/{target.model}: a batch asks one model. Nothing was sent; "
                    "start one run for each."
                )
            is_length_chosen = chosen_length(call.body) is not None
            rows.append(BatchRow(row, call.key, is_length_chosen=is_length_chosen))
    return _start_prepared(setting, rows, use_cache=options["use_cache"])


def _start_prepared(
    setting: _Setting,
    rows: list[BatchRow],
    on_outcome: Callable[[Outcome], None] | None = None,
    *,
    use_cache: bool = True,
) -> BatchRun:
    """Start a run over prepared rows."""
    target, store = setting.target, setting.store
    known: Mapping[int, Outcome] = {}
    folder = records.root(store.paths.root)
    # Two runs that begin at once must not both see that no run asks a row yet.
    with locked(folder / records.LOCK):
        # Read before the store: what is not open any more has kept its answers by now.
        open_parts = list(records.open_parts(folder))
        if use_cache:
            asked = dict(enumerate(rows))
            known = stored_outcomes(asked, store.lookup, target, setting.good_finish)
        joined = _join(setting, open_parts, rows, known)
        record, own = _write_down(setting, folder, rows, known)

    def ask_again(
        failed: list[BatchRow], on_outcome: Callable[[Outcome], None], mode: Mode | None
    ) -> RunHandle[list[Outcome]]:
        """Ask failed rows again: live where `mode` says so, else in a new batch.

        Raises:
            ConfigurationError: If the rows are samples of one request and `mode` is "live".
        """
        if mode != "live":
            # They belong to no part of the batch in which they failed any more.
            fresh = [dataclasses.replace(row, part=None, is_first=True) for row in failed]
            return _start_prepared(setting, fresh, on_outcome)
        if setting.asking.duplicates == "sample":
            raise ConfigurationError(
                "Samples of one request are told apart in their whole run only: make the call that "
                "began it again with mode='live', which asks only what is missing."
            )
        return start(
            [row.prepared.tag for row in failed],  # their requests
            setting.asking,
            project_name=store.name,
            cache_dir=store.paths.root,
            share=store.share,
            budget_usd=setting.budget_usd,
            good_finish=setting.good_finish,
            on_outcome=on_outcome,
        )

    pollers = bridge.call(pollers_of([*own, *joined], target, store))
    return BatchRun(
        *(record, target, store, rows, pollers),
        good_finish=setting.good_finish,
        known=known,
        ask_again=ask_again,
        on_outcome=on_outcome,
    )


def _join(
    setting: _Setting,
    open_parts: Iterable[tuple[Record, Part, set[str]]],
    rows: Sequence[BatchRow],
    known: Mapping[int, Outcome],
) -> list[Part]:
    """Let rows that earlier runs have submitted wait for those; return their parts."""
    waiting = [row for number, row in enumerate(rows) if number not in known and row.key]
    wanted = {row.key for row in waiting}
    part_of: dict[str, str] = {}
    joined = []
    for record, part, keys in open_parts:
        shared = wanted & keys - part_of.keys()
        if shared and (record.project == setting.store.name or setting.store.share is True):
            part_of.update((key, part.name) for key in shared if key)
            joined.append(part)
    seen = set()
    for row in waiting:
        if row.key in part_of:
            row.part = part_of[row.key]
            row.is_first = row.key not in seen
            seen.add(row.key)
    return joined


def _write_down(
    setting: _Setting, folder: Path, rows: Sequence[BatchRow], known: Mapping[int, Outcome]
) -> tuple[Record, list[Part]]:
    """Write the requests down that no part asks yet; return the run's record and its parts."""
    missing: dict[str, tuple[int, Call]] = {}
    for number, row in enumerate(rows):
        call = row.call
        if number in known or row.part is not None or call is None:
            continue
        row.is_first = call.key not in missing
        missing.setdefault(call.key, (number, call))
    _check_budget(setting, [call for _, call in missing.values()])
    capacity = setting.service.format.capacity
    lines = []
    for number, call in missing.values():
        line = setting.service.line(name_of(call.key, number), call.wire)
        if len(line) > capacity.size:
            raise InputError(
                f"Row {number} has {len(line):,} bytes, more than a batch takes "
                f"({capacity.size:,}). Nothing was sent.",
                row=number,
            )
        lines.append(line)
    now = Clock.wall()
    stamp = time.strftime("%Y%m%d-%H%M%S", time.gmtime(now))
    run_id = f"batch-{stamp}-{secrets.token_hex(3)}" if lines else ""
    parts: list[list[bytes]] = []
    part_of: dict[str, str] = {}
    keys, left = iter(missing), iter(lines)
    for count in split(map(len, lines), capacity):
        part_of |= dict.fromkeys(itertools.islice(keys, count), f"{run_id}/{len(parts)}")
        parts.append(list(itertools.islice(left, count)))
    target = setting.target
    record = Record(
        run_id=run_id,
        project=setting.store.name,
        share=setting.store.share,
        provider=target.provider,
        model=target.model,
        url=shown_url(target.url, hidden=""),
        gen_type=setting.asking.gen_type,
        dialect=target.dialect_name,
        rows=len(rows),
        parts=len(parts),
        created=now,
    )
    if not lines:
        return record, []
    for number, row in enumerate(rows):
        if number not in known and row.part is None:
            row.part = part_of.get(row.key or "")
    return record, records.write_run(folder / run_id, record, rows, parts)


def _check_budget(setting: _Setting, calls: Sequence[Call]) -> None:
    """Refuse what may cost more than the budget: a batch cannot be stopped at a dollar."""
    if setting.budget_usd is None:
        return
    most = 0.0
    for call in calls:
        if (price := setting.target.highest_price(call)) is None:
            raise unpriced(call)
        most += price * PRICE_FACTOR
    if most > setting.budget_usd:
        raise BudgetExceeded(
            f"The batch of {len(calls):,} requests may cost up to {usd(most)}, above "
            f"budget_usd={setting.budget_usd:g}. Nothing was sent: set max_tokens, or a higher "
            "budget."
        )
