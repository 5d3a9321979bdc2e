"""What the site has beside the files of docs/: a hook of mkdocs, named in mkdocs.yml.

Notebooks, the list of changes, the papers beside the README and the examples' data become pages
or files of it; pages of the reference get what stands in the code: tables of public names, of
options and of commands.
"""

from __future__ import annotations

import importlib
import inspect
import io
import json
import os
import re
from collections.abc import Iterator
from contextlib import redirect_stdout, suppress
from pathlib import Path
from typing import Any

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.plugins import event_priority
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

ROOT = Path(__file__).resolve().parents[2]

PAPERS = {
    "changelog.md": "CHANGELOG.md",
    "contributing.md": "CONTRIBUTING.md",
    "security.md": "SECURITY.md",
}
"""Pages made of files beside the README."""

READ_FIRST = (
    " label_reviews typed_columns semantic_search steering comparing_models better_prompts"
    " cache_and_cost fallback_and_hedging "
)
"""The order of the notebooks; others come behind."""

FOUND = (
    ("how-to/", 4.0),
    ("faq", 3.0),
    ("start", 2.0),
    ("changelog", 0.1),
    ("testing", 0.3),
    ("architecture", 0.3),
    ("benchmarks", 0.3),
    ("", 1.0),
)
"""How far ahead of others a page stands among what a search finds."""

BESIDE = ("examples/**/*.*", "benchmarks/peers/README.md")
"""What pages link to that lies beside docs/; it has the same path in the site."""

PICTURE = re.compile(r"<picture>.*?<img alt=\"([^\"]+)\" src=\"([^\"]+)\">\s*</picture>", re.S)
"""A picture with a dark twin: a code host follows the system, a page of the site its switch."""

ELSEWHERE = re.compile(r"<script[^>]*src=\"https?://[^>]*>\s*</script>", re.S)
"""Scripts of other origins, which nbconvert adds for formulas."""

MERMAID = re.compile(r"<script type=\"module\">(?:(?!</script>).)*mermaid.*?</script>", re.S)
"""nbconvert's loader for diagrams, which asks another origin."""


def notebooks() -> list[Path]:
    """Return the notebooks in the order in which they are read."""
    paths = sorted((ROOT / "notebooks").glob("*.ipynb"))
    return sorted(paths, key=lambda path: READ_FIRST.find(f" {path.stem} ") % 1_000)


def heading(path: Path) -> str:
    """Return the title of a notebook: its first heading, else its name."""
    for cell in json.loads(path.read_text(encoding="utf-8"))["cells"]:
        found = re.search(r"^# (.+)", "".join(cell["source"]), re.M)
        if cell["cell_type"] == "markdown" and found:
            return found[1].strip()
    return path.stem.replace("_", " ").capitalize()


# ------------------------------------------------------------------------ mkdocs's own events


def on_config(config: MkDocsConfig) -> MkDocsConfig:
    """Name the notebooks in the navigation, and the version where mike publishes one."""
    config.nav = _with_notebooks(config.nav)
    if os.environ.get("MIKE_DOCS_VERSION"):
        config.extra["version"] = {"provider": "mike"}
    return config


def _with_notebooks(entries: Any) -> Any:
    if isinstance(entries, list):
        return [_with_notebooks(entry) for entry in entries]
    if isinstance(entries, dict):
        return {name: _with_notebooks(entry) for name, entry in entries.items()}
    if entries == "notebooks/":
        return [{heading(path): f"notebooks/{path.name}"} for path in notebooks()]
    return entries


