"""A widget in a real browser: the Python half in this process, its page in headless Chromium.

The page gets a model as anywidget would give it. What the page sends reaches
the widget as a message; what the widget sends or sets reaches the page whenever
the test waits for the browser, whatever for. No kernel, no server, no network.
"""

from __future__ import annotations

import contextlib
import queue
import time
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from playwright.sync_api import BrowserContext

HOST = """<!doctype html><html><head><meta charset="utf-8"><style>
:root { --jp-layout-color0: #fff; --jp-ui-font-color1: rgba(0,0,0,.87); --jp-brand-color1: #1976d2;
  --jp-warn-color1: #f57c00; --jp-error-color1: #d32f2f; --jp-success-color1: #388e3c;
  --jp-ui-font-family: "Segoe UI", Inter, system-ui, sans-serif; }
:root[data-theme="dark"] { --jp-layout-color0: #111; --jp-ui-font-color1: rgba(255,255,255,.87);
  --jp-brand-color1: #2196f3; --jp-warn-color1: #ff9800; --jp-error-color1: #f44336;
  --jp-success-color1: #4caf50; color-scheme: dark; }
body { margin: 20px; background: var(--jp-layout-color0); color: var(--jp-ui-font-color1);
  font: 13px/1.45 var(--jp-ui-font-family); }
</style></head><body></body></html>"""

RENDER = """async ({ id, esm, css, state, width, inShadow }) => {
  const style = document.createElement("style");
  style.textContent = css;
  document.head.append(style);
  const el = document.createElement("div");
  el.id = id;
  el.style.width = `${width}px`;
  const host = document.createElement("div");
  document.body.append(host);
  (inShadow ? host.attachShadow({ mode: "open" }) : host).append(el);
  const listeners = {};
  const model = {
    get: (name) => state[name],
    send: (content) => window.widgetSends(id, content),
    on: (name, act) => (listeners[name] ??= []).push(act),
    off: (name, act) => { listeners[name] = (listeners[name] ?? []).filter((one) => one !== act); },
  };
  (window.widgets ??= {})[id] = {
    set(name, value) {
      state[name] = value;
      for (const act of listeners[`change:${name}`] ?? []) act();
    },
    cut() { for (const act of listeners.comm_live_update ?? []) act(); },
    receive(message) { for (const act of listeners["msg:custom"] ?? []) act(message); },
  };
  const url = URL.createObjectURL(new Blob([esm], { type: "text/javascript" }));
  const widget = await import(url);
  window.widgets[id].end = await widget.default.render({ model, el });
}"""

CARRY = """() => {
  let carrying = Promise.resolve();
  window.carry = () => carrying = carrying.then(async () => {
    for (const [id, way, content] of await window.widgetNews()) {
      if (way === "set") window.widgets[id].set("snapshot", content);
      else window.widgets[id].receive(content);
    }
  });
  const often = () => window.carry().then(() => setTimeout(often, 15));
  often();
}"""

CENSUS = """() => {
  const found = { tags: new Set(), attributes: new Set() };
  for (const node of document.body.querySelectorAll("*")) {
    found.tags.add(node.localName);
    for (const one of node.attributes) found.attributes.add(one.name);
  }
  return { tags: [...found.tags].sort(), attributes: [...found.attributes].sort() };
}"""


class WidgetPage:
    """One page with widgets in it.

    Args:
        context: A context of Playwright's, in which it opens.
    """

    def __init__(self, context: BrowserContext) -> None:
        from browsers import patient

        self.page = page = patient(context)
        self.requests: list[str] = []
        self.errors: list[str] = []
        self._widgets: dict[str, Any] = {}
        self._heard: set[str] = set()
        self._news: queue.Queue[tuple[str, str, Any]] = queue.Queue()
        self._is_deaf = False
        page.set_content(HOST)
        page.on("request", lambda request: self.requests.append(request.url))
        page.on("pageerror", lambda error: self.errors.append(str(error)))
        page.on("dialog", lambda dialog: (self.errors.append(dialog.message), dialog.dismiss()))
        page.expose_function("widgetSends", self._on_send)
        page.expose_function("widgetNews", self._take_news)
        page.evaluate(CARRY)

    def _on_send(self, name: str, content: Any) -> None:
        widget = self._widgets[name]
        widget._handle_custom_msg(content, [])
        self._heard.add(name)

    def show(
        self, widget: Any, *, name: str = "widget", width: int = 760, in_shadow: bool = False
    ) -> Any:
        """Render a widget, and wait until it knows that it is heard; returns where it stands."""
        self._widgets[name] = widget
        widget.send = lambda content, buffers=None: self._news.put((name, "receive", content))
        widget.observe(
            lambda change: self._news.put((name, "set", change["new"])), names="snapshot"
        )
        state = {"snapshot": widget.snapshot}
        model = {"id": name, "esm": widget.script(), "css": widget.style()}
        frame = {"width": width, "inShadow": in_shadow}
        self.page.evaluate(RENDER, {**model, **frame, "state": state})
        self.until(lambda: name in self._heard)
        self._carry()
        return self.page.locator(f"#{name}")

    def until(
        self, is_so: Callable[[], Any], *, seconds: float = 100.0, pause_ms: float = 15
    ) -> None:
        """Carry messages to and fro until something is so."""
        end = time.monotonic() + seconds
        while True:
            self._carry()
            if is_so():
                return
            assert time.monotonic() < end, "this did not come about in the page"
            self.page.wait_for_timeout(pause_ms)

    def _take_news(self) -> list[tuple[str, str, Any]]:
        """Return what the widgets have said since the page last asked."""
        news = []
        with contextlib.suppress(queue.Empty):
            while not self._is_deaf:
                news.append(self._news.get_nowait())
        return news

    @contextlib.contextmanager
    def deaf(self) -> Iterator[None]:
        """Let nothing reach the page that a widget says meanwhile, until afterwards."""
        self._is_deaf = True
        yield
        self._is_deaf = False

    def _carry(self) -> None:
        """Have everything reach the page that the widgets have said so far."""
        self.page.evaluate("window.carry()")

    def census(self) -> tuple[set[str], set[str]]:
        """Return the elements and the attributes that stand in the page."""
        census = self.page.evaluate(CENSUS)
        return set(census["tags"]), set(census["attributes"])

    def strangers(self) -> list[str]:
        """Return what was asked of anybody outside the page."""
        return [url for url in self.requests if not url.startswith(("blob:", "data:", "about:"))]
