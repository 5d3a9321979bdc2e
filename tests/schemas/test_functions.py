"""Promises about Python functions as tools."""

from __future__ import annotations

import dataclasses
import functools
import math
import typing
from typing import Annotated, Any, Literal

import pydantic
import pytest

from llmnb.errors import ConfigurationError, SchemaMismatch
from llmnb.schemas import arguments, function_schema
from llmnb.schemas.functions import parse_docstring


class Spot(typing.TypedDict):
    city: str
    country: typing.NotRequired[str]


@dataclasses.dataclass
class Range:
    low: int
    high: int


def google(  # noqa: D417 - what is not described is part of the test
    place: Spot,
    days: int = 3,
    *,
    unit: Literal["C", "F"] = "C",
    within: Range | None = None,
    copy: Any = object(),  # noqa: B008 - a default that JSON cannot hold
    model_config: str = "a name that a pydantic model would refuse",
    _hidden: bool = False,
) -> str:
    """Look up the weather.

    It may rain: take care.

    Args:
        place: Where to look,
            spelled in English.
        days (int, optional): How many: at least one.
        unit: C or F.

    Returns:
        place: not an argument.
    """
    return f"{place} {days} {unit} {within} {copy} {model_config} {_hidden}"


def numpy_style(city, days=3): ...


numpy_style.__doc__ = """
    Look up the weather.

    Parameters
    ----------
    city : str
        Where to look,

        spelled in English.
    days, more : int, optional
        How many.

    Returns
    -------
    str
        The weather.
    """


def sphinx_style(city: str) -> None:
    """Look up the weather.

    :param str city: Where to look,
        spelled in English.
    :returns: Nothing.
    """


def plain_style(city: str) -> None:
    """Look up: the weather of a city."""


def bare(city: str) -> None: ...


def test_a_signature_and_a_docstring_become_a_tool():
    """
    Name, description, types, which arguments must be given, and what they mean.
    """
    tool = function_schema(google)

    assert tool["type"] == "function"
    function = tool["function"]
    assert function["name"] == "google"
    assert function["description"] == "Look up the weather.\n\nIt may rain: take care."
    parameters = function["parameters"]
    assert parameters["type"] == "object"
    assert parameters["required"] == ["place"]
    assert parameters["additionalProperties"] is False
    fields = parameters["properties"]
    assert list(fields) == [
        *("place", "days", "unit", "within", "copy", "model_config", "_hidden"),
    ]
    assert fields["place"]["description"] == "Where to look, spelled in English."
    assert fields["days"] == {
        "type": "integer",
        "description": "How many: at least one.",
        "default": 3,
    }
    assert fields["unit"]["enum"] == ["C", "F"]
    assert "default" not in fields["copy"]
    assert parameters["$defs"].keys() == {"Spot", "Range"}


@pytest.mark.parametrize("function", [numpy_style, sphinx_style])
def test_other_ways_of_writing_are_understood(function):
    """
    Numpy's and Sphinx's docstrings describe arguments too.
    """
    made = function_schema(function)["function"]

    assert made["description"] == "Look up the weather."
    city = made["parameters"]["properties"]["city"]
    assert city["description"] == "Where to look, spelled in English."


def test_a_plain_docstring_is_a_description_and_none_is_none():
    """
    Nothing is made up.
    """
    assert function_schema(plain_style)["function"]["description"] == plain_style.__doc__
    assert "description" not in function_schema(bare)["function"]
    assert function_schema(bare)["function"]["parameters"]["properties"] == {
        "city": {"type": "string"}
    }


@pytest.mark.parametrize(
    ("docstring", "arguments"),
    [
        (None, {}),
        ("", {}),
        ("Args:", {}),
        ("Args:\n    a: One.\n    **b: Two.\n\nRaises:\n    c: Three.", {"a": "One.", "b": "Two."}),
        ("Args:\n    a: One:\n        x: y\n    b (dict[str, int]): Two.", {
            "a": "One: x: y", "b": "Two."}),
        ("Do.\n\nArguments:\n  a: One.\nAfter all.", {"a": "One."}),
        ("Parameters\n----------\na\n    One.\nb:int\n    Two.", {"a": "One.", "b": "Two."}),
        ("Note that:\n    a: is no argument.", {}),
        (":param a: One.\n:type a: int\n:param dict(str, int) b: Two.", {"a": "One.", "b": "Two."}),
    ],
)  # fmt: skip
def test_docstrings_are_read_as_people_write_them(docstring, arguments):
    """
    Types in brackets, stars, continued lines, sections that are not about arguments.
    """
    result = parse_docstring(docstring)

    assert {name: said.rstrip(" ") for name, said in result.arguments.items()} == arguments


@pytest.mark.parametrize(
    "function",
    [
        lambda city: city,
        lambda: None,
        print,
        math.hypot,
        dict,
        functools.partial(lambda city: city),
        typing.cast(Any, (lambda *cities: cities)),
    ],
)
def test_what_a_model_cannot_call_is_refused(function):
    """
    Without a name, or with arguments that have none.
    """
    with pytest.raises(ConfigurationError, match="Nothing was sent"):
        function_schema(function)


