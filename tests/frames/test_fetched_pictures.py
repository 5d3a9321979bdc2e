"""Promises about pictures on the web: fetched only where asked for, and then with care."""

from __future__ import annotations

import base64
import contextlib
import http.server
import os
import threading

import pandas as pd
import pytest

from llmnb import errors
from llmnb.frames import images
from llmnb.models.llm import LLM
from llmnb.testing import SimulatedProvider

PNG = bytes.fromhex("89504e470d0a1a0a") + b"rest"
SECRET = "sk-secret-0123456789abcdef"


class PictureServer(http.server.ThreadingHTTPServer):
    """A server of pictures, which writes down what it was asked."""

    daemon_threads = True

    def __init__(self, handler):
        super().__init__(("127.0.0.1", 0), handler)
        self.heads = []
        self.gone = set()

    def url(self, name):
        return f"http://127.0.0.1:{self.server_address[1]}/{name}"


class Handler(http.server.BaseHTTPRequestHandler):
    """Gives what a path names."""

    def do_GET(self):
        self.server.heads.append((self.path, dict(self.headers)))
        name = self.path.lstrip("/").partition("?")[0]
        kinds = {"page": "text/html", "untold": None, "mislabelled": "image/png"}
        kind, body = kinds.get(name, "image/png"), PNG
        if name == "mislabelled":
            body = b"<html>"
        if name == "large":
            body = PNG + bytes(images.LARGEST_BYTES)
        missing = name == "missing" or name in self.server.gone
        self.send_response(404 if missing else 302 if name == "elsewhere" else 200)
        if name == "elsewhere":
            self.send_header("location", self.server.url("a.png"))
        if kind is not None:
            self.send_header("content-type", kind)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        with contextlib.suppress(OSError):  # who asked has heard enough
            self.wfile.write(body)

    def log_message(self, *_):
        pass


@pytest.fixture
def web():
    server = PictureServer(Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


def pictures(body):
    """Return the addresses of a request's pictures."""
    parts = body["messages"][-1]["content"]
    return [part["image_url"]["url"] for part in parts if part["type"] == "image_url"]


HERE = "data:image/png;base64," + base64.b64encode(PNG).decode()


def test_an_address_is_passed_on_and_nothing_is_fetched(web, sim, asked):
    """
    Unless it is asked for, the provider is told where the picture lies.
    """
    frame = pd.DataFrame({"picture": [web.url("a.png")]})

    assert frame.llm.generate("What?", images="picture").notna().all()
    assert pictures(asked[0]) == [web.url("a.png")]
    assert web.heads == []


def test_fetched_pictures_travel_as_data_without_key_or_name(web, sim, asked, monkeypatch):
    """
    With fetch_files=True each is fetched once, with no key, and its bytes are sent.
    """
    monkeypatch.setenv("OPENAI_API_KEY", SECRET)
    frame = pd.DataFrame({"picture": [web.url("a.png?token=x"), [web.url("untold"), PNG]]})

    answers = frame.llm.generate("What?", images="picture", fetch_files=True, n=2)

    assert answers.notna().all()
    assert sorted(len(pictures(body)) for body in asked) == [1, 1, 2, 2]
    assert {url for body in asked for url in pictures(body)} == {HERE}
    assert sorted(path for path, _ in web.heads) == ["/a.png?token=x", "/untold"]
    headers = str(web.heads).lower()
    assert SECRET not in headers
    assert "authorization" not in headers
    assert "cookie" not in headers


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("missing", "HTTP 404"),
        ("elsewhere", "sends elsewhere"),
        ("page", "text/html"),
        ("mislabelled", "no PNG, JPEG, GIF or WebP"),
        ("large", "MiB|bytes"),
    ],
)
def test_what_is_no_picture_is_a_failed_row_with_its_reason(web, sim, asked, name, why):
    """
    The others are asked, nothing of it is sent, and a redirect is not followed.
    """
    frame = pd.DataFrame({"picture": [web.url(name), web.url("a.png")]})

    answers = frame.llm.generate(
        "What?", images="picture", fetch_files=True, on_error="column", into="said"
    )

    assert answers["said"].isna().tolist() == [True, False]
    assert pd.Series(answers["said_error"]).str.contains(why).tolist()[0]
    assert len(asked) == 1
    assert [path for path, _ in web.heads].count("/a.png") == 1


