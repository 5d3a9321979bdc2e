"""Promises about a model's Markdown on a page: it reads well, and nothing of it is live."""

from __future__ import annotations

import pytest
from inert import Nodes, Page, check_inert
from markup import PAYLOADS, about

from llmnb.display.escape import visible_lines
from llmnb.notebook import markdown

MARKED = (
    "{}",
    "# {}",
    "- {}\n- {}",
    "1. {}",
    "> {}",
    "**{}** _{}_ ~~{}~~",
    "`{}`",
    "``` {}\n{}\n```",
    "    {}",
    "| {} | b |\n|---|:-:|\n| {} | {} |",
    "[{}](https://a.test)",
    "[x]({})",
    "[x](<{}> '{}')",
    "![{}]({})",
    "<{}>",
    "[r]: {}\n\n[r] ![r]",
    "{}\n===",
    "a\\\n{}",
)
"""Places in which a text can stand in Markdown."""


def test_markup_is_text_wherever_it_stands():
    """
    No payload becomes an element, an attribute, a comment, in any place of a Markdown text.
    """
    for payload in PAYLOADS:
        for place in MARKED:
            with about(written := place.replace("{}", payload)):
                check_inert(markdown.to_html(written))


def test_preformatted_and_code_are_text():
    """
    Text and code are shown as they are.
    """
    for payload in PAYLOADS:
        with about(payload):
            check_inert(markdown.preformatted(payload))
            check_inert(markdown.code_block(payload))


@pytest.mark.parametrize(
    "text",
    [
        "![pixel](https://evil.test/p.png)",
        "[![pixel](https://evil.test/p.png)](https://evil.test)",
        "[click](https://evil.test/x)",
        "<https://evil.test/x>",
        "[click][1]\n\n[1]: https://evil.test/x",
        "https://evil.test/x and www.evil.test",
        '[x](https://evil.test/x "title")',
    ],
)
def test_links_and_images_are_words_with_their_address(text):
    """
    Nothing is loaded and nothing can be clicked; the address can be read.
    """
    html = markdown.to_html(text)

    check_inert(html)
    assert "evil.test" in Page(html).text
    assert "title" not in Page(html).attributes


def test_an_address_that_is_its_own_text_stands_once():
    """
    An automatic link is not written twice.
    """
    assert markdown.to_html("<https://a.test/b>") == "<p>https://a.test/b</p>\n"


@pytest.mark.parametrize(
    "text",
    [
        "$x$ and $$y$$",
        r"\(x\) and \[y\] and \begin{align}z\end{align}",
        r"\\(x\\) and \\[y\\]",
        r"$\href{javascript:alert(1)}{x}$",
        "| $a$ | $b$ |\n|--|--|\n| $c | d$ |",
        "# $x$ \n\n- $y$",
    ],
)
def test_formulas_are_inert(text):
    """
    A typesetter that joins no elements finds no pair of signs.
    """
    for node in Nodes(markdown.to_html(text)).texts:
        assert node in ("$", "\\") or not set(node) & {"$", "\\"}


def test_what_markdown_is_for_is_kept():
    """
    Headings, lists, emphasis, quotes, code and tables look as they should.
    """
    text = (
        "# T\n\nA **b** *c* ~~d~~ `e`\n\n- f\n- g\n\n3. h\n\n> i\n\n"
        "```python\nx = 1 < 2\n```\n\n| k | l |\n|:--|--:|\n| m | n |\n\n---"
    )
    html = markdown.to_html(text)

    for piece in (
        "<h1>T</h1>",
        "A <strong>b</strong> <em>c</em> <s>d</s> <code>e</code>",
        "<ul><li>f</li>\n<li>g</li>\n</ul>",
        '<ol start="3"><li>h</li>',
        "<blockquote><p>i</p>\n</blockquote>",
        "<pre><code>x = 1 &lt; 2</code></pre>",
        '<th style="text-align:right">l</th>',
        "<hr>",
    ):
        assert piece in html


def test_controls_and_directions_are_visible_everywhere():
    """
    Escapes of a terminal, backspaces and reversed text are written out.
    """
    text = "a\x1b[31m b\u202ec `d\x08` \r\n\r\n```\ne\x07\n```\n\u2066f"
    for shown in (markdown.to_html(text), visible_lines(text)):
        assert not set(shown) & set("\x1b\u202e\x08\x07\r\u2066")
        for piece in (r"\x1b[31m", r"\u202e", r"\x08", r"\x07", r"\u2066"):
            assert piece.replace("[", "") in (
                shown.replace("<span>\\</span>", "\\").replace("[", "")
            )


def test_a_page_names_no_language_of_code():
    """
    Some pages draw a block called mermaid; ours is a block of code.
    """
    assert "mermaid" not in markdown.to_html("```mermaid\ngraph TD\n```")


def test_a_very_long_answer_is_cut_on_show():
    """
    Four megabytes do not go into a notebook, and the page says what is missing.
    """
    html = markdown.to_html("word " * 800_000)

    assert len(html) < 2 * markdown.LONGEST
    assert "3,900,000 further characters are in .text" in html


@pytest.mark.parametrize(
    "text", ["[" * 40_000, "![](" * 10_000, "> " * 20_000, "- " * 20_000, "*a_" * 13_000]
)
def test_hostile_nesting_is_no_trap(text):
    """
    What is nested a thousand times deep comes back, and comes back inert.
    """
    check_inert(markdown.to_html(text))
