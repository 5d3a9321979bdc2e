"""`llmnb plan`: what a run would take and cost. Nothing is sent."""

from __future__ import annotations

import argparse

from llmnb.cli import asking as options_of
from llmnb.running.planning import plan


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Describe the options."""
    options_of.add_arguments(parser)


def act(options: argparse.Namespace) -> int:
    """Run the command."""
    questions = options_of.Questions(options)
    options_of.announce(options.model, options.url)
    found = plan(
        map(questions.request, questions.rows()),
        options_of.asking(options),
        project_name=options.project,
        use_cache=not options.no_cache,
        max_requests_per_minute=options.rpm,
        max_tokens_per_minute=options.tpm,
        max_concurrent_requests=options.concurrency,
    )
    print(found.text(length_option="--max-tokens"))
    return 0
