"""The rows of a run, under way or finished, and those that a project keeps."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import orjson

from llmnb.adapters.diskcache import Database, Extent
from llmnb.display import moments
from llmnb.errors import ConfigurationError, InputError, LLMNBError, StoreError
from llmnb.frames.answers import AnswerForm
from llmnb.frames.questions import Questions
from llmnb.frames.row_sources import (
    ANSWERED,
    EMPTY,
    FAILED,
    MERGED,
    OUTCOMES,
    REUSED,
    WAITING,
    Answer,
    Codes,
    Facet,
    Flags,
    Mask,
    Numbers,
    ReadRow,
    RowSource,
    cause_words,
    facet_of,
    fills,
    shown,
)
from llmnb.frames.run import TableRun
from llmnb.frames.table_source import TableSource, name_of
from llmnb.frames.template import Template
from llmnb.records import Outcome, Reply
from llmnb.schemas import Output
from llmnb.schemas.quotes import supported_name
from llmnb.store import search
from llmnb.store.entry import Entry, decode
from llmnb.store.layout import ProjectPaths
from llmnb.store.project import databases
from llmnb.wire.dialect import dialect

NOT_IN_THE_ROW = "Not in the row"
"""The facet of fields whose quote does not stand in their row."""

_MOST_LOOKED_UP = 50_000
"""Rows whose quotes are all looked up, to be filtered by."""

_BY_SOURCE = {"sent": ANSWERED, "cached": REUSED, "reused": REUSED, "merged": MERGED}


def _code(outcome: Outcome | None) -> int:
    if outcome is None:
        return WAITING
    if outcome.error is not None:
        return FAILED
    return _BY_SOURCE[outcome.source]


def _reply_facts(row: ReadRow, reply: Reply) -> None:
    """Add what a reply tells beside its answer."""
    row.reasoning = reply.reasoning or ""
    row.tool_calls = tuple(f"{call.name}({call.arguments})" for call in reply.tool_calls)
    usage = reply.usage
    if usage is not None:
        row.prompt_tokens, row.completion_tokens = usage.known_prompt, usage.known_completion
        row.cached_tokens = usage.cache_read or None
        row.reasoning_tokens = usage.reasoning or None


def _request_facts(row: ReadRow, request: Any) -> None:
    """Add what was asked beside the prompt: instructions, earlier turns, pictures."""
    turns: list[tuple[str, str]] = []
    messages = request.get("messages") if isinstance(request, Mapping) else None
    for message in messages or ():
        if not isinstance(message, Mapping):
            continue
        text = search.text_of(message)
        if message.get("role") in ("system", "developer"):
            row.system = "\n\n".join(filter(None, (row.system, text)))
        else:
            turns.append((str(message.get("role", "")), text))
        row.files += tuple(_files_of(message.get("content")))
    if isinstance(request, Mapping) and isinstance(own := request.get("system"), str):
        row.system = own
    row.turns = tuple(turns[:-1])


def _files_of(content: Any) -> list[str]:
    if not isinstance(content, list):
        return []
    kinds = [part.get("type") for part in content if isinstance(part, Mapping)]
    return [str(kind).replace("_", " ") for kind in kinds if kind not in ("text", None)]


class RunRows(RowSource):
    """The rows of a run over a table, while it goes on and afterwards.

    Args:
        run: The run.
    """

    can_retry = True

    def __init__(self, run: TableRun[Any]) -> None:
        self._run = run
        self._questions: Questions = run.questions
        self._form: AnswerForm | None = run.form
        self._is_by_row = self._questions.group == 1
        self.project = run.project
        self.question = "" if run.form is None else name_of(run.form.options.name)
        self._facets: list[Facet] | None = None
        self._retried: list[Any] = []
        self._template = _template_of(self._questions)
        fields = () if self._template is None else self._template.fields
        self._named = [f"{{{name}}}" for name in fields]
        self._outcomes: list[Outcome | None] = []
        self._codes: Codes = np.zeros(0, np.uint8)
        positions, rows = self._questions.positions, self._questions.rows
        has_each = not self._is_by_row or len(positions) == rows
        self._requests = Numbers() if has_each else Numbers(np.asarray(positions, np.int64), rows)
        self._counts, self._still = run.counts, 0
        self._take()

    def _take(self) -> None:
        self._outcomes = outcomes = self._run.outcomes()
        codes = np.fromiter(map(_code, outcomes), np.uint8, len(outcomes))
        self._codes = self._requests.by_row(codes, EMPTY)
        self.named = (self._run.project, self._run.asked)  # it knows whom once it has begun

    def __len__(self) -> int:
        return len(self._codes)

    def codes(self) -> Codes:
        """Return what became of each row."""
        return self._codes

    def refresh(self) -> bool:
        """Take the answers that have come; return whether there are any."""
        # Taking a million rows takes a third of a second; so not where nothing can have come. A
        # count may be a moment ahead of its row.
        counts, before = self._run.counts, self._codes
        self._still = self._still + 1 if counts == self._counts and not self.is_running else 0
        if self._still > 1:
            return False
        self._counts = counts
        self._take()
        has_changed = not np.array_equal(before, self._codes)
        if has_changed:
            self._facets = None
        return has_changed

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
    def fields(self) -> Sequence[str]:
        """The parts of a structured answer, each of which has a column."""
        output = None if self._form is None else self._form.output
        if output is None or output.is_wrapped or not output.has_fields:
            return ()
        return [name for name, _ in output.fields]

    def column_of(self, field: str) -> str:
        """Return the name of the column of a structured answer's field, or of an answer: ""."""
        form = self._form
        return name_of(form.column_of(field)) if field and form is not None else self.question

    def table(self) -> TableSource | None:
        """Return the table; None where a row has several answers."""
        return self._form.source if self._form is not None and self._is_by_row else None

    def read(self, positions: Sequence[int], *, whole: bool = False) -> list[ReadRow]:
        """Return some rows."""
        return [self._read(position, whole) for position in positions]

    def _read(self, position: int, whole: bool) -> ReadRow:
        row = ReadRow(position=position, outcome=OUTCOMES[self._codes[position]])
        request = self._requests.of(position)
        questions = self._questions
        place = position if self._is_by_row else questions.row_of(request)
        row.prompt = self._prompt(place)
        if self._template is not None:
            row.fills = fills(self._template.parts, row.prompt)
        if request < 0:
            row.prompt, row.fills = f"{' and '.join(self._named)} is empty", ()
            return row
        outcome = self._outcomes[request]
        if outcome is not None:
            self._add_outcome(row, outcome)
        if whole:
            row.unsupported = frozenset(self._unsupported(request))
            self._add_whole(row, request, place)
        return row

    def _unsupported(self, request: int) -> list[str]:
        """Return the fields of an answer whose quote does not stand in its row."""
        outcome, form = self._outcomes[request], self._form
        if form is None or form.quotes is None or form.output is None:
            return []
        if outcome is None or not outcome.is_answer:
            return []
        marks = form.quotes.marks(request, form.output.as_mapping(outcome.value))
        return [
            field
            for field in form.quotes.output.quoted_fields
            if marks.get(supported_name(field)) is False
        ]

    def _add_outcome(self, row: ReadRow, outcome: Outcome) -> None:
        row.model, row.provider = outcome.model, outcome.provider
        row.usd, row.seconds, row.key = outcome.usd, outcome.seconds, outcome.key
        error, reply = outcome.error, outcome.reply
        if error is not None:
            row.error = error.message
            row.cause = cause_words(type(error).__name__)
            row.reply = _what_came(error, reply)
        if reply is not None:
            if error is None:
                row.answer = reply.text or None
            _reply_facts(row, reply)
        output = None if self._form is None else self._form.output
        if output is not None and outcome.is_answer:
            add_value(row, output, outcome.value)

    def _add_whole(self, row: ReadRow, request: int, place: int) -> None:
        if not self._questions.has_pictures:
            asked = self._questions[request]
            if not isinstance(asked, Exception):
                _request_facts(row, asked)
        source = None if self._form is None else self._form.source
        if source is not None:
            (label,) = source.row_labels([place])
            row.label = "" if label == f"{row.position:,}" else label

    def answers(self, positions: Sequence[int]) -> list[Answer | None]:
        """Return the answers of some rows; no prompt is rendered."""
        answers = list[Answer | None]()
        for position in positions:
            request = self._requests.of(position)
            outcome = self._outcomes[request] if request >= 0 else None
            if outcome is None or outcome.error is not None:
                answers.append(None)
            else:
                row = ReadRow(position=position, outcome="")
                self._add_outcome(row, outcome)
                answers.append(Answer(row.line, row.fields))
        return answers

    def find(self, pattern: re.Pattern[str], positions: Sequence[int]) -> list[int]:
        """Return which of some rows hold a text in their prompt, answer, fields or error."""
        search_in, found = pattern.search, list[int]()
        output = None if self._form is None else self._form.output
        for position in positions:
            request = self._requests.of(position)
            if request < 0:
                continue
            place = position if self._is_by_row else self._questions.row_of(request)
            outcome = self._outcomes[request]
            texts = [self._prompt(place)]
            if outcome is not None:
                texts += [outcome.text or "", outcome.error.message if outcome.error else ""]
                if output is not None and outcome.is_answer:
                    texts += map(shown, output.as_mapping(outcome.value).values())
            if any(search_in(text) for text in texts if text):
                found.append(position)
        return found

    def _prompt(self, place: int) -> str:
        try:
            return self._questions.text(place)
        except InputError:  # its row says what is wrong
            return ""

    def facets(self) -> list[Facet]:
        """Return why rows failed, the fields of the answers, and the models if several."""
        if self._facets is None:
            causes = [self._cause(position) for position in range(len(self))]
            names = [("Cause", causes)]
            output = None if self._form is None else self._form.output
            if output is not None:
                answers = [
                    {} if row is None or not row.is_answer else output.as_mapping(row.value)
                    for row in self._outcomes
                ]
                for name, _ in output.fields:
                    title = "Answer" if output.is_wrapped else name
                    names.append((title, self._requests.listed([own.get(name) for own in answers])))
            else:
                answered = [None if row is None else row.text for row in self._outcomes]
                names.append(("Answer", self._requests.listed(answered)))
            models = [None if row is None or row.error else row.model for row in self._outcomes]
            found = [facet_of(name, cells) for name, cells in names]
            model = facet_of("model", self._requests.listed(models))
            self._facets = [facet for facet in found if facet is not None]
            if unsupported := self._unsupported_masks():
                self._facets.append(Flags(NOT_IN_THE_ROW, unsupported))
            if model is not None and len(model.values) > 1:
                self._facets.append(model)
        return self._facets

    def _unsupported_masks(self) -> dict[str, Mask]:
        """Return by field which rows it is unsupported in; of large tables nothing."""
        masks: dict[str, Mask] = {}
        if self._form is None or self._form.quotes is None or len(self) > _MOST_LOOKED_UP:
            return masks
        for position in range(len(self)):
            request = self._requests.of(position)
            for field in self._unsupported(request) if request >= 0 else ():
                masks.setdefault(field, np.zeros(len(self), np.bool_))[position] = True
        return masks

    def _cause(self, position: int) -> str | None:
        if self._codes[position] != FAILED:
            return None
        outcome = self._outcomes[self._requests.of(position)]
        if outcome is None or outcome.error is None:
            return None
        return cause_words(type(outcome.error).__name__)

    def _error_at(self, position: int) -> LLMNBError | None:
        request = self._requests.of(position)
        outcome = self._outcomes[request] if request >= 0 else None
        return None if outcome is None else outcome.error

    def alike(self, position: int) -> int:
        """Return how many rows failed for the same as this one."""
        cause = self._cause(position)
        failed = np.flatnonzero(self._codes == FAILED).tolist()
        return 0 if cause is None else Counter(map(self._cause, failed))[cause]

    def retry(self, position: int) -> int:
        """Ask the rows again that failed for the same as this one; returns how many."""
        error = self._error_at(position)
        if error is None:
            raise ConfigurationError("This row has not failed.")
        count = self.alike(position)
        self._retried.append(self._run.retry_failed(type(error).__name__))
        return count


