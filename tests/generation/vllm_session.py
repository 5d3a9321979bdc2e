"""What a real vLLM engine does with llmnb, told as JSON; run by a Python that has vLLM.

``python vllm_session.py FOLDER``: makes a model in the folder, loads it once, tries
everything, and writes ``told.json`` there. A section that breaks tells its error, and
the next one goes on: tests read what they promise.
"""

from __future__ import annotations

import asyncio
import json
import logging
import math
import random
import sys
import threading
import time
import traceback
from pathlib import Path
from typing import Any

REPORT: dict[str, Any] = {}
LOGGED: list[str] = []
PROMPTS = ["Once upon a time", "The label of the text is", "positive negative the row"]
ENDLESS = {"ignore_eos": True}
"""An untrained model ends when it likes, or writes nothing that can be seen in a few tokens; an
answer of nothing is an error row."""

LABELS = {
    "type": "object",
    "properties": {"label": {"enum": ["yes", "no"]}},
    "required": ["label"],
    "additionalProperties": False,
}


class Catcher(logging.Handler):
    def emit(self, record: logging.LogRecord) -> None:
        LOGGED.append(record.getMessage())


def error_of(action: Any, *arguments: Any, **options: Any) -> str:
    """Return the type and text of what an action raises."""
    try:
        action(*arguments, **options)
    except Exception as error:
        return f"{type(error).__name__}: {error}"
    return "nothing"


# -------------------------------------------------------------------- the generator


def basics(generator: Any) -> dict[str, Any]:
    final, outputs, prompt_logprobs, output_logprobs = generator.generate_vllm(
        prompts=PROMPTS, temperature=0.7, max_new_tokens=8
    )
    greedy = [generator.generate_vllm(PROMPTS, sample=False, max_new_tokens=8)[1] for _ in range(2)]
    several = generator.generate_vllm(PROMPTS, n=3, max_new_tokens=4, **ENDLESS)
    without = generator.generate_vllm(PROMPTS, logprobs=None, prompt_logprobs=None)
    return {
        "final": final,
        "outputs": outputs,
        "prompt_counts": [len(item) for item in prompt_logprobs],
        "tokens": [len(item) for item in generator.engine.encode(PROMPTS)],
        "firsts": [item[0] for item in prompt_logprobs],
        "numbers": [[math.isfinite(x) and x < 0 for x in item] for item in output_logprobs],
        "greedy": greedy,
        "several": several[1],
        "several_told": [[len(x) for x in item] for item in several[3]],
        "without": [without[2], without[3]],
        "empty": list(generator.generate_vllm([])),
    }


def limits(generator: Any) -> dict[str, Any]:
    lengths = [1, 5, 9]
    *_, of_answers = generator.generate_vllm(PROMPTS, max_new_tokens=lengths, **ENDLESS)
    _, (whole,), _, (whole_logprobs,) = generator.generate_vllm(
        PROMPTS[:1], sample=False, max_new_tokens=12, **ENDLESS
    )
    stop = next(
        item.token for item in whole_logprobs[4:] if item.token.isprintable() and item.token
    )
    _, (stopped,), _, _ = generator.generate_vllm(
        PROMPTS[:1], sample=False, max_new_tokens=12, extra_stop_tokens=[stop], **ENDLESS
    )
    return {
        "lengths": [len(item) for item in of_answers],
        "whole": whole,
        "stop": stop,
        "stopped": stopped,
    }


def truncation(generator: Any) -> dict[str, Any]:
    long = " ".join(f"row {number}" for number in range(300))
    prompts = ["short", long, long]
    figures: dict[str, Any] = {"max_len": generator.max_model_len}
    figures["tokens"] = len(generator.engine.encode([long])[0])
    for side in ("left", "right"):
        LOGGED.clear()
        final, outputs, of_prompts, _ = generator.generate_vllm(
            prompts, max_new_tokens=[4, 40, 100], truncation_side=side, **ENDLESS
        )
        figures[side] = {
            "is_part": [
                long.endswith(final[1]) if side == "left" else long.startswith(final[1]),
                long.endswith(final[2]) if side == "left" else long.startswith(final[2]),
            ],
            "short": final[0],
            "read": [len(item) for item in of_prompts],
            "cuts": [(cut.prompt, cut.tokens, cut.kept) for cut in generator.cuts],
            "logged": list(LOGGED),
            "outputs": len(outputs),
        }
    return figures


