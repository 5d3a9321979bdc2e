"""The rows of a run, under way, finished, or written down; and those that a project keeps."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import orjson

from llmnb.adapters.diskcache import Database, Extent
from llmnb.display import moments
from llmnb.errors import ConfigurationError, InputError, LLMNBError, SchemaMismatch, StoreError
from llmnb.frames.attached_run import has_reply, outcome_in
from llmnb.frames.questions import Questions
from llmnb.frames.recipes import output_in
from llmnb.frames.row_sources import (
    ANSWER,
    ANSWERED,
    EMPTY,
    FAILED,
    LINE,
    MERGED,
    OUTCOMES,
    REUSED,
    WAITING,
    WHOLE,
    Facet,
    Flags,
    Mask,
    ReadRow,
    RowSource,
    cause_words,
    facet_by_number,
    facet_of,
    shown,
)
from llmnb.frames.run import TableRun
from llmnb.frames.table_source import name_of
from llmnb.frames.template import Template
from llmnb.records import Outcome
from llmnb.schemas import Output
from llmnb.schemas.quotes import supported_name
from llmnb.store import run_index, search
from llmnb.store.entry import Entry, decode
from llmnb.store.layout import ProjectPaths
from llmnb.store.project import databases
from llmnb.wire.dialect import dialect

NOT_IN_THE_ROW = "Not in the row"
"""The facet of fields whose quote does not stand in their row."""

_MOST_LOOKED_UP = 50_000
"""Rows whose quotes are all looked up, to be filtered by."""

_BY_SOURCE = {"sent": ANSWERED, "cached": REUSED, "reused": REUSED, "merged": MERGED}

_BY_STATE = np.full(256, FAILED, np.uint8)
_BY_STATE[run_index.ANSWERED] = ANSWERED
_BY_STATE[[run_index.KEPT, run_index.REUSED]] = REUSED
_BY_STATE[run_index.MERGED] = MERGED

Numbers = npt.NDArray[np.int64]
"""Which of a run's requests stands for each row of its table; -1 where none does."""


def _numbers(rows: Sequence[int] | npt.NDArray[Any], count: int) -> Numbers:
    """Return the number of each row's request, of several the last one's, by the requests' rows."""
    numbers = np.full(count, -1, np.int64)
    numbers[rows] = np.arange(len(rows))
    return numbers


def _by_row(values: npt.NDArray[Any], numbers: Numbers, missing: int) -> npt.NDArray[Any]:
    """Return what each row has of its request's values."""
    return np.append(values, values.dtype.type(missing))[numbers]  # -1 is the last one


def _add_outcome(row: ReadRow, outcome: Outcome) -> None:
    """Add to a row what became of it."""
    error, reply = outcome.error, outcome.reply
    if error is not None:
        row.error, row.cause = error.message, cause_words(type(error).__name__)
        raw = error.details.raw
        row.reply = error.details.body or "" if raw is None else raw.decode(errors="replace")
    if reply is None:
        return
    text = search.reply_text(reply)
    if error is None:
        row.answer = text or None
    else:
        row.reply = text


def _add_facts(row: ReadRow, outcome: Outcome) -> None:
    """Add what is told of a row beside its answer."""
    row.model, row.provider = outcome.model, outcome.provider
    row.usd, row.seconds, row.key = outcome.usd, outcome.seconds, outcome.key
    if (reply := outcome.reply) is None:
        return
    row.reasoning = reply.reasoning or ""
    row.tool_calls = tuple(f"{call.name}({call.arguments})" for call in reply.tool_calls)
    if (usage := reply.usage) is not None:
        row.prompt_tokens, row.completion_tokens = usage.known_prompt, usage.known_completion
        row.cached_tokens = usage.cache_read or None
        row.reasoning_tokens = usage.reasoning or None


def _add_value(row: ReadRow, output: Output, value: Any) -> None:
    """Add to a row what its structured answer holds, in place of the text that came."""
    fields = output.as_mapping(value)
    if output.is_wrapped:
        row.answer = "".join(map(shown, fields.values()))
    else:
        row.fields, row.as_it_came, row.answer = fields, row.answer or "", None


