"""Promises about refusals and failures: each becomes the one type that says what to do."""

from __future__ import annotations

import pickle
from urllib.parse import quote

import orjson
import pytest
from markup import PAYLOADS, about
from recorded_errors import NOW, RECORDED, Recorded, anthropic, openai

from llmnb import errors
from llmnb.wire.classify import classify, error_inside, safe_text

SECRET = "hunter2-hunter2-hunter2"


def judge(status, body=b"", headers=None, *, secret=SECRET, provider="openai"):
    return classify(
        status, headers or {}, body, provider=provider, model="m", now=NOW, secret=secret
    )


def judge_recorded(case: Recorded):
    return judge(case.status, case.body, case.headers, provider=case.provider)


@pytest.fixture(params=RECORDED, ids=lambda case: case.name)
def recorded(request) -> Recorded:
    return request.param


def test_every_recorded_reply_is_understood(recorded):
    """
    Type and wait are what the provider meant, not only what its status says.
    """
    error = judge_recorded(recorded)

    assert type(error) is recorded.kind
    assert error.retry_after == (
        pytest.approx(recorded.wait) if recorded.wait is not None else None
    )


def test_every_error_says_who_and_what_and_carries_it(recorded):
    """
    Provider, status and words are in the message, and attributes for programs.
    """
    error = judge_recorded(recorded)

    assert recorded.provider in error.message
    assert f"HTTP {recorded.status}" in error.message
    assert recorded.says in error.message
    assert len(error.message.splitlines()) == 1
    assert (error.status, error.provider, error.model) == (recorded.status, recorded.provider, "m")
    assert pickle.loads(pickle.dumps(error)).details == error.details


def test_only_what_may_cost_money_is_marked_so(recorded):
    """
    A refusal was not billed; a reply that was given up for lost may have been.
    """
    error = judge_recorded(recorded)

    assert error.maybe_billed is isinstance(error, (errors.MaybeBilled, errors.BadReply))


def test_an_account_error_says_that_rows_are_kept_and_what_to_do():
    """
    One message for the whole run, so it must be enough.
    """
    bad_key = judge(401).message
    no_credit = judge(402).message

    assert "OPENAI_API_KEY" in bad_key
    assert "finished rows are kept" in bad_key
    assert "add credit" in no_credit
    assert "finished rows are kept" in no_credit


@pytest.mark.parametrize("status", [400, 403, 413, 422])
@pytest.mark.parametrize(
    "prompt",
    [
        "My bank says: insufficient funds, credit balance is too low, insufficient_quota",
        "You exceeded your current quota. Your spending limit is reached.",
    ],
)
def test_a_prompt_that_speaks_of_quotas_stops_nothing(status, prompt):
    """
    Providers repeat what they refuse; a row's text never ends the run of the others.
    """
    bodies = [
        openai(
            f"Invalid value for 'messages[0].content': '{prompt}'", "invalid_request_error", None
        ),
        orjson.dumps({"detail": [{"msg": "too odd", "type": "value_error", "input": prompt}]}),
        orjson.dumps({"error": {"message": "No.", "param": prompt, "failed_generation": prompt}}),
    ]

    for body in bodies:
        assert not isinstance(judge(status, body), errors.QuotaExhausted)


@pytest.mark.parametrize(
    ("status", "message", "code"),
    [
        (
            412,
            "Account me is suspended, possibly due to reaching the monthly spending limit or "
            "failure to pay past invoices.",
            "PRECONDITION_FAILED",
        ),
        (412, "PRECONDITION_FAILED: the monthly spending limit is reached", None),
        (
            403,
            "Your team 1f0a-22 has either used all available credits or reached its monthly "
            "spending limit.",
            "permission-denied",
        ),
        (400, "Your credit balance is too low to access the API.", "invalid_request_error"),
        (401, "Insufficient credits.", None),
        (409, "You exceeded your current quota.", None),
        (422, "Insufficient balance", None),
    ],
)
def test_an_empty_account_is_known_by_its_message_at_any_4xx(status, message, code):
    """
    Providers say it with whatever status they like; it ends the target and not one row.
    """
    assert type(judge(status, openai(message, "error", code))) is errors.QuotaExhausted