@event_priority(100)  # before mkdocs-jupyter looks for notebooks
def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add what lies beside docs/."""
    for path in [*notebooks(), *(path for kind in BESIDE for path in sorted(ROOT.glob(kind)))]:
        name, site = path.relative_to(ROOT).as_posix(), config.site_dir
        files.append(File(name, str(ROOT), site, config.use_directory_urls))
    for name, paper in PAPERS.items():
        text = (ROOT / paper).read_text(encoding="utf-8")
        files.append(File.generated(config, name, content=_as_page_of_docs(text)))
    return files


def _as_page_of_docs(text: str) -> str:
    """Return a paper with its links as a page of docs/ has them."""
    for page, paper in PAPERS.items():
        text = text.replace(f"]({paper})", f"]({page})")
    return text.replace("](docs/", "](").replace("](../", "](")


def on_page_markdown(markdown: str, page: Page, **_: Any) -> str:
    """Fill in what stands in the code; what lies beside docs/ lies within the site."""
    markdown = PICTURE.sub(_switched, markdown)
    name = page.file.src_uri
    page.meta["search"] = {"boost": next(much for start, much in FOUND if name.startswith(start))}
    if "/" not in page.file.src_uri:
        markdown = re.sub(r"\]\(\.\./(examples|benchmarks|notebooks)/", r"](\1/", markdown)
    markdown = re.sub(r"^<!-- code: (\w+)(?: (\S+)(?: (.+))?)? -->$", _filled, markdown, flags=re.M)
    return re.sub(r"^::: (\S+)$", _entry, markdown, flags=re.M)


def _switched(found: re.Match[str]) -> str:
    return "\n".join(picture(found[2], found[1]))


def on_post_page(output: str, page: Page, **_: Any) -> str:
    """Take away what would be loaded from elsewhere; lead notebooks' links to pages."""
    if page.file.src_uri.endswith(".ipynb"):
        output = re.sub(r'href="\.\./docs/([\w/-]+)\.md', r'href="../\1.html', output)
        output = re.sub(r'href="([\w-]+)\.ipynb"', r'href="\1.html"', output)
    return MERMAID.sub("", ELSEWHERE.sub("", output))


# ------------------------------------------------------------------------- from the code


def _entry(line: re.Match[str]) -> str:
    """Return an entry of the reference under the name that a person writes."""
    name = line[1]
    real = name.replace("df.llm.", "llmnb.frames.accessors.DataFrameLLM.")
    return f"::: {real}\n    options:\n      heading: {name}\n"


def _filled(mark: re.Match[str]) -> str:
    makers = {
        "names": names,
        "picture": picture,
        "gallery": gallery,
        "peers": peers,
        "options": options,
        "errors": errors,
        "awaited": awaited,
        "commands": commands,
        "magics": magics,
        "providers": providers,
    }
    return "\n".join(makers[mark[1]](*filter(None, mark.groups()[1:])))


def first_sentence(told: object) -> str:
    """Return the first line of somebody's docstring, without its mark-up of roles."""
    line = (inspect.getdoc(told) or "").partition("\n\n")[0].replace("\n", " ")
    return line.replace("``", "`").replace("|", "\\|")


def picture(path: str, words: str) -> Iterator[str]:
    """Yield a picture, and its dark twin for dark pages where there is one."""
    dark = path.replace(".png", "-dark.png")
    if (ROOT / "docs" / dark).exists():
        yield f"![{words}]({path}#only-light)\n![{words}]({dark}#only-dark)"
    else:
        yield f"![{words}]({path})"


def gallery() -> Iterator[str]:
    """Yield a picture for each notebook, with its title and its first words."""
    yield '<div class="gallery" markdown>\n'
    for path in notebooks():
        shown = f"pictures/notebook-{path.stem}.png"
        name = f"[**{heading(path)}**](notebooks/{path.name})"
        if (ROOT / "docs" / shown).exists():
            link = f"notebooks/{path.name}"
            (there,) = picture(shown, heading(path))
            yield "\n".join(f"[{each}]({link})" for each in there.splitlines()) + f"\n{name}\n"
        else:
            yield f"{name}\n"
    yield "</div>"


def peers() -> Iterator[str]:
    """Yield the table that `make bench-peers` wrote."""
    text = (ROOT / "docs" / "benchmarks.md").read_text(encoding="utf-8")
    yield text.partition("<!-- peers -->")[2].partition("<!-- /peers -->")[0].strip()


