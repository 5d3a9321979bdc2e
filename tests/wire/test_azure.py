"""Promises about Azure: both of its interfaces, from whatever address a person has at hand."""

from __future__ import annotations

import orjson
import pytest

from llmnb import errors
from llmnb.targets.resolve import resolve
from llmnb.wire.catalog import azure_endpoint, provider
from llmnb.wire.classify import classify
from llmnb.wire.dialect import dialect

AZURE = provider("azure")
HOST = "https://mine.openai.azure.com"
DATE = "2024-10-21"


def address(base, version=None, gen_type="chat", model="my deployment"):
    return azure_endpoint(AZURE, base, gen_type, model, version)


@pytest.mark.parametrize("base", [HOST, HOST + "/", HOST + "/openai", HOST + "/openai/v1/"])
def test_without_a_date_it_is_the_newer_interface(base):
    """
    The deployment stands in the body, as the model.
    """
    assert address(base) == HOST + "/openai/v1/chat/completions"
    assert address(base, gen_type="responses") == HOST + "/openai/v1/responses"
    assert address(base, gen_type="embedding") == HOST + "/openai/v1/embeddings"


@pytest.mark.parametrize("base", [HOST, HOST + "/", HOST + "/openai/"])
def test_with_a_date_it_is_the_older_interface(base):
    """
    The deployment stands in the path; a date in the address does as well as the variable's.
    """
    older = f"{HOST}/openai/deployments/my%20deployment"

    assert address(base, DATE) == f"{older}/chat/completions?api-version={DATE}"
    assert address(base, DATE, "embedding") == f"{older}/embeddings?api-version={DATE}"
    assert address(f"{base}?api-version={DATE}") == f"{older}/chat/completions?api-version={DATE}"


def test_an_address_of_a_deployment_is_completed():
    """
    By its endpoint and by the date; a whole one is left as it is.
    """
    base = f"{HOST}/openai/deployments/d"
    whole = f"{base}/chat/completions?api-version={DATE}"

    assert address(base, DATE) == whole
    assert address(f"{base}/?api-version={DATE}", "2023-05-15") == whole
    assert address(whole) == address(whole, "2023-05-15") == whole


def test_whoever_names_the_newer_interface_gets_it():
    """
    Whatever date lies in the environment; and for what only it has, without naming it.
    """
    assert address(HOST + "/openai/v1", DATE) == HOST + "/openai/v1/chat/completions"
    assert address(HOST, DATE, "responses") == HOST + "/openai/v1/responses"
    assert address(HOST, "preview") == HOST + "/openai/v1/chat/completions"
    preview = HOST + "/openai/v1/chat/completions?api-version=preview"
    assert address(HOST + "/openai/v1?api-version=preview") == preview


def test_an_older_address_without_a_date_is_refused_with_what_to_do():
    """
    Azure would answer it with a bare 404.
    """
    with pytest.raises(errors.ConfigurationError, match="OPENAI_API_VERSION"):
        address(f"{HOST}/openai/deployments/d")


def test_the_variables_are_read(monkeypatch):
    """
    Endpoint, key and date, under the names that Azure's own documentation gives them.
    """
    monkeypatch.setenv("AZURE_OPENAI_ENDPOINT", HOST)
    monkeypatch.setenv("AZURE_OPENAI_API_KEY", "0123456789abcdef")

    assert resolve("azure/d").url == HOST + "/openai/v1/chat/completions"
    monkeypatch.setenv("OPENAI_API_VERSION", DATE)
    assert resolve("azure/d").url == (
        f"{HOST}/openai/deployments/d/chat/completions?api-version={DATE}"
    )
    assert resolve("openai/gpt-4o-mini", api_key="k").url.startswith("https://api.openai.com/v1/")


def test_its_remarks_on_content_do_not_disturb_an_answer():
    """
    They stand beside the choices, and in a stream before them and between them.
    """
    chat = dialect("openai.chat")
    harmless = {"hate": {"filtered": False, "severity": "safe"}}
    marks = {"choices": [], "prompt_filter_results": [{"prompt_index": 0}]}
    parts = [
        {"index": 0, "delta": {"role": "assistant", "content": ""}, "content_filter_results": {}},
        {"index": 0, "delta": {"content": "Hi"}, "content_filter_results": harmless},
        {"index": 0, "finish_reason": None, "content_filter_offsets": {"check_offset": 1}},
        {"index": 0, "delta": {}, "finish_reason": "stop"},
    ]
    chunks = [marks, *({"choices": [piece]} for piece in parts)]
    stream = b"".join(b"data: " + orjson.dumps(chunk) + b"\n\n" for chunk in chunks)

    result = chat.parse(chat.assembler().whole(stream))

    assert (result.text, result.quality) == ("Hi", "good")


@pytest.mark.parametrize(
    ("status", "body", "kind"),
    [
        (
            400,
            {
                "code": "content_filter",
                "message": "The response was filtered.",
                "innererror": {"code": "ResponsibleAIPolicyViolation"},
            },
            errors.Filtered,
        ),
        (
            404,
            {"code": "DeploymentNotFound", "message": "It does not exist."},
            errors.RequestRejected,
        ),
        (401, {"code": "401", "message": "Access denied."}, errors.AuthenticationError),
        (429, {"code": "429", "message": "Please retry after 7 seconds."}, errors.RateLimited),
    ],
)
def test_its_errors_are_understood(status, body, kind):
    """
    In its own shapes.
    """
    raw = orjson.dumps({"error": body})
    error = classify(status, {}, raw, provider="azure", model="d", now=0.0, secret=None)

    assert type(error) is kind
