"""Promises about pictures: what is sent, what is refused, and that memory stays small."""

from __future__ import annotations

import base64
import os

import pandas as pd
import pytest

from llmnb import errors
from llmnb.frames import images
from llmnb.frames.options import Options
from llmnb.frames.pandas_source import source_of
from llmnb.frames.questions import Questions

PNG = bytes.fromhex("89504e470d0a1a0a") + b"rest"
JPEG = b"\xff\xd8\xff\xe0rest"
GIF = b"GIF89arest"
WEBP = b"RIFF\x00\x00\x00\x00WEBPrest"


def data(kind, content):
    return f"data:image/{kind};base64,{base64.b64encode(content).decode()}"


@pytest.mark.parametrize(
    ("kind", "content"), [("png", PNG), ("jpeg", JPEG), ("gif", GIF), ("webp", WEBP)]
)
def test_bytes_and_files_become_addresses(tmp_path, kind, content):
    """
    The kind is told by the first bytes, not by the name.
    """
    path = tmp_path / "picture.dat"
    path.write_bytes(content)

    for cell in (content, bytearray(content), memoryview(content), path, str(path)):
        assert images.address(cell, root=tmp_path) == data(kind, content)


def test_addresses_are_sent_as_they_are():
    """
    The provider fetches them; we load nothing.
    """
    for cell in ("https://example.org/a.png?x=1", "HTTP://example.org", data("png", PNG)):
        assert images.address(cell) == cell


def test_what_is_no_picture_is_refused(tmp_path):
    """
    With a reason, before anything is sent for the row.
    """
    text = tmp_path / "notes.png"
    text.write_text("just words")
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    large = tmp_path / "large.png"
    with large.open("wb") as file:
        file.truncate(images.LARGEST_BYTES + 1)

    for cell, word in (
        (text, "PNG"),
        (b"words", "PNG"),
        (tmp_path / "missing.png", "No such file"),
        (tmp_path, "no file"),
        (pipe, "no file"),
        (large, "MiB"),
        (bytes(images.LARGEST_BYTES + 1), "MiB"),
        ("file:///etc/passwd", "http"),
        ("data:text/html,<b>", "picture"),
        ("a\0b", "null"),
        (5, "int"),
    ):
        with pytest.raises(errors.InputError, match=word):
            images.address(cell)


def test_a_message_holds_text_and_pictures(sim, asked, tmp_path):
    """
    One picture, several, or none; a row without text and pictures asks nothing.
    """
    path = tmp_path / "a.png"
    path.write_bytes(PNG)
    frame = pd.DataFrame(
        {
            "what": ["one", "two", "none", None, None],
            "picture": [str(path), [PNG, "https://example.org/b.png"], None, GIF, None],
        }
    )

    answers = frame.llm.generate(
        "{what}", images="picture", files_root=tmp_path, max_concurrent_requests=1
    )

    assert answers.isna().tolist() == [False, False, False, False, True]
    png = {"type": "image_url", "image_url": {"url": data("png", PNG)}}
    web = {"type": "image_url", "image_url": {"url": "https://example.org/b.png"}}
    gif = {"type": "image_url", "image_url": {"url": data("gif", GIF)}}
    assert [request["messages"][-1]["content"] for request in asked] == [
        [{"type": "text", "text": "one"}, png],
        [{"type": "text", "text": "two"}, png, web],
        "none",
        [gif],
    ]


def test_the_same_question_about_every_picture(sim, asked):
    """
    A prompt without fields is no slip here; rows without a picture ask nothing.
    """
    frame = pd.DataFrame({"picture": [PNG, None, JPEG]})

    answers = frame.llm.generate("picture?", images="picture")

    assert answers.isna().tolist() == [False, True, False]
    assert len(asked) == 2


def test_a_picture_that_cannot_be_read_fails_its_row_only(sim, asked, tmp_path):
    """
    The others are asked; once it is there it can be asked again.
    """
    late = tmp_path / "late.png"
    frame = pd.DataFrame({"picture": [PNG, str(late)]})
    run = frame.llm.start("what?", images="picture", files_root=tmp_path)
    with pytest.warns(UserWarning, match=r"first row 1: The picture '.*late\.png' cannot be read"):
        assert run.result(60).isna().tolist() == [False, True]

    late.write_bytes(GIF)

    assert run.retry_failed().result(60).isna().tolist() == [False, False]
    assert len(asked) == 2


def test_pictures_are_read_when_their_turn_comes(tmp_path):
    """
    A column of files is a column of names until then, and is let go again.
    """
    path = tmp_path / "a.png"
    questions = Questions(
        source_of(pd.DataFrame({"picture": [str(path)]})).columns(),
        "what?",
        Options(images="picture", files_root=tmp_path),
    )
    request = questions[0]
    path.write_bytes(PNG)

    assert dict(request)["messages"][0]["content"][1]["image_url"]["url"] == data("png", PNG)
    assert len(request) == 1
    with pytest.raises(KeyError):
        request["model"]


def test_an_unknown_column_of_pictures_is_an_error(sim):
    """
    Before anything is sent.
    """
    with pytest.raises(errors.UnknownField, match="picture"):
        pd.DataFrame({"a": ["b"]}).llm.generate("a", images="pictures")
