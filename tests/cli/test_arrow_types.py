"""Promises about types of Arrow's that Parquet has not."""

from __future__ import annotations

import pyarrow
import pyarrow.ipc
import pyarrow.parquet
import pytest

from llmnb.cli import main
from llmnb.testing import SimulatedProvider

COLUMNS = {
    "objects": (pyarrow.array([{}, None], pyarrow.struct([])), ["{}", None]),
    "lists of objects": (
        pyarrow.array([[{}], []], pyarrow.list_(pyarrow.struct([]))),
        ["[{}]", "[]"],
    ),
    "runs": (
        pyarrow.RunEndEncodedArray.from_arrays(pyarrow.array([2], pyarrow.int32()), ["x"]),
        ["x", "x"],
    ),
    "spans": (
        pyarrow.array([(1, 2, 3), None], pyarrow.month_day_nano_interval()),
        ["[1,2,3]", None],
    ),
}


@pytest.mark.parametrize("kind", COLUMNS)
def test_a_type_that_parquet_has_not_becomes_text(tmp_path, monkeypatch, kind):
    """
    The other columns keep their types; into an Arrow file this one does, too.
    """
    column, as_text = COLUMNS[kind]
    table = pyarrow.table({"text": ["a", "b"], "n": pyarrow.array([1, 2], "int8"), "odd": column})
    source = tmp_path / "t.arrow"
    with pyarrow.ipc.new_file(str(source), table.schema) as writer:
        writer.write_table(table)

    with SimulatedProvider(reply="said", latency=0) as sim:
        monkeypatch.setenv("OPENAI_BASE_URL", sim.base_url)
        monkeypatch.setenv("OPENAI_API_KEY", "k")
        for suffix in (".parquet", ".arrow"):
            arguments = ["run", str(source), "--prompt", "{text}", "--model", "openai/m", "--quiet"]
            assert main([*arguments, "--out", str(tmp_path / f"out{suffix}")]) == 0

    written_table = pyarrow.parquet.read_table(tmp_path / "out.parquet")
    assert written_table["odd"].to_pylist() == as_text
    assert written_table.schema.field("n").type == pyarrow.int8()
    assert written_table["response"].to_pylist() == ["said", "said"]
    with pyarrow.ipc.open_file(str(tmp_path / "out.arrow")) as reader:
        assert reader.read_all().select(["text", "n", "odd"]).equals(table)
