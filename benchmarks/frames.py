"""What the accessor adds to the engine's own cost a row, and what loading the extension takes.

Run as ``python -m benchmarks.frames --url URL --rows N --cache-dir DIR``; prints one line of JSON.
"""

from __future__ import annotations

import argparse
import gc
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time

from benchmarks.figure import Figure

LOAD = """
import time
began = time.process_time()
import pandas, ipywidgets
usual = time.process_time() - began
from IPython.core.interactiveshell import InteractiveShell
shell = InteractiveShell.instance()
began = time.process_time()
shell.extension_manager.load_extension("llmnb")
print((usual + time.process_time() - began) / usual)
"""


def measure_rows(url: str, rows: int, cache_dir: str) -> dict[str, float]:
    """Return CPU seconds a row: through the accessor, and through the engine alone."""
    import pandas as pd

    import llmnb
    from llmnb.models.llm import LLM
    from llmnb.running.asking import Asking
    from llmnb.running.start import start

    llmnb.configure(cache_dir=cache_dir, project_name="bench")
    model = LLM(url=url, api_key="k", model="m")
    frame = pd.DataFrame({"text": [f"a line of text, number {row}" for row in range(rows)]})
    asked = [
        {"messages": [{"role": "user", "content": f"Say {text}"}]}
        for text in frame["text"].tolist()
    ]
    options = {"max_concurrent_requests": 256}
    start(asked, Asking(model=model), **options).result()  # fills the cache
    found: dict[str, list[float]] = {"engine": [], "accessor": []}
    for _ in range(3):
        gc.collect()
        began = time.process_time()
        start(asked, Asking(model=model), **options).result()
        found["engine"].append(time.process_time() - began)
        gc.collect()
        began = time.process_time()
        frame.llm.generate("Say {text}", model=model, progress=False, **options)
        found["accessor"].append(time.process_time() - began)
        run = llmnb.last_run()
        assert run is not None
        assert run.status().counts.num_requests == 0
    return {name: statistics.median(values) / rows for name, values in found.items()}


def figures(url: str, rows: int, rounds: int) -> list[Figure]:
    """Compare with the bounds."""
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "benchmarks.frames", "--url", url]
        command += ["--rows", str(rows), "--cache-dir", folder]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
    cost = json.loads(done.stdout)
    added = (cost["accessor"] - cost["engine"]) * 1e6
    detail = (
        f"{cost['accessor'] * 1e6:.0f} µs a row against {cost['engine'] * 1e6:.0f} µs through the "
        f"engine alone, {rows:,} cached rows"
    )
    ratios = []
    for _ in range(rounds):
        done = subprocess.run(
            [sys.executable, "-c", LOAD],
            capture_output=True,
            text=True,
            check=True,
            env={**os.environ, "PYTHONPATH": os.getcwd()},
        )
        ratios.append(float(done.stdout))
    loading = statistics.median(ratios)
    return [
        Figure("µs a row that df.llm adds, in units of 60", added / 60, 1.0, detail),
        Figure(
            "import pandas, ipywidgets and %load_ext llmnb / the imports alone",
            loading,
            1.25,
            "CPU; rounds: " + ", ".join(f"{ratio:.2f}" for ratio in ratios),
        ),
    ]


def main() -> None:
    """Measure rows in a process of their own."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--url", required=True)
    parser.add_argument("--rows", type=int, required=True)
    parser.add_argument("--cache-dir", required=True)
    options = parser.parse_args()
    json.dump(measure_rows(options.url, options.rows, options.cache_dir), sys.stdout)


if __name__ == "__main__":
    main()
