"""A real kernel, spoken to over the Jupyter protocol as a notebook's page does."""

from __future__ import annotations

import contextlib
import json
import os
import queue
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from importlib import metadata
from pathlib import Path
from typing import Any

from jupyter_client.kernelspec import KernelSpecManager
from jupyter_client.manager import KernelManager

PATIENCE_SECONDS = 100.0
"""For what a busy machine may take its time with; a test as a whole has 120."""

WIDGET = "application/vnd.jupyter.widget-view+json"

PYTHONS = [path for path in os.environ.get("LLMNB_TEST_KERNELS", "").split(os.pathsep) if path]
"""Interpreters with llmnb's dependencies and some ipykernel; the tests' own where none is named."""


def pythons() -> list[tuple[str, str]]:
    """Return interpreters to try, and the version of ipykernel of each."""
    if not PYTHONS:
        return [(sys.executable, metadata.version("ipykernel"))]
    ask = "from importlib import metadata; print(metadata.version('ipykernel'))"
    return [
        (path, subprocess.run([path, "-c", ask], capture_output=True, text=True).stdout.strip())
        for path in PYTHONS
    ]


@dataclass
class CellMessages:
    """The messages that a kernel sent about one cell."""

    reply: dict[str, Any] = field(default_factory=dict)
    messages: list[dict[str, Any]] = field(default_factory=list)

    @property
    def is_over(self) -> bool:
        """Whether the cell has its reply and all its messages have come."""
        states = [message.get("execution_state") for message in self.of("status")]
        return bool(self.reply) and "idle" in states

    @property
    def status(self) -> str:
        """``ok``, ``error`` or ``aborted``."""
        return str(self.reply.get("status"))

    def of(self, *kinds: str) -> list[dict[str, Any]]:
        """Return the contents of messages of some kinds."""
        return [message["content"] for message in self.messages if message["msg_type"] in kinds]

    @property
    def text(self) -> str:
        """What was printed, on both streams."""
        return "".join(message["text"] for message in self.of("stream"))

    @property
    def shown(self) -> list[dict[str, Any]]:
        """Displays and their updates, in order."""
        return self.of("display_data", "update_display_data")

    @property
    def value(self) -> dict[str, Any]:
        """The cell's value by media type."""
        results = self.of("execute_result")
        return results[0]["data"] if results else {}


