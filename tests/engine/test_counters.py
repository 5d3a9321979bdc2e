"""What became of rows is counted once, whoever asks them: the parts sum to the whole."""

from __future__ import annotations

import dataclasses

import orjson
import pytest
from asking import ask
from embedding import order
from script_server import ScriptServer, reply

from llmnb.embeddings.run import EmbeddingRun
from llmnb.engine.counters import Counters
from llmnb.errors import RequestRejected, Stopped, Unsent
from llmnb.notebook.facts import row_counts
from llmnb.records import Outcome, Usage
from llmnb.testing import SimulatedProvider


def entered(*outcomes):
    """Return the counters, other than zero, after some outcomes."""
    counters = Counters()
    for outcome in outcomes:
        counters.enter(outcome)
    return {name: n for name, n in dataclasses.asdict(counters.tracker).items() if n}


def outcome(source, *, error=None):
    """Return the outcome of row 0, which would have cost 0.5 dollars."""
    saved = None if source == "sent" else 0.5
    return Outcome(
        row=0, provider="p", model="m", source=source, saved_usd=saved, usd=0.25, error=error
    )


@pytest.mark.parametrize(
    ("source", "counted"),
    [
        ("sent", {"num_tasks_succeeded": 1}),
        ("cached", {"num_cached": 1, "saved_usd": 0.5}),
        ("reused", {"num_reused": 1, "saved_usd": 0.5}),
        ("merged", {"num_merged": 1, "saved_usd": 0.5}),
    ],
)
def test_an_answer_is_counted_by_where_it_came_from(source, counted):
    """
    A row with an answer counts under its source alone, and saves what it would have cost.
    """
    assert entered(outcome(source)) == {"num_rows_done": 1, **counted}


@pytest.mark.parametrize("source", ["sent", "cached", "reused", "merged"])
def test_a_failed_row_counts_as_failed_alone(source):
    """
    A row with an error is neither an answer of its source nor money saved.
    """
    failed = outcome(source, error=Unsent("No."))
    assert entered(failed) == {"num_rows_done": 1, "num_tasks_failed": 1}
    stopped = outcome(source, error=Stopped("No."))
    assert entered(stopped) == {"num_rows_done": 1, "num_stopped": 1}


@pytest.mark.parametrize("before", [Unsent("No."), Stopped("No.")])
def test_a_mended_row_is_counted_as_if_it_had_never_failed(before):
    """
    A later outcome leaves nothing of the failure that it takes the place of.
    """
    counters, failed = Counters(), outcome("sent", error=before)
    counters.enter(failed)
    counters.replace(failed, outcome("reused"))

    assert counters.tracker == Counters().tracker.__class__(**entered(outcome("reused")))
    assert counters.causes() == ()
    assert dict(counters.models) == {"p/m": 1}


def test_a_mended_row_whose_cause_was_never_counted_is_counted_as_answered():
    """
    A later outcome takes a failure's place even where its cause is not among those counted.
    """
    counters, failed = Counters(), outcome("sent", error=Unsent("No."))
    counters.enter(failed)
    counters.replace(outcome("sent", error=RequestRejected("No.")), outcome("sent"))

    tracker = counters.tracker
    assert (tracker.num_rows_done, tracker.num_tasks_failed, tracker.num_tasks_succeeded) == (
        1,
        0,
        1,
    )
    assert [(cause.kind, cause.rows) for cause in counters.causes()] == [("Unsent", 1)]


def test_a_row_that_fails_again_is_counted_by_its_later_error():
    """
    A retry that fails for another cause moves the row to that cause.
    """
    counters, failed = Counters(), outcome("sent", error=Unsent("No."))
    counters.enter(failed)
    counters.replace(failed, outcome("sent", error=RequestRejected("No.")))

    assert [(cause.kind, cause.rows) for cause in counters.causes()] == [("RequestRejected", 1)]
    assert (counters.tracker.num_tasks_failed, counters.tracker.num_rows_done) == (1, 1)


