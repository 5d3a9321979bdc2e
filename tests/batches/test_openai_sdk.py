"""Promises about the simulated provider's batches, as OpenAI's own client sees them."""

from __future__ import annotations

import openai
import orjson
from laboratory.scripted_batches import BatchScript


def test_openais_client_understands_every_step(sim):
    """File, batch, polls, list, results and withdrawal are what OpenAI's SDK reads."""
    line = {
        "custom_id": "one",
        "method": "POST",
        "url": "/v1/chat/completions",
        "body": {"model": "m", "messages": [{"role": "user", "content": "a"}]},
    }
    with openai.OpenAI(base_url=sim.base_url, api_key="k-1", max_retries=0) as client:
        file = client.files.create(file=("f.jsonl", orjson.dumps(line)), purpose="batch")
        batch = client.batches.create(
            input_file_id=file.id, endpoint="/v1/chat/completions", completion_window="24h"
        )
        assert client.batches.retrieve(batch.id).status == "in_progress"
        done = client.batches.retrieve(batch.id)
        assert done.status == "completed"
        assert [batch.id for batch in client.batches.list()] == [batch.id]
        [result] = client.files.content(done.output_file_id).text.splitlines()
        assert orjson.loads(result)["response"]["body"]["choices"][0]["message"]["content"] == "> a"
        sim.batches.script = BatchScript(polls=9)
        other = client.batches.create(
            input_file_id=file.id, endpoint="/v1/chat/completions", completion_window="24h"
        )
        assert client.batches.cancel(other.id).status == "cancelled"
    assert sim.ledger.count("a", of="billed") == 1