def _add_request(row: ReadRow, request: Any) -> None:
    """Add what was asked beside the prompt: instructions, earlier turns, pictures."""
    if not isinstance(request, Mapping):
        return
    turns: list[tuple[str, str]] = []
    for message in request.get("messages") or ():
        if not isinstance(message, Mapping):
            continue
        text, content = search.text_of(message), message.get("content")
        if message.get("role") in ("system", "developer"):
            row.system = "\n\n".join(filter(None, (row.system, text)))
        else:
            turns.append((str(message.get("role", "")), text))
        for part in content if isinstance(content, list) else ():
            kind = part.get("type") if isinstance(part, Mapping) else None
            if kind not in ("text", None):
                row.files += (str(kind).replace("_", " "),)
    if isinstance(own := request.get("system"), str):
        row.system = own
    row.turns = tuple(turns[:-1])


class RunRows(RowSource):
    """The rows of a run over a table, while it goes on and afterwards.

    Args:
        run: The run.
        questions: What it asks.
    """

    def __init__(self, run: TableRun[Any], questions: Questions) -> None:
        self._run = run
        self._questions = questions
        self._form = form = run.form
        self._output = output = form.output
        self.project = run.project
        self.question = name_of(form.options.name)
        if output is not None and output.has_fields and not output.is_wrapped:
            self.fields = {name: name_of(form.column_of(name)) for name, _ in output.fields}
        if questions.group == 1:
            self.table = form.source
        self._retried: list[Any] = []
        self._template = _template_of(questions)
        is_by_row = questions.group == 1
        count = questions.rows if is_by_row else len(questions)
        self._numbers = _numbers(questions.positions if is_by_row else range(count), count)
        self._counts, self._still = run.counts, 0
        self._take()

    def _take(self) -> None:
        self._outcomes = outcomes = self._run.outcomes()
        codes = np.fromiter(map(_code, outcomes), np.uint8, len(outcomes))
        self.codes = _by_row(codes, self._numbers, EMPTY)
        self.named = (self._run.project, self._run.asked)  # it knows whom once it has begun

    def refresh(self) -> bool:
        """Take the answers that have come; return whether there are any."""
        # Taking a million rows takes a third of a second; so not where nothing can have come. A
        # count may be a moment ahead of its row.
        counts, before = self._run.counts, self.codes
        self._still = self._still + 1 if counts == self._counts and not self.is_running else 0
        if self._still > 1:
            return False
        self._counts = counts
        self._take()
        return not np.array_equal(before, self.codes)

    @property
    def is_running(self) -> bool:
        """Whether answers are still coming, to rows that are asked again included."""
        self._retried = [run for run in self._retried if not run.is_done]
        return not self._run.is_done or bool(self._retried)

    @property
    def ended(self) -> float | None:
        """When the run ended; None while answers are coming."""
        return None if self.is_running else self._run.status().ended_at

    @property
    def places(self) -> npt.NDArray[np.int64]:
        """The row of the table that each is of, and which of that row's requests it is."""
        if (group := self._questions.group) == 1:
            return super().places
        rows = np.repeat(np.array(self._questions.positions, np.int64), group)
        return np.array([rows, np.arange(len(self)) % group])

    def read(self, positions: Sequence[int], detail: int = LINE) -> list[ReadRow]:
        """Return some rows."""
        return [self._read(position, detail) for position in positions]

    def _read(self, position: int, detail: int) -> ReadRow:
        row = ReadRow(position, OUTCOMES[self.codes[position]])
        number, questions = int(self._numbers[position]), self._questions
        if number < 0:
            names = () if self._template is None else self._template.fields
            row.prompt = f"{' and '.join(f'{{{name}}}' for name in names)} is empty"
            return row
        place = questions.row_of(number)
        if detail > ANSWER:
            row.prompt = questions.prompt_of(place, number % questions.group) or ""
            row.template = () if self._template is None else self._template.parts
        if (outcome := self._outcomes[number]) is not None:
            _add_outcome(row, outcome)
            if self._output is not None and outcome.is_answer:
                _add_value(row, self._output, outcome.value)
        if detail == WHOLE:
            if outcome is not None:
                _add_facts(row, outcome)
            row.unsupported = frozenset(self._unsupported(number))
            if not questions.has_pictures:
                _add_request(row, questions[number])
            (label,) = self._form.source.row_labels([place])
            row.label = "" if label == f"{position:,}" else label
        return row

    def find(self, pattern: re.Pattern[str], positions: Sequence[int]) -> list[int]:
        """Return which of some rows hold a text; those that ask nothing hold none."""
        return super().find(pattern, [row for row in positions if self._numbers[row] >= 0])

    def _unsupported(self, number: int) -> list[str]:
        """Return the fields of an answer whose quote does not stand in its row."""
        outcome, quotes = self._outcomes[number], self._form.quotes
        if outcome is None or not outcome.is_answer or quotes is None:
            return []
        marks = quotes.marks(number, quotes.output.as_mapping(outcome.value))
        fields = quotes.output.quoted_fields
        return [field for field in fields if marks.get(supported_name(field)) is False]

    def facets(self) -> list[Facet]:
        """Return why rows failed, the fields of the answers, and the models if several."""
        output, outcomes = self._output, self._outcomes
        kinds = [None if kind is None else cause_words(kind) for kind in map(_kind, outcomes)]
        named: list[tuple[str, list[Any]]] = [("Cause", kinds)]
        if output is None:
            named.append(("Answer", [None if row is None else row.text for row in outcomes]))
        else:
            answers = [
                {} if row is None or not row.is_answer else output.as_mapping(row.value)
                for row in outcomes
            ]
            for name, _ in output.fields:
                title = "Answer" if output.is_wrapped else name
                named.append((title, [own.get(name) for own in answers]))
        facets = [self._facet(name, values) for name, values in named]
        if unsupported := self._unsupported_masks():
            facets.append(Flags(NOT_IN_THE_ROW, unsupported))
        models = [None if row is None or row.error else row.model for row in outcomes]
        model = self._facet("model", models)
        facets += [model] if model is not None and len(model.values) > 1 else []
        return [facet for facet in facets if facet is not None]

    def _facet(self, name: str, values: list[Any]) -> Facet | None:
        values.append(None)  # of rows without a request
        return facet_of(name, [values[number] for number in self._numbers.tolist()])

    def _unsupported_masks(self) -> dict[str, Mask]:
        """Return by field which rows it is unsupported in; of large tables nothing."""
        masks: dict[str, Mask] = {}
        if self._form.quotes is None or len(self) > _MOST_LOOKED_UP:
            return masks
        for position, number in enumerate(self._numbers.tolist()):
            for field in self._unsupported(number) if number >= 0 else ():
                masks.setdefault(field, np.zeros(len(self), np.bool_))[position] = True
        return masks

    def alike(self, position: int) -> int:
        """Return how many failed rows `retry` asks again with this one."""
        kind = self._kind(position)
        return 0 if kind is None else Counter(map(_kind, self._outcomes))[kind]

    def _kind(self, position: int) -> str | None:
        number = self._numbers[position]
        return None if number < 0 else _kind(self._outcomes[number])

    def retry(self, position: int) -> int:
        """Ask the rows again that failed for the same as this one; returns how many."""
        if (kind := self._kind(position)) is None:
            raise ConfigurationError("This row has not failed.")
        count = self.alike(position)
        self._retried.append(self._run.retry_failed(kind))
        return count