def test_only_a_row_that_failed_is_mended():
    """
    To mend an answer is a fault of ours, which is told at once.
    """
    counters = Counters()
    counters.enter(outcome("sent"))
    with pytest.raises(ValueError, match="Row 0 has not failed"):
        counters.replace(outcome("sent"), outcome("sent"))


def test_a_reply_of_unknown_price_is_counted_and_adds_no_dollars():
    """
    Tokens add up whether or not their price is known.
    """
    counters = Counters()
    counters.enter_reply(Usage(prompt=3, completion=1), 0.25, False)
    counters.enter_reply(Usage(prompt=4, completion=1), None, False)
    counters.enter_reply(None, 0.5, False)

    tracker = counters.tracker
    assert (tracker.prompt_tokens, tracker.completion_tokens) == (7, 2)
    assert (tracker.usd, tracker.num_unpriced) == (0.75, 1)


def test_a_kept_answer_that_is_none_is_a_failed_row_of_the_receipt():
    """
    With a kept answer that ended for an unknown reason, every good row still counts as reused.
    """
    choice = {"index": 0, "message": {"role": "assistant", "content": "All."}}
    body = {"id": "1", "object": "chat.completion", "model": "m"}

    def said(reason):
        choices = [{**choice, "finish_reason": reason}]
        usage = {"prompt_tokens": 3, "completion_tokens": 5}
        raw = orjson.dumps({**body, "choices": choices, "usage": usage})
        return [reply(raw, "connection: close")]

    with ScriptServer(said("fin"), said("stop")) as server:
        first, second, third = ({"prompt": str(number)} for number in range(3))
        ask(server, [first], max_concurrent_requests=1).result(60)
        ask(server, [second], max_concurrent_requests=1).result(60)
        run = ask(server, [first, second, third], max_concurrent_requests=1)
        run.result(60)
        rows = row_counts(run.status())

    assert (rows.answered, rows.reused, rows.merged, rows.failed) == (1, 1, 0, 1)


def test_a_text_that_a_retry_embeds_counts_as_answered():
    """
    It was sent for, so the receipt does not call it one that an identical text has answered.
    """
    with SimulatedProvider(faults=[401]) as sim:
        run = EmbeddingRun(
            ["one", "two"], order(sim, batch_size=2, options={"max_concurrent_requests": 1})
        )
        run.result(60)
        run.retry_failed().result(60)
        rows = row_counts(run.status())

    assert (rows.answered, rows.merged, rows.failed) == (2, 0, 0)


def test_models_are_counted_in_rows_and_not_in_replies():
    """
    A row that took two replies of one model and one of another is a row of its answer's model.
    """
    counters = Counters()
    for model in ("p/m", "p/m", "p/other"):
        counters.on_answer(model, 1.0, 5, 0.25, False)
    counters.enter(outcome("sent"))

    shares = {share.name: (share.rows, share.share, share.usd) for share in counters.shares()}
    assert shares == {"p/m": (1, 1.0, 0.5), "p/other": (0, 0.0, 0.25)}


def test_texts_of_a_request_are_counted_each():
    """
    The table of models counts texts where several are embedded by one request.
    """
    with SimulatedProvider() as sim:
        run = EmbeddingRun(["one", "two", "three"], order(sim, batch_size=2))
        run.result(60)

    assert [(share.rows, share.share) for share in run.status().shares] == [(3, 1.0)]


def test_a_cause_is_shown_by_the_first_row_of_the_table_that_failed_for_it():
    """
    Whichever row failed first, the lowest is named, and the example is its message.
    """
    counters = Counters()
    for row in (4, 2, 3):
        error = RequestRejected(f"Row {row} was refused.")
        counters.enter(dataclasses.replace(outcome("sent", error=error), row=row))

    (cause,) = counters.causes()
    assert (cause.rows, cause.first_row, cause.example) == (3, 2, "Row 2 was refused.")
