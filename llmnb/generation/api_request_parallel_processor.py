"""A file of requests to a file of answers: in order, within the limits, resumable at any moment.

Every answer is in the project's store before it is written, so the same call
made again asks only what is missing, whatever became of the first; a line
that was changed is another question and is asked anew. Memory stays flat: only
the rows between being read and being written are held.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from llmnb import progress
from llmnb.engine.run import Run
from llmnb.engine.status import StatusSnapshot
from llmnb.errors import LLMNBError
from llmnb.generation.asked import asking_for, limits_for, options_in
from llmnb.generation.lines import Line, RequestLines
from llmnb.generation.logs import told
from llmnb.generation.parallel import MAX_ATTEMPTS, Cuts, started
from llmnb.generation.results import Pump, Results
from llmnb.generation.window import Side
from llmnb.progress import Bars
from llmnb.rates import Rate
from llmnb.records import secret


@dataclass(frozen=True, slots=True, kw_only=True)
class FileReport:
    """How a file of requests ended."""

    save_filepath: Path
    """The results, or what there is of them where the run was stopped (``….part``)."""

    is_whole: bool
    """Whether every line has its row."""

    rows: int
    """Rows written."""

    failed: int
    """Those of them with an error in place of an answer."""

    refused: int
    """Those of them that named a URL or a key of their own and were sent nowhere."""

    cut: int
    """Requests that were cut to their model's window."""

    status: StatusSnapshot
    """The run's own figures."""

    error: LLMNBError | None = None
    """What stopped the asking, such as a refused key; None where all went well."""


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
    **options: Any,
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
        **options: `max_concurrent_requests`, `burst` (``"announced"``: what the provider says is
            left of its limits is spent at once; ``"smooth"``: evenly), `cooldown` (seconds of
            pause after a refusal that does not say how long: 15), `truncate` (``"end"``: what is
            left out of a prompt longer than its model takes; ``"start"``; None: nothing),
            `duplicates` (``"merge"``: identical lines are asked once; ``"sample"``: each for
            itself), `project_name`, `cache_dir`, `use_cache`, `share`, `api_provider`,
            `gen_type`, `max_wait` (seconds that a model may refuse without one success: 600),
            `budget_usd`, `time_limit`, `good_finish` (finish reasons that are good though llmnb
            does not know them), `progress`; ``max_tokens``, ``temperature`` and their like for
            lines that do not say it; `allow_urls` (False: a line with a ``url`` or an
            ``api_key`` is an error row and sent nowhere; True: it is asked there, with the key
            beside it or with none).

    Raises:
        ConfigurationError: Before anything is sent.
        StoreError: If the results cannot be written; what was answered is kept.
        CancelledError: After an interrupt, in scripts; answers and ``….part`` are kept.
    """
    api_key = secret(api_key)
    job = _Job(requests_filepath, save_filepath, request_url, api_key, token_encoding_name, options)
    limits = limits_for(job.first, max_requests_per_minute, max_tokens_per_minute)
    with job.running(limits, max_attempts, logging_level) as run:
        await progress.aattend(run, bars=job.bars)
    return job.report(run)


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
    **options: Any,
) -> FileReport:
    """Block until every line of a file has its row; see `process_api_requests_from_file`.

    Raises:
        KeyboardInterrupt: After an interrupt, in scripts; answers and ``….part`` are kept.
    """
    api_key = secret(api_key)
    job = _Job(requests_filepath, save_filepath, request_url, api_key, token_encoding_name, options)
    limits = limits_for(job.first, max_requests_per_minute, max_tokens_per_minute)
    with job.running(limits, max_attempts, logging_level) as run:
        progress.attend(run, bars=job.bars)
    return job.report(run)


class _Job:
    """One file on its way; nothing is sent until `running`."""

    def __init__(
        self,
        requests_filepath: str | Path,
        save_filepath: str | Path | None,
        request_url: str | None,
        api_key: str | None,
        encoding: str,
        options: dict[str, Any],
    ) -> None:
        source = Path(requests_filepath)
        self._lines = RequestLines(source)
        asked, self._options = options_in(
            options,
            "process_api_requests_from_file()",
            further=("progress", "truncate", "allow_urls"),
        )
        self.bars: Bars = self._options.pop("progress", "auto")
        self.first: Line = self._lines.first()
        self._results = Results(
            Path(save_filepath)
            if save_filepath is not None
            else source.with_name(f"{source.stem}_results{source.suffix}")
        )
        self._results.spare(source)
        side: Side | None = self._options.pop("truncate", "end")
        self._asking = asking_for(
            self.first,
            request_url=request_url,
            api_key=api_key,
            token_encoding_name=encoding,
            **{"allow_urls": False, **asked},
        )
        self._cuts = Cuts(self._lines, self._asking, side, encoding)

    @contextlib.contextmanager
    def running(
        self, limits: tuple[Rate | None, Rate | None], max_attempts: int, level: int | str
    ) -> Iterator[Run]:
        """Start; the file is open and the log is heard while the block lasts."""
        options = {"streams": True, **self._options}
        with told(level), self._results:
            run = started(self._cuts, self._asking, limits, max_attempts, options)
            pump = Pump(run, self._results)
            try:
                yield run
            finally:
                pump.join()

    def report(self, run: Run) -> FileReport:
        """Say how it ended."""
        results = self._results
        return FileReport(
            save_filepath=results.path if results.is_whole else results.part,
            is_whole=results.is_whole,
            rows=results.rows,
            failed=results.failed,
            refused=results.refused,
            cut=self._cuts.count,
            status=run.status(),
            error=run.error,
        )
