"""The rows of a table as requests, made one by one as a run pulls them.

Rows that ask nothing are left out; `Questions.row_of` says which row of the
table a request belongs to.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from typing import Any, cast, overload

from llmnb.errors import InputError
from llmnb.frames.columns import Columns, name_of
from llmnb.frames.conversations import conversation, last_text
from llmnb.frames.images import Fetched, Pictured, pictures_in
from llmnb.frames.options import Example
from llmnb.frames.template import Template, prompt_template
from llmnb.running.preparer import sample
from llmnb.wire.json_text import json_text

Texts = Mapping[str, Sequence[str | None]]


class Questions(Sequence[Any]):
    """What is asked of a table: a sequence of requests.

    Args:
        columns: The table.
        prompt: A column's name, or a text with names in braces; None where `messages` is given.
        messages: Column of whole conversations, in place of a prompt.
        system: A system message before every question, with names in braces where it is to be
            filled from the row.
        examples: Few-shot turns; an input that is a mapping fills the prompt's own fields.
        images: Column of pictures.
        files_root: Folder below which texts in it may name files; None: the working folder.
        fetch_files: Whether pictures on the web are fetched here.
        samples: Requests for every row and way of asking.
        ways: Fields that tell several requests for one row apart, such as their model.

    Raises:
        InputError: If the prompt names what is no column, or an example is no pair.

    Example:
        >>> import pandas as pd
        >>> columns = Columns.of(pd.DataFrame({"text": ["a", None, "b"]}))
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
        *,
        messages: Hashable | None = None,
        system: str | None = None,
        examples: Sequence[Example] | None = None,
        images: Hashable | None = None,
        files_root: str | os.PathLike[str] | None = None,
        fetch_files: bool = False,
        samples: int = 1,
        ways: Sequence[Mapping[str, Any]] = ({},),
    ) -> None:
        self._conversations: list[Any] | None = None
        self._text: Callable[[int], str]
        if messages is not None:
            template, texts = self._talking(prompt, messages, columns)
        else:
            template = _template(prompt, columns, is_constant_fine=images is not None)
            texts = {name: columns.texts(name) for name in template.fields}
            self._text = _renderer(template, texts)
        self._files_root = files_root
        self._pictured = Fetched if fetch_files else Pictured
        self._pictures = None if images is None else columns.cells(name_of(images))
        self._system = None if not system else _system(system, columns)
        self._before = _before(examples, template)
        self._samples = samples
        self._ways = tuple(ways)
        self.rows = columns.rows
        """Rows of the table."""

        self.positions: Sequence[int] = _asking(columns.rows, texts, self._pictures)
        """Rows that ask something, in order."""

    def _talking(
        self, prompt: Hashable | None, messages: Hashable, columns: Columns
    ) -> tuple[Template | None, Texts]:
        """Take the conversations of a column; return what says which rows ask something."""
        if prompt is not None:
            raise InputError(
                "messages=… holds the whole question, so it does not go with a prompt: leave one "
                "of them out. Nothing was sent."
            )
        cells = columns.cells(name_of(messages))
        self._conversations = cells
        self._text = lambda row: last_text(cells[row])
        return None, {"": [None if _says_nothing(cell) else "" for cell in cells]}

    @property
    def group(self) -> int:
        """Requests for every row that asks something."""
        return self._samples * len(self._ways)

    @property
    def samples(self) -> int:
        """Requests for every row and way of asking."""
        return self._samples

    @property
    def has_pictures(self) -> bool:
        """Whether questions hold pictures."""
        return self._pictures is not None

    def row_of(self, request: int) -> int:
        """Return the row of the table that a request belongs to."""
        return self.positions[request // self.group]

    def first(self, rows: int) -> Questions:
        """Return the same questions about the first so many rows that ask something."""
        twin = object.__new__(Questions)
        twin.__dict__.update(self.__dict__)
        twin.positions = self.positions[:rows]
        return twin

    def text(self, row: int) -> str:
        """Return the prompt of a row of the table."""
        return self._text(row)

    def __len__(self) -> int:
        return len(self.positions) * self.group

    def __iter__(self) -> Iterator[Any]:
        if self.group == 1:
            yield from map(self._request, self.positions)
            return
        for row in self.positions:
            yield from self._requests(row)

    @overload
    def __getitem__(self, place: int) -> Any: ...
    @overload
    def __getitem__(self, place: slice) -> list[Any]: ...
    def __getitem__(self, place: int | slice) -> Any:
        if isinstance(place, slice):
            return [self[one] for one in range(*place.indices(len(self)))]
        place = range(len(self))[place]
        return self._requests(self.positions[place // self.group])[place % self.group]

    def _requests(self, row: int) -> list[Any]:
        made = [self._request(row, way) for way in self._ways]
        if self._samples == 1:
            return made
        return [sample(request, k) for request in made for k in range(self._samples)]

    def _request(self, row: int, way: Mapping[str, Any] | None = None) -> Any:
        way = self._ways[0] if way is None else way
        before = self._before
        if self._system is not None and (system := self._system(row)):
            before = [{"role": "system", "content": system}, *before]
        if self._conversations is not None:
            try:
                said = conversation(self._conversations[row])
            except InputError as error:
                return error
            return {**way, "messages": [*before, *(said or ())]}
        text = self._text(row)
        if self._pictures is not None and (cells := pictures_in(self._pictures[row])):
            return self._pictured(before, text, cells, way, self._files_root)
        return {**way, "messages": [*before, {"role": "user", "content": text}]}


def _template(prompt: Hashable | None, columns: Columns, *, is_constant_fine: bool) -> Template:
    names = columns.names
    if prompt is None:
        raise InputError(
            "What is to be asked? Give a prompt, or messages=… with a column of conversations. "
            "Nothing was sent."
        )
    if not isinstance(prompt, str):
        if name_of(prompt) not in names:
            raise InputError(
                f"A prompt is a column's name or a text with names in braces, not "
                f"{type(prompt).__name__}. Columns: {', '.join(map(repr, names))[:600]}."
            )
        return Template(name_of(prompt), names)
    return Template(prompt, names) if is_constant_fine else prompt_template(prompt, names)


def _system(system: str, columns: Columns) -> Callable[[int], str]:
    template = Template(system, columns.names)
    return _renderer(template, {name: columns.texts(name) for name in template.fields})


def _says_nothing(cell: Any) -> bool:
    try:
        return conversation(cell) is None
    except InputError:
        return False  # its row says what is wrong


def _renderer(template: Template, texts: Texts) -> Callable[[int], str]:
    """Return what makes the prompt of a row."""
    parts = [texts[part] if is_field else part for part, is_field in template.parts]
    if len(parts) == 1 and not isinstance(parts[0], str):
        whole = parts[0]
        return lambda row: whole[row] or ""
    if not template.fields:
        same = "".join(cast("list[str]", parts))
        return lambda row: same

    def render(row: int) -> str:
        return "".join([part if type(part) is str else part[row] or "" for part in parts])

    return render


def _asking(rows: int, texts: Texts, pictures: Sequence[Any] | None) -> Sequence[int]:
    """Return the rows in which at least one field says something."""
    columns: list[Sequence[Any]] = list(texts.values())
    if pictures is not None:
        columns.append([pictures_in(cell) or None for cell in pictures])
    if not columns:
        return range(rows)
    if len(columns) == 1:
        found = [row for row, cell in enumerate(columns[0]) if cell is not None]
    else:
        found = [
            row
            for row, cells in enumerate(zip(*columns, strict=True))
            if any(cell is not None for cell in cells)
        ]
    return range(rows) if len(found) == rows else found


def _before(examples: Sequence[Example] | None, template: Template | None) -> list[dict[str, Any]]:
    """Return the examples' turns, which stand before every question."""
    messages: list[dict[str, Any]] = []
    for place, example in enumerate(examples or ()):
        if not isinstance(example, (tuple, list)) or len(example) != 2:
            raise InputError(
                f"examples[{place}] must be a pair of an input and its answer, such as "
                "('Guten Tag', 'Good day'). Nothing was sent."
            )
        question, answer = example
        if isinstance(question, Mapping) and template is not None:
            question = template.render(_with_names(question)) or ""
        messages.append({"role": "user", "content": _said(question)})
        messages.append({"role": "assistant", "content": _said(answer)})
    return messages


def _with_names(cells: Mapping[Any, Any]) -> dict[str, Any]:
    return {name_of(label): cell for label, cell in cells.items()}


def _said(value: Any) -> str:
    """Return what an example says: text as it is, anything else as JSON."""
    if isinstance(value, str):
        return value
    dump = getattr(value, "model_dump_json", None)  # a pydantic model
    if dump is not None:
        return str(dump())
    return json_text(value)
