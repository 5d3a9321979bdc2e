"""The quotes of a table's answers, looked up in the cells that their prompts have shown."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from llmnb.evaluation.quotes import CellTexts, is_supported
from llmnb.frames.asked_rows import AskedRows
from llmnb.schemas.quotes import QuotedOutput, quote_name, supported_name

_NAMED = 5
"""Fields that a receipt names."""


@dataclass(frozen=True, slots=True)
class Quotes:
    """Tells for each field of each answer whether the words that it quotes are in its row.

    A quote is looked up in the cells whose columns the prompt or the system message names, in
    each for itself, by the rule of `llmnb.evaluation.quotes.CellTexts`.

    Args:
        questions: What is asked.
        output: The form of the answers.
    """

    questions: AskedRows
    output: QuotedOutput

    def looked_up(self, answers: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
        """Return answers with a mark for each of their fields: found, not found or None.

        Args:
            answers: The fields and quotes of each request by name; empty where none came.
        """
        return [
            {**answer, **self.marks(request, answer)} if answer else answer
            for request, answer in enumerate(answers)
        ]

    def counted(self, answers: Sequence[Mapping[str, Any]]) -> dict[str, str]:
        """Return the line of the receipt that counts quotes, by its name; none without a quote.

        Args:
            answers: As for `looked_up`.
        """
        found, missing = 0, Counter[str]()
        for request, answer in enumerate(answers):
            marks = self.marks(request, answer) if answer else {}
            found += sum(mark is True for mark in marks.values())
            missing.update(
                field
                for field in self.output.quoted_fields
                if marks.get(supported_name(field)) is False
            )
        if not found and not missing:
            return {}
        text = f"{found:,} found"
        if missing:
            named = ", ".join(f"{field} {count:,}" for field, count in missing.most_common(_NAMED))
            more = f" and {len(missing) - _NAMED:,} more" if len(missing) > _NAMED else ""
            text += f", {missing.total():,} not in the text ({named}{more})"
        return {"Quotes": text}

    def marks(self, request: int, answer: Mapping[str, Any]) -> dict[str, bool | None]:
        """Return whether the quote of each field is in the row, by the names of the marks.

        Args:
            request: Its place among the questions.
            answer: The fields and quotes by name.
        """
        row = self.questions.row_of(request)
        texts = CellTexts(self.questions.cells_of(row))
        has_pictures = self.questions.shows_pictures(row)
        return {
            supported_name(field): is_supported(
                answer.get(field), answer.get(quote_name(field)), texts, has_pictures=has_pictures
            )
            for field in self.output.quoted_fields
        }