def test_arguments_without_names_are_refused_by_name():
    """
    The message says which, and what to do.
    """

    def many(*cities: str) -> None: ...

    def free(**options: str) -> None: ...

    def placed(city: str, /) -> None: ...

    for function, said in ((many, r"\*cities"), (free, r"\*\*options"), (placed, "by position")):
        with pytest.raises(ConfigurationError, match=said):
            function_schema(function)


def test_hints_that_cannot_be_read_are_an_error_that_says_so():
    """
    Such as a type that only a type checker has seen.
    """

    def broken(city: Nowhere) -> None: ...  # type: ignore[name-defined]  # noqa: F821

    with pytest.raises(ConfigurationError, match="Nowhere"):
        function_schema(broken)


def test_methods_callables_and_partial_functions_are_functions():
    """
    What is bound already is not asked for.
    """

    class Weather:
        """Knows the weather."""

        def look(self, city: str) -> str:
            """Look up."""
            return city

        def __call__(self, city: str) -> str:
            """Ask for the weather."""
            return city

    looked = function_schema(Weather().look)["function"]
    called = function_schema(Weather())["function"]
    partial = function_schema(functools.partial(google, {"city": "Kyiv"}))["function"]

    assert looked["name"] == "look"
    assert list(looked["parameters"]["properties"]) == ["city"]
    assert called["name"] == "Weather"
    assert called["description"] == "Ask for the weather."
    assert called["parameters"]["properties"]["city"]["type"] == "string"
    assert "place" not in partial["parameters"]["properties"]


def test_a_pydantic_model_is_a_tool_that_makes_an_instance():
    """
    Types, bounds, descriptions and aliases of its fields; its own words and not pydantic's.
    """

    class Trip(pydantic.BaseModel):
        city: str = pydantic.Field(description="Where to.")
        days: int = pydantic.Field(3, ge=1, alias="numberOfDays")

    class Documented(Trip):
        """Plan a trip."""

    tool = function_schema(Trip)["function"]
    assert "description" not in tool
    assert function_schema(Documented)["function"]["description"] == "Plan a trip."
    assert tool["parameters"]["properties"] == {
        "city": {"type": "string", "description": "Where to."},
        "numberOfDays": {"type": "integer", "minimum": 1, "default": 3},
    }
    assert tool["parameters"]["required"] == ["city"]
    assert Trip(**arguments(Trip, '{"city": "Kyiv", "numberOfDays": 2}')).days == 2
    with pytest.raises(SchemaMismatch, match="numberOfDays"):
        arguments(Trip, '{"city": "Kyiv", "numberOfDays": 0}')


def test_an_object_without_a_docstring_of_its_own_has_no_description():
    """
    What Python says of every callable is no description of a tool.
    """

    class Bare:
        def __call__(self, a: int) -> int:
            return a

    class Documented(Bare):
        """Add one."""

    assert "description" not in function_schema(Bare())["function"]
    assert function_schema(Documented())["function"]["description"] == "Add one."


def test_a_function_without_arguments_is_a_tool():
    """
    Models send nothing, or an empty object.
    """

    def now() -> str:
        """Tell the time."""
        return "noon"

    assert function_schema(now)["function"]["parameters"]["properties"] == {}
    assert arguments(now, "") == {}
    assert arguments(now, "{}") == {}


def test_a_call_gets_values_in_the_types_of_the_hints():
    """
    Defaults are left to the function; nulls that mean nothing are left out.
    """
    result = arguments(
        google,
        '{"place": {"city": "Kyiv", "country": null}, "days": null, '
        '"within": {"low": 1, "high": 2}}',
    )

    assert result == {"place": {"city": "Kyiv"}, "within": Range(1, 2)}
    assert "Kyiv" in google(**result)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('{"place": "Kyiv"}', "place: "),
        ("{}", "place: field required"),
        ('{"place": {"city": "Kyiv"}, "zoo": 1}', "zoo: extra inputs"),
        ('{"place": {"city": "Kyiv"}, "days": "many"}', "days: "),
        ('{"place": ', "ends before it is complete"),
        ("[]", "an object"),
        ("null", "an object"),
        ("[" * 300_000, "deep"),
        ('{"place": "' + "x" * 10_000_000 + '"}', "not read"),
    ],
)
def test_a_call_that_does_not_fit_is_named_for_the_model(text, words):
    """
    Unknown names, wrong types, half a document, gigantic ones.
    """
    with pytest.raises(SchemaMismatch, match=words):
        arguments(google, text)


def test_constraints_of_annotations_hold():
    """
    They are shown to the model and checked on its calls.
    """

    def rate(
        stars: Annotated[int, pydantic.Field(ge=1, le=5, description="How good.")],
    ) -> None: ...

    field = function_schema(rate)["function"]["parameters"]["properties"]["stars"]
    assert field == {"type": "integer", "minimum": 1, "maximum": 5, "description": "How good."}
    with pytest.raises(SchemaMismatch):
        arguments(rate, '{"stars": 6}')
