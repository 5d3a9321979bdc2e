"""Promises of Dask in a notebook: one dashboard in the cell that computes, then its receipt."""

from __future__ import annotations

CELL = """
import dask, pandas as pd, dask.dataframe as dd
from llmnb.frames import dask_watching
table = dd.from_pandas(pd.DataFrame({"t": [f"row {n}" for n in range(12)]}), npartitions=3)
"""

COMPUTE = """
said = table.llm.generate("{t}", model="openai/m").compute()
dask_watching.wait(20)
print(len(said))
"""


def test_a_compute_shows_a_dashboard_and_leaves_its_receipt(bench):
    """
    The threads of the notebook's own process are what computes here.
    """
    assert bench.run(CELL).status == "ok"
    cell = bench.run(COMPUTE)

    assert cell.status == "ok", cell.text
    assert "12" in cell.text
    shown = [output["data"] for output in cell.shown]
    assert any("application/vnd.jupyter.widget-view+json" in data for data in shown)
    assert any("12 rows" in data["text/plain"] for data in shown if "text/html" in data)
