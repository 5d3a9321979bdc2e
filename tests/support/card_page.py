"""A page with one widget of a run on it, in a real browser, and a kernel that only hears."""

from __future__ import annotations

import json
from typing import Any

from llmnb.notebook.dashboard import RunDashboard

ADDRESS = "http://card.test/"

HTML = """<!doctype html><html><head><meta charset="utf-8"><style>%(css)s</style></head>
<body><div id="host"></div><script type="module">
import widget from "/card.js";
const listeners = {};
const tell = (name, ...said) => { for (const heard of listeners[name] ?? []) heard(...said); };
window.sent = [];
window.answers = %(answers)s;
window.alarms = 0;
window.alert = () => { window.alarms += 1; };
let state = %(state)s;
const model = {
  get: () => state, on: (name, heard) => (listeners[name] ??= []).push(heard), off: () => {},
  send: (message) => { window.sent.push(message); if (window.answers) window.answer(); },
};
window.receive = (message) => tell("msg:custom", message);
window.answer = () => tell("msg:custom", { kind: "heard" });
window.take = (next) => { state = next; tell("change:snapshot"); };
window.end = await widget.render({ model, el: document.getElementById("host") });
window.ready = true;
</script></body></html>"""


class CardPage:
    """A browser's page; `requests` holds every address that it asked for.

    Args:
        page: A page of Playwright.
        state: The first snapshot.
        style: Style sheet of the host around the widget.
        answers: Whether the kernel answers what is sent.
    """

    def __init__(
        self, page: Any, state: dict[str, Any], *, style: str = "", answers: bool = True
    ) -> None:
        self.page = page
        self.requests: list[str] = []
        self.errors: list[str] = []
        css = style + RunDashboard.style()
        self._html = HTML % {
            "css": css,
            "state": json.dumps(state).replace("<", "\\u003c"),
            "answers": json.dumps(answers),
        }
        page.on("request", self._note_request)
        page.on("pageerror", self._note_error)
        page.route("**/*", self._answer)
        page.goto(ADDRESS)
        page.wait_for_function("window.ready")

    def leave(self) -> None:
        """Let the page be used by another test."""
        self.page.remove_listener("request", self._note_request)
        self.page.remove_listener("pageerror", self._note_error)
        self.page.unroute_all()

    def _note_request(self, request: Any) -> None:
        self.requests.append(request.url)

    def _note_error(self, error: Any) -> None:
        self.errors.append(str(error))

    def _answer(self, route: Any) -> None:
        name = route.request.url.removeprefix(ADDRESS)
        if name == "":
            route.fulfill(body=self._html, content_type="text/html; charset=utf-8")
        elif name == "card.js":
            body = RunDashboard.script()
            route.fulfill(body=body, content_type="text/javascript; charset=utf-8")
        else:
            route.abort()

    def take(self, state: dict[str, Any]) -> None:
        """Deliver a snapshot."""
        self.page.evaluate("state => window.take(state)", state)

    def receive(self, message: dict[str, Any]) -> None:
        """Deliver a message."""
        self.page.evaluate("message => window.receive(message)", message)

    def answer(self) -> None:
        """Answer, as the kernel does to whatever it hears."""
        self.page.evaluate("() => window.answer()")

    def sent(self) -> list[dict[str, Any]]:
        """Return what the page has sent, and forget it."""
        return list(self.page.evaluate("() => window.sent.splice(0)"))
