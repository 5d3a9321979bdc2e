"""Answer a file of requests: in order, within the limits, resumable at any moment.

Every answer is in the project's store before it is written, so the same call
made again asks only what is missing, whatever became of the first; a line
that was changed is another question and is asked anew. Memory stays flat: only
the rows between being read and being written are held.
"""

from __future__ import annotations

import contextlib
import inspect
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Unpack

from llmnb.engine.run import Run
from llmnb.engine.status import StatusSnapshot
from llmnb.errors import LLMNBError
from llmnb.generation.lines import RequestLines
from llmnb.generation.parallel import MAX_ATTEMPTS, Batch
from llmnb.generation.recipients import limits_for
from llmnb.generation.results import Pump, ResultsFile
from llmnb.keywords import FileOptions
from llmnb.options import read_keywords
from llmnb.progress import aattend, attend
from llmnb.rates import Rate
from llmnb.records import secret
from llmnb.signatures import described_as, full_signature


@dataclass(frozen=True, slots=True, kw_only=True)
class FileReport:
    """How a file of requests ended.

    Example:
        >>> import pathlib, tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     asked = pathlib.Path(folder) / "asked.jsonl"
        ...     _ = asked.write_text('{"model": "sim/any", "prompt": "2 + 2?"}')
        ...     report = process_api_requests_from_file_sync(asked)
        >>> report.is_whole, report.rows, report.failed
        (True, 1, 0)
    """

    save_filepath: Path
    """The results, or what there is of them where the run was stopped (``….part``)."""

    is_whole: bool
    """Whether every line has its row."""

    rows: int
    """Rows written."""

    failed: int
    """Rows with an error in place of an answer."""

    refused: int
    """Rows that were sent nowhere because they named a URL or a key of their own."""

    cut: int
    """Requests that were cut to their model's window."""

    status: StatusSnapshot
    """The run's own figures."""

    error: LLMNBError | None = None
    """What stopped the asking, such as a refused key; None where all went well."""


@full_signature
async def process_api_requests_from_file(
    requests_filepath: str | Path,
    save_filepath: str | Path | None = None,
    request_url: str | None = None,
    api_key: str | None = None,
    max_requests_per_minute: Rate | None = None,
    max_tokens_per_minute: Rate | None = None,
    token_encoding_name: str = "cl100k_base",
    max_attempts: int = MAX_ATTEMPTS,
    logging_level: int | str = 30,
    **options: Unpack[FileOptions],
) -> FileReport:
    """Answer every line of a file of requests, and await the end.

    Args:
        requests_filepath: JSON Lines: one request's body a line, with its ``model``; a
            ``metadata`` field is not sent and stands behind the answer.
        save_filepath: JSON Lines of ``[request, response]`` or ``[request, response, metadata]``
            in the order of the requests; the response of a failed one is a list of error
            texts. None: the input's name with ``_results``. Until every row is there the file
            is called ``….part``.
        request_url: A base or a full endpoint; None: `requests_url_dict`, else the provider's
            own, as the first request's model says.
        api_key: Key for that address; else looked for as ever.
        max_requests_per_minute: Requests a minute, never scaled; None: `requests_limits_dict`
            for the first request's model, else what the provider allows.
        max_tokens_per_minute: Tokens a minute, likewise.
        token_encoding_name: Encoding that counts tokens.
        max_attempts: Attempts for a request that was unsent or surely unbilled.
        logging_level: 40 tells of failures after all attempts, 30 of refusals and errors on the
            way too, 20 of every start and end, 10 of the details.
        **options: See `llmnb.options`.

    Raises:
        ConfigurationError: Before anything is sent.
        StoreError: If the results cannot be written; what was answered is kept.
        CancelledError: After an interrupt, in scripts; answers and ``….part`` are kept.

    Example:
        >>> import asyncio
        >>> import json, pathlib, tempfile
        >>> from llmnb.testing import SimulatedProvider
        >>> folder = tempfile.TemporaryDirectory()
        >>> asked = pathlib.Path(folder.name) / "asked.jsonl"
        >>> _ = asked.write_text(json.dumps({"model": "any", "prompt": "2 + 2?"}))
        >>> with SimulatedProvider(reply="Four.") as sim:
        ...     where = {"request_url": f"{sim.base_url}/completions", "api_key": "key"}
        ...     report = asyncio.run(process_api_requests_from_file(asked, **where))
        >>> report.rows, report.failed, report.save_filepath.name
        (1, 0, 'asked_results.jsonl')
        >>> folder.cleanup()
    """
    api_key = secret(api_key)
    file = _File(
        requests_filepath, save_filepath, request_url, api_key, token_encoding_name, options
    )
    limits = max_requests_per_minute, max_tokens_per_minute
    with file.writing(limits, max_attempts, logging_level) as run:
        await aattend(run, bars=file.bars)
    return file.report(run)


