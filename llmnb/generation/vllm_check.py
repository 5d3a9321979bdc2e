"""The self-check of `llmnb.generation.vllm_generate`: whether vLLM works on this machine."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Sequence
from typing import Any

from llmnb.adapters import files, tiny_model
from llmnb.display import durations
from llmnb.errors import ConfigurationError
from llmnb.generation.vllm_generate import ModelGenerator
from llmnb.generation.vllm_logprobs import total

PROMPTS = ("Once upon a time", "The label of the text", "yes no yes")
_SMALL = {"enforce_eager": True, "max_num_seqs": 8}
"""What makes a start quick; answers are the same."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Generate with vLLM and check what comes; returns the exit status."""
    parser = argparse.ArgumentParser(prog="llmnb.generation.vllm_generate", description=__doc__)
    parser.add_argument("--model", help="a folder or a name; default: one made on the spot")
    parser.add_argument("--max-new-tokens", type=int, default=16)
    parser.add_argument("--gpu-memory-utilization", type=float)
    options = parser.parse_args(arguments)
    further: dict[str, Any] = dict(_SMALL)
    if options.gpu_memory_utilization is not None:
        further["gpu_memory_utilization"] = options.gpu_memory_utilization
    try:
        if options.model is None:
            further["dtype"] = "float32"  # as it is made
        with files.scratch_folder(prefix="llmnb-vllm-") as folder:
            model = options.model or str(tiny_model.make(folder))
            faults = check(model, options.max_new_tokens, **further)
    except ConfigurationError as error:
        print(error, file=sys.stderr)
        return 2
    for fault in faults:
        print(f"FAULT: {fault}", file=sys.stderr)
    print("vLLM works here." if not faults else f"{len(faults)} faults.")
    return 1 if faults else 0


def check(model: str, max_new_tokens: int, **options: Any) -> list[str]:
    """Load a model, generate in two ways, and return what is wrong with the result."""
    began = time.monotonic()
    generator = ModelGenerator(model, **options)
    took = durations.span(time.monotonic() - began)
    print(f"loaded {model} in {took}, {generator.max_model_len} tokens")
    prompts = list(PROMPTS)
    final, outputs, prompt_logprobs, output_logprobs = generator.generate_vllm(
        prompts, temperature=0.7, max_new_tokens=max_new_tokens
    )
    for prompt, output, told in zip(final, outputs, prompt_logprobs, strict=True):
        print(f"  {prompt!r} ({total(told or ()):.2f}) -> {output!r}")
    greedy = [
        generator.generate_vllm(prompts, sample=False, max_new_tokens=max_new_tokens)[1]
        for _ in range(2)
    ]
    generator.close()
    wrong = {
        "the prompts came back otherwise": final != prompts,
        "a prompt has no log-probabilities": not all(prompt_logprobs),
        "an answer has no log-probabilities": not all(told is not None for told in output_logprobs),
        "two greedy answers differ": greedy[0] != greedy[1],
    }
    return [fault for fault, is_so in wrong.items() if is_so]
