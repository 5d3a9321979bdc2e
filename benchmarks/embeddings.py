"""How much faster texts are embedded in batches than one by one, and what a kept text costs.

Run as ``python -m benchmarks.embeddings --url URL --rows N --batch N --cache-dir DIR``; prints
one line of JSON. Both ways go through the engine with everything on; the server is the same.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time

from benchmarks.figure import Figure

BATCH = 128
DIMENSIONS = 256


def measure(url: str, rows: int, batch: int, cache_dir: str) -> dict[str, float]:
    """Return wall and CPU seconds of embedding short texts, and of doing it again."""
    import llmnb
    from llmnb.testing.openai_embeddings import vector
    from llmnb.wire.openai_embeddings import pack

    llmnb.configure(cache_dir=cache_dir, project_name="bench")
    fields = {"api_key": "k", "api_base": url, "dimensions": DIMENSIONS}
    model = llmnb.LiteLLMEmbeddingModel(
        "text-embedding-3-small", batch_size=batch, config={"kwargs": fields}
    )
    texts = [f"short text {row}" if row % 100 else "" for row in range(rows)]
    model.embed_documents_sync(["warm"])
    began, cpu = time.perf_counter(), time.process_time()
    found = model.start(texts).result()
    wall, cpu = time.perf_counter() - began, time.process_time() - cpu
    assert len(found) == rows
    for row in range(0, rows, 997):
        right = pack(vector(texts[row], DIMENSIONS)) if texts[row] else bytes(4 * DIMENSIONS)
        assert found[row] == right, f"text {row} has another's vector"
    began = time.perf_counter()
    again = model.start(texts)
    assert again.result() == found
    assert again.status().counts.num_requests == 0
    return {"wall": wall, "cpu": cpu, "again": time.perf_counter() - began}


def figures(url: str, rows: int, rounds: int) -> list[Figure]:
    """Compare with the bounds; both ways alternate."""
    found: dict[int, list[dict[str, float]]] = {1: [], BATCH: []}
    for _ in range(rounds):
        for batch, measured in found.items():
            with tempfile.TemporaryDirectory() as folder:
                command = [sys.executable, "-m", "benchmarks.embeddings", "--url", url]
                command += ["--rows", str(rows), "--batch", str(batch), "--cache-dir", folder]
                done = subprocess.run(command, capture_output=True, text=True, check=True)
            measured.append(json.loads(done.stdout))
    wall = {
        batch: statistics.median(one["wall"] for one in measured)
        for batch, measured in found.items()
    }
    again = statistics.median(one["again"] for one in found[BATCH])
    ratios = [
        batched["wall"] / single["wall"]
        for single, batched in zip(found[1], found[BATCH], strict=True)
    ]
    detail = (
        f"{rows / wall[BATCH]:,.0f} texts a second in batches of {BATCH} against "
        f"{rows / wall[1]:,.0f} one by one, {rows:,} short texts, each in its place; "
        f"kept ones: {rows / again:,.0f} a second"
    )
    return [
        Figure("embedding in batches / one by one, time", statistics.median(ratios), 1 / 3, detail)
    ]


def main() -> None:
    """Measure one way in a process of its own."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--url", required=True)
    parser.add_argument("--rows", type=int, required=True)
    parser.add_argument("--batch", type=int, required=True)
    parser.add_argument("--cache-dir", required=True)
    options = parser.parse_args()
    json.dump(measure(options.url, options.rows, options.batch, options.cache_dir), sys.stdout)


if __name__ == "__main__":
    main()
