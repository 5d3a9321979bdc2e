"""``python -m llmnb.generation``: answer a file of requests, with the cookbook's options."""

from __future__ import annotations

import argparse
import sys

from llmnb.errors import LLMNBError
from llmnb.generation.api_request_parallel_processor import (
    FileReport,
    process_api_requests_from_file_sync,
)
from llmnb.generation.parallel import MAX_ATTEMPTS
from llmnb.generation.results import refused_addresses
from llmnb.signatures import add_options

_OPTIONS = (
    *("max_requests_per_minute", "max_tokens_per_minute", "max_concurrent_requests"),
    *("duplicates", "allow_urls", "project_name", "good_finish", "max_wait", "burst"),
    *("budget_usd", "max_tokens", "temperature"),
)


def main(typed: list[str] | None = None) -> int:
    """Answer the file that the command line names; return the exit code."""
    options = _parser().parse_args(typed)
    arguments = vars(options)
    if options.truncate == "no":
        arguments["truncate"] = None
    try:
        report = process_api_requests_from_file_sync(**arguments)
    except LLMNBError as error:
        print(f"llmnb.generation: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print(
            "Stopped; every answer that came is kept. Type the same command again: only what is "
            "missing is asked.",
            file=sys.stderr,
        )
        return 130
    _report(report)
    return 1 if report.failed or not report.is_whole else 0


def _report(report: FileReport) -> None:
    counts = report.status.counts
    kept = counts.num_cached + counts.num_reused
    parts = {
        f"{report.rows:,} rows in {report.save_filepath}": True,
        f"{kept:,} answered before": kept,
        f"{counts.num_merged:,} the same as another": counts.num_merged,
        f"{report.cut:,} cut to the model's window": report.cut,
        report.status.cost_text: True,
    }
    print(", ".join(words for words, is_shown in parts.items() if is_shown))
    if report.error is not None:
        print(f"llmnb.generation: {report.error}", file=sys.stderr)
    if notice := refused_addresses(report.refused):
        print(notice, file=sys.stderr)
    if failed := report.failed - report.refused:
        print(
            f"{failed:,} of {report.rows:,} requests failed; their rows hold the errors. "
            "Type the same command again: only they are asked.",
            file=sys.stderr,
        )


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m llmnb.generation", description=__doc__)
    add = parser.add_argument
    add("--requests_filepath", required=True, metavar="FILE", help="one JSON object a line")
    add("--save_filepath", metavar="FILE", help="default: the input's name with _results")
    add("--request_url", metavar="URL", help="a base or a full endpoint; default: by the model")
    add("--api_key", metavar="KEY", help="better in OPENAI_API_KEY: others see a command's words")
    add("--token_encoding_name", default="cl100k_base", metavar="NAME")
    add("--max_attempts", type=int, default=MAX_ATTEMPTS, metavar="N")
    add("--logging_level", default="30", metavar="N", help="40, 30, 20 or 10: errors … details")
    add("--truncate", choices=["end", "start", "no"], default="end", help="what long prompts lose")
    add("--gen_type", "--gen-type", metavar="KIND", help="chat, text, …; default: by the URL")
    add_options(parser, _OPTIONS, both_spellings=True)
    return parser


if __name__ == "__main__":
    raise SystemExit(main())
