"""IPython inside the test's own process, and what it showed."""

from __future__ import annotations

import builtins
import contextlib
import io
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import IPython
from IPython.core.displaypub import CapturingDisplayPublisher
from IPython.core.interactiveshell import InteractiveShell
from traitlets.config import Config


@dataclass
class Ran:
    """What running a cell came to."""

    result: Any
    out: str
    err: str
    shown: list[dict[str, Any]] = field(default_factory=list)
    """Outputs other than the cell's value: their data."""

    value_shown: dict[str, Any] = field(default_factory=dict)
    """The cell's value as it was shown, by media type."""

    @property
    def value(self) -> Any:
        """The cell's value."""
        return self.result.result

    @property
    def error(self) -> BaseException | None:
        """What the cell raised."""
        return self.result.error_in_exec or self.result.error_before_exec


class Shell:
    """A shell that runs cells and keeps what they show.

    Args:
        shell: IPython's own.
    """

    def __init__(self, shell: InteractiveShell) -> None:
        self.ip = shell

    @property
    def names(self) -> dict[str, Any]:
        """The notebook's variables."""
        return self.ip.user_ns

    def run(self, cell: str) -> Ran:
        """Run a cell as a notebook does."""
        out, err = io.StringIO(), io.StringIO()
        values: list[dict[str, Any]] = []
        publisher = CapturingDisplayPublisher()
        usual, self.ip.display_pub = self.ip.display_pub, publisher
        hook = self.ip.displayhook
        write, prompt = hook.write_format_data, hook.write_output_prompt
        hook.write_format_data = lambda data, _metadata=None: values.append(data)
        hook.write_output_prompt = lambda: None
        try:
            with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
                result = self.ip.run_cell(cell, store_history=True)
        finally:
            self.ip.display_pub = usual
            hook.write_format_data, hook.write_output_prompt = write, prompt
        shown = [output["data"] for output in publisher.outputs]
        return Ran(result, out.getvalue(), err.getvalue(), shown, values[-1] if values else {})


@contextlib.contextmanager
def new_shell(*, has_kernel: bool = False) -> Iterator[Shell]:
    """Start a shell of its own, as `get_ipython()` knows it, and take it down again.

    Args:
        has_kernel: Whether it looks as if a notebook's page were behind it.
    """
    InteractiveShell.clear_instance()
    # A doctest run before leaves `_` there, and IPython then sets none of its own.
    vars(builtins).pop("_", None)
    config = Config()
    config.HistoryManager.enabled = False
    config.InteractiveShell.colors = "nocolor"
    shell = InteractiveShell.instance(config=config)
    shell.display_formatter.active_types = shell.display_formatter.format_types
    if has_kernel:
        shell.kernel = object()
    assert IPython.get_ipython() is shell
    try:
        yield Shell(shell)
    finally:
        shell.extension_manager.unload_extension("llmnb")
        InteractiveShell.clear_instance()
