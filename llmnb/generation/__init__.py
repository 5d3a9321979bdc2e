"""Batches of requests from lists and files, prompts for open models, and local engines.

Names are imported when they are first used.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from llmnb.generation.api_request_parallel_processor import (
        FileReport,
        process_api_requests_from_file,
        process_api_requests_from_file_sync,
    )
    from llmnb.generation.parallel import (
        openai_parallel_generate,
        openai_parallel_generate_sync,
    )
    from llmnb.generation.prompt_formatting import (
        SYSTEM_TEXTS,
        make_prompts,
        task_prompts_dict_book,
    )
    from llmnb.generation.rate_limits import (
        SAFETY_MARGIN,
        requests_limits_dict,
        requests_url_dict,
    )
    from llmnb.generation.vllm_generate import ModelGenerator

__all__ = [  # noqa: RUF022 - sorted as a person sorts
    "FileReport",
    "ModelGenerator",
    "SAFETY_MARGIN",
    "SYSTEM_TEXTS",
    "make_prompts",
    "openai_parallel_generate",
    "openai_parallel_generate_sync",
    "process_api_requests_from_file",
    "process_api_requests_from_file_sync",
    "requests_limits_dict",
    "requests_url_dict",
    "task_prompts_dict_book",
]

_HOMES = {
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
"""In which file of this room each name lives."""


def __getattr__(name: str) -> object:
    from importlib import import_module

    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