def names(module: str) -> Iterator[str]:
    """Yield a table of a module's public names."""
    owner = importlib.import_module(module)
    yield "| name | |\n|---|---|"
    for name in owner.__all__:
        value = getattr(owner, name)
        home = value.__name__ if inspect.ismodule(value) else getattr(value, "__module__", "")
        told = first_sentence(value) if home.startswith("llmnb") else ""
        page = "settings.md#version" if name == "__version__" else f"{name}.md"
        is_page = (inspect.ismodule(value) and name != "faults") or name == "__version__"
        link = f"({page})" if is_page else f"[{module}.{name}]"
        yield f"| [`{name}`]{link} | {told} |"


def options() -> Iterator[str]:
    """Yield a table of all options."""
    from llmnb.options import OPTIONS, PARAMS

    yield "| option | meaning | where |\n|---|---|---|"
    for name, option in {**OPTIONS, **PARAMS}.items():
        where = ", ".join(sorted(option.doors)) or "beside `params`"
        yield f"| `{name}` | {option.documentation.replace('|', chr(92) + '|')} | {where} |"


def providers() -> Iterator[str]:
    """Yield a table of the catalog's providers."""
    from llmnb.wire.catalog import load_catalog

    yield "| name | key | model where none is named | what it answers |\n|---|---|---|---|"
    for row in load_catalog().values():
        keys = ", ".join(f"`{name}`" for name in row.key_env) or "none needed"
        models = dict.fromkeys(row.default_models.values())
        named = ", ".join(f"`{name}`" for name in models) or "–"
        yield f"| `{row.name}` | {keys} | {named} | {', '.join(row.dialects)} |"


def errors() -> Iterator[str]:
    """Yield every error with what it means, indented by what it is a kind of."""
    from llmnb import errors

    def below(kind: type, depth: int) -> Iterator[str]:
        yield f"{'    ' * depth}- **`{kind.__name__}`**: {first_sentence(kind)}"
        for child in kind.__subclasses__():
            if child.__module__ == errors.__name__:
                yield from below(child, depth + 1)

    yield from below(errors.LLMNBError, 0)


def awaited() -> Iterator[str]:
    """Yield the awaited twins of the verbs, each with its line of code."""
    from llmnb.frames.accessors import DataFrameLLM

    for name in dir(DataFrameLLM):
        if name.startswith("a") and hasattr(DataFrameLLM, name[1:]):
            text = inspect.getdoc(getattr(DataFrameLLM, name)) or ""
            _, _, example = text.partition("Example:\n")
            yield f"### df.llm.{name}\n"
            yield f"{text.partition(chr(10))[0]} Arguments: those of `df.llm.{name[1:]}`.\n"
            yield f"```python\n{inspect.cleandoc(example)}\n```\n"


def commands() -> Iterator[str]:
    """Yield what `llmnb COMMAND --help` prints, of each action of a command, too."""
    from llmnb import cli

    os.environ["COLUMNS"] = "78"
    for name in cli.COMMANDS:
        text = help_of(name)
        yield f"## llmnb {name}\n\n```text\n{text}\n```\n"
        listed = text.partition("  ACTION\n")[2].partition("\n\n")[0]
        for action in re.findall(r"^    (\w+)", listed, re.M):
            yield f"### llmnb {name} {action}\n\n```text\n{help_of(name, action)}\n```\n"


def help_of(*words: str) -> str:
    """Return what a command prints when it is asked for help."""
    from llmnb import cli

    printed = io.StringIO()
    with redirect_stdout(printed), suppress(SystemExit):
        cli.main([*words, "--help"])
    return printed.getvalue().strip()


def magics() -> Iterator[str]:
    """Yield a table of the magics, and what each says of itself."""
    from llmnb.notebook.magics_ask import LLMMagics
    from llmnb.notebook.magics_looking import LookingMagics
    from llmnb.notebook.magics_settings import SettingsMagics

    for kind in (LLMMagics, SettingsMagics, LookingMagics):
        for name in sorted({*kind.magics["line"].values(), *kind.magics["cell"].values()}):
            told = inspect.cleandoc(getattr(kind, name).__doc__ or "")
            yield f"## %{name}\n\n```text\n{told}\n```\n"
