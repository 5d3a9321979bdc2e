"""Promises of the command line: clear errors, whole tables, nothing bought twice."""

from __future__ import annotations

import csv
import json
import signal
import subprocess
import sys

import pytest
from children import started
from laboratory import Laboratory
from laboratory.ledger_queries import duplicates

from llmnb.cli import COMMANDS, main


@pytest.fixture
def sim(monkeypatch):
    with Laboratory(reply=lambda prompt: f"answer to {prompt}", api_key=True) as sim:
        monkeypatch.setenv("OPENAI_BASE_URL", sim.base_url)
        monkeypatch.setenv("OPENAI_API_KEY", "k")
        yield sim


@pytest.fixture
def table(tmp_path):
    path = tmp_path / "reviews.csv"
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["text", "a number"])
        writer.writerows([[f"row {number}", number] for number in range(30)])
    return path


def read(path):
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def run(*arguments):
    return main(["run", *map(str, arguments), "--model", "openai/m", "--quiet"])


def test_a_table_comes_back_with_its_answers_in_order(sim, table, tmp_path):
    """
    Every row, every column, and one more.
    """
    out = tmp_path / "out.csv"

    assert run(table, "--prompt", "{text} of {a number}", "--into", "said", "--out", out) == 0

    rows = read(out)
    assert [row["said"] for row in rows] == [f"answer to row {n} of {n}" for n in range(30)]
    assert [row["a number"] for row in rows] == [str(n) for n in range(30)]


@pytest.mark.parametrize("suffix", [".csv", ".tsv", ".jsonl", ".parquet"])
def test_every_format_goes_in_and_out(sim, tmp_path, suffix):
    """
    CSV, TSV, JSONL and Parquet, into the same kind by default.
    """
    from llmnb.frames.tables import open_table, table_writer

    source = tmp_path / f"table{suffix}"
    with table_writer(source, ["text"]) as writer:
        for number in range(3):
            writer.write({"text": f"t{number}"})

    assert run(source, "--prompt", "text") == 0

    rows = list(open_table(tmp_path / f"table.answers{suffix}").rows())
    assert [row["response"] for row in rows] == [f"answer to t{number}" for number in range(3)]


def test_the_same_command_again_sends_nothing(sim, table, tmp_path):
    """
    The answers are kept; the table is the same.
    """
    out = tmp_path / "out.csv"
    run(table, "--prompt", "text", "--out", out)
    first = out.read_bytes()

    assert run(table, "--prompt", "text", "--out", out, "--resume") == 0

    assert out.read_bytes() == first
    assert len(sim.ledger.received) == 30


def test_rows_with_nothing_to_ask_stay_and_are_not_asked(sim, tmp_path):
    """
    An empty cell is an empty answer in its own row.
    """
    source = tmp_path / "gaps.csv"
    source.write_text('text\na\n""\nb\n""\n')

    assert run(source, "--prompt", "{text}") == 0

    rows = read(tmp_path / "gaps.answers.csv")
    assert [row["response"] for row in rows] == ["answer to a", "", "answer to b", ""]
    assert len(sim.ledger.received) == 2


def test_failed_rows_are_marked_and_the_exit_code_says_so(monkeypatch, table):
    """
    The other rows are answered; 1 is "some rows failed".
    """
    with Laboratory(faults=lambda request: 400 if request.prompt == "row 3" else None) as sim:
        monkeypatch.setenv("OPENAI_BASE_URL", sim.base_url)
        monkeypatch.setenv("OPENAI_API_KEY", "k")

        assert run(table, "--prompt", "text") == 1

    rows = read(table.with_suffix(".answers.csv"))
    assert [number for number, row in enumerate(rows) if not row["response"]] == [3]
    assert "400" in rows[3]["response_error"]


