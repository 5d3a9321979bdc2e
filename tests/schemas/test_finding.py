"""Promises about finding the JSON in what a model has written."""

from __future__ import annotations

import pytest

from llmnb.errors import SchemaMismatch
from llmnb.schemas import finding, output_of

OBJECT = {"type": "object", "properties": {"a": {"type": "integer"}}, "required": ["a"]}

AROUND = [
    '{"a": 1}',
    ' \n{"a": 1}\n ',
    '\ufeff{"a": 1}',
    '```json\n{"a": 1}\n```',
    '```\n{"a": 1}\n```',
    '```json\n{"a": 1}',
    '```{"a": 1}```',
    'Here you are:\n```json\n{"a": 1}\n```\nAnything else?',
    'Sure! {"a": 1}',
    '{"a": 1} I hope that helps.',
    'As [1] says, {"a": 1}, see also [2] and {this}.',
    'I am "quite sure: {"a": 1}',
    '(a bracket [ that stays open) {"a": 1}',
    '<think>Maybe {"a": 7}? No.</think>{"a": 1}',
    'No, {"a": 7}!</think>\n```json\n{"a": 1}\n```',
    'First ```json\n{"a": 7}\n``` but rather ```json\n{"a": 1}\n```',
    'A "}" and a "{" in quotes: {"a": 1}',
    '[{"a": 1}] but {"a": 1}',
]


@pytest.mark.parametrize("text", AROUND)
def test_json_is_read_wherever_it_stands(text):
    """
    In fences, between words, behind thoughts, beside other brackets.
    """
    assert output_of(OBJECT).validate(text) == {"a": 1}


def test_fences_and_brackets_inside_the_answer_do_not_end_it():
    """
    A text field may hold anything.
    """
    text = 'Code: {"a": "use ```json\\n{}``` or \\"]}\\" there"} done'

    assert output_of(dict[str, str]).validate(text) == {
        "a": 'use ```json\n{}``` or "]}" there',
    }


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "no JSON document"),
        ("I would rather not.", "no JSON document"),
        ('{"a": 1', "ends before it is complete"),
        ('{"a": "text that goes on', "ends before it is complete"),
        ('```json\n{"a": [1, \n```', "ends before it is complete"),
        ("{'a': 1}", "double quotes"),
        ('{"a": 1,}', "not JSON"),
        ('{"a": NaN}', "NaN"),
        ('{"a": 1e999}', "too large"),
        ('{"a": __import__("os")}', "not JSON"),
        ('{"a": ' + "9" * 5000 + "}", "not JSON"),
    ],
)
def test_what_is_no_json_is_said_in_a_sentence(text, words):
    """
    A model can mend what it is told; nothing is guessed, and nothing evaluated.
    """
    with pytest.raises(SchemaMismatch, match=words) as caught:
        output_of(OBJECT).validate(text)

    assert caught.value.raw == text.encode()


@pytest.mark.parametrize(
    ("kind", "text", "value"),
    [
        (("good", "bad"), "good", "good"),
        (("good", "bad"), " bad\n", "bad"),
        (("good", "bad"), '"bad"', "bad"),
        (("good", "bad"), "```\nbad\n```", None),
        (("1", "2"), "1", "1"),
        (str, "Dear all, [1] is right.", "Dear all, [1] is right."),
        (str, "42", "42"),
        (int, "42", 42),
        (bool, "true", True),
        (bool, "yes", True),
        (list[int], "[1, 2]", [1, 2]),
        (int, '{"value": 42}', 42),
        (int, "about 42", None),
        (str, '{"value": "cut o', None),
        (str, '"cut o', None),
    ],
)
def test_a_bare_value_needs_no_wrapper(kind, text, value):
    """
    A label by itself is understood; half an answer is not taken for a text.
    """
    if value is None:
        with pytest.raises(SchemaMismatch):
            output_of(kind).validate(text)
    else:
        assert output_of(kind).validate(text) == value


def test_lone_halves_of_characters_become_the_sign_for_them():
    """
    No table can hold them.
    """
    assert output_of(str).validate('{"value": "a\\ud83d"}') == "a\ufffd"
    assert output_of(str).validate('{"value": "\\ud83d\\ude00"}') == "\U0001f600"
    with pytest.raises(SchemaMismatch):
        output_of(int).validate("\ud83d")


GIGANTIC = {
    "opening brackets": "[" * 10_000_000,
    "braces": '{"a":' * 2_000_000,
    "backticks": "`" * 10_000_000,
    "quotes": '{"' + '\\"' * 5_000_000,
    "words": "no " * 3_333_333,
    "one text": '{"a": "' + "x" * 10_000_000 + '"}',
    "numbers": '{"a": [' + "1," * 5_000_000 + "1]}",
}


@pytest.mark.parametrize("size", [None, 950_000], ids=["10 MB", "as much as is read"])
@pytest.mark.parametrize("name", GIGANTIC)
def test_gigantic_answers_end_with_an_error(name, size):
    """
    Neither a hang nor a crash, beyond the bound and just below it.
    """
    text = GIGANTIC[name][:size]

    with pytest.raises(SchemaMismatch) as caught:
        output_of(OBJECT).validate(text)

    assert len(str(caught.value)) < 1000
    assert caught.value.raw == text.encode()


@pytest.mark.parametrize("levels", [50, 99, 101, 900, 5_000, 100_000])
@pytest.mark.parametrize("kind", ["typed", "raw", "any"])
def test_deeply_nested_answers_end_with_an_error(kind, levels):
    """
    What is nested more deeply than anybody means is refused, whoever checks it.
    """
    tree = {"type": "object", "properties": {"b": {"$ref": "#"}}}
    output = output_of({"typed": list, "raw": tree, "any": {"type": "object"}}[kind])
    opening, closing = ("[", "]") if kind == "typed" else ('{"b": ', "}")
    inner = "1" if kind == "typed" else "{}"
    text = opening * levels + inner + closing * levels

    if levels < finding.MAX_DEPTH:
        assert output.validate(text)
    else:
        for around in (text, f"Look: {text}!"):
            with pytest.raises(SchemaMismatch, match="deep"):
                output.validate(around)


@pytest.mark.parametrize(
    "text",
    [
        '{"a": {"b": 1}, "c": [{"b": 2}',
        '[{"b": 1}, {"b": 2',
        'Here: {"a": {"b": 1}, "c": ',
        '```json\n{"a": {"b": 1}, "c": \n```',
        '{"a": {"b": 1}]',
        '{"a": {"b": 1},}',
        '<think>Maybe {"b": 1}',
        '<think>Maybe {"b": 1}</think>',
    ],
)
def test_a_part_is_never_taken_for_the_whole(text):
    """
    A cut-off answer is none, though a document stands in it; nor is a thought.
    """
    with pytest.raises(SchemaMismatch):
        output_of({"type": "object", "properties": {"b": {}}}).validate(text)


def test_searching_looks_at_a_text_a_bounded_number_of_times(monkeypatch):
    """
    Openings that turn out to be none must not cost a look at the whole rest each.
    """
    looked_at = 0
    end_of = finding._end_of

    def counting(text: str, start: int) -> tuple[int, bool]:
        nonlocal looked_at
        end, is_whole = end_of(text, start)
        looked_at += end - start
        return end, is_whole

    monkeypatch.setattr(finding, "_end_of", counting)
    text = '{ "' * 50_000

    assert list(finding.documents(text)) == []
    assert looked_at <= 2 * len(text) + finding._SEARCH_BEYOND
