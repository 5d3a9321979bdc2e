r"""Promises about a half of a character (``\ud800``) in a line of requests."""

from __future__ import annotations

import json

import pytest

from llmnb.cli import main
from llmnb.generation import process_api_requests_from_file_sync
from llmnb.testing import SimulatedProvider

HALF = "\ud800"
REFUSED = "HTTP 400"  # by the provider: its reader of JSON takes no half


def asks(text, **fields):
    return {"model": "openai/m", "messages": [{"role": "user", "content": text}], **fields}


LINES = [
    (asks("fine"), None),
    (asks(f"a{HALF}"), REFUSED),
    ({"model": "openai/m", "prompt": f"b{HALF}"}, REFUSED),
    (asks("c", stop=[HALF]), REFUSED),
    ({**asks("d"), HALF: 1}, REFUSED),
    (asks("e", metadata={"id": HALF}), None),
    ({"custom_id": HALF, "url": "/v1/chat/completions", "body": asks("f")}, None),
    ({**asks("g"), "model": f"openai/m{HALF}"}, "half a character"),
    ({**asks("h"), "model": f"{HALF}/m"}, "half a character"),
    (asks("i", url=f"http://127.0.0.1:9/{HALF}"), "not plain ASCII"),
    (asks("j", api_key=HALF), "not plain ASCII"),
]


@pytest.mark.parametrize("door", ["llmnb run", "llmnb.generation"])
def test_half_a_character_fails_its_own_line_alone(tmp_path, monkeypatch, door):
    """
    Wherever in a line it stands: each keeps its place, as it was written, the others are answered.
    """
    source, out = tmp_path / "in.jsonl", tmp_path / "out.jsonl"
    source.write_text("".join(json.dumps(line) + "\n" for line, _ in LINES))

    with SimulatedProvider(reply="said", latency=0) as sim:
        monkeypatch.setenv("OPENAI_BASE_URL", sim.base_url)
        monkeypatch.setenv("OPENAI_API_KEY", "k")
        if door == "llmnb run":
            arguments = ["run", str(source), "--model", "openai/m", "--allow-urls", "--quiet"]
            assert main([*arguments, "--out", str(out)]) == 1
        else:
            process_api_requests_from_file_sync(source, out, allow_urls=True, progress=False)

    rows = [json.loads(line) for line in out.read_bytes().splitlines()]
    assert len(rows) == len(LINES)
    for (line, error), (request, response, *_) in zip(LINES, rows, strict=True):
        shown = {name: value for name, value in line.items() if name in request}
        assert request == shown
        if error is None:
            assert response["choices"][0]["message"]["content"] == "said"
        else:
            assert error in response[0]
