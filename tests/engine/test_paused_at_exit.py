"""A promise about a run that is paused when the process ends."""

from __future__ import annotations

from asking import ask, questions, texts
from laboratory import Laboratory

from llmnb import bridge
from llmnb.engine.shared import engine


async def drain():
    """Do what is done with the engine when the process ends."""
    await engine().drain()


def test_a_paused_run_ends_with_the_process():
    """
    It is stopped instead of waited for: nothing more is sent, and what had come is kept.
    """
    with Laboratory(reply=lambda prompt: prompt) as sim:
        sim.hold()
        run = ask(sim, questions(100), max_concurrent_requests=10)
        sim.wait_received(10)
        run.pause()
        sim.release()
        while run.status().completed < 10:
            run.wait(0.01)

        bridge.call(drain())

        assert run.status().state == "stopped"
        answers = texts(run)
        assert [text for text in answers if text] == [f"question {row}" for row in range(10)]
        assert len(answers) == 100
        assert len(sim.ledger.received) == 10
        assert len(texts(ask(sim, questions(100)))) == 100
        assert len(sim.ledger.received) == 100
