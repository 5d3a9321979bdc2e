"""Promises about a file of requests: every line its row, in order, resumable, nothing lost."""

from __future__ import annotations

import asyncio
import errno
import json

import pytest

from llmnb import progress
from llmnb.adapters.file_lock import locked
from llmnb.errors import ConfigurationError, StoreError, UnreadableFile
from llmnb.generation import process_api_requests_from_file, process_api_requests_from_file_sync
from llmnb.generation.lines import RequestLines
from llmnb.generation.results import Pump, ResultsFile
from llmnb.testing import SimulatedProvider, faults


def request(content, **fields):
    messages = [{"role": "user", "content": content}]
    return {"model": "gpt-4-0613", "messages": messages, **fields}


def write(path, requests):
    path.write_text("".join(json.dumps(item) + "\n" for item in requests))
    return path


def read(path):
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def text(row):
    return row[1]["choices"][0]["message"]["content"]


def process(sim, source, save=None, **options):
    return process_api_requests_from_file_sync(
        source,
        save,
        f"{sim.base_url}/chat/completions",
        "k",
        60_000_000,
        60_000_000_000,
        **{"logging_level": 50, **options},
    )


@pytest.fixture
def sim():
    with SimulatedProvider(reply=lambda prompt: f"answer to {prompt}") as sim:
        yield sim


def test_every_line_has_its_row_in_the_order_of_the_lines(sim, tmp_path):
    """
    Request, response, and metadata where there is some; the file has its name once it is whole.
    """
    asked = [request(f"q {n}", **({"metadata": {"n": n}} if n % 2 else {})) for n in range(300)]
    source = write(tmp_path / "asked.jsonl", asked)

    report = process(sim, source, max_concurrent_requests=16)

    rows = read(tmp_path / "asked_results.jsonl")
    assert report.save_filepath == tmp_path / "asked_results.jsonl"
    assert (report.rows, report.failed, report.is_whole, report.error) == (300, 0, True, None)
    assert [text(row) for row in rows] == [f"answer to q {n}" for n in range(300)]
    assert [row[2:] for row in rows] == [[{"n": n}] if n % 2 else [] for n in range(300)]
    assert [row[0] for row in rows] == [request(f"q {n}") for n in range(300)]
    assert sorted(item.name for item in tmp_path.iterdir()) == [
        "asked.jsonl",
        "asked_results.jsonl",
    ]


async def test_the_cookbooks_own_call_works(sim, tmp_path):
    """
    All nine arguments by their names, awaited.
    """
    source = write(tmp_path / "asked.jsonl", [request("q")])

    report = await process_api_requests_from_file(
        requests_filepath=str(source),
        save_filepath=str(tmp_path / "out.jsonl"),
        request_url=f"{sim.base_url}/chat/completions",
        api_key="k",
        max_requests_per_minute=float(3_000 * 0.5),
        max_tokens_per_minute=float(250_000 * 0.5),
        token_encoding_name="cl100k_base",
        max_attempts=5,
        logging_level=20,
    )

    assert report.rows == 1
    assert text(read(tmp_path / "out.jsonl")[0]) == "answer to q"


def test_a_line_that_is_no_request_is_an_error_at_its_position(sim, tmp_path):
    """
    With the number of its line and its text; the others are answered, blank lines are none.
    """
    lines = [
        b"\xef\xbb\xbf" + json.dumps(request("q 0")).encode(),
        b"{not json",
        b"",
        b"   ",
        b"[1, 2]",
        b'{"model": "gpt-4-0613", "prompt": "\xff"}',
        b'{"model": "gpt-4-0613", "temperature": 1,}',
        b"[" * 100_000,
        b'{"model": "gpt-4-0613"}',
        json.dumps(request("q 1")).encode(),  # without a line break behind it
    ]
    source = tmp_path / "asked.jsonl"
    source.write_bytes(b"\r\n".join(lines))

    report = process(sim, source)

    rows = read(tmp_path / "asked_results.jsonl")
    assert (report.rows, report.failed) == (8, 6)
    assert text(rows[0]) == "answer to q 0"
    assert text(rows[7]) == "answer to q 1"
    assert rows[1][0] == "{not json"
    assert rows[2][0] == "[1, 2]"
    numbers = [2, 5, 6, 7, 8]
    for row, number in zip(rows[1:6], numbers, strict=True):
        assert row[1][0].startswith(f"Line {number} of asked.jsonl is ")
    assert "asks nothing" in rows[6][1][0]
    assert len(sim.ledger.received) == 2


