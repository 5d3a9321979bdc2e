"""Promises of `llmnb run` over Parquet and Arrow tables: types kept, flat memory, resumable."""

from __future__ import annotations

import datetime
import decimal
import os
import random
import subprocess
import sys

import pyarrow
import pyarrow.ipc
import pyarrow.parquet
import pytest
from laboratory import Laboratory

from llmnb import errors
from llmnb.cli import main
from llmnb.frames.arrow_tables import ArrowTable
from llmnb.frames.tables import open_table, table_writer
from llmnb.testing import SimulatedProvider


@pytest.fixture
def sim(monkeypatch):
    def fault(request):
        return 400 if "fail" in request.prompt else None

    with SimulatedProvider(reply=lambda prompt: f"> {prompt}", faults=fault, latency=0) as sim:
        monkeypatch.setenv("OPENAI_BASE_URL", sim.base_url)
        monkeypatch.setenv("OPENAI_API_KEY", "k")
        yield sim


TYPED = pyarrow.table(
    {
        "text": pyarrow.array(["a", None, "fail", "d", "e"]).dictionary_encode(),
        "day": pyarrow.array([datetime.date(2026, 1, day) for day in range(1, 6)]),
        "price": pyarrow.array([decimal.Decimal("1.10")] * 5, pyarrow.decimal128(9, 2)),
        "small": pyarrow.array([1, 2, None, 4, 5], pyarrow.int8()),
        "tags": pyarrow.array([["x"], [], None, ["y", "z"], []], pyarrow.list_(pyarrow.string())),
        "nothing": pyarrow.nulls(5),
    }
)


def write(path, table, group=2):
    if path.suffix == ".parquet":
        pyarrow.parquet.write_table(table, path, row_group_size=group)
        return
    with pyarrow.ipc.new_file(path, table.schema) as file:
        file.write_table(table, max_chunksize=group)


def read(path):
    if path.suffix == ".parquet":
        return pyarrow.parquet.read_table(path)
    with pyarrow.ipc.open_file(path) as file:
        return file.read_all()


def run(*arguments):
    return main(["run", *map(str, arguments), "--model", "openai/m", "--quiet"])


@pytest.mark.parametrize("into", [".parquet", ".arrow", ".feather"])
@pytest.mark.parametrize("source", [".parquet", ".arrow", ".feather"])
def test_every_other_column_is_as_it_was(sim, tmp_path, source, into):
    """
    Of whatever type, dictionaries and all; rows that fail or ask nothing have no answer.
    """
    table, out = tmp_path / f"in{source}", tmp_path / f"out{into}"
    write(table, TYPED)

    assert run(table, "--prompt", "Say {text}", "--out", out) == 1

    written_table = read(out)
    assert written_table.select(TYPED.column_names).cast(TYPED.schema).equals(TYPED)
    assert written_table.schema.field("day").type == pyarrow.date32()
    assert written_table.schema.field("small").type == pyarrow.int8()
    assert written_table["response"].to_pylist() == ["> Say a", None, None, "> Say d", "> Say e"]
    assert [error is not None for error in written_table["response_error"].to_pylist()] == [
        *(False, False, True, False, False)
    ]


def test_a_column_of_that_name_is_replaced(sim, tmp_path):
    """
    In its place, and as text whatever it was.
    """
    table, out = tmp_path / "in.parquet", tmp_path / "out.parquet"
    write(table, TYPED.slice(0, 2))

    assert (
        run(table, "--prompt", "{text}{price}", "--into", "small", "--overwrite", "--out", out) == 0
    )

    written_table = read(out)
    assert written_table.column_names == [*TYPED.column_names, "small_error"]
    assert written_table["small"].to_pylist() == ["> a1.10", "> 1.10"]


@pytest.mark.parametrize("suffix", [".parquet", ".arrow"])
def test_a_table_without_rows_keeps_its_columns(sim, tmp_path, suffix):
    """
    And their types.
    """
    table, out = tmp_path / f"in{suffix}", tmp_path / f"out{suffix}"
    write(table, TYPED.schema.empty_table())

    assert run(table, "--prompt", "{text}", "--out", out) == 0

    assert read(out).num_rows == 0
    assert read(out).schema.names[:-2] == TYPED.column_names
    assert read(out).schema.field("day").type == pyarrow.date32()


def test_a_limit_and_a_prompt_without_columns(sim, tmp_path):
    """
    The first rows only, over the borders of groups.
    """
    table, out = tmp_path / "in.parquet", tmp_path / "out.parquet"
    write(table, TYPED)

    assert run(table, "--prompt", "Tell me a joke", "--limit", 3, "--out", out) == 0

    assert read(out)["response"].to_pylist() == ["> Tell me a joke"] * 3
    assert len(sim.ledger.received) == 1


