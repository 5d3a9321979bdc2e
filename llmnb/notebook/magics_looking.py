"""`%llm_status`, `%llm_cache`, `%llm_cost`, `%llm_models`: what runs, is kept, was spent, is there.

The machinery behind each is imported when it is first asked for.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from IPython.core.error import UsageError
from IPython.core.magic import Magics, line_magic, magics_class, no_var_expand

from llmnb import settings
from llmnb.display import money
from llmnb.display.escape import visible
from llmnb.display.texts import counted
from llmnb.errors import ConfigurationError, LLMNBError
from llmnb.notebook.options import argument, arguments, parsed
from llmnb.notebook.plain_errors import plain_errors
from llmnb.notebook.report import Report


@magics_class
class LookingMagics(Magics):
    """Looking at runs, answers, money and models."""

    @no_var_expand
    @line_magic
    @plain_errors
    def llm_status(self, line: str) -> None:
        """Show the dashboard of the current run, or the receipt of the last one.

        A batch run shows its card, which follows it.
        """
        from llmnb.engine.handle import last_run
        from llmnb.notebook import dashboard

        if line.strip():
            raise UsageError("%llm_status takes no arguments: it shows the run started last.")
        run = last_run()
        if run is None:
            print("Nothing has run yet in this kernel.")
            return
        dashboard.show(run)

    # --------------------------------------------------------------------------- cache

    @arguments()
    @argument(
        "action",
        nargs="?",
        choices=("list", "clear", "undo"),
        help="list: in words; clear: take answers away; undo: bring back what was cleared last; "
        "nothing: the cache manager",
    )
    @argument("projects", nargs="*", metavar="NAME", help="projects to clear")
    @argument("--all", action="store_true", help="clear every project")
    @no_var_expand
    @line_magic
    @plain_errors
    def llm_cache(self, line: str) -> Any:
        """Look through the answers that are kept, and clear them; a cleared project can come back.

        ::

            %llm_cache
            %llm_cache list
            %llm_cache clear Reviews "My questions"
            %llm_cache clear --all
            %llm_cache undo
        """
        args = parsed(self, "llm_cache", line)
        root = settings.cache_dir()
        if args.action is None and hasattr(self.shell, "kernel"):
            from llmnb.notebook.cache_manager import CacheManager

            return CacheManager(root)
        if args.action == "clear":
            _clear(args, root)
        elif args.all or args.projects:
            raise UsageError("Projects are named to be cleared: %llm_cache clear NAME, or --all.")
        elif args.action == "undo":
            _undo(root)
        else:
            print(_shelf(root))
        return None

    # ---------------------------------------------------------------------------- cost

    @no_var_expand
    @line_magic
    @plain_errors
    def llm_cost(self, line: str) -> Report:
        """Show tokens and dollars by project and model, in this kernel and in all."""
        if line.strip():
            raise UsageError("%llm_cost takes no arguments: it adds up everything.")
        from llmnb.notebook.spending import report

        return report(settings.cache_dir())

    # -------------------------------------------------------------------------- models

    @no_var_expand
    @line_magic
    @plain_errors
    def llm_models(self, line: str) -> Report:
        """Show providers, whether a key is found, and models; of one provider all its models.

        ::

            %llm_models
            %llm_models ollama
        """
        from llmnb.notebook import offered

        names = line.split()
        if len(names) > 1:
            raise UsageError("%llm_models takes one provider, such as: %llm_models openai")
        return offered.one(names[0]) if names else offered.every()


def _shelf(root: Path) -> str:
    from llmnb.engine.status import Clock
    from llmnb.notebook import shelf
    from llmnb.store import projects

    return shelf.text(shelf.shelf(projects.list_projects(root), [], root, Clock.wall()))


def _clear(args: argparse.Namespace, root: Path) -> None:
    from llmnb.store import clearing, layout, projects

    if bool(args.projects) == args.all:
        raise UsageError("Name the projects to clear, or --all: %llm_cache clear Reviews")
    there = {one.name: one for one in projects.list_projects(root)}
    unknown = [name for name in args.projects if layout.find_project(root, name) is None]
    if unknown:
        known = ", ".join(visible(name) for name in there) or "none"
        raise ConfigurationError(
            f"There is no project {unknown[0]!r}; nothing was cleared. There is: {known}."
        )
    if args.all and not there:
        print("No answers kept yet: there is nothing to clear.")
        return
    report = clearing.clear("full" if args.all else args.projects, root, to_trash=True)
    for name, count in report.removed.items():
        price = money.usd(there[name].usd) if name in there else "unknown"
        print(
            f"Cleared {counted(count, 'answer')} of {visible(name)}; "
            f"buying them again would cost {price}."
        )
    if report.elsewhere:
        print(f"{report.elsewhere:,} of them stand in other projects, too, and are still used.")
    print("%llm_cache undo brings back what was cleared last.")


def _undo(root: Path) -> None:
    from llmnb.store import clearing

    trashed = clearing.trashed(root)
    if not trashed:
        raise LLMNBError("There is nothing to undo.")
    token, name = trashed[0]
    count = clearing.undo(token, root)
    print(f"Brought {counted(count, 'answer')} of {visible(name)} back.")
