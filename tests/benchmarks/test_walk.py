"""Promises of benchmarks/walk.py: which functions it counts, and how it follows a value."""

from __future__ import annotations

import importlib.util
import sys
import threading

import pytest

from benchmarks import walk

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
    found = []
    thread = threading.Thread(target=lambda: found.append(decided(rest["prompt"])))
    thread.start()
    thread.join()
    return finish(found[0])

def decided(prompt):
    return unseen(prompt + "!") and prompt

def unseen(text):
    return [one for one in text]
"""


@pytest.fixture
def package(tmp_path):
    """A package of two rooms, loaded from a folder; returns the folder and its modules."""
    loaded = {}
    for room, source in (("frames", FRAMES), ("engine", ENGINE)):
        path = tmp_path / "llmnb" / room / "code.py"
        path.parent.mkdir(parents=True)
        path.write_text(source)
        spec = importlib.util.spec_from_file_location(f"walked_{room}", path)
        loaded[room] = importlib.util.module_from_spec(spec)
        loaded[room].threading = threading
        spec.loader.exec_module(loaded[room])
    return tmp_path / "llmnb", loaded


@pytest.fixture
def walked(package):
    """What asking with a prompt passes."""
    folder, rooms = package
    prompt = "".join(["a ", "prompt"])
    watch = walk.Watch(folder, HEIGHTS, prompt)
    before = sys.getprofile()
    watch.begin()
    try:
        rooms["frames"].Verbs().ask(prompt, rooms["engine"])
    finally:
        watch.end()
        sys.setprofile(before)
    return watch.taken()


def names(places):
    """Return the qualified names of places."""
    return [name for _, name in places]


def test_functions_of_all_threads_are_counted_once(walked):
    """
    What runs on a thread that starts later counts, modules and other packages do not.
    """
    assert set(names(walked.functions)) >= {"Verbs.ask", "Verbs.finish", "take", "decided"}
    assert {file for file, _ in walked.functions} == {"frames/code.py", "engine/code.py"}
    assert not {"<module>", "Thread.start"} & set(names(walked.functions))
    assert walked.figures()["files"] == 2


def test_a_value_is_followed_by_what_it_is(walked):
    """
    Among keywords too; a new text made of it is another value.
    """
    assert names(walked.prompt) == ["Verbs.ask", "take", "decided", "Verbs.finish"]


def test_a_call_that_climbs_is_found(walked):
    """
    A function that a higher floor handed down takes the value up again.
    """
    assert [(caller[1], callee[1]) for caller, callee in walked.climbs] == [
        ("take", "Verbs.finish")
    ]


def test_every_room_of_the_project_has_a_floor():
    """
    The contract names every folder and file of the package but those beside the house.
    """
    heights = walk.floors(walk.HERE)
    rooms = {
        walk.room(path.relative_to(walk.HERE / "llmnb").as_posix())
        for path in (walk.HERE / "llmnb").rglob("*.py")
    }

    assert rooms - set(heights) - set(walk.ASIDE) == {"__init__"}
    assert heights["errors"] == 0 < heights["engine"] < heights["frames"]