@pytest.mark.parametrize("content", [b"", b"\n \n"])
def test_a_file_without_a_request_is_an_error(sim, tmp_path, content):
    """
    Nothing is written for it.
    """
    source = tmp_path / "asked.jsonl"
    source.write_bytes(content)

    with pytest.raises(UnreadableFile, match="is empty"):
        process(sim, source)
    with pytest.raises(UnreadableFile, match="No such file"):
        process(sim, tmp_path / "nowhere.jsonl")
    with pytest.raises(UnreadableFile, match="Is a directory"):
        process(sim, tmp_path)
    source.write_bytes(b"{nonsense\n7\n")
    with pytest.raises(UnreadableFile, match=r"No line of .* Line 1 of asked.jsonl is not JSON"):
        process(sim, source)
    assert [item.name for item in tmp_path.iterdir()] == ["asked.jsonl"]


def test_run_again_only_what_changed_is_asked(sim, tmp_path):
    """
    A line put in, one changed and one that failed are asked; the rest is there, in its new order.
    """
    source = write(tmp_path / "asked.jsonl", [request(f"q {n}") for n in range(50)])
    process(sim, source)
    first = read(tmp_path / "asked_results.jsonl")
    before = len(sim.ledger.received)

    changed = [request(f"q {n}") for n in range(49, -1, -1)]
    changed[10] = request("changed")
    changed.insert(0, request("put in"))
    write(source, changed)
    report = process(sim, source)

    second = read(tmp_path / "asked_results.jsonl")
    assert len(sim.ledger.received) - before == 2
    assert report.status.counts.num_cached == 49
    assert [row[0] for row in second] == changed
    answers = {json.dumps(row[0]): row[1] for row in first}
    assert sum(answers.get(json.dumps(row[0])) == row[1] for row in second) == 49


def test_a_reply_is_written_as_it_came(tmp_path):
    """
    Line breaks in it become blanks, and nothing else changes: no figure, no order of fields.
    """
    body = (
        b'{\n  "id": "1",\r\n  "choices": [{"finish_reason": "stop", "index": 0,\n "message":'
        b' {"role": "assistant", "content": "a\\nb"}}],\n "usage": {"prompt_tokens": 1,'
        b' "completion_tokens": 1, "total_tokens": 2}, "created": 1e3, "zz": 1.10}\n'
    )
    source = write(tmp_path / "asked.jsonl", [request("q")])
    with SimulatedProvider(faults=[faults.reply(body=body)]) as sim:
        process(sim, source)

    (line,) = (tmp_path / "asked_results.jsonl").read_bytes().splitlines()
    assert body.replace(b"\n", b" ").replace(b"\r", b" ") in line
    assert json.loads(line)[1]["choices"][0]["message"]["content"] == "a\nb"


def test_addresses_and_keys_of_a_line_are_not_written(sim, tmp_path):
    """
    They are used, and in no row.
    """
    line = request("q", url=sim.base_url, api_key="secret", metadata={"a": 1})
    source = write(tmp_path / "asked.jsonl", [line])

    process(sim, source)

    written = (tmp_path / "asked_results.jsonl").read_text()
    assert "secret" not in written
    assert json.loads(written)[0] == request("q")


def test_a_refused_account_is_reported_once_and_every_line_has_its_row(tmp_path):
    """
    The file is whole, its rows hold the error, and the report says what stopped it.
    """
    source = write(tmp_path / "asked.jsonl", [request(f"q {n}") for n in range(500)])
    with SimulatedProvider(faults=lambda seen: faults.quota()) as sim:
        report = process(sim, source, max_concurrent_requests=4)
        sent = len(sim.ledger.received)

    rows = read(tmp_path / "asked_results.jsonl")
    assert sent <= 5
    assert (report.rows, report.failed) == (500, 500)
    assert type(report.error).__name__ == "QuotaExhausted"
    assert all(isinstance(row[1], list) for row in rows)


def test_of_two_processes_at_the_same_file_the_second_is_refused(sim, tmp_path):
    """
    Before anything is sent; the first is not disturbed.
    """
    source = write(tmp_path / "asked.jsonl", [request("q")])

    with (
        locked(tmp_path / ".asked_results.jsonl.lock"),
        pytest.raises(ConfigurationError, match="another process is writing it"),
    ):
        process(sim, source)
    with pytest.raises(ConfigurationError, match="no folder"):
        process(sim, source, tmp_path / "nowhere" / "out.jsonl")
    with pytest.raises(ConfigurationError, match="is a folder"):
        process(sim, source, tmp_path)

    assert sim.ledger.received == []


def test_a_full_disk_stops_the_buying_and_keeps_the_answers(sim, tmp_path):
    """
    The error says where they are kept; run again with room, nothing is asked twice.
    """
    source = write(tmp_path / "asked.jsonl", [request(f"q {n}") for n in range(400)])
    (tmp_path / "out.jsonl.part").symlink_to("/dev/full")

    with pytest.raises(StoreError, match="run again"):
        process(sim, source, tmp_path / "out.jsonl", max_concurrent_requests=4)
    (tmp_path / "out.jsonl.part").unlink()
    report = process(sim, source, tmp_path / "out.jsonl")

    assert report.rows == 400
    assert report.status.counts.num_cached > 0
    assert len(sim.ledger.received) == 400


