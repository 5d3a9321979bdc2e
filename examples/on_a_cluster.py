"""Ask a model about every row of a Dask frame, on two worker processes of this machine.

Run it anywhere: ``python examples/on_a_cluster.py [MODEL]`` (``pip install ".[dask]"``).
Without a model a simulated provider inside each worker answers. With a real one the key is
read by the workers from the environment, and a Redis named by ``REDIS_URL`` holds all of them
to one limit; without it each worker gets its share.
"""

from __future__ import annotations

import pathlib
import sys

import dask.dataframe as dd
import pandas as pd
from distributed import Client, LocalCluster

import llmnb  # noqa: F401  frames of Dask get .llm

TABLE = pathlib.Path(__file__).parent / "data" / "reviews.csv"


def main() -> None:
    """Classify forty reviews in four partitions, then again, and print what was bought."""
    model = sys.argv[1] if len(sys.argv) > 1 else "sim/m"
    reviews = pd.read_csv(TABLE).head(40)
    table = dd.from_pandas(reviews, npartitions=4)
    with (
        LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None) as cluster,
        Client(cluster),
    ):
        asked = table.llm.generate(
            "Is this review positive or negative? One word.\n\n{text}",
            model=model,
            params={"temperature": 0, "max_tokens": 4},
            into="said",
            max_requests_per_minute=1200,
        )
        answers = asked.compute()  # lazy until here
        again = asked.compute()  # every answer is kept: nothing is asked
    print(answers[["label", "said"]].head().to_string())
    print(f"{answers['said'].notna().sum()} of {len(answers)} rows answered by {model}.")
    print("The second time the same:", answers["said"].equals(again["said"]))


if __name__ == "__main__":
    main()
