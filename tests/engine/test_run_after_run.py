"""A run that is begun while requests of a stopped one with the same limits are still in flight."""

from __future__ import annotations

from asking import ask, questions, texts
from laboratory import Laboratory


def test_a_run_begun_anew_gets_the_slots_that_a_stopped_run_gives_back():
    """
    Its rows wait for them, are sent when they are free, and nothing is bought twice.
    """
    with Laboratory(latency=0, reply=lambda prompt: prompt) as sim:
        sim.hold(lambda request: int(request.prompt.split()[-1]) >= 10)
        stopped = ask(sim, questions(20), max_concurrent_requests=5)
        sim.wait_received(15)
        stopped.stop()
        assert stopped.wait(60)
        anew = ask(sim, questions(20), max_concurrent_requests=5)
        while "places in flight are taken" not in anew.status().waiting_on:
            assert not anew.wait(0.01)
        sim.release()

        assert texts(anew) == [f"question {row}" for row in range(20)]
        assert len(sim.ledger.received) == 20