def oracle(generator: Any, folder: Path) -> dict[str, Any]:
    """Compare every log-probability with what transformers says of the same tokens."""
    import torch
    from transformers import AutoModelForCausalLM

    _, outputs, of_prompts, of_answers = generator.generate_vllm(
        PROMPTS, sample=False, max_new_tokens=8, logprobs=2, prompt_logprobs=2
    )
    model = AutoModelForCausalLM.from_pretrained(str(folder), dtype=torch.float32)
    worst, tops_agree = 0.0, True
    for prompt, answer in zip(of_prompts, of_answers, strict=True):
        first = generator.engine.encode(PROMPTS)[of_prompts.index(prompt)][0]
        ids = [first, *(item.id for item in prompt[1:]), *(item.id for item in answer)]
        with torch.no_grad():
            logits = model(torch.tensor([ids])).logits[0]
        expected = torch.log_softmax(logits.float(), -1)
        for position, item in enumerate([*prompt[1:], *answer]):
            worst = max(worst, abs(float(expected[position][item.id]) - float(item)))
            top = float(expected[position].max())
            tops_agree &= abs(item.top[0][1] - top) < 1e-4 and len(item.top) == 2
    return {"worst": worst, "tops_agree": tops_agree, "outputs": outputs}


def share_outside(generator: Any) -> dict[str, Any]:
    """Measure how much of `generate_vllm` is not vLLM's own `LLM.generate`, several times."""
    native, inside = generator.engine.native, [0.0]
    own = native.generate

    def timed(*arguments: Any, **options: Any) -> Any:
        began = time.perf_counter()
        try:
            return own(*arguments, **options)
        finally:
            inside[0] += time.perf_counter() - began

    prompts = [f"{PROMPTS[number % 3]} {number}" for number in range(200)]
    shares = []
    native.generate = timed
    try:
        for _ in range(3):
            inside[0], began = 0.0, time.perf_counter()
            generator.generate_vllm(prompts, max_new_tokens=16, **ENDLESS)
            whole = time.perf_counter() - began
            shares.append((whole - inside[0]) / whole)
    finally:
        del native.generate
    return {"shares": shares, "inside": inside[0]}


def errors(generator: Any) -> dict[str, Any]:
    ask = generator.generate_vllm
    return {
        "text": error_of(ask, "one text"),
        "lengths": error_of(ask, PROMPTS, max_new_tokens=[1]),
        "too long": error_of(ask, PROMPTS, max_new_tokens=10_000),
        "greedy": error_of(ask, PROMPTS, n=2, sample=False),
        "unknown": error_of(ask, PROMPTS, colour="red"),
        "value": error_of(ask, PROMPTS, top_p=7.0),
        "side": error_of(ask, PROMPTS, truncation_side="middle"),
        "empty_prompt": error_of(ask, ["", "x"], max_new_tokens=2),
    }


def interrupted(generator: Any) -> dict[str, Any]:
    """Interrupt a batch in its midst; the next one must get its own answers."""
    core, steps = generator.engine.core, [0]
    own = core.step

    def step() -> Any:
        steps[0] += 1
        if steps[0] == 3:
            raise KeyboardInterrupt
        return own()

    expected = generator.generate_vllm(PROMPTS, sample=False, max_new_tokens=6)[1]
    core.step = step
    seen = "nothing"
    try:
        generator.generate_vllm(["yes no"] * 20, max_new_tokens=30, **ENDLESS)
    except KeyboardInterrupt:
        seen = "KeyboardInterrupt"
    del core.step
    again = generator.generate_vllm(PROMPTS, sample=False, max_new_tokens=6)[1]
    return {"seen": seen, "expected": expected, "again": again}


