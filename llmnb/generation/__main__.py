"""``python -m llmnb.generation``: a file of requests to a file of answers, in cookbook words."""

from __future__ import annotations

import argparse
import sys
from typing import get_args

from llmnb.errors import LLMNBError
from llmnb.generation.api_request_parallel_processor import (
    FileReport,
    process_api_requests_from_file_sync,
)
from llmnb.generation.parallel import MAX_ATTEMPTS
from llmnb.generation.results import refused_addresses
from llmnb.records import Burst


def main(words: list[str] | None = None) -> int:
    """Do what the words say; returns the exit code."""
    options = _parser().parse_args(words)
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
    _say(report)
    return 1 if report.failed or not report.is_whole else 0


def _say(report: FileReport) -> None:
    counts = report.status.counts
    kept = counts.num_cached + counts.num_reused
    parts = [f"{report.rows:,} rows in {report.save_filepath}"]
    if kept:
        parts.append(f"{kept:,} answered before")
    if counts.num_merged:
        parts.append(f"{counts.num_merged:,} the same as another")
    if report.cut:
        parts.append(f"{report.cut:,} cut to the model's window")
    parts.append(report.status.cost_text)
    print(", ".join(parts))
    if report.error is not None:
        print(f"llmnb.generation: {report.error}", file=sys.stderr)
    if words := refused_addresses(report.refused):
        print(words, file=sys.stderr)
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
    add("--max_requests_per_minute", type=float, metavar="N", help="default: the model's")
    add("--max_tokens_per_minute", type=float, metavar="N", help="default: the model's")
    add("--token_encoding_name", default="cl100k_base", metavar="NAME")
    add("--max_attempts", type=int, default=MAX_ATTEMPTS, metavar="N")
    add("--logging_level", default="30", metavar="N", help="40, 30, 20 or 10: errors … details")
    add("--max_concurrent_requests", type=int, metavar="N", help="default: found by trying")
    add("--truncate", choices=["end", "start", "no"], default="end", help="what long prompts lose")
    add("--duplicates", choices=["merge", "sample"], default="merge")
    add("--gen_type", "--gen-type", metavar="KIND", help="chat, text, …; default: by the URL")
    add("--allow_urls", "--allow-urls", action="store_true", help="ask lines at their own url")
    add("--project_name", metavar="NAME", help="project that keeps the answers")
    add(
        "--good_finish",
        "--good-finish",
        action="append",
        default=[],
        metavar="WORD",
        help="a finish reason that is good though llmnb does not know it; may be given again",
    )
    add(
        "--max_wait",
        "--max-wait",
        type=float,
        metavar="SECONDS",
        help="how long a model may refuse without one success (default: 600)",
    )
    add(
        "--burst",
        choices=get_args(Burst),
        help="spend what the server says is left at once, or smoothly (default: announced)",
    )
    add("--budget_usd", "--budget-usd", type=float, metavar="USD", help="dollars to spend at most")
    add(
        "--max_tokens",
        "--max-tokens",
        type=int,
        metavar="N",
        help="longest answer, where a line does not say",
    )
    add("--temperature", type=float, metavar="T", help="where a line does not say")
    return parser


if __name__ == "__main__":
    raise SystemExit(main())
