"""Promises about server-sent events: the same events however the bytes are cut.

Cases follow section 9.2 of the HTML Living Standard.
"""

from __future__ import annotations

import itertools

import pytest

from llmnb.wire.event_stream import EventDecoder


def events(*chunks: bytes) -> list[bytes]:
    decoder = EventDecoder()
    result = [event for chunk in chunks for event in decoder.feed(chunk)]
    return result + decoder.finish()


@pytest.mark.parametrize(
    ("stream", "expected"),
    [
        (b"data: a\n\ndata: b\n\n", [b"a", b"b"]),
        (b"data: a\r\n\r\ndata: b\r\n\r\n", [b"a", b"b"]),
        (b"data: a\r\rdata: b\r\r", [b"a", b"b"]),
        (b"data: a\r\n\ndata: b\n\r\n", [b"a", b"b"]),
        (b"data:a\n\n", [b"a"]),
        (b"data:  a \n\n", [b" a "]),
        (b"data: a\ndata: b\n\n", [b"a\nb"]),
        (b"data: a\r\ndata: b\r\n\r\n", [b"a\nb"]),
        (b"data: a\rdata: b\r\r", [b"a\nb"]),
        (b"data\n\n", [b""]),
        (b"data:\n\n", [b""]),
        (b"data: a\n\n\n\n\ndata: b\n\n", [b"a", b"b"]),
        (b": a comment\n\ndata: a\n\n: another\n\n", [b"a"]),
        (b":\ndata: a\n:data: not\n\n", [b"a"]),
        (b"event: delta\nid: 7\nretry: 10\ndata: a\n\n", [b"a"]),
        (b"event: nothing\n\n", []),
        (b"database: no\ndata: a\n\n", [b"a"]),
        (b" data: no\ndata: a\n\n", [b"a"]),
        (b"\n\n\xef\xbb\xbfdata: a\n\ndata: b\n\n", [b"b"]),
        (
            "data: Grüße 🙂 \u2028 \x0b \x85 end\n\n".encode(),
            ["Grüße 🙂 \u2028 \x0b \x85 end".encode()],
        ),
        (b"data: \x00\xff\n\n", [b"\x00\xff"]),
        (b"", []),
        (b"\n", []),
    ],
)
def test_events_are_the_same_however_the_bytes_are_cut(stream, expected):
    """
    In one piece, byte by byte, and cut at any one place.
    """
    assert events(stream) == expected
    assert events(*(stream[index : index + 1] for index in range(len(stream)))) == expected
    for index in range(len(stream)):
        assert events(stream[:index], stream[index:]) == expected
        assert events(stream[:index], b"", stream[index:]) == expected


def test_an_end_without_a_blank_line_loses_nothing():
    """
    Some servers close after the last line; whether it is whole is for the reader to judge.
    """
    assert events(b"data: a\n\ndata: b\n") == [b"a", b"b"]
    assert events(b"data: a\n\ndata: b") == [b"a", b"b"]
    assert events(b"data: a\n\nevent: x") == [b"a"]


def test_an_event_is_handed_out_with_the_byte_that_ends_it():
    """
    Nothing waits for the next event, or a live display would lag behind.
    """
    decoder = EventDecoder()

    assert decoder.feed(b"data: a\n") == []
    assert decoder.feed(b"\n") == [b"a"]
    assert decoder.feed(b"data: b\r\r") == [b"b"]


def test_a_very_long_line_in_small_fragments_takes_no_quadratic_time():
    """
    Sixteen megabytes in pieces of 128 bytes: copied once. Copied with each piece they would be
    a terabyte, and the suite's timeout would end it.
    """
    decoder = EventDecoder()
    piece = b"x" * 128
    count = 131_072

    result = list(
        itertools.chain.from_iterable(
            decoder.feed(chunk) for chunk in (b"data: ", *[piece] * count, b"\n\n")
        )
    )

    assert [len(event) for event in result] == [len(piece) * count]
