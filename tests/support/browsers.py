"""The one browser of a test process."""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
from asyncio import events
from collections.abc import Iterator
from pathlib import Path

from needs import find_chromium
from playwright.sync_api import (
    Browser,
    BrowserContext,
    ConsoleMessage,
    Locator,
    Page,
    ViewportSize,
    WebError,
    expect,
    sync_playwright,
)

ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]

WAIT = 120_000
"""Milliseconds that anything in a page may take on a busy machine; Playwright's own are 5,000."""

expect.set_options(timeout=WAIT)


def seen(scope: Page | Locator, text: str, *, exact: bool = False) -> Locator:
    """Return the first that shows a text to the eye.

    A card says much of it a second time, a moment later, for screen readers, and a saved form
    may stand unseen beside it: a locator of the text alone finds now one of them, now two.
    """
    shown = scope.get_by_text(text, exact=exact).filter(visible=True)
    return shown.and_(scope.locator(":not(.vh)")).first


def enter(button: Locator) -> None:
    """Press Enter on the button that has the focus, as soon as it acts.

    A card's buttons can have the focus before the kernel has answered, and do nothing until then.
    Playwright waits for that before it clicks, and not before it presses a key.
    """
    expect(button).to_be_focused()
    expect(button).to_be_enabled()
    button.page.keyboard.press("Enter")


class Chromium:
    """The system's Chromium, lent to one test at a time.

    Playwright leaves its loop marked as running in the thread between its calls. Nothing
    asynchronous could run there, so the mark is taken away while no test has the browser.

    Args:
        browser: The browser.
    """

    def __init__(self, browser: Browser) -> None:
        self._browser = browser
        self._kept: dict[str, Page] = {}
        self._loop = asyncio.get_running_loop()
        events._set_running_loop(None)

    @contextlib.contextmanager
    def lent(self) -> Iterator[Browser]:
        """Lend it; whatever was opened meanwhile is closed, but for the pages that are kept.

        Raises:
            AssertionError: If a page met an error that nothing caught.
        """
        events._set_running_loop(self._loop)
        _uncaught.clear()
        _idle.update(self._kept.values())
        try:
            try:
                yield self._browser
                assert not _uncaught, "\n".join(["errors in the browser's console:", *_uncaught])
            finally:
                kept = [page.context for page in self._kept.values()]
                for context in self._browser.contexts:
                    if context not in kept:
                        context.close()
        finally:
            events._set_running_loop(None)

    def page(self, name: str, *, width: int, height: int) -> Page:
        """Return the page of a name, while the browser is lent; it stays for the next test.

        To open another page takes a process, and most of a second of CPU.
        """
        size: ViewportSize = {"width": width, "height": height}
        context = self._kept.get(name)
        if context is not None:
            _idle.discard(context)
        if context is None or context.is_closed():
            context = self._kept[name] = patient(self._browser.new_context(viewport=size))
        elif context.viewport_size != size:
            context.set_viewport_size(size)
        return context

    def wake(self) -> None:
        """Let it be closed."""
        events._set_running_loop(self._loop)


@contextlib.contextmanager
def chromium(home: Path) -> Iterator[Chromium]:
    """Start the system's Chromium.

    Args:
        home: What it takes for its home.
    """
    program = find_chromium()
    assert program is not None, "mark the test with pytest.mark.browser"
    with sync_playwright() as player:
        browser = player.chromium.launch(
            executable_path=program,
            headless=True,
            args=ARGUMENTS,
            env={**os.environ, "HOME": str(home)},
            timeout=WAIT,
        )
        chromium = Chromium(browser)
        try:
            yield chromium
        finally:
            chromium.wake()
            browser.close()


def patient(context: BrowserContext) -> Page:
    """Open a page that waits as long as a busy machine takes, and whose errors fail the test."""
    context.set_default_timeout(WAIT)
    context.on("weberror", _note_thrown)
    context.on("console", _note)
    return context.new_page()


_uncaught: list[str] = []
"""What stood in the consoles of all pages since the browser was lent."""

_idle: set[Page] = set()
"""Kept pages that nobody has asked for since: what they are late to say is another test's."""


@contextlib.contextmanager
def tolerated(part: str) -> Iterator[None]:
    """Take no error in the consoles amiss that has this in it."""
    before = list(_uncaught)
    yield
    _uncaught[:] = [*before, *(text for text in _uncaught[len(before) :] if part not in text)]


def _note_thrown(error: WebError) -> None:
    if error.page not in _idle and not _OF_OTHERS.search(error.error.message):
        _uncaught.append(error.error.message)


def _note(message: ConsoleMessage) -> None:
    """Keep an error of a page's own; what the network refused, the tests ask the server about."""
    if message.page in _idle or message.type != "error":
        return
    if not _OF_OTHERS.search(message.text):
        _uncaught.append(message.text)


_OF_OTHERS = re.compile(
    r"^Failed to load resource|WebSocket|net::ERR_"
    # Notebook 7.5 begins with these two, whatever the notebook holds.
    r"|reading 'schema'\)|^Command 'filebrowser:open-path' not registered"
    # What JupyterLab says of a kernel that a test's end takes away, and its widgets of the views
    # that they take away then: a message that was under way finds none.
    r"|reading 'processLuminoMessage'\)"
    r"|^(?:Error: )?(?:Canceled future for|Kernel connection is disposed)"
)
