"""`%llm_status`, `%llm_cache`, `%llm_cost`, `%llm_models`: what runs, is kept, was spent, is there.

The machinery behind each is imported when it is first asked for.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from IPython.core.error import UsageError
from IPython.core.magic import Magics, magics_class

from llmnb import settings
from llmnb.display import money, numbers
from llmnb.display.escape import visible
from llmnb.display.texts import counted, single_line
from llmnb.errors import LLMNBError
from llmnb.notebook.options import Report, argument, arguments, parsed, plain_line_magic

if TYPE_CHECKING:
    from llmnb.store.usage import Spent
    from llmnb.wire.catalog import Provider


@magics_class
class LookingMagics(Magics):
    """Looking at runs, answers, money and models."""

    @plain_line_magic
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
    @plain_line_magic
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

            return CacheManager(cache_dir=root)
        if args.action == "clear":
            _clear(args, root)
        elif args.all or args.projects:
            raise UsageError("Projects are named to be cleared: %llm_cache clear NAME, or --all.")
        elif args.action == "undo":
            _undo(root)
        else:
            print(_listing(root))
        return None

    # ---------------------------------------------------------------------------- cost

    @plain_line_magic
    def llm_cost(self, line: str) -> Report:
        """Show tokens and dollars by project and model, in this kernel and in all."""
        if line.strip():
            raise UsageError("%llm_cost takes no arguments: it adds up everything.")
        return spending(settings.cache_dir())

    # -------------------------------------------------------------------------- models

    @plain_line_magic
    def llm_models(self, line: str) -> Report:
        """Show providers, whether a key is found, and models; of one provider all its models.

        ::

            %llm_models
            %llm_models ollama
        """
        names = line.split()
        if len(names) > 1:
            raise UsageError("%llm_models takes one provider, such as: %llm_models openai")
        return _provider_report(names[0]) if names else _providers_report()


# ------------------------------------------------------------------------------- cache


def _listing(root: Path) -> str:
    from llmnb.engine.status import Clock
    from llmnb.notebook import cache_view
    from llmnb.store import projects

    shown = cache_view.list_view(projects.list_projects(root), {}, root, Clock.wall())
    return cache_view.text(shown)


def _clear(args: argparse.Namespace, root: Path) -> None:
    from llmnb.store import clearing, layout, projects

    if bool(args.projects) == args.all:
        raise UsageError("Name the projects to clear, or --all: %llm_cache clear Reviews")
    for name in args.projects:
        layout.project_named(root, name)  # an unknown one clears nothing of the others either
    there = {project.name: project for project in projects.list_projects(root)}
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

    trashed = clearing.list_trash(root)
    if not trashed:
        raise LLMNBError("There is nothing to undo.")
    token, name = trashed[0]
    count = clearing.undo(token, root)
    print(f"Brought {counted(count, 'answer')} of {visible(name)} back.")


# -------------------------------------------------------------------------------- cost


def spending(root: Path) -> Report:
    """Return what was spent under a cache folder, by this process and by all."""
    from llmnb.store import layout, usage

    names = {project.spend: project.name for project in layout.stored_projects(root)}
    logs = sorted((root / layout.SPEND).glob("*.jsonl"))
    rows: dict[str, list[tuple[str, ...]]] = {}
    is_simulated = False
    for whose, read in (("this kernel", usage.spending_here), ("in all", usage.spending)):
        # A cleared project's folder name is all that is left of its name.
        spent = [
            (names.get(path, path.stem.rpartition("-")[0] or path.stem), each)
            for path in logs
            for each in read(path)
        ]
        every = [each for _, each in spent]
        paid = [each for each in every if not each.simulated]
        is_simulated = is_simulated or len(paid) < len(every)
        rows[whose] = [(whose, "", "", *_figures(every, paid))] if spent else []
        rows[whose] += [("", name, _asked(each), *_figures([each], [each])) for name, each in spent]
    if not rows["in all"]:
        return Report(notes=["Nothing was spent yet."])
    notes = ["Answers from the cache cost nothing. Clearing answers does not lower these sums."]
    if not rows["this kernel"]:
        notes.insert(0, "This kernel has spent nothing.")
    if is_simulated:
        notes.append("Simulated dollars were not paid, and are in no sum.")
    return Report(
        head=("", "project", "model", "requests", "tokens in", "tokens out", "spent"),
        rows=[*rows["this kernel"], *rows["in all"]],
        right=(3, 4, 5, 6),
        notes=[*notes, *_tracked()],
    )


def _tracked() -> list[str]:
    """Say what the cost tracker has added up, where somebody has switched it on."""
    from llmnb.cost import GLOBAL_COST_TRACKER as tracker

    if not (tracker.enabled or tracker.num_requests):
        return []
    text = f"The cost tracker counts {money.usd(tracker.lifetime_cost_usd)}"
    text += f" and {money.usd(tracker.simulated_usd)} simulated" if tracker.simulated_usd else ""
    text += " here"
    if tracker.num_unpriced:
        text += f" and {counted(tracker.num_unpriced, 'request')} of unknown price"
    if tracker.upper_bound_usd:
        text += f"; dropped requests may have cost up to {money.usd(tracker.upper_bound_usd)} more"
    return [text + "."]


def _asked(spent: Spent) -> str:
    return f"{spent.provider}/{spent.model}" + (" (simulated)" if spent.simulated else "")


def _figures(spent: list[Spent], paid: list[Spent]) -> tuple[str, str, str, str]:
    unpriced = sum(model.unpriced for model in paid)
    return (
        numbers.count(sum(model.requests for model in spent)),
        numbers.count(sum(model.prompt_tokens for model in spent)),
        numbers.count(sum(model.completion_tokens for model in spent)),
        money.usd(sum(model.usd for model in paid), more_unknown=unpriced > 0),
    )


# ------------------------------------------------------------------------------ models


def _providers_report() -> Report:
    """Return all providers, whether each has a key, and its default model."""
    from llmnb.adapters import prices
    from llmnb.models import offers

    return Report(
        head=("provider", "key", "default model", "$ per million tokens"),
        rows=offers.offers(),
        notes=[f"A model is named provider/model. Prices of {prices.prices_date()}."],
    )


def _provider_report(name: str) -> Report:
    """Return one provider, and the models that it says it has."""
    from llmnb.models import offers
    from llmnb.wire.catalog import provider

    row = provider(name)
    offer = offers.offer(row)
    address = row.base_url or "must be given: " + " or ".join(row.base_url_env)
    models, notes = _models(row)
    rows = [
        ("key", offer.key),
        ("address", "inside this process" if row.name == "local" else address),
        ("default model", offer.default_model or "none"),
        ("$ per million tokens", offer.price or "unknown"),
        *(("model", f"{row.name}/{model}") for model in models),
    ]
    return Report(head=(row.name, ""), rows=rows, notes=notes)


def _models(row: Provider) -> tuple[list[str], list[str]]:
    """Return a provider's models, with a note where they are not its own word."""
    from llmnb import bridge
    from llmnb.targets.resolve import resolve

    known = [model for model in row.known_models if "*" not in model]
    if row.name == "local":  # asking it would load it
        return known, ["Any GGUF file works, too: local/path/to/model.gguf"]
    try:
        target = resolve(row.default_models.get("chat") or "x", api_provider=row.name)
        return sorted(bridge.call(target.list_models())), []
    except LLMNBError as error:
        why = single_line(error.message)
        return known, [f"Known without asking; the provider's own list is not to be had: {why}"]