# ------------------------------------------------------------------------ the model


def asked(generator: Any) -> dict[str, Any]:
    import pandas as pd

    import llmnb

    model = generator.as_model("tiny")
    steps = _count_steps(generator)
    llm = llmnb.AsyncLLM(model=model, sampling_params={"max_tokens": 6, "temperature": 0})
    requests = [{"messages": [{"role": "user", "content": text}]} for text in PROMPTS]
    logged = [{**item, "logprobs": True, "top_logprobs": 2} for item in requests]
    rows = llm.generate(logged, progress=False)
    before = steps[0]
    again = llm.generate(logged, progress=False)
    stored = steps[0] == before
    by_name = llmnb.AsyncLLM(model="vllm/tiny").generate(
        [{"prompt": "hello", "max_tokens": 12, "n": 2, "temperature": 1.0, **ENDLESS}],
        progress=False,
    )
    text = llmnb.AsyncLLM(model=model, gen_type="text").generate(
        [{"prompt": PROMPTS[0], "max_tokens": 4, "logprobs": 1, "prompt_logprobs": 0}],
        progress=False,
    )
    frame = pd.DataFrame({"t": ["a", "b", None, "d"]})
    seen = {"max_tokens": 16, **ENDLESS}
    answers = frame.llm.generate("Say {t}", model=model, params=seen, progress=False)
    labels = frame.llm.generate(
        "Say {t}", model="vllm/tiny", schema=LABELS, params={"max_tokens": 30}, progress=False
    )
    many = llmnb.AsyncLLM(model=model, sampling_params={"max_tokens": 16, **ENDLESS})
    before = steps[0]
    crowd = many.generate([{"prompt": f"row {n}"} for n in range(40)], progress=False)
    return {
        "name": model.model,
        "repr": repr(model),
        "rows": [row[1] for row in rows],
        "same": rows == again,
        "stored": stored,
        "n": by_name[0][1],
        "text": text[0][1],
        "frame": [None if pd.isna(item) else item for item in answers],
        "labels": [None if pd.isna(item) else item for item in labels["label"]],
        "crowd": [isinstance(row[1], dict) for row in crowd],
        "crowd_steps": steps[0] - before,
    }


def refused(generator: Any) -> dict[str, Any]:
    import llmnb

    llm = llmnb.AsyncLLM(model="vllm/tiny", sampling_params={"max_tokens": 4})
    long = "row " * 2000
    picture = [{"type": "image_url", "image_url": {"url": "data:,"}}]
    requests = [
        {"prompt": "x", "tools": [{}]},
        {"prompt": long},
        {"messages": [{"role": "user", "content": picture}]},
        {"prompt": "x", "top_p": 7.0},
        {"prompt": "fine"},
    ]
    rows = llm.generate(requests, progress=False)
    return {
        "errors": [row[1][-1] if isinstance(row[1], list) else "none" for row in rows],
        "embedding": error_of(llmnb.AsyncLLM(model="vllm/tiny", gen_type="embedding").generate, []),
    }


def streamed(generator: Any) -> dict[str, Any]:
    from llmnb.running.asking import Asking
    from llmnb.running.start import start

    fragments: list[str] = []
    run = start(
        [{"prompt": "Tell me", "max_tokens": 12, "temperature": 0, **ENDLESS}],
        Asking(model="vllm/tiny"),
        use_cache=False,
        on_delta=lambda row, delta: fragments.append(delta.text),
    )
    (outcome,) = run.result(120)
    return {
        "pieces": len(fragments),
        "joined": "".join(fragments) == outcome.text,
        "first": outcome.first_token_seconds,
        "seconds": outcome.seconds,
        "usd": outcome.usd,
    }