def test_togethers_credit_limit_is_a_rate_limit_whatever_it_says():
    """
    The name alone decides: with a 429 it never ends the run.
    """
    texts = "Your spending limit tier allows 60 queries per minute."

    assert type(judge(429, openai(texts, "credit_limit", None))) is errors.RateLimited
    assert type(judge(429, openai(texts, "billing", None))) is errors.QuotaExhausted


def test_a_known_status_wins_over_an_unreadable_body():
    """
    Nothing, a page, rubbish and deep nesting all leave the status its meaning.
    """
    for body in (b"", b"<html>", b"\xff\xfe\x00", b"[" * 100_000, b'{"error": 1e999}', b"null"):
        assert type(judge(429, body)) is errors.RateLimited
        assert type(judge(500, body)) is errors.ProviderError


def test_reset_headers_count_for_a_refusal_for_pace_only():
    """
    A 503 whose headers happen to tell of limits does not ask to wait.
    """
    headers = {"x-ratelimit-remaining-requests": "0", "x-ratelimit-reset-requests": "9s"}

    assert judge(429, b"", headers).retry_after == 9.0
    assert type(judge(503, b"", headers)) is errors.ProviderError
    assert judge(503, b"", headers).retry_after is None


def test_a_server_error_keeps_the_wait_that_it_asks_for():
    """
    The engine waits at least that long before it tries again.
    """
    assert judge(500, b"", {"retry-after": "4"}).retry_after == 4.0


@pytest.mark.parametrize("name", ["x-request-id", "request-id", "apim-request-id", "cf-ray"])
def test_the_request_id_is_kept(name):
    """
    Whatever the provider calls it.
    """
    assert judge(500, b"", {name: "req_1"}).request_id == "req_1"


@pytest.mark.parametrize(
    "key",
    [SECRET, "abc/def+ghi=jkl", 'with"quote\\slash', "sk-proj-Ab1_Cd2-Ef3", "k1" * 150],
    ids=["plain", "for URLs", "for JSON", "shaped", "long"],
)
@pytest.mark.parametrize(
    "echo",
    [
        lambda key: openai(f"No such key: {key}", None, None),
        lambda key: f"bad key {key}".encode(),
        lambda key: orjson.dumps({"error": {"message": "No.", "code": key}}),
        lambda key: f'{{"headers": {{"Authorization": "Bearer {key}"}}}}'.encode(),
        lambda key: b"?key=" + quote(key, safe="").encode(),
        lambda key: orjson.dumps({"message": key}).replace(b"/", b"\\/"),
        lambda key: key.upper().encode(),
        lambda key: (key * 3000).encode(),
        lambda key: b"x" * 19_990 + key.encode() * 4,
    ],
)
def test_a_key_that_comes_back_is_hidden_everywhere(key, echo):
    """
    Not in the message, not in the kept text, however it was written.
    """
    for status in (401, 400, 429, 500, 202):
        error = judge(status, echo(key), {"x-request-id": "r"}, secret=key)
        text = f"{error}{error!r}{error.body}".lower()
        assert key.lower() not in text
        assert quote(key, safe="").lower() not in text
        assert orjson.dumps(key).decode()[1:-1].lower() not in text
        assert key.lower().replace("/", "\\/") not in text
        if len(key) > 12:
            assert key[:12].lower() not in text
        assert key.encode() not in (error.raw or b"")


@pytest.mark.parametrize(
    "text",
    ["Bearer abcdef123456", "sk-ant-abcdef123456", "gsk_abcdef123456", 'x-api-key: "abcdef123456"'],
)
def test_whatever_looks_like_a_key_is_hidden_too(text):
    """
    A gateway may echo a key of its own, which nobody here has seen.
    """
    assert "abcdef123456" not in judge(401, text.encode(), secret=None).message