def test_into_another_kind_of_table(sim, tmp_path):
    """
    Parquet in and CSV out, or the other way round, row by row.
    """
    table, out, back = tmp_path / "in.parquet", tmp_path / "out.csv", tmp_path / "back.arrow"
    write(table, TYPED.slice(3))

    assert run(table, "--prompt", "{text}", "--out", out) == 0
    assert run(out, "--prompt", "{text}", "--overwrite", "--out", back) == 0

    assert [row["response"] for row in open_table(out).rows()] == ["> d", "> e"]
    assert read(back)["response"].to_pylist() == ["> d", "> e"]


def test_what_is_no_table_is_said_so(tmp_path):
    """
    Before anything is sent, with the file's name.
    """
    for suffix in (".parquet", ".arrow"):
        (tmp_path / f"bad{suffix}").write_bytes(b"no table at all")
        with pytest.raises(errors.UnreadableFile, match=f"bad{suffix}"):
            open_table(tmp_path / f"bad{suffix}")


def test_an_arrow_stream_is_read_as_well(tmp_path):
    """
    What is piped into a file has no footer.
    """
    path = tmp_path / "stream.arrow"
    with pyarrow.ipc.new_stream(path, TYPED.schema) as stream:
        stream.write_table(TYPED)

    assert [row["small"] for row in open_table(path).rows()] == [1, 2, None, 4, 5]


def test_rows_of_megabytes_come_in_small_groups(tmp_path):
    """
    How many are held at once depends on how long they are.
    """
    path = tmp_path / "long.parquet"
    dice = random.Random(3)
    texts = [dice.randbytes(200_000).hex() for _ in range(60)]
    write(path, pyarrow.table({"text": texts}), group=60)

    sizes = [group.num_rows for group in ArrowTable(path).groups()]

    assert sum(sizes) == 60
    assert max(sizes) <= 25


def test_half_a_character_in_an_answer_is_written(tmp_path):
    """
    As the sign that stands for it.
    """
    path = tmp_path / "out.parquet"
    group = pyarrow.RecordBatch.from_pydict({"text": ["a"]})
    with table_writer(path, ["text", "said"]) as writer:
        writer.write_group(group, {"said": ["\ud800"]})

    assert read(path)["said"].to_pylist() == ["\ufffd"]


# ------------------------------------------------------------------- processes of their own


def settings(tmp_path, url):
    return {
        **os.environ,
        "OPENAI_API_KEY": "k",
        "OPENAI_BASE_URL": url,
        "LLMNB_CACHE_DIR": str(tmp_path / "cache"),
    }


def command(source, out, *arguments):
    return [
        *(sys.executable, "-m", "llmnb", "run", str(source), "--prompt", "Say {text}."),
        *("--model", "openai/m", "--out", str(out), "--quiet", *arguments),
    ]


def numbered(rows, different=2_000):
    arguments = [f"word {row % different}" for row in range(rows)]
    return pyarrow.table({"text": arguments, "n": range(rows)})


def test_killed_and_typed_again_it_is_whole(tmp_path):
    """
    A kill leaves no half of a table behind, and nothing that was answered is bought again.
    """
    source, out = tmp_path / "in.parquet", tmp_path / "out.parquet"
    rows, in_flight = 400, 8
    write(source, numbered(rows), group=100)
    with SimulatedProvider(latency=0.002) as sim:
        arguments = command(source, out, "--concurrency", str(in_flight))
        environment = settings(tmp_path, sim.base_url)
        child = subprocess.Popen(arguments, env=environment, stderr=subprocess.PIPE)
        sim.ledger.wait_until(lambda totals: totals.finished >= 250, timeout=90)
        child.kill()
        child.communicate()
        assert not out.exists()
        subprocess.run(arguments, env=environment, check=True, capture_output=True)
        bought = len(sim.ledger.finished)

    written_table = read(out)
    assert written_table.select(["text", "n"]).equals(read(source))
    assert all(written_table["response"].to_pylist())
    assert bought - rows <= 2 * in_flight


WATCHED = """
import resource, subprocess, sys
subprocess.run(sys.argv[1:], check=True, capture_output=True)
print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)
"""


@pytest.mark.parametrize("fewer", [500, pytest.param(2_000, marks=pytest.mark.slow)])
def test_memory_does_not_grow_with_the_table(tmp_path, fewer):
    """
    Parquet to Parquet: ten times the rows take at most 1.2 times the memory.

    The longer table's answers are kept already, which makes it the faster one; how it is with
    answers that are bought is promised for JSONL beside this.
    """
    peak = {}
    with Laboratory.spawn(transport="fast", ledger="totals") as sim:
        for rows in (fewer, 10 * fewer):
            source, out = tmp_path / f"{rows}.parquet", tmp_path / f"{rows}.out.parquet"
            write(source, numbered(rows, fewer), group=rows)
            done = subprocess.run(
                [sys.executable, "-c", WATCHED, *command(source, out)],
                env=settings(tmp_path, sim.base_url),
                capture_output=True,
                text=True,
                check=True,
            )
            peak[rows] = int(done.stdout)
            assert read(out).num_rows == rows
            assert all(read(out)["response"].to_pylist())

    assert peak[10 * fewer] <= 1.2 * peak[fewer], peak
