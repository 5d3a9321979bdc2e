"""Waits, storms, redirects, addresses and keys, through the whole engine (faults 1, 9 to 14)."""

from __future__ import annotations

import email.utils
import pickle
import random
import time

import pytest
from asking import ask, questions
from conversations import ANSWER, Conversation, check, hold, names, raw
from script_server import GOOD, ScriptServer, reply

from llmnb import errors
from llmnb.testing import SimulatedProvider

CLOSE = "connection: close"


def refused(*headers: str, status: str = "429 Too Many Requests") -> bytes:
    """Return a refusal for pace."""
    return reply(b'{"error":{"message":"slow down"}}', CLOSE, *headers, status=status)


SHORT_WAITS = [
    Conversation(name, [refused(*headers)], "fine", 2)
    for name, headers in {
        "no wait named": [],
        "none": ["retry-after: 0"],
        "a part of a second": ["retry-after: 0.05"],
        "milliseconds": ["retry-after-ms: 20"],
        "both, the finer counts": ["retry-after-ms: 20", "retry-after: 1"],
        "a duration": ["retry-after: 20ms"],
        "a date that is past": ["retry-after: Wed, 21 Oct 2015 07:28:00 GMT"],
        "a date of RFC 850": ["retry-after: Wednesday, 21-Oct-15 07:28:00 GMT"],
        "below nothing": ["retry-after: -5"],
        "for ever": ["retry-after: inf"],
        "no number": ["retry-after: NaN"],
        "beyond all floats": ["retry-after: 1e999"],
        "words": ["retry-after: soon"],
        "nothing": ["retry-after: "],
        "a mebibyte of digits": ["retry-after: " + "9" * 5000],
        "bytes that are no letters": ["retry-after: \udcff".encode("utf-8", "replace").decode()],
    }.items()
]


@pytest.mark.parametrize("case", SHORT_WAITS, ids=names(SHORT_WAITS))
def test_every_form_of_a_wait_is_survived(case):
    """
    Clamped, or left aside; the row is asked again at no attempt's cost, and answered.
    """
    first, _ = hold(case, max_attempts=1)

    check(case, first)


@pytest.mark.parametrize(
    "header",
    ["retry-after: 7200", "retry-after-ms: 7200000", "retry-after: 2h",
     f"retry-after: {email.utils.formatdate(time.time() + 7200, usegmt=True)}",
     "retry-after: 121"],
    ids=["seconds", "milliseconds", "a duration", "a date", "just too long"],
)  # fmt: skip
def test_a_wait_beyond_two_minutes_ends_the_target_for_the_run(header):
    """
    It says when to come back; one request was sent, and the row behind it was told nothing else.
    """
    with ScriptServer([refused(header)], [ANSWER]) as server:
        run = ask(server, questions(2), max_concurrent_requests=1)
        first, second = (outcome.error for outcome in run.result(60))

        assert len(server.requests) == 1
    assert type(first).__name__ == "RateLimited"
    assert "come back in" in first.message
    assert type(second).__name__ == "Unsent"
    assert (second.status, second.maybe_billed) == (None, False)


@pytest.mark.parametrize("code", [500, 502, 503, 520, 529, 599])
def test_a_storm_of_server_errors_is_survived(code):
    """
    Two of each, with a page for a body, cost two attempts and no row.
    """
    failed = reply(b"<h1>Oops</h1>", CLOSE, status=f"{code} Oops")
    with ScriptServer([failed], [failed], [ANSWER]) as server:
        (outcome,) = ask(server, questions(1)).result(60)

    assert outcome.text == "fine"
    assert outcome.attempts == 3


@pytest.mark.parametrize("code", [100, 101, 199, 206, 304, 418, 451, 999])
def test_a_status_nobody_expects_is_a_typed_error(code):
    """
    Neither taken for an answer nor asked for ever; the next row is answered.
    """
    with ScriptServer([reply(GOOD, CLOSE, status=f"{code} Odd")], [ANSWER]) as server:
        run = ask(server, questions(2), max_concurrent_requests=1, max_attempts=2)
        first, second = run.result(60)

        assert first.error is None or type(first.error).__module__ == "llmnb.errors"
        assert second.text == "fine"
        assert len(server.requests) <= 3


LOCATIONS = [
    ("another path", "/elsewhere"),
    ("another host", "https://elsewhere.example/v1"),
    ("a file", "file:///etc/passwd"),
    ("with credentials", "http://me:secret@elsewhere.example/"),
    ("no address", "http://[::1"),
    ("nowhere", ""),
    ("script", "javascript:alert(1)"),
]


@pytest.mark.parametrize(("name", "location"), LOCATIONS, ids=[name for name, _ in LOCATIONS])
def test_a_redirect_is_never_followed(name, location):
    """
    A configuration error that names the first origin and repeats no credentials; sent once.
    """
    moved = raw(f"HTTP/1.1 307 Moved\nlocation: {location}\ncontent-length: 0\n{CLOSE}")
    case = Conversation(name, [moved], "RedirectRefused", expected=["127.0.0.1", "HTTP 307"])

    first, _ = hold(case)

    check(case, first)
    assert "secret" not in first.error.message


