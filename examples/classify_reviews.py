"""Ask a model about every row of a CSV file and compare with the label a person gave.

Run it from the repository: ``python examples/classify_reviews.py [MODEL]``.
Without a model the small local one answers (``pip install ".[local]"``).
"""

from __future__ import annotations

import csv
import pathlib
import sys

from llmnb import AsyncLLM

TABLE = pathlib.Path(__file__).parent / "data" / "reviews.csv"


def main() -> None:
    """Classify twenty reviews and print how many agree with the label."""
    model = sys.argv[1] if len(sys.argv) > 1 else "local/smollm2"
    with TABLE.open(encoding="utf-8", newline="") as file:
        reviews = list(csv.DictReader(file))[:20]
    llm = AsyncLLM(
        model=model,
        sampling_params={"temperature": 0, "max_tokens": 4},
        project_name="example reviews",
    )
    system = {"role": "system", "content": "Answer with one word: positive or negative."}
    shots = [
        {"role": "user", "content": "Great food and friendly staff!"},
        {"role": "assistant", "content": "positive"},
        {"role": "user", "content": "Not worth the money."},
        {"role": "assistant", "content": "negative"},
    ]
    rows = llm.generate(
        [
            {
                "messages": [system, *shots, {"role": "user", "content": review["text"]}],
                "metadata": {"label": review["label"]},
            }
            for review in reviews
        ]
    )
    agree = 0
    for _, response, metadata in rows:
        if isinstance(response, list):  # the texts of its errors
            print("failed:", response[-1])
            continue
        answer = response["choices"][0]["message"]["content"].strip().lower()
        agree += answer == metadata["label"]
    print(f"{agree} of {len(rows)} answers agree with the label ({model}).")


if __name__ == "__main__":
    main()
