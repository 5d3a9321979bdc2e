from __future__ import annotations

import json
import threading

import pytest
from laboratory import await_until
from laboratory.ledger_queries import dump, duplicates, is_within, max_in_window, worst_window_of
from laboratory.spawned import loaded

from llmnb.errors import ConfigurationError
from llmnb.testing import Ledger, SimulatedRequest, prompt_hash
from llmnb.testing.ledger import prompt_text


def enter(ledger: Ledger, prompt: str = "Hi", *, now: float = 0.0, **changes):
    request = SimulatedRequest(
        endpoint="text", body={}, model="m", prompt=prompt, identity=prompt, prompt_tokens=2
    )
    return ledger.open(request, now=now, **{"body": prompt.encode(), **changes})


def finish(ledger: Ledger, row, *, now: float = 1.0, **changes) -> None:
    fields = {"end": "finished", "status": 200, "billed": True, "completion_tokens": 3}
    ledger.close(row, **{"finished": now, **fields, **changes})


def test_a_request_is_in_flight_until_it_ends():
    """
    Totals follow a request from its arrival to its end.
    """
    ledger = Ledger()
    first, second = enter(ledger), enter(ledger)
    assert (ledger.in_flight, ledger.totals().max_in_flight) == (2, 2)

    finish(ledger, first, usd=0.5)
    finish(ledger, second, end="failed", status=500, billed=False, usd=0.5)

    totals = ledger.totals()
    assert (totals.received, totals.finished, totals.failed, totals.billed) == (2, 1, 1, 1)
    assert (totals.in_flight, totals.max_in_flight) == (0, 2)
    assert (totals.prompt_tokens, totals.completion_tokens, totals.usd) == (2, 3, 0.5)


def test_a_row_ends_once():
    """
    A client that leaves after its reply was written changes nothing.
    """
    ledger = Ledger()
    row = enter(ledger)
    finish(ledger, row)
    finish(ledger, row, end="cancelled")

    assert ledger.rows[0].end == "finished"
    assert ledger.totals().cancelled == 0


def test_rows_are_copies_that_do_not_change():
    """
    What a test has read stays as it was.
    """
    ledger = Ledger()
    row = enter(ledger)
    before = ledger.rows[0]
    finish(ledger, row)

    assert (before.end, ledger.rows[0].end) == ("open", "finished")
    with pytest.raises(AttributeError):
        before.end = "failed"


def test_prompts_are_counted_by_their_text():
    """
    A text and a conversation of that one user message are the same prompt.
    """
    ledger = Ledger()
    finish(ledger, enter(ledger, prompt_text([{"role": "user", "content": "Hi"}])))
    finish(ledger, enter(ledger, "Hi"), end="failed", billed=False)
    with_system = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Hi"}]
    finish(ledger, enter(ledger, prompt_text(with_system)))

    assert ledger.count("Hi") == ledger.count([{"role": "user", "content": "Hi"}]) == 2
    assert ledger.count("Hi", of="finished") == 1
    assert ledger.count(with_system) == 1
    assert ledger.count("Bye") == 0
    assert [row.attempt for row in ledger.rows] == [0, 1, 0]


def test_what_was_bought_twice_is_counted():
    """
    Duplicates count what is billed, so that a retry after a failure is none.
    """
    ledger = Ledger()
    finish(ledger, enter(ledger, "once"), end="failed", billed=False)
    finish(ledger, enter(ledger, "once"))
    finish(ledger, enter(ledger, "twice", body=b"1"))
    finish(ledger, enter(ledger, "twice", body=b"2"))

    assert duplicates(ledger) == {prompt_hash("twice"): 2}
    assert duplicates(ledger, "received").keys() == {prompt_hash("once"), prompt_hash("twice")}
    assert duplicates(ledger, by="body") == {}


def test_keys_stand_in_it_as_hashes_only():
    """
    Nothing in a row or in its dump tells a key.
    """
    ledger = Ledger()
    enter(ledger, key="sk-secret")
    enter(ledger, key="sk-secret")
    enter(ledger, key="sk-other")

    first, second, other = (row.key_hash for row in ledger.rows)
    assert first == second != other
    assert "secret" not in repr(ledger.rows) + json.dumps(dump(ledger, rows=True))


def test_windows_count_requests_or_the_tokens_charged_for_them():
    """
    The same question is asked of both kinds of limit, in units a minute.
    """
    ledger = Ledger()
    for eighth in range(100):
        enter(ledger, now=eighth / 8, charged_tokens=7)

    assert max_in_window(ledger, 1.0) == 8
    assert max_in_window(ledger, 1.0, weigh="tokens") == 56
    assert is_within(ledger, 480, burst=0.125)
    assert not is_within(ledger, 400, burst=0.125)
    assert is_within(ledger, 480 * 7, burst=0.125, weigh="tokens")
    worst = worst_window_of(ledger, 400, burst=0.125)
    assert worst is not None
    assert (worst.seconds, worst.amount) == (99 / 8, 100)


def test_totals_only_keeps_no_row_and_says_so():
    """
    A million requests take no more memory than one, and a question for rows is an error.
    """
    ledger = Ledger(keep_rows=False)
    for _ in range(3):
        finish(ledger, enter(ledger))

    assert ledger.totals().finished == 3
    with pytest.raises(ConfigurationError, match="totals"):
        ledger.received


def test_a_new_book_forgets_what_is_still_open():
    """
    After a reset numbers begin at 0, and the end of an old request does not count.
    """
    ledger = Ledger()
    old = enter(ledger)
    ledger.reset()
    new = enter(ledger)
    finish(ledger, old)

    assert new.number == 0
    assert (ledger.totals().finished, ledger.in_flight) == (0, 1)


def test_it_travels_as_plain_values():
    """
    A copy made from JSON answers the same questions.
    """
    ledger = Ledger()
    finish(ledger, enter(ledger, "a"), usd=0.25)
    enter(ledger, "b")

    copy = loaded(json.loads(json.dumps(dump(ledger, rows=True))))

    assert copy.rows == ledger.rows
    assert copy.totals() == ledger.totals()
    assert copy.count("a", of="billed") == 1


def test_who_waits_is_woken_by_the_event_itself():
    """
    A waiting thread goes on as soon as its condition is met, and at once where it is already.
    """
    ledger = Ledger()
    woken = threading.Event()

    def wait() -> None:
        ledger.wait_until(lambda totals: totals.received == 2)
        woken.set()

    thread = threading.Thread(target=wait)
    thread.start()
    enter(ledger)
    assert not woken.is_set()
    enter(ledger)
    thread.join(timeout=10)

    assert woken.is_set()
    ledger.wait_until(lambda totals: totals.received == 2)


async def test_waiting_in_vain_ends_with_the_totals():
    """
    A test that waits for what never comes learns what did come.
    """
    ledger = Ledger()
    enter(ledger)

    with pytest.raises(TimeoutError, match="1 requests"):
        ledger.wait_until(lambda totals: totals.received == 2, timeout=0.001)
    with pytest.raises(TimeoutError, match="1 requests"):
        await await_until(ledger, lambda totals: totals.received == 2, timeout=0.001)
