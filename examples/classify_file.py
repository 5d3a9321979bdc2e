"""A classification job over a JSONL file: requests in, rows out, resumable at any moment.

Run it from the repository: ``python examples/classify_file.py [MODEL] [FOLDER]``. Without a
model the small local one answers (``pip install ".[local]"``). Run it twice: the second time
nothing is asked. Kill it in the middle and run it again: only what is missing is asked.
"""

from __future__ import annotations

import csv
import json
import pathlib
import sys
from collections import Counter

from llmnb.generation import make_prompts, process_api_requests_from_file_sync

TABLE = pathlib.Path(__file__).parent / "data" / "reviews.csv"
LABELS = ("positive", "negative")


def write_requests(path: pathlib.Path, model: str, rows: int) -> None:
    """Write one request a line; what is to come back with the answer goes into `metadata`."""
    with TABLE.open(encoding="utf-8", newline="") as file:
        reviews = list(csv.DictReader(file))[:rows]
    prompts = make_prompts(
        [review["text"] for review in reviews],
        "Is this review positive or negative?\n\n",
        task_postprompt="\n\nAnswer with one word.",
    )
    with path.open("w", encoding="utf-8") as file:
        for review, prompt in zip(reviews, prompts, strict=True):
            request = {
                "model": model,
                "messages": [{"role": "user", "content": prompt}],
                "max_tokens": 4,
                "temperature": 0,
                "metadata": {"label": review["label"]},
            }
            file.write(json.dumps(request) + "\n")


def label_in(response: dict | list) -> str:
    """Return the first label that an answer names; ``"?"`` where it names none, or failed."""
    if isinstance(response, list):  # the texts of its errors
        return "?"
    answer = response["choices"][0]["message"]["content"].lower()
    found = [(answer.index(label), label) for label in LABELS if label in answer]
    return min(found)[1] if found else "?"


def main() -> None:
    """Write the requests, have them answered, and count."""
    model = sys.argv[1] if len(sys.argv) > 1 else "local/smollm2"
    folder = pathlib.Path(sys.argv[2] if len(sys.argv) > 2 else ".")
    requests, results = folder / "reviews.jsonl", folder / "reviews_results.jsonl"
    write_requests(requests, model, rows=20)

    report = process_api_requests_from_file_sync(requests, results, project_name="example file")

    agree, given = 0, Counter[str]()
    with results.open(encoding="utf-8") as file:
        for line in file:
            _request, response, metadata = json.loads(line)
            label = label_in(response)
            given[label] += 1
            agree += label == metadata["label"]
    counts = report.status.counts
    print(f"{report.rows} rows in {results}, {report.failed} failed: {dict(given)}")
    print(
        f"{agree} agree with the label; {counts.num_requests} requests sent, {counts.num_cached} "
        "answered before."
    )


if __name__ == "__main__":
    main()