def _code(outcome: Outcome | None) -> int:
    if outcome is None:
        return WAITING
    return FAILED if outcome.error is not None else _BY_SOURCE[outcome.source]


def _kind(outcome: Outcome | None) -> str | None:
    """Return the class of a failed row's error."""
    return None if outcome is None or outcome.error is None else type(outcome.error).__name__


def _template_of(questions: Questions) -> Template | None:
    try:
        return Template(questions.prompt, list(questions.fields)) if questions.fields else None
    except InputError:
        return None


# ----------------------------------------------------------------- what the store holds


class StoredRows(RowSource):
    """Rows whose answers are read from a project's store, a page at a time."""

    _output: Output | None = None
    """The form of the answers; None where they are texts."""

    def _entries(self, positions: Sequence[int]) -> list[Entry | None]:
        """Return what the store holds of some rows."""
        raise NotImplementedError

    def _outcome(self, position: int, entry: Entry | None) -> Outcome:
        """Return what became of a row, but for its reply."""
        raise NotImplementedError

    def read(self, positions: Sequence[int], detail: int = LINE) -> list[ReadRow]:
        """Return some rows, with what the store holds of them."""
        pairs = zip(positions, self._entries(positions), strict=True)
        return [self._read(position, entry, detail) for position, entry in pairs]

    def _read(self, position: int, entry: Entry | None, detail: int) -> ReadRow:
        row = ReadRow(position, OUTCOMES[self.codes[position]])
        code = self.codes[position]
        if code in (EMPTY, WAITING):
            return row
        has_facts = detail == WHOLE or code == FAILED
        outcome = self._outcome(position, entry) if has_facts else Outcome(row=position)
        if entry is not None and has_reply(outcome):
            with suppress(LLMNBError):
                outcome.reply = dialect(entry.dialect).parse(entry.raw)
        _add_outcome(row, outcome)
        if entry is None:
            row.is_cleared = outcome.error is None
            _add_facts(row, outcome)
            return row
        if outcome.error is None and outcome.reply is None:
            row.answer = search.UNREADABLE
        elif outcome.error is None and self._output is not None:
            with suppress(SchemaMismatch):  # it is read as the text that came
                _add_value(row, self._output, self._output.validate(row.answer or ""))
        if detail > ANSWER:
            row.prompt = search.question(entry)
        if detail == WHOLE:
            _add_facts(row, outcome)
            with suppress(orjson.JSONDecodeError):
                _add_request(row, orjson.loads(entry.request))
            row.label = f"kept {moments.moment(entry.created)}" if entry.created else ""
        return row

    def find(self, pattern: re.Pattern[str], positions: Sequence[int]) -> list[int]:
        """Return which of some rows hold a text; most are passed over unparsed."""
        if plain := _plain_needle(pattern):
            positions = self._candidates(plain, positions)
        return super().find(pattern, positions)

    def _candidates(self, plain: bytes, positions: Sequence[int]) -> list[int]:
        """Return the rows whose request or reply holds bytes."""
        pairs = zip(positions, self._entries(positions), strict=True)
        return [
            position
            for position, entry in pairs
            if entry and (plain in entry.request.lower() or plain in entry.raw.lower())
        ]


