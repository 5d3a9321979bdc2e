"""What widgets send to their page, recorded in place of a kernel's channel."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import comm
from comm.base_comm import BaseComm


class RecordingComm(BaseComm):
    """A channel that keeps what is sent through it."""

    sent: list[dict[str, Any]]

    def publish_msg(self, msg_type: str, data: Any = None, **_: Any) -> None:
        RecordingComm.sent.append({"type": msg_type, "data": data, "comm_id": self.comm_id})


@contextmanager
def recorded() -> Iterator[list[dict[str, Any]]]:
    """Record every message that widgets send while the block lasts."""
    usual, comm.create_comm = comm.create_comm, RecordingComm
    RecordingComm.sent = []
    try:
        yield RecordingComm.sent
    finally:
        comm.create_comm = usual


def updates(sent: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the snapshots that were sent after the first."""
    return [
        message["data"]["state"]["snapshot"]
        for message in sent
        if message["type"] == "comm_msg" and "snapshot" in message["data"].get("state", {})
    ]


def press(widget: Any, **content: Any) -> None:
    """Deliver a message of the page to a widget, as its channel would."""
    widget._handle_msg(
        {"content": {"data": {"method": "custom", "content": content}}, "buffers": []}
    )