def test_requests_in_jsonl_come_back_as_rows(sim, tmp_path):
    """
    Lines that are requests give lines of request, response and metadata.
    """
    source = tmp_path / "requests.jsonl"
    lines = [{"prompt": "a"}, {"prompt": "b", "metadata": {"id": 1}}]
    source.write_text("".join(json.dumps(line) + "\n" for line in lines))

    assert run(source) == 0

    written = (tmp_path / "requests.answers.jsonl").read_text().splitlines()
    bodies_written = [json.loads(line) for line in written]
    assert bodies_written[0][0] == {"prompt": "a"}
    assert bodies_written[1][1]["choices"][0]["message"]["content"] == "answer to b"
    assert bodies_written[1][2] == {"id": 1}


def test_answers_that_begin_like_formulas_are_inert(monkeypatch, table):
    """
    A spreadsheet takes them for text; --raw leaves them as they are.
    """
    with Laboratory(reply="=HYPERLINK(1)") as sim:
        monkeypatch.setenv("OPENAI_BASE_URL", sim.base_url)
        monkeypatch.setenv("OPENAI_API_KEY", "k")
        run(table, "--prompt", "text")
        assert read(table.with_suffix(".answers.csv"))[0]["response"] == "'=HYPERLINK(1)"
        run(table, "--prompt", "text", "--raw")
        assert read(table.with_suffix(".answers.csv"))[0]["response"] == "=HYPERLINK(1)"


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["missing.csv", "--prompt", "x"], "no file"),
        (["{table}", "--prompt", "{txt}"], "no column 'txt'"),
        (["{table}", "--prompt", "a { b"], "single brace"),
        (["{table}"], "What is to be asked"),
        (["{table}", "--prompt", "text", "--out", "x.docx"], "no kind of table"),
        (["{table}", "--prompt", "text", "--out", "nowhere/x.csv"], "no folder"),
        (["{empty}", "--prompt", "text"], "is empty"),
        (["{table}", "--prompt", "txet"], "Did you mean 'text'"),
        (["{table}", "--prompt", "text", "--messages", "text"], "does not go with --prompt"),
        (["{table}", "--messages", "chat"], "no column 'chat'"),
        (["{table}", "--prompt", "text", "--encoding", "utf-9"], "no encoding 'utf-9'"),
        (["{table}", "--prompt", "text", "--delimiter", ";;"], "one character"),
        (["{lines}", "--prompt", "text", "--delimiter", ";"], "for CSV files"),
        (["{lines}", "--prompt", "nowhere {x}"], "no column 'x'"),
        (["{asked}", "--out", "x.csv"], "in a JSONL file"),
    ],
)
def test_bad_input_is_a_clear_error_before_any_request(
    sim, table, tmp_path, monkeypatch, capsys, arguments, says
):
    """
    Exit code 2, one message that says what to do, nothing sent.
    """
    monkeypatch.chdir(tmp_path)
    (tmp_path / "empty.csv").write_text("")
    (tmp_path / "lines.jsonl").write_text('{"text": 1}\n')
    (tmp_path / "asked.jsonl").write_text('{"prompt": "x"}\n')
    places = {"{table}": "reviews.csv", "{empty}": "empty.csv"}
    places |= {"{lines}": "lines.jsonl", "{asked}": "asked.jsonl"}

    assert run(*[places.get(word, word) for word in arguments]) == 2

    assert says in capsys.readouterr().err
    assert len(sim.ledger.received) == 0


@pytest.mark.parametrize(
    ("model", "says"),
    [("opnai/x", "Did you mean"), ("groq/x", "GROQ_API_KEY"), ("nosuchmodel", "provider/model")],
)
def test_a_wrong_model_or_a_missing_key_is_a_clear_error(table, capsys, model, says):
    """
    With what to do about it.
    """
    assert main(["run", str(table), "--prompt", "text", "--model", model]) == 2
    assert says in capsys.readouterr().err


def test_a_plan_sends_nothing_and_says_what_a_run_would(sim, table, capsys):
    """
    Rows, what is kept already, tokens and dollars.
    """
    run(table, "--prompt", "text", "--limit", "10")
    sent = len(sim.ledger.received)

    code = main(["plan", str(table), "--prompt", "text", "--model", "openai/m", "--rpm", "10"])

    said = capsys.readouterr().out
    assert code == 0
    assert "asked 20 questions" in said
    assert "≥2 min" in said
    assert len(sim.ledger.received) == sent


