"""Has a model seen a text in its training? Scores from the log-probabilities of the text itself.

Run it from the repository, with vLLM installed:
``python examples/vllm/membership_scores.py [MODEL]``. Without a model it makes one of random
numbers on the spot, which has seen nothing: its scores show the mechanics only. Higher means
likelier to have been seen.

Three scores of the literature, each an average over a text's tokens: the plain mean; the mean
of the fifth that is the least likely, since a text that was never seen holds a few great
surprises (Shi et al., *Detecting Pretraining Data from Large Language Models*, 2024); and the
sum over the bytes of the compressed text, which takes off how predictable the text is by
itself (Carlini et al., *Extracting Training Data from Large Language Models*, 2021).
"""

from __future__ import annotations

import csv
import pathlib
import random
import statistics
import sys
import tempfile
import zlib

from llmnb.adapters import tiny_model
from llmnb.generation import ModelGenerator

TABLE = pathlib.Path(__file__).parents[1] / "data" / "reviews.csv"
LEAST_LIKELY = 0.2


def texts(rows: int) -> tuple[list[str], list[str]]:
    """Return texts that may have been seen, and the same words in an order nobody wrote."""
    with TABLE.open(encoding="utf-8", newline="") as file:
        written = [row["text"] for row in csv.DictReader(file)][:rows]
    draw = random.Random(0)
    return written, [" ".join(draw.sample(text.split(), len(text.split()))) for text in written]


def scores(text: str, logprobs: list[float]) -> dict[str, float]:
    """Return a text's scores; `logprobs` are those of its tokens, the first left out."""
    few = sorted(logprobs)[: max(1, round(len(logprobs) * LEAST_LIKELY))]
    return {
        "mean": statistics.fmean(logprobs),
        "least likely fifth": statistics.fmean(few),
        "over compressed size": sum(logprobs) / len(zlib.compress(text.encode())),
    }


def auc(seen: list[float], unseen: list[float]) -> float:
    """Return how often a text that was seen scores higher than one that was not."""
    pairs = [(a > b) + 0.5 * (a == b) for a in seen for b in unseen]
    return statistics.fmean(pairs)


def main() -> None:
    """Score both kinds of texts and say how well each score tells them apart."""
    seen, unseen = texts(rows=20)
    with tempfile.TemporaryDirectory() as folder:
        model = sys.argv[1] if len(sys.argv) > 1 else str(tiny_model.make(folder))
        generator = ModelGenerator(model)
    # One token has to be written, and nobody reads it: what is wanted is said of the prompts.
    final, _, told, _ = generator.generate_vllm(
        seen + unseen, max_new_tokens=1, sample=False, logprobs=None
    )
    scored = [
        scores(text, [float(one) for one in logprobs[1:]])
        for text, logprobs in zip(final, told, strict=True)
    ]
    print(f"{'score':<22} {'written':>9} {'shuffled':>9} {'told apart':>11}")
    for name in scored[0]:
        high = [one[name] for one in scored[: len(seen)]]
        low = [one[name] for one in scored[len(seen) :]]
        means = f"{statistics.fmean(high):>9.2f} {statistics.fmean(low):>9.2f}"
        print(f"{name:<22} {means} {auc(high, low):>11.2f}")


if __name__ == "__main__":
    main()