async def test_stopped_in_the_middle_it_keeps_what_there_is(tmp_path):
    """
    Rows up to the first that has none, under ``….part``; the next run gives the rest its rows.
    """
    source = write(tmp_path / "asked.jsonl", [request(f"q {n}") for n in range(300)])
    results = tmp_path / "asked_results.jsonl"
    results.write_text("from an earlier run\n")
    with SimulatedProvider(latency=0.02) as sim:
        task = asyncio.create_task(
            process_api_requests_from_file(
                source, None, sim.base_url, "k", 6e7, 6e10, max_concurrent_requests=4
            )
        )
        loop = asyncio.get_running_loop()
        await loop.run_in_executor(
            None, lambda: sim.ledger.wait_until(lambda totals: totals.finished >= 100, timeout=60)
        )
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        rows = read(tmp_path / "asked_results.jsonl.part")
        assert results.read_text() == "from an earlier run\n"
        assert 0 < len(rows) < 300
        assert all(isinstance(row[1], dict) for row in rows)

        report = await process_api_requests_from_file(source, None, sim.base_url, "k", 6e7, 6e10)

        assert report.is_whole
        assert read(results)[: len(rows)] == rows
        assert len(read(results)) == 300
        assert not (tmp_path / "asked_results.jsonl.part").exists()


def test_both_bars_are_exact(sim, tmp_path):
    """
    The total is known from the first moment; launched is never behind completed; both end at it.
    """
    seen = []

    class Display:
        def draw(self, status):
            seen.append((status.launched, status.completed, status.total))

        end = draw

    source = write(tmp_path / "asked.jsonl", [request(f"q {n}") for n in range(700)])
    progress.use_display(lambda run: Display())
    try:
        process(sim, source, max_concurrent_requests=8, progress=True)
    finally:
        progress.use_display(None)

    assert seen[-1] == (700, 700, 700)
    assert all(total == 700 for *_, total in seen)
    assert all(completed <= launched <= 700 for launched, completed, _ in seen)
    assert seen == sorted(seen)
    assert len(sim.ledger.finished) == 700


def test_embeddings_and_texts_are_asked_at_their_endpoints(sim, tmp_path):
    """
    The address says which; replies are written whole.
    """
    texts = write(tmp_path / "t.jsonl", [{"model": "gpt-3.5-turbo-instruct", "prompt": "a"}])
    vectors = write(tmp_path / "v.jsonl", [{"model": "text-embedding-3-small", "input": "a"}])
    for source, path in ((texts, "completions"), (vectors, "embeddings")):
        process_api_requests_from_file_sync(source, None, f"{sim.base_url}/{path}", "k")

    assert text_of(tmp_path / "t_results.jsonl") == "answer to a"
    assert read(tmp_path / "v_results.jsonl")[0][1]["data"][0]["object"] == "embedding"


def text_of(path):
    return read(path)[0][1]["choices"][0]["text"]


@pytest.mark.parametrize("is_kept", [True, False])
def test_results_that_do_not_fit_promise_only_what_is_so(tmp_path, is_kept):
    """
    Where the project has no room either, nobody is told that its answers are kept.
    """
    lost = StoreError("Answers cannot be saved.")

    class Full:
        project, error = "p", None if is_kept else lost

        def outcomes(self, on_wait):
            raise OSError(errno.ENOSPC, "No space left on device")

        def stop(self):
            pass

    with ResultsFile(tmp_path / "out.jsonl") as results, pytest.raises(StoreError) as caught:
        Pump(Full(), results).join()

    assert ("is kept in project 'p'" in str(caught.value)) is is_kept
    assert (lost.message in str(caught.value)) is not is_kept


def test_a_file_that_is_gone_is_reported_as_such(tmp_path):
    """
    As what it is: not as results that cannot be written.
    """
    source = write(tmp_path / "asked.jsonl", [request("q")])
    lines = RequestLines(source)
    source.unlink()

    with pytest.raises(UnreadableFile, match="can no longer be read"):
        list(lines)


@pytest.mark.parametrize("save", ["asked.part", "asked", "linked"])
def test_the_requests_are_never_written_over(sim, tmp_path, save):
    """
    By their own name, by a link's, and by the name results have on the way.
    """
    source = write(tmp_path / "asked.part", [request("q")])
    (tmp_path / "linked").symlink_to(source)

    with pytest.raises(ConfigurationError, match="Nothing was sent"):
        process(sim, source, tmp_path / save)

    assert read(source) == [request("q")]
    assert sim.ledger.totals().received == 0
