"""Promises about the buttons of a card: by whatever way a page's messages come, they are heard."""

from __future__ import annotations

import pytest

BLOCKING = "out = df.llm.generate('text', max_concurrent_requests=5)"
AWAITING = "out = await df.llm.agenerate('text', max_concurrent_requests=5)"
START = "run = df.llm.start('text', max_concurrent_requests=5)"


def test_a_page_that_was_loaded_anew_is_heard(bench):
    """
    The subshell of the page before is deleted, and nothing is handed over to it any more.
    """
    bench.frame("loaded", 20)
    bench.sim.hold()
    begun = bench.begin(START)
    card = bench.kernel.wait_card(begun)
    bench.kernel.end(begun)
    with bench.kernel.subshell() as former:
        bench.kernel.wait_heard(bench.kernel.press(card, subshell=former, do="hello"))
    bench.kernel.wait_heard(bench.kernel.press(card, do="hello"))
    with bench.kernel.subshell() as subshell_id:
        bench.kernel.wait_heard(bench.kernel.press(card, subshell=subshell_id, do="hello"))
    bench.run("run.stop()")


@pytest.mark.parametrize(
    ("name", "cell"), [("held", BLOCKING), ("waited", AWAITING)], ids=["blocking", "await"]
)
def test_stop_ends_the_cell_that_waits(bench, name, cell):
    """
    Pressed in a page that has a subshell of its own, it is heard while the cell runs.
    """
    bench.frame(name, 20)
    with bench.kernel.subshell() as page:
        if page is None:
            return  # older kernels hear it after the cell
        bench.sim.hold()
        begun = bench.begin(cell)
        card = bench.kernel.wait_card(begun)
        bench.wait_for_more(5)
        bench.kernel.wait_heard(bench.kernel.press(card, subshell=page, do="stop"))
        assert bench.kernel.end(begun).status == "ok"
    assert bench.run("print(len(out), out.notna().sum())").text == "20 0\n"
    assert bench.asked(name) == 5
