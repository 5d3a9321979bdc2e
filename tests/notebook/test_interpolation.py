"""Promises about references in prompts: few forms, nothing run, nothing expanded twice."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from llmnb.errors import InputError
from llmnb.notebook.interpolation import fill


class Trap:
    """Something that notices what is done to it."""

    def __init__(self) -> None:
        self.called = False

    def __call__(self) -> str:
        self.called = True
        return "called"

    def __str__(self) -> str:
        return "the trap"


NAMES = {
    "name": "Ada",
    "number": 7,
    "row": {"a b": 1, "title": "T", "nested": {"x": 2}},
    "rows": ["first", "last"],
    "thing": SimpleNamespace(title="deep", inner=SimpleNamespace(title="deeper")),
    "braces": "{name} {number}",
    "trap": Trap(),
    "nothing": None,
    "größe": "wide",
    "In": ["", "1 + 1"],
    "Out": {1: 2},
    "Err": "ValueError: bad",
}


@pytest.mark.parametrize(
    ("text", "filled"),
    [
        ("{name}", "Ada"),
        ("Dear {name}, {number} times", "Dear Ada, 7 times"),
        ("{row['a b']}", "1"),
        ('{row["title"]}', "T"),
        ("{rows[0]} {rows[-1]}", "first last"),
        ("{thing.title}", "deep"),
        ("{größe}", "wide"),
        ("{In[1]} gave {Out[1]}", "1 + 1 gave 2"),
        ("Why {Err}?", "Why ValueError: bad?"),
        ("{row}", '{"a b":1,"title":"T","nested":{"x":2}}'),
        ("{rows}", '["first","last"]'),
        ("{nothing}", "None"),
        ('{"who": {name}}', '{"who": Ada}'),
        ('{"who":{name}}', '{"who":Ada}'),
        ("{trap}", "the trap"),
    ],
)
def test_what_is_filled_in(text, filled):
    """
    A variable, one attribute of it, or one item under a literal number or string.
    """
    assert fill(text, NAMES) == filled


@pytest.mark.parametrize(
    "text",
    [
        "{unknown}",
        "{}",
        "{ name }",
        "{name!r}",
        "{name:>10}",
        "{name()}",
        "{name.upper()}",
        "{trap()}",
        "{thing.inner.title}",
        "{row['nested']['x']}",
        "{rows[0].title}",
        "{rows[number]}",
        "{rows[0:1]}",
        "{rows[1+1]}",
        "{row[f'title']}",
        "{row['ti' 'tle']}",
        "{name.__class__}",
        "{trap.__init__}",
        "{thing.__dict__}",
        "{name if number else trap()}",
        "{__import__('os')}",
        "{1}",
        "{{name}}",
        "{name",
        "name}",
        "{'a': 1}",
        "function f() { return {x}; }",
        "\\frac{a}{b}",
        "${name2}",
        "{% for x in xs %}",
    ],
)
def test_every_other_brace_is_left_alone(text):
    """
    JSON, code, LaTeX, calls, chains, dunder attributes and names in two braces stay as written.
    """
    assert fill(text, NAMES) == text


def test_nothing_is_called():
    """
    What stands in braces is looked up and never run.
    """
    fill("{trap} {trap()} {trap.called} {name.upper()} {trap.__call__}", NAMES)

    assert not NAMES["trap"].called


def test_values_are_not_expanded_again():
    """
    A variable whose text looks like a reference is put in as it is.
    """
    assert fill("{braces}", NAMES) == "{name} {number}"
    assert fill("{a}{b}", {"a": "{", "b": "name}", "name": "x"}) == "{name}"


@pytest.mark.parametrize("text", ["{thing.wrong}", "{rows[9]}", "{row['wrong']}", "{number[0]}"])
def test_a_reference_that_cannot_be_followed_is_an_error_before_anything_is_sent(text):
    """
    A misspelt attribute or key does not reach the model as braces.
    """
    with pytest.raises(InputError, match="Nothing was sent") as caught:
        fill(text, NAMES)

    assert text in str(caught.value)


def test_long_texts_are_filled_in_linear_time():
    """
    A megabyte of braces is no work.
    """
    assert fill("{" * 500_000 + "{name}" + "}" * 500_000, NAMES).count("Ada") == 0
    assert fill("{name} " * 100_000, NAMES).count("Ada") == 100_000