_PLAIN = re.compile(r"[a-z0-9 ,.:;!?_-]+")


def _plain_needle(pattern: re.Pattern[str]) -> bytes:
    """Return the bytes that an answer's JSON must hold where it holds a text; empty: nobody knows.

    JSON writes some signs in several ways; of these letters, digits and signs each is itself.
    """
    literal = re.sub(r"\\(.)", r"\1", pattern.pattern).lower()
    return literal.encode() if _PLAIN.fullmatch(literal) and "|" not in pattern.pattern else b""


class IndexRows(StoredRows):
    """The rows of a run by its index: of any run, in any kernel, as long as its project is kept.

    Args:
        run_id: The run's name.
        cache_dir: Folder of all projects.

    Raises:
        ConfigurationError: If there is no such run.
        StoreError: If its index cannot be read.
    """

    order_text = "in the table’s order"

    def __init__(self, run_id: str, cache_dir: Path) -> None:
        self._was_cleared = False
        self._requests = np.zeros(0, np.int64)
        """Where several ask about a row: the request of each, counted through the whole table."""

        self._take(run_index.read(run_id, cache_dir))
        header = self._index.header
        self.project = header.project
        self.named = (header.project, header.model)
        self._output = output_in(header.form) if header.form else None

    def _take(self, index: run_index.RunIndex) -> None:
        self._index = index
        header, rows = index.header, np.array(index.rows, np.int64)
        if header.group == 1:
            self._numbers = _numbers(rows, max(header.rows or 0, *rows[-1:] + 1, 0))
        else:  # what has come since stands below, so that all keep their places
            requests = rows * header.group + np.array(index.samples, np.int64)
            more = np.setdiff1d(requests, self._requests, assume_unique=True)
            self._requests = np.append(self._requests, more)
            self._numbers = np.searchsorted(requests, self._requests)
        codes = _BY_STATE[np.frombuffer(bytes(index.states), np.uint8)]
        self.codes = _by_row(codes, self._numbers, WAITING if index.end is None else EMPTY)

    @property
    def ended(self) -> float | None:
        """When the run ended, or was heard of last; None while it goes on."""
        end = self._index.end or {}
        return None if self.is_running else end.get("ended_at") or self._index.summary.written

    @property
    def is_running(self) -> bool:
        """Whether the run goes on, in whichever process."""
        return self._index.is_running

    @property
    def places(self) -> npt.NDArray[np.int64]:
        """The row of the table that each is of, and which of that row's requests it is."""
        header = self._index.header
        if self.is_running and (header.group > 1 or header.rows is None):
            raise InputError(
                f"Run {header.run_id} goes on in another process, and nobody knows yet how many "
                "rows it has: read it beside another once it has ended."
            )
        return (
            super().places if header.group == 1 else np.array(divmod(self._requests, header.group))
        )

    @property
    def cleared(self) -> int:
        """How many answers the project keeps no more."""
        return int(np.count_nonzero(self.codes <= MERGED)) if self._index.is_cleared else 0

    def refresh(self) -> bool:
        """Take what was written since; once the project was cleared, rows keep their places."""
        was_cleared, self._was_cleared = self._was_cleared, self._index.is_cleared
        newest = self._index.newest()
        if newest is self._index:
            return self._was_cleared != was_cleared
        self._take(newest)
        return True

    def _entries(self, positions: Sequence[int]) -> list[Entry | None]:
        numbers = self._numbers[positions].tolist()
        asked = [number for number in numbers if number >= 0]
        entries = dict(zip(asked, self._index.entries(asked), strict=True))
        return list(map(entries.get, numbers))

    def _outcome(self, position: int, entry: Entry | None) -> Outcome:
        return outcome_in(self._index, int(self._numbers[position]), entry)

    def facets(self) -> list[Facet]:
        """Return why rows failed, and the models where there are several."""
        index = self._index
        causes = [cause_words(cause.kind) for cause in index.causes[1:]]
        models = [model or "" for _, model in index.models[1:]]
        facets = []
        if causes:
            numbers = np.array(index.cause_numbers, np.int32) - 1
            facets.append(facet_by_number("Cause", causes, _by_row(numbers, self._numbers, -1)))
        if len(set(models)) > 1:
            numbers = np.frombuffer(bytes(index.model_numbers), np.uint8).astype(np.int32) - 1
            facets.append(facet_by_number("model", models, _by_row(numbers, self._numbers, -1)))
        return facets


