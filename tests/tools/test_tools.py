"""Promises of tools: what a request carries for functions and JSON, in every dialect."""

from __future__ import annotations

import pytest

from llmnb import LLM
from llmnb.chat.run_tools import choice_body, tool_bodies, tool_body
from llmnb.errors import ConfigurationError
from llmnb.testing import SimulatedProvider


def add(a: int, b: int = 1) -> int:
    """Add two numbers.

    Args:
        a: The first.
        b: The second.
    """
    return a + b


async def weather(city: str) -> str:
    """Look up the weather."""
    return f"Rain in {city}."


JSON_TOOL = {
    "type": "function",
    "function": {"name": "search", "parameters": {"type": "object", "properties": {}}},
}


def test_functions_and_json_become_tools():
    """
    Name, description and arguments from signature and docstring; JSON stays as it is.
    """
    first, two, three, four = tool_bodies(
        [add, weather, JSON_TOOL, {"name": "bare", "parameters": {"type": "object"}}]
    )

    assert first["function"]["name"] == "add"
    assert first["function"]["description"] == "Add two numbers."
    assert first["function"]["parameters"]["required"] == ["a"]
    assert two["function"]["name"] == "weather"
    assert three == JSON_TOOL
    assert four == {
        "type": "function",
        "function": {"name": "bare", "parameters": {"type": "object"}},
    }


@pytest.mark.parametrize("given", ["add", 7, {"what": 1}, [add, add], {"a": add}, [3], lambda: 1])
def test_what_is_no_tool_is_refused_before_anything_is_sent(given):
    """
    Texts, numbers, nameless functions and two of one name.
    """
    with pytest.raises(ConfigurationError):
        tool_bodies(given if isinstance(given, (list, str, dict, int)) else [given])


@pytest.mark.parametrize(
    "choice",
    ["add", add, {"type": "function", "function": {"name": "add"}}],
    ids=["name", "function", "dictionary"],
)
def test_a_tool_can_be_demanded_by_name_function_or_dictionary(choice):
    """
    Its name, the function itself, OpenAI's own dictionary.
    """
    assert choice_body(choice, [tool_body(add)]) == {
        "type": "function",
        "function": {"name": "add"},
    }


def test_a_demand_for_a_tool_that_is_not_there_is_refused():
    """
    The error lists what there is.
    """
    with pytest.raises(ConfigurationError, match="add"):
        choice_body("subtract", [tool_body(add)])
    with pytest.raises(ConfigurationError):
        LLM(model="sim/x").call_sync("Hi", tool_choice="required")


WANTED = {
    "openai": {
        "none": "none",
        "auto": "auto",
        "required": "required",
        "add": {"type": "function", "function": {"name": "add"}},
    },
    "anthropic": {
        "none": {"type": "none"},
        "auto": {"type": "auto"},
        "required": {"type": "any"},
        "add": {"type": "tool", "name": "add"},
    },
    "gemini": {
        "none": {"mode": "NONE"},
        "auto": {"mode": "AUTO"},
        "required": {"mode": "ANY"},
        "add": {"mode": "ANY", "allowedFunctionNames": ["add"]},
    },
}


@pytest.mark.parametrize("provider", WANTED)
@pytest.mark.parametrize("choice", ["none", "auto", "required", "add"])
def test_tool_choice_reaches_every_provider_in_its_own_form(provider, choice):
    """
    none, auto, required, and one that must be called.
    """
    bodies = []

    def reply(prompt, request):
        bodies.append(request.body)
        return {"tool_calls": [call("add", '{"a": 1}')]}

    with SimulatedProvider(reply=reply) as sim:
        base = sim.base_url.replace("/v1", "/v1beta") if provider == "gemini" else sim.base_url
        llm = LLM(url=base, api_key="k", model="m", api_provider=provider)
        result = llm.call_single_sync("Hi", tools=[add], tool_choice=choice)

    (body,) = bodies
    there = (
        body["toolConfig"]["functionCallingConfig"] if provider == "gemini" else body["tool_choice"]
    )
    assert there == WANTED[provider][choice]
    assert [(call.name, call.arguments.replace(" ", "")) for call in result.tool_calls] == [
        ("add", '{"a":1}')
    ]


def call(name, arguments, number=1):
    return {
        "id": f"call_{number}",
        "type": "function",
        "function": {"name": name, "arguments": arguments},
    }