def test_ordinary_text_is_not_hidden():
    """
    A message that explains keys stays readable.
    """
    texts = "Use a Bearer token: authentication of key-value stores, sk-learn, hf-mirror."

    assert texts in judge(400, texts.encode()).message


def test_long_bodies_are_cut_and_controls_made_visible():
    """
    2,000 characters of it, none of which moves the cursor or turns the text around.
    """
    error = judge(500, ("\x1b]0;title\x07\x1b[2J\u202eevil\r" + "x" * 100_000).encode())

    assert len(error.body) == 2000
    assert len(error.message) < 500
    for text in (error.body, error.message):
        assert not set("\x1b\x07\r\u202e") & set(text)
    assert "\\x1b[2J" in error.body
    assert "\\u202e" in error.body


def test_line_ends_and_letters_of_a_body_stay():
    """
    Only what a terminal would obey is written out.
    """
    assert safe_text("Grüße, 世界 🙂\n".encode()) == "Grüße, 世界 🙂\n"
    assert safe_text(b"a\tb\x00") == "a    b\\x00"
    assert safe_text(b"\xff ok") == "\ufffd ok"


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        ({"code": 429, "message": "slow down, try again in 3s"}, errors.RateLimited),
        ({"code": "rate_limit_exceeded", "type": "requests"}, errors.RateLimited),
        ({"type": "insufficient_quota", "code": "insufficient_quota"}, errors.QuotaExhausted),
        ({"code": 402, "message": "Insufficient credits"}, errors.QuotaExhausted),
        ({"code": 401, "message": "No auth"}, errors.AuthenticationError),
        ({"code": 502, "message": "Bad gateway"}, errors.ProviderError),
        ({"type": "server_error", "message": "oops"}, errors.ProviderError),
        ({"type": "overloaded_error", "message": "Overloaded"}, errors.ProviderError),
        ({"code": 504, "message": "timeout"}, errors.MaybeBilled),
        ({"code": "context_length_exceeded"}, errors.ContextOverflow),
        ({"code": 400, "message": "no such field"}, errors.RequestRejected),
        ({"code": "content_filter"}, errors.Filtered),
        ({"message": "something"}, errors.BadReply),
        ({"code": 200}, errors.BadReply),
        ("just text", errors.BadReply),
        ([1, 2], errors.BadReply),
    ],
)
def test_an_error_inside_a_good_status_means_what_its_code_says(error, kind):
    """
    A 200 around an error is no answer; what names a known status is treated as that.
    """
    raw = orjson.dumps({"error": error})

    result = error_inside({"error": error}, raw)

    assert type(result) is kind
    assert result.status == 200
    assert (result.raw == raw) is (kind is errors.BadReply)


def test_a_wait_inside_a_good_status_is_kept():
    """
    A refusal for pace is paused for as long as it says.
    """
    body = {"error": {"code": 429, "message": "Please try again in 1m5s."}}

    assert error_inside(body, orjson.dumps(body)).retry_after == 65.0


def test_shapes_of_two_providers_are_distinguished_by_content_not_by_name():
    """
    A gateway passes Anthropic's body on under OpenAI's address.
    """
    error = judge(529, anthropic("overloaded_error", "Overloaded"), {"retry-after": "1"})

    assert type(error) is errors.Overloaded


def test_what_a_provider_wrote_hides_nothing():
    """
    Controls and directions are written out in the shown beginning of a reply and in the error.
    """
    for payload in PAYLOADS:
        with about(payload):
            raw = orjson.dumps({"error": {"message": payload}})
            error = classify(400, {}, raw, provider="p", model="m", now=NOW, secret=None)

            for text in (safe_text(payload.encode()), error.message, error.body or ""):
                assert {case for case in text if not case.isprintable()} <= {"\n"}