class KeptRows(StoredRows):
    """The answers that a project keeps, oldest first.

    A row is one answer for good. Once the project was cleared every row says so, whatever the
    project keeps since; where a single answer was deleted, its row does.

    Args:
        project: Where they are kept.
    """

    noun = "answer"
    order_text = "oldest first"

    def __init__(self, project: ProjectPaths) -> None:
        self._paths = project
        self.project = project.name
        self.named = (project.name, "what the project keeps")
        self.codes = np.zeros(0, np.uint8)
        self._numbers: Sequence[int] = range(0)
        """The number of each row in the database; 0 where the answer was deleted."""

        self._extent: Extent | None = None
        self._held: Database | None = None
        """Where the numbers count; None before there is one."""

        self._was_cleared = False
        self.refresh()

    @property
    def places(self) -> npt.NDArray[np.int64]:
        """Nothing: answers stand as they were kept."""
        raise InputError(
            "What a project keeps stands in no table’s order, so no other row belongs beside it: "
            "give a run, its name, or a details frame."
        )

    @property
    def _is_cleared(self) -> bool:
        return self._held is not None and not self._held.is_current

    @property
    def cleared(self) -> int:
        """How many answers are kept no more."""
        if self._is_cleared:
            return len(self)
        return 0 if isinstance(self._numbers, range) else self._numbers.count(0)

    def refresh(self) -> bool:
        """Look for new answers; those that are gone keep their places."""
        was_cleared, self._was_cleared = self._was_cleared, self._is_cleared
        if self._held is None:
            self._held = databases.existing(self._paths)
        if self._held is None or self._was_cleared:
            return was_cleared != self._was_cleared
        try:
            extent = self._held.extent()
            if extent == self._extent:
                return False
            self._numbers = _in_their_places(self._numbers, self._held.numbers(extent))
        except StoreError:  # cleared this moment
            return False
        self._extent = extent
        self.codes = np.full(len(self._numbers), ANSWERED, np.uint8)
        return True

    def _stored(self, positions: Sequence[int]) -> list[tuple[str, bytes] | None]:
        numbers = [self._numbers[position] for position in positions]
        stored: dict[int, tuple[str, bytes]] = {}
        if self._held is not None and not self._is_cleared:
            with suppress(StoreError):
                stored = self._held.numbered(numbers)
        return list(map(stored.get, numbers))

    def _entries(self, positions: Sequence[int]) -> list[Entry | None]:
        pairs = self._stored(positions)
        return [None if pair is None else decode(pair[1], pair[0]) for pair in pairs]

    def _candidates(self, plain: bytes, positions: Sequence[int]) -> list[int]:
        pairs = zip(positions, self._stored(positions), strict=True)
        return [position for position, pair in pairs if pair and plain in pair[1].lower()]

    def _outcome(self, position: int, entry: Entry | None) -> Outcome:
        if entry is None:
            return Outcome(row=position)
        return Outcome(
            row=position,
            key=entry.key,
            provider=entry.provider,
            model=entry.model,
            usd=entry.usd,
            seconds=entry.seconds,
        )


def _in_their_places(before: Sequence[int], now: Sequence[int]) -> Sequence[int]:
    """Return the numbers of rows that are read, 0 for those that are gone, then the later ones."""
    if isinstance(before, range) and isinstance(now, range) and len(now) >= len(before):
        return now
    there, last = set(now), max(before, default=0)
    kept = [number if number in there else 0 for number in before]
    return kept + [number for number in now if number > last]
