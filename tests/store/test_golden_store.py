"""What was bought with an older release is never bought again."""

from __future__ import annotations

import json

import golden_store
import pytest

from llmnb.store.project import open_project


@pytest.fixture
def kept(tmp_path):
    """Return a cache folder whose project *golden* an older release has written."""
    golden_store.load(golden_store.KEPT, tmp_path)
    return tmp_path


def test_every_answer_of_an_older_store_is_read(kept):
    """
    Each dialect, samples, schemas and spellings of numbers are answered without a request.
    """
    answers = golden_store.ask_everything(kept)

    for name, outcomes in answers.items():
        for outcome in outcomes:
            assert outcome.error is None, (name, outcome.error)
            assert (outcome.source, outcome.usd, outcome.attempts) == ("cached", 0.0, 0), name
    assert answers["a form, natively"][0].value == json.loads(golden_store.FITS)
    assert len(answers["several"][0].reply.texts) == 3
    assert len({outcome.key for outcome in answers["samples"]}) == 3


def test_every_vector_of_an_older_store_is_read(kept):
    """
    Texts that an older release has embedded are not embedded again.
    """
    run = golden_store.embed_everything(kept)

    assert not run.errors
    counts = run.status().counts
    assert (counts.num_requests, counts.num_cached) == (0, len(golden_store.EMBEDDED))


def test_a_neighbour_reads_an_older_store_too(kept):
    """
    Another project of the folder reuses what the older release has kept, copied as its own.
    """
    keys = list(json.loads(golden_store.KEPT.read_text(encoding="utf-8")))
    neighbour = open_project("neighbour", kept)

    assert set(neighbour.lookup(keys)) == set(keys)
    assert neighbour.flush()
    assert set(open_project("neighbour", kept, share=False).peek(keys)) == set(keys)
