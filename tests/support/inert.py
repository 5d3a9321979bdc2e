"""What a page must not do with a text that a model wrote, as a check."""

from __future__ import annotations

from html.parser import HTMLParser

from markup import Census

ELEMENTS = {
    *("p", "h1", "h2", "h3", "h4", "h5", "h6", "ul", "ol", "li", "blockquote", "em", "strong"),
    *("s", "table", "thead", "tbody", "tr", "th", "td", "code", "pre", "br", "hr", "span"),
}
STYLES = {"text-align:left", "text-align:center", "text-align:right", "white-space:pre-wrap"}
VOID = {"br", "hr"}


class Page(Census):
    """A census that knows which elements have no end."""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        super().handle_starttag(tag, attrs)
        if tag in VOID:
            self.open.pop()


class Nodes(HTMLParser):
    """Collects texts outside of code, each as a node of the page."""

    def __init__(self, html: str) -> None:
        super().__init__(convert_charrefs=True)
        self.texts: list[str] = []
        self._code = 0
        self._is_new = True
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._code += tag in ("code", "pre")
        self._is_new = True

    def handle_endtag(self, tag: str) -> None:
        self._code -= tag in ("code", "pre")
        self._is_new = True

    def handle_data(self, data: str) -> None:
        if self._code:
            return
        if self._is_new or not self.texts:
            self.texts.append("")
        self.texts[-1] += data
        self._is_new = False


def check_inert(html: str, *, wrapped: bool = False) -> None:
    """Fail where anything in a page could act.

    Args:
        html: The page.
        wrapped: Whether our own wrapper and foot stand around it.
    """
    page = Page(html)
    assert page.elements <= ELEMENTS | ({"div"} if wrapped else set())
    assert page.attributes <= {"style", "start"} | ({"class"} if wrapped else set())
    values = {value for value in page.values if not value.isdigit()}
    if wrapped:
        values -= {"tex2jax_ignore mathjax_ignore", "font-size:12px;opacity:.7;margin-top:6px"}
    assert values <= STYLES
    assert page.others == []
    assert page.open == []
