"""Promises kept before a provider that is not ours: aimock's files and batches."""

from __future__ import annotations

import pytest

from llmnb.batches.start import start_batch
from llmnb.running.asking import Asking

pytestmark = pytest.mark.aimock


def test_a_batch_through_aimock(aimock, cache):
    """Upload, batch, polls and results are understood by an independent server."""
    asking = Asking(model="m", api_provider="openai", api_key="k", url=aimock.base_url)
    run = start_batch([{"prompt": "a"}, {"prompt": "b"}], asking)
    assert [outcome.text for outcome in run.result(60)] == ["Mock batch completion"] * 2
    journal = [(case["method"], case["path"]) for case in aimock.journal()]
    assert journal.count(("POST", "/v1/files")) == 1
    assert journal.count(("POST", "/v1/batches")) == 1
    assert [outcome.source for outcome in start_batch([{"prompt": "b"}], asking).result(60)] == [
        "cached"
    ]


@pytest.mark.parametrize("gen_type", ["responses", "text"])
def test_other_endpoints(aimock, cache, gen_type):
    """Responses and texts go through batches, too."""
    asking = Asking(
        model="m", api_provider="openai", api_key="k", url=aimock.base_url, gen_type=gen_type
    )
    [outcome] = start_batch([{"prompt": "a"}], asking).result(60)
    assert outcome.text == "Mock batch completion"