def test_a_plan_needs_no_key(table, capsys):
    """
    It sends nothing, so there is nothing to sign.
    """
    assert main(["plan", str(table), "--prompt", "text", "--model", "openai/gpt-4o-mini"]) == 0
    assert "asked 30 questions" in capsys.readouterr().out


def test_invented_answers_cost_nothing_and_are_called_simulated(table, capsys):
    """
    The name `sim/…` is answered by this process; the receipt calls it simulated.
    """
    arguments = ["run", str(table), "--prompt", "text", "--model", "sim/any"]

    assert main(arguments) == 0
    assert "for $0 (simulated)" in capsys.readouterr().out


def test_the_cache_is_listed_shown_cleared_and_brought_back(sim, table, capsys, tmp_path):
    """
    Clearing asks first, says what it takes, and can be undone.
    """
    run(table, "--prompt", "text", "--project", "Reviews")

    assert main(["cache", "list"]) == 0
    assert "Reviews" in capsys.readouterr().out
    assert main(["cache", "show", "reviews", "--search", "row 17"]) == 0
    assert "answer to row 17" in capsys.readouterr().out
    export = tmp_path / "export.jsonl"
    assert main(["cache", "export", "Reviews", str(export)]) == 0
    assert main(["cache", "clear", "REVIEWS", "--yes"]) == 0
    assert "Cleared 30 answers" in capsys.readouterr().out
    assert main(["cache", "undo"]) == 0
    assert "Brought 30 answers" in capsys.readouterr().out
    assert main(["cache", "clear", "Reviews", "--now", "--yes"]) == 0
    assert main(["cache", "import", str(export)]) == 0
    run(table, "--prompt", "text", "--project", "Reviews")
    assert len(sim.ledger.received) == 30


def test_nothing_is_cleared_without_a_yes(sim, table, monkeypatch, capsys):
    """
    Anything but yes keeps the answers.
    """
    import io

    run(table, "--prompt", "text", "--project", "Reviews")
    monkeypatch.setattr("sys.stdin", io.StringIO("no\n"))

    assert main(["cache", "clear", "Reviews"]) == 0

    assert "Kept." in capsys.readouterr().out
    assert main(["cache", "show", "Reviews"]) == 0


def test_models_and_doctor_never_show_a_key(monkeypatch, capsys):
    """
    They say that one is found, and no more.
    """
    monkeypatch.setenv("OPENAI_API_KEY", "sk-very-secret-0123456789")

    assert main(["models"]) == 0
    assert main(["models", "openai"]) == 0
    assert main(["doctor"]) == 0

    said = capsys.readouterr().out
    assert "found" in said
    assert "secret" not in said


def test_terminal_escapes_in_answers_are_visible(monkeypatch, table, capsys):
    """
    A model cannot recolour or rewrite somebody's terminal.
    """
    with Laboratory(reply="\x1b[2Jgone\u202e") as sim:
        monkeypatch.setenv("OPENAI_BASE_URL", sim.base_url)
        monkeypatch.setenv("OPENAI_API_KEY", "k")
        run(table, "--prompt", "text", "--project", "p", "--limit", "1")

    main(["cache", "show", "p"])

    said = capsys.readouterr().out
    assert "\x1b" not in said
    assert "\u202e" not in said
    assert "\\x1b[2Jgone" in said


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_explains_itself(command, capsys):
    """
    `llmnb COMMAND --help` works for each that `llmnb --help` lists.
    """
    with pytest.raises(SystemExit) as left:
        main([command, "--help"])

    assert left.value.code == 0
    assert "usage: llmnb " + command in capsys.readouterr().out


