"""Promises of the documentation's site: built strictly, whole, and sufficient to itself."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pandas as pd
import pytest
from needs import ROOT

import llmnb
from llmnb import generation, rate_limiter, testing, widgets

Verbs = type(pd.DataFrame().llm)
REFERENCE = ROOT / "docs" / "reference"
MODULES = (llmnb, widgets, testing, rate_limiter, generation)


def verbs() -> list[str]:
    """Return the verbs of tables as a person writes them."""
    return [f"df.llm.{name}" for name in dir(Verbs) if not name.startswith("_")]


def entries() -> set[str]:
    """Return what the pages of the reference describe."""
    pages = "".join(page.read_text(encoding="utf-8") for page in REFERENCE.glob("*.md"))
    return set(re.findall(r"^::: (\S+)$", pages, re.M))


def is_awaited(verb: str) -> bool:
    """Whether it is the awaited twin of another verb."""
    return verb.startswith("df.llm.a") and verb.replace("df.llm.a", "df.llm.") in verbs()


def test_the_reference_has_an_entry_for_every_public_name():
    """
    Each name of each module, and each verb; modules have a page, awaited twins stand together.
    """
    pages = {f"llmnb.{page.stem}" for page in REFERENCE.glob("*.md")}
    there = entries() | pages | {"llmnb.__version__"}
    names = [f"{module.__name__}.{name}" for module in MODULES for name in module.__all__]

    assert [name for name in names if name not in there] == []
    assert [verb for verb in verbs() if verb not in there and not is_awaited(verb)] == []


def test_every_page_has_its_place():
    """
    The navigation names each file of docs/, so that a new page is found.
    """
    docs = ROOT / "docs"
    navigation = (ROOT / "mkdocs.yml").read_text(encoding="utf-8").partition("\nnav:")[2]
    pages = [page.relative_to(docs).as_posix() for page in docs.rglob("*.md")]

    assert [page for page in pages if f" {page}\n" not in navigation] == []


class Links(HTMLParser):
    """What a page leads to, what it loads, and the marks in it that others lead to."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.leads: list[str] = []
        self.loads: list[str] = []
        self.marks: set[str] = set()
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Take what a tag names."""
        named = {name: value or "" for name, value in attrs}
        self.marks |= {named[name] for name in ("id", "name") if name in named}
        if tag == "a" and "href" in named:
            self.leads.append(named["href"])
        elif tag == "link" and named.get("rel") not in ("canonical", "prev", "next"):
            self.loads.append(named.get("href", ""))
        self.loads += [named[name] for name in ("src", "poster", "data") if named.get(name)]
        self.loads += [each.split()[0] for each in named.get("srcset", "").split(",") if each]
        self.loads += re.findall(r"url\(['\"]?([^'\")]+)", named.get("style", ""))


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build the site, where no machine can be reached if this one can forbid it."""
    folder = tmp_path_factory.mktemp("site") / "site"
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "-d", str(folder)]
    alone = ["unshare", "--map-root-user", "--net"]
    if subprocess.run([*alone, "true"], capture_output=True, check=False).returncode == 0:
        command = [*alone, *command]
    done = subprocess.run(
        command,
        cwd=ROOT,
        env={**os.environ, "NO_MKDOCS_2_WARNING": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "WARNING" not in done.stderr
    return folder


@pytest.fixture(scope="module")
def pages(site: Path) -> dict[Path, Links]:
    """Read every page."""
    return {page: Links(page.read_text(encoding="utf-8")) for page in site.rglob("*.html")}


def is_elsewhere(address: str) -> bool:
    """Whether an address is of another origin."""
    return urlsplit(address).scheme in ("http", "https") or address.startswith("//")


@pytest.mark.slow
def test_nothing_is_loaded_from_elsewhere(site, pages):
    """
    Fonts, scripts, styles and pictures are the site's own.
    """
    assert len(pages) > 50
    assert [
        (p.name, at) for p, links in pages.items() for at in links.loads if is_elsewhere(at)
    ] == []
    styles = "".join(path.read_text(encoding="utf-8") for path in site.rglob("*.css"))
    styles += "".join(page.read_text(encoding="utf-8") for page in pages)
    assert re.findall(r"(?:@import|url\()\s*['\"]?(?:https?:)?//[^'\")\s]+", styles) == []


@pytest.mark.slow
def test_every_link_leads_somewhere(site, pages):
    """
    Within the site each page, file and mark that a link names is there.
    """
    lost = []
    for page, links in pages.items():
        if page.name == "404.html":
            continue  # its links are those of wherever it is shown
        for address in links.leads:
            parts = urlsplit(address)
            if parts.scheme or address.startswith("//"):
                continue
            target = (page.parent / unquote(parts.path)).resolve() if parts.path else page
            target = target / "index.html" if target.is_dir() else target
            mark = unquote(parts.fragment)
            if not target.exists() or (
                mark and target in pages and mark not in pages[target].marks
            ):
                lost.append(f"{page.relative_to(site)}: {address}")

    assert lost == []


@pytest.mark.slow
def test_every_public_name_is_shown_with_its_example(site, pages):
    """
    Under its own mark; and what can be called has its options one by one, never `**options`.
    """
    names = [f"{module.__name__}.{name}" for module in MODULES for name in module.__all__]
    marks = set().union(
        *(links.marks for page, links in pages.items() if "reference" in page.parts)
    )
    missing = [name for name in names if name not in marks and not hasattr(MODULES[0], name[6:])]
    tables = (site / "reference" / "tables.html").read_text(encoding="utf-8")

    assert missing == []
    assert all(f"df.llm.{verb[7:]}" in tables for verb in verbs())
    assert "budget_usd" in tables
    assert "**options" not in tables


@pytest.mark.slow
def test_every_command_and_every_action_is_shown(site, pages):
    """
    With its options, under a mark of its own.
    """
    from llmnb import cli

    marks = pages[site / "reference" / "command-line.html"].marks
    actions = ("list", "show", "clear", "undo", "export", "import")
    wanted = {f"llmnb-{name}" for name in cli.COMMANDS}

    assert wanted | {f"llmnb-cache-{name}" for name in actions} <= marks


@pytest.mark.slow
@pytest.mark.browser
def test_a_browser_finds_what_is_searched_for_and_asks_nobody_else(site, browser):
    """
    Pages, in both schemes and on a phone, ask one origin; searching for a budget finds its page,
    no page is wider than the window, and nothing is written into the console.
    """
    from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
    from threading import Thread

    class Quiet(SimpleHTTPRequestHandler):
        def __init__(self, *arguments: object) -> None:
            super().__init__(*arguments, directory=str(site))  # type: ignore[arg-type]

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Quiet) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        home = f"http://127.0.0.1:{server.server_port}/"
        asked: list[str] = []
        said: list[str] = []
        for scheme, width in (("light", 1280), ("dark", 400)):
            context = browser.new_context(
                color_scheme=scheme, viewport={"width": width, "height": 900}
            )
            page = context.new_page()
            page.on("request", lambda request: asked.append(request.url))
            page.on("console", lambda message: said.append(message.text))
            for name in ("index", "gallery", "how-to/budget", "reference/tables", "comparison"):
                page.goto(f"{home}{name}.html", wait_until="networkidle")
                wide = page.evaluate("document.documentElement.scrollWidth - innerWidth")
                assert wide <= 0, (name, width)
            page.goto(f"{home}index.html", wait_until="networkidle")
            if width < 1000:
                page.locator("label[for=__search]").first.click()
            page.locator(".md-search__input").press_sequentially("spend budget")
            link = page.locator(".md-search-result__link").first
            link.wait_for()
            assert "budget" in (link.get_attribute("href") or "")
            context.close()
        server.shutdown()

    assert [url for url in asked if not url.startswith((home, "data:", "blob:"))] == []
    assert said == []