class At:
    """An address that is asked."""

    def __init__(self, base_url: str) -> None:
        self.base_url = base_url


@pytest.mark.parametrize(
    "url",
    ["file:///etc/passwd", "ftp://127.0.0.1/v1", "http://me:pass@127.0.0.1:9/v1",
     "http://169.254.169.254/latest", "http://[fd00:ec2::254]/latest", "http://model.example/v1",
     "http://metadata.google.internal/v1", "gopher://127.0.0.1/", "//127.0.0.1/v1"],
)  # fmt: skip
def test_an_unsafe_address_is_refused_before_any_request(url):
    """
    With an error that repeats no password, and rows that say that nothing was sent.
    """
    try:
        (outcome,) = ask(At(url), questions(1)).result(60)
    except errors.ConfigurationError as error:
        refusal = error
    else:
        refusal = outcome.error

    assert isinstance(refusal, errors.ConfigurationError)
    assert not refusal.maybe_billed
    assert "me:pass" not in refusal.message


@pytest.mark.parametrize(
    "key",
    ["sk-one\nx: y", 'sk-"quoted"', "sk-\u200binvisible", "Bearer sk-one", "sk-\x00", " sk-one"],
)
def test_a_key_that_cannot_travel_is_refused_before_any_request(key):
    """
    The position is named, never the value.
    """
    with ScriptServer([ANSWER]) as server:
        with pytest.raises(errors.InvalidKey) as caught:
            ask(server, questions(1), api_key=key)

        assert server.requests == []
    assert key.strip() not in str(caught.value)
    assert "sk-one" not in str(caught.value)


def led_to(error):
    """Return the errors that led to one, and those that led to them."""
    before = [cause for cause in (error.__cause__, error.__context__) if cause is not None]
    return before + [further for cause in before for further in led_to(cause)]


ECHOES = {
    "in an error": ("401 No", b'{"error":{"message":"Incorrect key: %b"}}'),
    "in a page": ("500 Oops", b"<pre>Authorization: Bearer %b</pre>"),
    "in a bad request": ("400 Bad", b'{"error":{"message":"header %b"}}'),
    "in what is no JSON": ("200 OK", b"{oops %b"),
    "in a refusal": ("429 Slow", b'{"error":{"message":"%b must wait"}}'),
}


@pytest.mark.parametrize(("status", "body"), ECHOES.values(), ids=ECHOES)
def test_a_key_that_is_echoed_is_in_no_error(status, body):
    """
    Masked in the message, the history, the body and whatever is pickled.
    """
    secret = "sk-echoed-0123456789abcdef"
    echo = reply(body % secret.encode(), CLOSE, status=status)
    with ScriptServer([echo]) as server:
        run = ask(server, questions(1), api_key=secret, max_attempts=2, max_wait=0.05)
        (outcome,) = run.result(60)

    assert outcome.error is not None
    assert secret not in str(outcome.error) + repr(outcome.error.details)
    assert secret.encode() not in pickle.dumps(outcome.error)
    # Errors come back from Dask's workers with all that led to them.
    assert secret.encode() not in pickle.dumps(led_to(outcome.error))


@pytest.mark.parametrize("is_streamed", [False, True])
def test_a_key_that_a_good_answer_repeats_is_kept_nowhere(is_streamed, tmp_path):
    """
    Neither in the answer nor in the store; a short stand-in for a key stays a word.
    """
    secret = "sk-echoed-0123456789abcdef"
    for key, shown in ((secret, "***"), ("ollama", "ollama")):
        with SimulatedProvider(reply=f"You sent {key}.") as sim:
            options = {"time_limit": 60} if is_streamed else {}
            run = ask(sim, questions(1), api_key=key, cache_dir=str(tmp_path), **options)
            (outcome,) = run.result(60)
        assert outcome.text == f"You sent {shown}."

    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert files
    assert not [path for path in files if secret.encode() in path.read_bytes()]


def test_a_server_that_speaks_no_tls_is_unsent():
    """
    https asked of a plain server: nothing of the request has left this machine.
    """
    with ScriptServer(greeting=b"HTTP/1.1 400 Plain\r\n\r\n") as server:
        url = server.base_url.replace("http:", "https:")
        (outcome,) = ask(At(url), questions(1), max_attempts=2).result(60)

    assert type(outcome.error).__name__ == "Unsent"
    assert not outcome.error.maybe_billed


@pytest.mark.parametrize("seed", range(4))
def test_a_server_in_every_trouble_at_once_loses_no_row(seed):
    """
    Resets, refusals, errors and silence by the dice, 40 rows at once: all are answered.
    """
    dice = random.Random(seed)
    troubles = [
        [refused("retry-after: 0.01")],
        [reply(b"oops", CLOSE, status="500 Oops")],
        [reply(b"oops", CLOSE, status="503 Away")],
        [ANSWER],
        [ANSWER],
        [reply(GOOD)],  # then hangs up: the next request may meet a stale connection
    ]
    with ScriptServer(*(dice.choice(troubles) for _ in range(120)), [ANSWER]) as server:
        run = ask(server, questions(40), max_concurrent_requests=8, max_attempts=20)

        assert [outcome.text for outcome in run.result(60)] == ["fine"] * 40
