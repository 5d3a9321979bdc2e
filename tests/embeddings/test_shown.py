"""Promises about embeddings under way: dashboards show them, buttons and cancelling reach them."""

from __future__ import annotations

import asyncio

import pytest
from embedding import embed, model_at, order, right
from messages import press, recorded, updates

from llmnb import progress
from llmnb.embeddings.run import EmbeddingRun
from llmnb.notebook.dashboard import RunDashboard

TEXTS = [f"text number {number}" for number in range(24)]


def test_the_dashboard_counts_texts_and_its_buttons_work(sim):
    """
    The same card as for any run.
    """
    sim.hold()
    run = EmbeddingRun(TEXTS, order(sim, batch_size=8, options={"max_concurrent_requests": 1}))
    sim.wait_received(1)
    with recorded() as sent:
        card = RunDashboard(run, ticks=False)
        card.draw(run.status())
        press(card, do="pause")
        assert run.status().state == "paused" or not run.wait(0.2)
        press(card, do="stop")
        sim.release()
        run.wait(30)
        card.draw(run.status())

    assert updates(sent)[-1]["view"] == "stopped"
    assert run.status().total == 24


def test_bars_wait_for_it(sim, capsys):
    """
    `attend` knows it as it knows a run, and the last line is its true state.
    """
    run = EmbeddingRun(TEXTS, order(sim))
    progress.attend(run, bars=True)

    assert run.is_done
    assert "completed 24 of 24" in capsys.readouterr().err


async def test_a_cancelled_task_stops_the_buying(sim, asked):
    """
    What was not sent yet is not sent; what is in flight is kept when it comes.
    """
    sim.hold()
    made = model_at(sim, batch_size=4, kwargs={"num_retries": 0}, request_limit=60)
    task = asyncio.create_task(made.embed_documents(TEXTS))
    await asyncio.to_thread(sim.wait_received, 1)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    sim.release()

    again = await asyncio.to_thread(embed, sim, TEXTS)
    assert again.partial() == [right(text) for text in TEXTS]
    assert len(asked.texts) == len(set(asked.texts))
