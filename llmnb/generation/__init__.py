"""Batches of requests from lists and files, prompts for open models, and local engines.

Names are imported when they are first used; type checkers read them in `__init__.pyi`, which
``tools/stubs`` writes.
"""

from __future__ import annotations

from importlib import import_module

HOMES = {
    "FileReport": "api_request_parallel_processor",
    "ModelGenerator": "vllm_generate",
    "SAFETY_MARGIN": "rate_limits",
    "SYSTEM_TEXTS": "prompt_formatting",
    "make_prompts": "prompt_formatting",
    "openai_parallel_generate": "parallel",
    "openai_parallel_generate_sync": "parallel",
    "process_api_requests_from_file": "api_request_parallel_processor",
    "process_api_requests_from_file_sync": "api_request_parallel_processor",
    "requests_limits_dict": "rate_limits",
    "requests_url_dict": "rate_limits",
    "task_prompts_dict_book": "prompt_formatting",
}
"""The public names, and in which file of this room each lives."""

__all__ = [*HOMES]


def __getattr__(name: str) -> object:
    if name not in HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f"{__name__}.{HOMES[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return __all__