class Kernel:
    """A kernel that runs.

    Args:
        manager: Its manager.
    """

    def __init__(self, manager: KernelManager) -> None:
        self.manager = manager
        self._by_cell: dict[str, CellMessages] = {}
        self.client = manager.client()
        self.client.start_channels()

    def wait_until_ready(self) -> None:
        """Wait until it has started."""
        self.client.wait_for_ready(timeout=PATIENCE_SECONDS)

    def run(self, code: str, **options: Any) -> CellMessages:
        """Run a cell and wait for its end."""
        return self.end(self.begin(code, **options))

    def begin(self, code: str, **options: Any) -> str:
        """Start a cell; returns what `end` takes."""
        return str(self.client.execute(code, **options))

    def end(self, cell: str) -> CellMessages:
        """Wait for the end of a cell that was begun."""
        until = time.monotonic() + PATIENCE_SECONDS
        while not (messages := self._messages_of(cell)).is_over:
            if time.monotonic() > until:
                raise TimeoutError(f"no end of the cell: {messages}")
            self._listen()
        return self._by_cell.pop(cell)

    def _listen(self) -> None:
        """Take what has come, whichever cell it is about."""
        with contextlib.suppress(queue.Empty):
            message = self.client.get_iopub_msg(timeout=0.05)
            self._about(message).messages.append(message)
        while self.client.shell_channel.msg_ready():
            message = self.client.get_shell_msg(timeout=1)
            self._about(message).reply = message["content"]

    def _about(self, message: dict[str, Any]) -> CellMessages:
        return self._messages_of(str(message["parent_header"].get("msg_id")))

    def _messages_of(self, cell: str) -> CellMessages:
        return self._by_cell.setdefault(cell, CellMessages())

    @contextlib.contextmanager
    def subshell(self) -> Iterator[str | None]:
        """Open a second shell in the kernel, which runs cells beside the first; gives its id.

        None where the kernel has no such shells (before ipykernel 7).
        """
        features = self._controlled("kernel_info_request").get("supported_features", [])
        if "kernel subshells" not in features:
            yield None
            return
        name = str(self._controlled("create_subshell_request")["subshell_id"])
        try:
            yield name
        finally:
            self._controlled("delete_subshell_request", subshell_id=name)

    def _controlled(self, kind: str, **content: Any) -> dict[str, Any]:
        """Ask something on the channel that is heard while a cell runs."""
        message = self.client.session.msg(kind, content)
        self.client.control_channel.send(message)
        reply: dict[str, Any] = self.client.get_control_msg(timeout=PATIENCE_SECONDS)
        assert reply["parent_header"]["msg_id"] == message["header"]["msg_id"]
        return dict(reply["content"])

    def begin_beside(self, subshell: str, code: str) -> None:
        """Start a cell in a subshell; it is sent behind whatever was begun before."""
        message = self.client.session.msg("execute_request", {"code": code, "silent": True})
        message["header"]["subshell_id"] = subshell
        self.client.shell_channel.send(message)

    def interrupt(self) -> None:
        """Press ■."""
        self.manager.interrupt_kernel()

    def press(self, comm: str, *, subshell: str | None = None, **content: Any) -> str:
        """Send what a page sends when a button is pressed; returns what `wait_heard` takes."""
        data = {"method": "custom", "content": content}
        message = self.client.session.msg("comm_msg", {"comm_id": comm, "data": data})
        if subshell is not None:
            message["header"]["subshell_id"] = subshell
        self.client.shell_channel.send(message)
        return str(message["header"]["msg_id"])

    def wait_heard(self, pressed: str) -> None:
        """Wait until the widget has said that it heard what was sent."""
        self._wait_for(
            lambda: any(
                sent["data"].get("content") == {"kind": "heard"}
                for sent in self._messages_of(pressed).of("comm_msg")
            )
        )

    def wait_card(self, cell: str) -> str:
        """Wait until a cell that was begun shows a widget; returns the name of its comm."""
        views: list[str] = []

        def is_shown() -> bool:
            shown = [output["data"] for output in self._messages_of(cell).shown]
            views[:] = [data[WIDGET]["model_id"] for data in shown if WIDGET in data]
            return bool(views)

        self._wait_for(is_shown)
        return views[0]

    def _wait_for(self, has_come: Callable[[], bool]) -> None:
        until = time.monotonic() + PATIENCE_SECONDS
        while not has_come():
            if time.monotonic() > until:
                raise TimeoutError("it has not come")
            self._listen()

    def stop(self) -> None:
        """End the kernel."""
        self.client.stop_channels()
        self.manager.shutdown_kernel(now=True)


@contextlib.contextmanager
def new_kernel(python: str, folder: Path, **environment: str) -> Iterator[Kernel]:
    """Start a kernel in an empty folder.

    Args:
        python: Its interpreter.
        folder: Its home, working directory, and the place of everything it writes.
        **environment: Further variables.
    """
    spec = folder / "kernels" / "tried"
    spec.mkdir(parents=True)
    argv = [python, "-m", "ipykernel_launcher", "-f", "{connection_file}"]
    text = json.dumps({"argv": argv, "display_name": "tried", "language": "python"})
    (spec / "kernel.json").write_text(text)
    manager = KernelManager(
        kernel_name="tried",
        kernel_spec_manager=KernelSpecManager(kernel_dirs=[str(folder / "kernels")]),
        connection_file=str(folder / "connection.json"),
    )
    kept = {name: value for name, value in os.environ.items() if not name.startswith("LLMNB_")}
    own = {"HOME": str(folder), "IPYTHONDIR": str(folder / "ipython")}
    own |= {"LLMNB_CACHE_DIR": str(folder / "cache"), "PYDEVD_DISABLE_FILE_VALIDATION": "1"}
    manager.start_kernel(env={**kept, **own, **environment}, cwd=str(folder))
    kernel = Kernel(manager)
    try:
        kernel.wait_until_ready()
        yield kernel
    finally:
        kernel.stop()