@described_as(process_api_requests_from_file)
def process_api_requests_from_file_sync(
    requests_filepath: str | Path,
    save_filepath: str | Path | None = None,
    request_url: str | None = None,
    api_key: str | None = None,
    max_requests_per_minute: Rate | None = None,
    max_tokens_per_minute: Rate | None = None,
    token_encoding_name: str = "cl100k_base",
    max_attempts: int = MAX_ATTEMPTS,
    logging_level: int | str = 30,
    **options: Unpack[FileOptions],
) -> FileReport:
    """Block until every line of a file has its row; see `process_api_requests_from_file`.

    Raises:
        KeyboardInterrupt: After an interrupt, in scripts; answers and ``….part`` are kept.

    Example:
        >>> import json, pathlib, tempfile
        >>> from llmnb.testing import SimulatedProvider
        >>> folder = tempfile.TemporaryDirectory()
        >>> asked = pathlib.Path(folder.name) / "asked.jsonl"
        >>> _ = asked.write_text(json.dumps({"model": "any", "prompt": "2 + 2?"}))
        >>> with SimulatedProvider(reply="Four.") as sim:
        ...     where = {"request_url": f"{sim.base_url}/completions", "api_key": "key"}
        ...     report = process_api_requests_from_file_sync(asked, **where)
        >>> report.rows, report.failed, report.save_filepath.name
        (1, 0, 'asked_results.jsonl')
        >>> folder.cleanup()
    """
    api_key = secret(api_key)
    file = _File(
        requests_filepath, save_filepath, request_url, api_key, token_encoding_name, options
    )
    limits = max_requests_per_minute, max_tokens_per_minute
    with file.writing(limits, max_attempts, logging_level) as run:
        attend(run, bars=file.bars)
    return file.report(run)


class _File(Batch):
    """The requests of a file, whose rows go into another; nothing is sent until `writing`."""

    def __init__(
        self,
        requests_filepath: str | Path,
        save_filepath: str | Path | None,
        request_url: str | None,
        api_key: str | None,
        encoding: str,
        options: Mapping[str, object],
    ) -> None:
        known = inspect.signature(process_api_requests_from_file).parameters
        named, params = read_keywords(options, known, "process_api_requests_from_file()")
        source = Path(requests_filepath)
        lines = RequestLines(source)
        self._first = lines.first()
        self._results = ResultsFile(
            Path(save_filepath)
            if save_filepath is not None
            else source.with_name(f"{source.stem}_results{source.suffix}")
        )
        self._results.spare(source)
        named.setdefault("allow_urls", False)
        super().__init__(lines, self._first, request_url, api_key, encoding, named, params)

    @contextlib.contextmanager
    def writing(
        self, limits: tuple[Rate | None, Rate | None], max_attempts: int, level: int | str
    ) -> Iterator[Run]:
        """Start the run, and write its rows in the background; the block ends with the last."""
        limits = limits_for(self._first, *limits)
        with self._results, self.running(limits, max_attempts, level, streams=True) as run:
            pump = Pump(run, self._results)
            try:
                yield run
            finally:
                pump.join()

    def report(self, run: Run) -> FileReport:
        """Return how it ended."""
        results = self._results
        return FileReport(
            save_filepath=results.path if results.is_whole else results.part,
            is_whole=results.is_whole,
            rows=results.rows,
            failed=results.failed,
            refused=results.refused,
            cut=self.cut,
            status=run.status(),
            error=run.error,
        )
