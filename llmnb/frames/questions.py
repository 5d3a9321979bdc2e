"""Turn the rows of a table into requests, one by one as a run pulls them.

Rows that ask nothing are left out; `Questions.row_of` says which row of the
table a request belongs to.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from typing import Any, overload

from llmnb.engine.source import InMemory
from llmnb.errors import InputError
from llmnb.frames.asked_rows import AskedRows
from llmnb.frames.images import Fetched, Pictured, pictures_in
from llmnb.frames.options import Example, Options
from llmnb.frames.table_source import Columns, name_of
from llmnb.frames.template import Template, conversation, last_text, listed, prompt_template
from llmnb.running.preparer import sample
from llmnb.wire.json_text import json_text

Texts = Mapping[str, Sequence[str | None]]


class Questions(AskedRows, InMemory):
    """The requests about a table, as a sequence.

    Args:
        columns: The table.
        prompt: A column's name, or a text with names in braces; None where `options.messages`
            names a column of whole conversations.
        options: What else is asked and how: messages, system, examples, images and where their
            files may lie, and the number of answers to a row.
        variants: Fields that tell several requests for one row apart, such as their model.
        prompts: The prompt of each variant, where they are asked in different words; the first
            one is the prompt.
        labelled: Answers by the rows that they are known of: these are examples to all others.

    Raises:
        InputError: If the prompt names what is no column, or an example is no pair.

    Example:
        >>> columns = Columns(3, ["text"], lambda position: ["a", None, "b"])
        >>> asked = Questions(columns, "Say {text}")
        >>> asked[1]
        {'messages': [{'role': 'user', 'content': 'Say b'}]}
        >>> len(asked), asked.row_of(1)
        (2, 2)
    """

    def __init__(
        self,
        columns: Columns,
        prompt: Hashable | None,
        options: Options | None = None,
        *,
        variants: Sequence[Mapping[str, Any]] = ({},),
        prompts: Sequence[Hashable] = (),
        labelled: Mapping[int, Any] | None = None,
    ) -> None:
        options = options or Options()
        images = options.images
        self._conversations: list[Any] | None = None
        self.prompt = "" if prompt is None else str(prompt)
        """The prompt as it was typed."""

        self.text: Callable[[int], str]
        """Returns the prompt of a row of the table."""

        templates: dict[Any, Template] = {}
        if options.messages is not None:
            texts = self._read_conversations(prompt, options.messages, columns)
        else:
            texts = {}
            for own in prompts or [prompt]:
                template = _template(own, columns, is_constant_fine=images is not None)
                templates[own] = template
                for name in template.fields:
                    if name not in texts:
                        texts[name] = columns.texts(name)
            self.text = _renderer(templates[prompt], texts)
        shown = dict(texts)
        self._files_root = options.files_root
        self._pictured = Fetched if options.fetch_files else Pictured
        self._pictures = None if images is None else columns.cells(name_of(images))
        system: Template | None = None
        self._system: Callable[[int], str] | None = None
        """Returns the system message of a row."""

        if options.system:
            system = Template(options.system, columns.names)
            cells = {name: columns.texts(name) for name in system.fields}
            shown |= cells
            self._system = _renderer(system, cells)
        self._shown = list(shown.values())
        self._example_turns: list[dict[str, Any]] = []
        if options.examples:
            self._example_turns = _example_turns(options.examples, templates.get(prompt))
        self._samples = options.n
        self._variants = tuple(variants)
        self._texts: Sequence[Callable[[int], str | None]] = [
            _renderer_where_asked(templates[own], texts) for own in prompts
        ] or [self.text] * len(self._variants)
        """Returns the prompt of a row for each variant, None where it asks nothing."""

        self._labelled: list[dict[int, list[dict[str, Any]]]] = []
        """The turns of rows whose answers are known, for each variant; empty where none are."""

        if labelled:
            self._labelled = [_labelled_turns(text, labelled) for text in self._texts]

        self.has_pictures = images is not None
        self.is_constant = not (self.has_pictures or texts or (system and system.fields))
        """Whether every row asks the same."""

        self.fields: Sequence[str] = columns.used
        """Names of the columns that were read."""

        self.rows = columns.rows
        """Rows of the table."""

        asking = _rows_that_ask(columns.rows, texts, self._pictures)
        super().__init__(asking, options.n * len(self._variants))
        self.empty = columns.rows - len(self.positions)
        """Rows that ask nothing."""

    def _read_conversations(
        self, prompt: Hashable | None, messages: Hashable, columns: Columns
    ) -> Texts:
        """Read a column of conversations; return None in rows that ask nothing."""
        if prompt is not None:
            raise InputError(
                "messages=… holds the whole question, so it does not go with a prompt: leave one "
                "of them out. Nothing was sent."
            )
        cells = columns.cells(name_of(messages))
        self._conversations = cells
        self.text = lambda row: last_text(cells[row])
        return {"": [None if _says_nothing(cell) else "" for cell in cells]}

    def cells_of(self, row: int) -> list[str | None]:
        """Return the texts of a row's cells that its prompt and its system message show."""
        return [column[row] for column in self._shown]

    def shows_pictures(self, row: int) -> bool:
        """Whether a row's prompt comes with pictures."""
        return self._pictures is not None and bool(pictures_in(self._pictures[row]))

    def prompt_of(self, row: int, request: int = 0) -> str | None:
        """Return the rendered prompt of a row of the table; None where there is none to show.

        Args:
            row: The row.
            request: Which of the requests about it.
        """
        try:
            return self._texts[request // self._samples](row)
        except InputError:  # its row says what is wrong
            return None

    def about(self, positions: Sequence[int]) -> Questions:
        """Return the same questions about some of the rows that ask something."""
        twin = object.__new__(Questions)
        twin.__dict__.update(self.__dict__)
        twin.positions = positions
        twin.empty = 0
        return twin

    @property
    def asks_each_row(self) -> bool:
        """Whether each row of the table is one request, so that both have the same number."""
        return self.group == 1 and self.positions == range(self.rows)

    def __iter__(self) -> Iterator[Any]:
        if self.group == 1:
            yield from map(self._request, self.positions)
            return
        for row in self.positions:
            yield from self._requests(row)

    @overload
    def __getitem__(self, index: int) -> Any: ...
    @overload
    def __getitem__(self, index: slice) -> list[Any]: ...
    def __getitem__(self, index: int | slice) -> Any:
        if isinstance(index, slice):
            return [self[request] for request in range(*index.indices(len(self)))]
        request = range(len(self))[index]
        return self._requests(self.row_of(request))[request % self.group]

    def _requests(self, row: int) -> list[Any]:
        requests = [self._request(row, number) for number in range(len(self._variants))]
        if self._samples == 1:
            return requests
        return [sample(request, k) for request in requests for k in range(self._samples)]

    def _request(self, row: int, number: int = 0) -> Any:
        variant = self._variants[number]
        before = self._example_turns
        if self._labelled:
            # A row never has its own answer before it.
            known = self._labelled[number].items()
            others = [turns for example, turns in known if example != row]
            before = [*before, *itertools.chain.from_iterable(others)]
        if self._system is not None and (system := self._system(row)):
            before = [{"role": "system", "content": system}, *before]
        if self._conversations is not None:
            try:
                messages = conversation(self._conversations[row])
            except InputError as error:
                return error
            return {**variant, "messages": [*before, *(messages or ())]}
        text = self._texts[number](row)
        if text is None:
            return InputError("This prompt's fields are all missing in the row: it asks nothing.")
        if self._pictures is not None and (cells := pictures_in(self._pictures[row])):
            return self._pictured(before, text, cells, variant, self._files_root)
        return {**variant, "messages": [*before, {"role": "user", "content": text}]}


def _template(prompt: Hashable | None, columns: Columns, *, is_constant_fine: bool) -> Template:
    names = columns.names
    if prompt is None:
        raise InputError(
            "What is to be asked? Give a prompt, or messages=… with a column of conversations. "
            "Nothing was sent."
        )
    if isinstance(prompt, Template):
        return prompt
    if not isinstance(prompt, str):
        if name_of(prompt) not in names:
            raise InputError(
                f"A prompt is a column's name or a text with names in braces, not "
                f"{type(prompt).__name__}. Columns: {listed(names)}. "
                "Where every row has a prompt of its own, make them a column. Nothing was sent."
            )
        return Template(name_of(prompt), names)
    return Template(prompt, names) if is_constant_fine else prompt_template(prompt, names)


def _says_nothing(cell: Any) -> bool:
    try:
        return conversation(cell) is None
    except InputError:
        return False  # `_request` returns the error for this row


def _renderer(template: Template, texts: Texts) -> Callable[[int], str]:
    """Return a function that renders the prompt of a row."""
    parts = [texts[part] if is_field else part for part, is_field in template.parts]

    def render(row: int) -> str:
        return "".join([part if type(part) is str else part[row] or "" for part in parts])

    return render


def _renderer_where_asked(template: Template, texts: Texts) -> Callable[[int], str | None]:
    """Return a function that renders a row's prompt, None where all of its fields are missing."""
    render, cells = _renderer(template, texts), [texts[field] for field in template.fields]
    if not cells:
        return render
    return lambda row: render(row) if any(column[row] is not None for column in cells) else None


def _labelled_turns(
    text: Callable[[int], str | None], labelled: Mapping[int, Any]
) -> dict[int, list[dict[str, Any]]]:
    """Return the prompts of rows and the answers that are known of them, as turns, by row."""
    return {
        row: [
            {"role": "user", "content": prompt},
            {"role": "assistant", "content": _example_text(label)},
        ]
        for row, label in labelled.items()
        if (prompt := text(row)) is not None
    }


def _rows_that_ask(rows: int, texts: Texts, pictures: Sequence[Any] | None) -> Sequence[int]:
    """Return the rows in which at least one field is not missing."""
    columns: list[Sequence[Any]] = list(texts.values())
    if pictures is not None:
        columns.append([pictures_in(cell) or None for cell in pictures])
    if not columns:
        return range(rows)
    missing = (None,) * len(columns)
    asking = [row for row, cells in enumerate(zip(*columns, strict=True)) if cells != missing]
    return range(rows) if len(asking) == rows else asking


def _example_turns(examples: Sequence[Example], template: Template | None) -> list[dict[str, Any]]:
    """Return the examples' turns, which stand before every question."""
    messages: list[dict[str, Any]] = []
    for number, example in enumerate(examples):
        if not isinstance(example, (tuple, list)) or len(example) != 2:
            raise InputError(
                f"examples[{number}] must be a pair of an input and its answer, such as "
                "('Guten Tag', 'Good day'). Nothing was sent."
            )
        question, answer = example
        if isinstance(question, Mapping) and template is not None:
            cells = {name_of(label): cell for label, cell in question.items()}
            question = template.render(cells) or ""
        messages.append({"role": "user", "content": _example_text(question)})
        messages.append({"role": "assistant", "content": _example_text(answer)})
    return messages


def _example_text(value: Any) -> str:
    """Return a side of an example: text as it is, anything else as JSON."""
    if isinstance(value, str):
        return value
    dump = getattr(value, "model_dump_json", None)  # a pydantic model
    if dump is not None:
        return str(dump())
    return json_text(value)
