"""The batch runs of a cache folder, found again after the kernel is gone."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path

from llmnb import bridge, settings
from llmnb.batches import records
from llmnb.batches.persistence import stored_outcomes
from llmnb.batches.poller import pollers_of
from llmnb.batches.records import Record
from llmnb.batches.run import BatchRun
from llmnb.errors import ConfigurationError
from llmnb.options import checked
from llmnb.records import secret, shown_url
from llmnb.store.project import open_project
from llmnb.targets.resolve import endpoint_url, resolve
from llmnb.targets.target import HTTPTarget
from llmnb.wire.catalog import provider, provider_of_url


def attach_batch(
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
        run_id: Its name, as `llmnb.runs` lists it.
        api_key: The account's key, where it was given with the call; it is not written down.
        cache_dir: Folder of all projects.
        good_finish: Finish reasons that are good though llmnb does not know them.

    Raises:
        ConfigurationError: If there is no such run, or its provider's key is missing.
    """
    api_key = secret(api_key)
    options = checked({"cache_dir": cache_dir, "good_finish": good_finish})
    root = settings.cache_dir(cache_dir)
    folder = records.folder_of(root, run_id)
    record = records.read_record(folder)
    target = _target(record, api_key)
    store = open_project(record.project, root, share=record.share)
    rows = records.read_rows(folder)
    names = sorted({row.part for row in rows if row.part is not None})
    parts = [records.part_named(folder.parent, name) for name in names]
    pollers = bridge.call(pollers_of(parts, target, store))
    good_finish = options["good_finish"] or ()
    left = {number: row for number, row in enumerate(rows) if row.part is None}
    known = stored_outcomes(left, store.lookup, target, good_finish)
    return BatchRun(record, target, store, rows, pollers, good_finish=good_finish, known=known)


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
    folder = records.folder_of(settings.cache_dir(cache_dir), run_id)
    record = records.read_record(folder)
    if not even_if_open and any(part.is_open for part in records.parts_of(folder, record)):
        raise ConfigurationError(
            f"{run_id} is under way: its results could not be fetched any more. Attach to it "
            "first, and withdraw it where it is not wanted; even_if_open=True forgets it anyway."
        )
    shutil.rmtree(folder)


def _target(record: Record, api_key: str | None) -> HTTPTarget:
    """Return who was asked, with the key of today."""
    if record.provider == "sim":
        return resolve(f"sim/{record.model}", gen_type=record.gen_type)
    row = provider(record.provider)
    url, own = record.url, provider_of_url(record.url) == row.name
    # What is secret in an address is not written down: it is found again in the environment.
    here = url if own else endpoint_url(row, None, record.gen_type, record.model)
    is_home = shown_url(here, hidden="") == shown_url(url, hidden="")
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
        url=here if is_home else url,
        gen_type=record.gen_type,
    )
