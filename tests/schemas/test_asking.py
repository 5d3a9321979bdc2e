"""Promises about how answers with a form are asked for."""

from __future__ import annotations

import json

import pytest

from llmnb.errors import SchemaMismatch
from llmnb.schemas import instruction, output_of, repair_messages, response_format
from llmnb.schemas.output import MAX_BAD_ANSWER

FREE = {"title": "Free", "type": "object", "additionalProperties": {"type": "integer"}}


def test_a_schema_is_enforced_strictly_where_it_can_be():
    """
    OpenAI's protocol, with a name and a schema.
    """
    output = output_of(("good", "bad"))

    wanted = response_format(output)

    assert wanted["type"] == "json_schema"
    assert wanted["json_schema"] == {
        "name": "answer",
        "schema": output.strict_schema,
        "strict": True,
    }


def test_a_schema_that_cannot_be_enforced_is_sent_as_it_is():
    """
    Not strict, and nothing left out.
    """
    wanted = response_format(output_of(FREE))["json_schema"]

    assert wanted == {"name": "Free", "schema": FREE, "strict": False}


def test_the_prompt_asks_where_no_schema_mode_does():
    """
    The schema stands in them whole.
    """
    output = output_of(FREE)

    text = instruction(output)

    assert "JSON only" in text
    assert json.loads(text.splitlines()[-1]) == FREE


def test_a_repair_shows_the_bad_answer_and_names_its_faults():
    """
    One try more, with what is needed and no more.
    """
    messages = [{"role": "user", "content": "Rate it."}]
    bad = '{"value": "great"}'
    with pytest.raises(SchemaMismatch) as caught:
        output_of(int).validate(bad)

    made = repair_messages(messages, bad, caught.value)

    assert messages == [{"role": "user", "content": "Rate it."}]
    assert made[0] == messages[0]
    assert made[0] is not messages[0]
    assert made[1] == {"role": "assistant", "content": bad}
    assert made[2]["role"] == "user"
    assert "- the whole: input should be a valid integer" in made[2]["content"]
    assert "kept with the error" not in made[2]["content"]


@pytest.mark.parametrize("length", [MAX_BAD_ANSWER, MAX_BAD_ANSWER + 1, 10_000_000])
def test_a_long_bad_answer_is_shown_in_part(length):
    """
    Its beginning and its end, and how much is left out.
    """
    made = repair_messages([], "x" * length, "no JSON")

    assert len(made[0]["content"]) <= MAX_BAD_ANSWER + 60
    assert ("left out" in made[0]["content"]) == (length > MAX_BAD_ANSWER)


def test_an_empty_bad_answer_is_shown_as_such():
    """
    Some providers refuse a turn without text.
    """
    assert repair_messages([], " ", "no JSON")[0]["content"] == "(nothing)"