@pytest.mark.parametrize(
    "url",
    ["http://169.254.169.254/latest/a.png", "http://user:password@127.0.0.1/a.png"],
)
def test_an_address_that_must_not_be_asked_is_not(sim, asked, url):
    """
    Metadata of the machine, and what carries a password, are refused before a request.
    """
    frame = pd.DataFrame({"picture": [url]})

    with pytest.raises(errors.RowsFailed, match="could not be fetched"):
        frame.llm.generate("What?", images="picture", fetch_files=True, on_error="raise")

    assert asked == []


def test_a_picture_that_did_not_come_is_fetched_anew_when_its_row_is_asked_again(web, sim, asked):
    """
    retry_failed() fetches what failed.
    """
    web.gone.add("a.png")
    frame = pd.DataFrame({"picture": [web.url("a.png")]})
    run = frame.llm.start("What?", images="picture", fetch_files=True)
    run.wait(60)
    assert [type(outcome.error) for outcome in run.failures()] == [errors.InputError]

    web.gone.clear()

    assert run.retry_failed().result(60).notna().all()
    assert pictures(asked[0]) == [HERE]


def test_a_plan_fetches_nothing(web, sim):
    """
    What a run would take is told without a request to anybody.
    """
    frame = pd.DataFrame({"picture": [web.url("a.png"), web.url("missing")]})

    plan = frame.llm.plan("What?", images="picture", fetch_files=True)

    assert plan.to_ask == 2
    assert web.heads == []


@pytest.mark.parametrize("provider", ["ollama", "anthropic"])
def test_where_an_address_is_not_taken_the_error_names_fetch_files(web, provider):
    """
    The row fails before a request, and says what helps; with it the picture is sent.
    """
    heard = []

    def note(request):
        heard.append(request)

    with SimulatedProvider(reply="fine", latency=0, faults=note) as sim:
        base = sim.base_url if provider == "ollama" else sim.base_url.removesuffix("/v1")
        model = LLM(url=base, model="m", api_provider=provider, api_key="k")
        frame = pd.DataFrame({"picture": [web.url("a.png")]})

        with pytest.raises(errors.RowsFailed, match="fetch_files=True"):
            frame.llm.generate("What?", images="picture", model=model, on_error="raise")
        assert heard == []

        helped = frame.llm.generate("What?", images="picture", model=model, fetch_files=True)
        assert helped.tolist() == ["fine"]
        assert len(heard) == 1


async def test_every_door_that_takes_pictures_takes_it(web, sim, asked):
    """
    Whatever the verb and the kind of table, awaited or not.
    """
    polars, dask = pytest.importorskip("polars"), pytest.importorskip("dask.dataframe")
    cells = {"picture": [web.url("a.png")]}
    how = {"images": "picture", "fetch_files": True, "use_cache": False}
    frame = pd.DataFrame(cells)

    frame.llm.preview("What?", **how)
    frame.llm.start("What?", **how).result(60)
    frame.llm.compare("What?", models=["openai/m", "openai/n"], **how)
    await frame.llm.agenerate("What?", **how)
    polars.DataFrame(cells).llm.generate("What?", **how)
    polars.DataFrame(cells).lazy().llm.generate("What?", **how).collect()
    dask.from_pandas(frame, npartitions=1).llm.generate("What?", **how).compute()

    assert len(asked) == 8
    assert {url for body in asked for url in pictures(body)} == {HERE}


def test_it_is_a_switch(sim, tmp_path):
    """
    Anything but True and False is refused before a request.
    """
    frame = pd.DataFrame({"picture": [os.fspath(tmp_path)]})

    with pytest.raises(errors.ConfigurationError, match="fetch_files"):
        frame.llm.generate("What?", images="picture", fetch_files="yes")