def add_value(row: ReadRow, output: Output, value: Any) -> None:
    """Add to a row what its structured answer holds, in place of the text that came."""
    fields = output.as_mapping(value)
    if output.is_wrapped:
        row.answer = "".join(map(shown, fields.values()))
    else:
        row.fields, row.as_it_came, row.answer = fields, row.answer or "", None


def _template_of(questions: Questions) -> Template | None:
    try:
        return Template(questions.prompt, list(questions.fields)) if questions.fields else None
    except InputError:
        return None


def _what_came(error: LLMNBError, reply: Reply | None) -> str:
    """Return what the model or the provider said to a failed row."""
    if reply is not None:
        return reply.text
    details = error.details
    if details.raw is not None:
        return details.raw.decode(errors="replace")
    return details.body or ""


# ------------------------------------------------------------------------- a project


class KeptRows(RowSource):
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
        self._numbers: Sequence[int] = range(0)
        """The number of each row in the database; 0 where the answer was deleted."""

        self._extent: Extent | None = None
        self._held: Database | None = None
        """Where the numbers count; None before there is one."""

        self._was_cleared = False
        self.refresh()
        self.named = (project.name, "what the project keeps")

    def __len__(self) -> int:
        return len(self._numbers)

    def codes(self) -> Codes:
        """Return that each is answered."""
        return np.full(len(self), ANSWERED, np.uint8)

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
        return True

    def _stored(self, positions: Sequence[int]) -> dict[int, tuple[str, bytes]]:
        if self._held is None or self._is_cleared:
            return {}
        places = {self._numbers[position]: position for position in positions}
        try:
            found = self._held.numbered(list(places))
        except StoreError:
            return {}
        return {places[number]: pair for number, pair in found.items()}

    def read(self, positions: Sequence[int], *, whole: bool = False) -> list[ReadRow]:
        """Return some answers with what was asked."""
        stored = self._stored(positions)
        return [self._read(position, stored.get(position), whole) for position in positions]

    def _read(self, position: int, pair: tuple[str, bytes] | None, whole: bool) -> ReadRow:
        row = ReadRow(position=position, outcome=OUTCOMES[ANSWERED])
        entry = None if pair is None else decode(pair[1], pair[0])
        if entry is None:
            row.is_cleared = True
            return row
        return entry_row(row, entry, whole)

    def find(self, pattern: re.Pattern[str], positions: Sequence[int]) -> list[int]:
        """Return which of some answers hold a text; most are passed over unparsed."""
        if plain := plain_needle(pattern):
            stored = self._stored(positions).items()
            positions = sorted(position for position, (_, data) in stored if plain in data.lower())
        return super().find(pattern, positions)