def dropped(generator: Any) -> dict[str, Any]:
    """Cancel a run in its midst: the engine goes on with nothing, and answers the next."""
    from llmnb.running.asking import Asking
    from llmnb.running.start import start

    begun = threading.Event()
    run = start(
        [{"prompt": f"Tell {n}", "max_tokens": 400, **ENDLESS} for n in range(6)],
        Asking(model="vllm/tiny"),
        use_cache=False,
        on_delta=lambda row, delta: begun.set(),
    )
    begun.wait(120)
    run.cancel()
    outcomes = run.result(120)
    expected = generator.generate_vllm(PROMPTS, sample=False, max_new_tokens=6)[1]
    return {
        "errors": [type(item.error).__name__ for item in outcomes],
        "left": generator.engine.core.get_num_unfinished_requests(),
        "next": expected,
    }


def beside(generator: Any) -> dict[str, Any]:
    """Ask one by one while batches run: each gets what is its own."""
    import llmnb

    expected = generator.generate_vllm(PROMPTS, sample=False, max_new_tokens=6)[1]
    batches: list[list[str]] = []

    def batch() -> None:
        batches.extend(
            generator.generate_vllm(PROMPTS, sample=False, max_new_tokens=6)[1] for _ in range(3)
        )

    thread = threading.Thread(target=batch)
    thread.start()
    llm = llmnb.AsyncLLM(model="vllm/tiny", sampling_params={"max_tokens": 8, **ENDLESS})
    rows = llm.generate([{"prompt": f"beside {n}"} for n in range(30)], progress=False)
    thread.join(120)
    return {
        "batches": [item == expected for item in batches],
        "rows": [isinstance(row[1], dict) for row in rows],
    }


def magic(generator: Any) -> dict[str, Any]:
    from IPython.core.interactiveshell import InteractiveShell

    shell = InteractiveShell.instance()
    shell.run_line_magic("load_ext", "llmnb")
    model = generator.as_model("tiny", llm_params={"max_tokens": 12})
    shell.run_cell_magic("llm", f"-m {model.model} -o answer -f text", "Say something")
    return {"answer": str(shell.user_ns["answer"])}


async def awaited(generator: Any) -> dict[str, Any]:
    import llmnb

    llm = llmnb.AsyncLLM(model="vllm/tiny", sampling_params={"max_tokens": 12, **ENDLESS})
    rows = await llm.agenerate([{"prompt": "awaited"}], progress=False)
    return {"answered": isinstance(rows[0][1], dict)}


def _count_steps(generator: Any) -> list[int]:
    core, steps = generator.engine.core, [0]
    own = core.step

    def step() -> Any:
        steps[0] += 1
        return own()

    core.step = step
    return steps


def main(folder: Path) -> None:
    """Try everything and write what was seen."""
    from llmnb.adapters import tiny_model
    from llmnb.generation import ModelGenerator

    logging.getLogger("llmnb").addHandler(Catcher())
    model = tiny_model.make(folder / "tiny")
    random.seed(7)
    expected = random.Random(7).random()
    began = time.perf_counter()
    generator = ModelGenerator(
        model,
        dtype="float32",
        enforce_eager=True,
        max_num_seqs=8,
        structured_outputs_config={"backend": "xgrammar", "disable_any_whitespace": True},
    )
    REPORT["loaded"] = {
        "seconds": time.perf_counter() - began,
        "max_len": generator.max_model_len,
        "identity": generator.engine.identity,
        "repr": repr(generator),
        "dice": random.random() == expected,
    }
    sections = (
        ("basics", basics),
        ("limits", limits),
        ("truncation", truncation),
        ("oracle", lambda item: oracle(item, model)),
        ("outside", share_outside),
        ("errors", errors),
        ("interrupted", interrupted),
        ("asked", asked),
        ("refused", refused),
        ("streamed", streamed),
        ("dropped", dropped),
        ("beside", beside),
        ("awaited", lambda item: asyncio.run(awaited(item))),
        ("magic", magic),
    )
    other_model = generator.as_model("tiny", llm_params={"max_tokens": 12})
    for name, section in sections:
        try:
            REPORT[name] = section(generator)
        except Exception:
            REPORT[name] = {"broken": traceback.format_exc()}
    del other_model
    generator.close()
    REPORT["closed"] = True
    (folder / "told.json").write_text(json.dumps(REPORT, default=str), encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