def test_help_imports_nothing_heavy():
    """
    No HTTP library, no table library, no tokenizer for a page of help.
    """
    code = (
        "import sys; from llmnb.cli import main\n"
        "try: main(['--help'])\n"
        "except SystemExit: pass\n"
        "heavy = {'aiohttp', 'pandas', 'numpy', 'tiktoken', 'pydantic', 'diskcache', 'tqdm'}\n"
        "assert not heavy & set(sys.modules), heavy & set(sys.modules)\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)


def test_ctrl_c_saves_what_there_is_and_the_next_run_asks_the_rest(sim, table, tmp_path):
    """
    Exit 130, the table is written as far as it is answered, nothing is bought twice.
    """
    out = tmp_path / "out.csv"
    command = [sys.executable, "-m", "llmnb", "run", str(table), "--prompt", "text"]
    command += ["--model", "openai/m", "--out", str(out), "--concurrency", "4"]
    sim.hold()
    with started(command, stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as child:
        sim.wait_received(4)
        sim.release(4)
        sim.wait_received(8)
        child.send_signal(signal.SIGINT)
        sim.release()
        _, said = child.communicate(timeout=60)

    assert child.returncode == 130, said
    assert "Type the same command again" in said
    assert len(read(out)) == 30

    sim.release()
    assert run(table, "--prompt", "text", "--out", out) == 0
    assert all(row["response"] for row in read(out))
    assert not duplicates(sim.ledger, of="finished")


INTERRUPTED = """
import signal, sys, threading
from llmnb.cli import main
from llmnb.engine.handle import last_run
from llmnb.frames.csv_tables import CSVSink

write, written = CSVSink.write, []

def interrupted_write(self, row, added={}):
    while not written and last_run().status().completed < 20:
        threading.Event().wait(0.01)  # many outcomes are there, to be written one by one
    written.append(row)
    write(self, row, added)
    if len(written) == 10:
        signal.raise_signal(signal.SIGINT)

CSVSink.write = interrupted_write
sys.exit(main(sys.argv[1:]))
"""


IMPATIENT = """
import signal, sys
from llmnb import progress
from llmnb.cli import main
from llmnb.frames.csv_tables import CSVSink

progress.PATIENCE_SECONDS = 0.0
where, calls = sys.argv.pop(1), []

def interrupted(self, *given):
    calls.append(given)
    for _ in range(3 if len(calls) == 1 else 0):
        signal.raise_signal(signal.SIGINT)
    return original(self, *given)

original = getattr(CSVSink, where)
setattr(CSVSink, where, interrupted)
sys.exit(main(sys.argv[1:]))
"""


@pytest.mark.parametrize(
    ("where", "further", "advice"),
    [
        ("write", [], "same command again, and"),
        ("close", [], "same command again, and"),
        ("write", ["--no-cache"], "same command again without --no-cache, and"),
    ],
)
def test_ctrl_c_that_leaves_no_file_says_how_to_get_it(
    sim, table, tmp_path, where, further, advice
):
    """
    The third, or one while the file is closed: the same command again writes it for nothing.
    """
    out = tmp_path / "out.csv"
    command = [sys.executable, "-c", IMPATIENT, where, "run", str(table), "--prompt", "text"]
    command += ["--model", "openai/m", "--out", str(out), *further]
    with started(command, stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as child:
        _, said = child.communicate(timeout=60)

    assert child.returncode == 130, said
    assert [file.name for file in tmp_path.iterdir()] == [table.name]
    last = said.splitlines()[-1]
    assert str(out) in last
    assert advice in last

    assert run(table, "--prompt", "text", "--out", out) == 0
    assert all(row["response"] for row in read(out))
    assert not duplicates(sim.ledger, of="finished")


def test_ctrl_c_between_two_rows_leaves_each_answer_in_its_row(sim, table, tmp_path):
    """
    Also where outcomes wait to be written: none is lost, and none moves up.
    """
    out = tmp_path / "out.csv"
    command = [sys.executable, "-c", INTERRUPTED, "run", str(table), "--prompt", "text"]
    command += ["--model", "openai/m", "--out", str(out), "--concurrency", "30"]
    sim.hold(lambda request: int(request.prompt.removeprefix("row ")) >= 20)
    with started(command, stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as child:
        _, said = child.communicate(timeout=60)

    assert child.returncode == 130, said
    rows = read(out)
    assert [row["text"] for row in rows] == [f"row {number}" for number in range(30)]
    answers = [f"answer to row {number}" for number in range(20)]
    assert [row["response"] for row in rows] == [*answers, *[""] * 10]