def _in_their_places(before: Sequence[int], now: Sequence[int]) -> Sequence[int]:
    """Return the numbers of rows that are read, 0 for those that are gone, then the later ones."""
    if isinstance(before, range) and isinstance(now, range) and len(now) >= len(before):
        return now
    there, last = set(now), max(before, default=0)
    kept = [number if number in there else 0 for number in before]
    return kept + [number for number in now if number > last]


_PLAIN = re.compile(r"[a-z0-9 ,.:;!?_-]+")


def plain_needle(pattern: re.Pattern[str]) -> bytes:
    """Return the bytes that an answer's JSON must hold where it holds a text; empty: nobody knows.

    JSON writes some signs in several ways; of these letters, digits and signs each is itself.
    """
    literal = re.sub(r"\\(.)", r"\1", pattern.pattern).lower()
    return literal.encode() if _PLAIN.fullmatch(literal) and "|" not in pattern.pattern else b""


def entry_row(row: ReadRow, entry: Entry, whole: bool) -> ReadRow:
    """Add to a row what the store holds of it."""
    row.prompt = search.question(entry)
    row.model, row.provider, row.key = entry.model, entry.provider, entry.key
    row.prompt_tokens, row.completion_tokens = entry.prompt_tokens, entry.completion_tokens
    row.usd, row.seconds = entry.usd, entry.seconds
    if not whole:
        row.answer = search.answer(entry)
        return row
    try:
        reply = dialect(entry.dialect).parse(entry.raw)
    except LLMNBError:
        row.answer = search.UNREADABLE
        return row
    row.answer = search.answer(entry)
    _reply_facts(row, reply)
    try:
        _request_facts(row, orjson.loads(entry.request))
    except orjson.JSONDecodeError:
        row.prompt = search.UNREADABLE
    if entry.created:
        row.label = f"kept {moments.moment(entry.created)}"
    return row
