"""Promises of the README: every block of Python in it runs, and gives what it is shown for."""

from __future__ import annotations

import os
import re
import shutil
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from kernels import CellMessages, Kernel, new_kernel
from laboratory import Laboratory
from needs import ROOT

BLOCKS = re.findall(r"^```python\n(.*?)^```$", (ROOT / "README.md").read_text("utf-8"), re.M | re.S)

TICKETS = """
import llmnb, pandas, pydantic
df = pandas.DataFrame({
    "subject": ["No light", "Late again"],
    "body": ["The charger is broken.", "My parcel is late."],
    "text": ["It broke.", "Lovely."],
})
class Ticket(pydantic.BaseModel):
    topic: str
"""
"""What the README's reader has: a table of tickets, and a form of what to extract."""

BEFORE = {"df.llm.plan": TICKETS}
"""What a block takes for granted, by how the block begins."""


@dataclass
class Reader:
    """A person who types the blocks into one notebook."""

    kernel: Kernel
    sim: Laboratory
    folder: Path

    def type(self, beginning: str) -> CellMessages:
        """Run the block that begins so."""
        (block,) = (text for text in BLOCKS if text.startswith(beginning))
        if beginning in BEFORE:
            prepared = self.kernel.run(BEFORE[beginning])
            assert prepared.status == "ok", prepared
        ended = self.kernel.run(block)
        assert ended.status == "ok", ended.reply
        return ended

    def value(self, expression: str) -> str:
        """Return what an expression is, as it is printed."""
        ended = self.kernel.run(f"print({expression})")
        assert ended.status == "ok", ended.reply
        return ended.text.strip()


def answer(prompt: str) -> str:
    """Answer as each block's question wants to be answered."""
    if "'refund'" in prompt:  # what was wrong with the answer before, which fitted a Ticket
        return '"delivery"'
    if "charger" in prompt or "parcel" in prompt:
        return '{"topic": "delivery"}'
    if "Draft" in prompt or "Good or bad" in prompt:
        return "A reply."
    return "negative" if "not" in prompt else "positive"


@pytest.fixture(scope="module")
def reader(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Reader]:
    """Open a notebook beside the table of reviews, with every provider simulated."""
    folder = tmp_path_factory.mktemp("readme")
    shutil.copy(ROOT / "examples" / "data" / "reviews.csv", folder)
    with Laboratory(latency=0, reply=answer) as sim:
        keys = {"GROQ_API_KEY": sim.api_key, "LLMNB_GROQ_BASE_URL": sim.base_url}
        data = {"XDG_DATA_HOME": os.environ.get("XDG_DATA_HOME", str(Path.home() / ".local/share"))}
        model = {"LLMNB_MODEL": "openai/gpt-4o-mini"}
        own = {**keys, **data, **model, **sim.environment}
        with new_kernel(sys.executable, folder, **own) as kernel:
            yield Reader(kernel, sim, folder)


def test_three_lines_label_every_review(reader):
    """
    A label for each row, and the table's own ones untouched.
    """
    reader.type("import llmnb, pandas")

    assert reader.value("sorted(set(df['mood']))") == "['negative', 'positive']"
    same = "pandas.read_csv('reviews.csv').equals(df.drop(columns='mood'))"
    assert reader.value(same) == "True"


@pytest.mark.local_model
@pytest.mark.usefixtures("weights")
def test_a_small_model_labels_reviews_as_people_do(reader):
    """
    One word for each of forty, seven in ten right, and the table's own labels untouched.
    """
    printed = reader.type("import pandas").text
    share = re.search(r"(\d+)% as a person", printed)
    assert share is not None, printed
    assert int(share[1]) >= 70
    assert reader.value("sorted(set(df['model']))") == "['negative', 'positive']"
    same = "pandas.read_csv('reviews.csv').head(40).equals(df.drop(columns='model'))"
    assert reader.value(same) == "True"


def test_every_verb_of_tables_gives_what_its_line_says(reader):
    """
    What each line names fills its column; asked again, nothing is sent.
    """
    reader.type("df.llm.plan")

    received = reader.sim.ledger.totals().received
    drafted = "df.llm.generate('Draft a reply to {subject}', into='reply')['reply']"
    assert reader.value(f"list({drafted})") == "['A reply.', 'A reply.']"
    assert (
        reader.value("list(df.llm.extract('body', Ticket)['topic'])") == "['delivery', 'delivery']"
    )
    labels = "['refund', 'damage', 'delivery']"
    classified = f"df.llm.classify('body', {labels})"
    assert reader.value(f"list({classified})") == "['delivery', 'delivery']"
    nearest = "df.llm.embed('body', into='vector').llm.nearest(df['body'][0], 'vector')"
    assert reader.value(f"{nearest}['subject'].iloc[0]") == "No light"
    assert reader.value("run.status().state") == "finished"
    assert reader.sim.ledger.totals().received == received


@pytest.mark.local_model
@pytest.mark.usefixtures("weights")
def test_a_list_of_requests_is_answered_in_a_sentence_each(reader):
    """
    Without a table: the right city for each request, what it carried beside it, no ramble.
    """
    printed = reader.type("from llmnb import AsyncLLM").text.splitlines()

    assert len(printed) == 2, printed
    for line, city, carried in zip(printed, ("Paris", "Rome"), ("", "{'id': 7}"), strict=True):
        assert city in line
        assert line.endswith(carried)
        assert len(line) < 100


def test_no_block_is_left_out(reader):
    """
    Each block of Python begins like a block that is typed here.
    """
    typed = re.findall(r'reader\.type\("([^"]+)"\)', Path(__file__).read_text("utf-8"))

    assert [next(start for start in typed if block.startswith(start)) for block in BLOCKS] == typed
