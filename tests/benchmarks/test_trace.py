"""Promises of benchmarks/trace.py: which functions it counts, and how it follows a value."""

from __future__ import annotations

import importlib.util
import sys
import threading

import pytest

from benchmarks import trace

HEIGHTS = {"decide": 0, "engine": 1, "frames": 2}

FRAMES = """
class Verbs:
    def ask(self, prompt, engine):
        return engine.take({"prompt": prompt}, prompt=prompt, finish=self.finish)

    def finish(self, prompt):
        return prompt
"""
ENGINE = """
def take(options, finish, **rest):
    answers = []
    thread = threading.Thread(target=lambda: answers.append(decided(rest["prompt"])))
    thread.start()
    thread.join()
    return finish(answers[0])

def decided(prompt):
    return unseen(prompt + "!") and prompt

def unseen(text):
    return [letter for letter in text]
"""


@pytest.fixture
def package(tmp_path):
    """A package of two rooms, loaded from a folder; returns the folder and its modules."""
    loaded = {}
    for room, source in (("frames", FRAMES), ("engine", ENGINE)):
        path = tmp_path / "llmnb" / room / "code.py"
        path.parent.mkdir(parents=True)
        path.write_text(source)
        spec = importlib.util.spec_from_file_location(f"traced_{room}", path)
        loaded[room] = importlib.util.module_from_spec(spec)
        loaded[room].threading = threading
        spec.loader.exec_module(loaded[room])
    return tmp_path / "llmnb", loaded


@pytest.fixture
def traced(package):
    """What asking with a prompt passes."""
    folder, rooms = package
    prompt = "".join(["a ", "prompt"])
    watch = trace.Watch(folder, HEIGHTS, prompt)
    before = sys.getprofile()
    watch.begin()
    try:
        rooms["frames"].Verbs().ask(prompt, rooms["engine"])
    finally:
        watch.end()
        sys.setprofile(before)
    return watch.taken()


def names(functions):
    """Return the qualified names of functions."""
    return [name for _, name in functions]


def test_functions_of_all_threads_are_counted_once(traced):
    """
    What runs on a thread that starts later counts, modules and other packages do not.
    """
    assert set(names(traced.functions)) >= {"Verbs.ask", "Verbs.finish", "take", "decided"}
    assert {file for file, _ in traced.functions} == {"frames/code.py", "engine/code.py"}
    assert not {"<module>", "Thread.start"} & set(names(traced.functions))
    assert traced.figures()["files"] == 2


def test_a_value_is_followed_by_what_it_is(traced):
    """
    Among keywords too; a new text made of it is another value.
    """
    assert names(traced.prompt) == ["Verbs.ask", "take", "decided", "Verbs.finish"]


def test_a_call_that_climbs_is_noticed(traced):
    """
    A function that a higher floor handed down takes the value up again.
    """
    assert [(caller[1], callee[1]) for caller, callee in traced.climbs] == [
        ("take", "Verbs.finish")
    ]


def test_every_room_of_the_project_has_a_floor():
    """
    The contract names every folder and file of the package but those beside the house.
    """
    heights = trace.floors(trace.HERE)
    rooms = {
        trace.room(path.relative_to(trace.HERE / "llmnb").as_posix())
        for path in (trace.HERE / "llmnb").rglob("*.py")
    }

    assert rooms - set(heights) - set(trace.ASIDE) == {"__init__"}
    assert heights["display"] == 0 < heights["errors"] < heights["engine"] < heights["frames"]
