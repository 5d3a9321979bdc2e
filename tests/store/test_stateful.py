"""A cache folder under any sequence of events, against a plain dictionary."""

from __future__ import annotations

import asyncio
import tempfile
from pathlib import Path

import pytest
from entries import entry, key_of
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    consumes,
    invariant,
    rule,
    run_state_machine_as_test,
)

from llmnb.store import clearing, layout, projects
from llmnb.store.project import databases, open_project

numbers = st.integers(0, 12)
some = st.lists(numbers, min_size=1, max_size=6)
project_names = st.sampled_from(["a", "b", "Café", "x/y"])


class Stores(RuleBasedStateMachine):
    """Save, look up, borrow, forget, clear, undo, reopen: what is there is what was saved."""

    trashed = Bundle("trashed")

    def __init__(self) -> None:
        super().__init__()
        self._folder = tempfile.TemporaryDirectory()
        self.root = Path(self._folder.name) / "cache"
        self.model: dict[str, dict[int, int]] = {}
        """Project → number of the answer → version that was saved."""
        self.trash: dict[str, tuple[str, dict[int, int]]] = {}
        self.version = 0

    def answers(self, name):
        return self.model.setdefault(name, {})

    def made(self, number):
        self.version += 1
        return entry(number, raw=b"version %d" % self.version)

    @rule(name=project_names, wanted=some)
    def save(self, name, wanted):
        made = [self.made(number) for number in wanted]
        open_project(name, self.root).commit(made)
        for number, stored in zip(wanted, made, strict=True):
            self.answers(name)[number] = int(stored.raw.split()[1])

    @rule(name=project_names, number=numbers)
    def save_from_a_loop(self, name, number):
        made = self.made(number)
        asyncio.run(open_project(name, self.root).aput(made))
        self.answers(name)[number] = int(made.raw.split()[1])

    @rule(name=project_names, wanted=some)
    def look_up_alone(self, name, wanted):
        entries = open_project(name, self.root, share=False).lookup([key_of(n) for n in wanted])
        mine = self.model.get(name, {})
        assert {key: int(stored.raw.split()[1]) for key, stored in entries.items()} == {
            key_of(number): mine[number] for number in wanted if number in mine
        }
        assert all(stored.reused_from is None for stored in entries.values())

    @rule(name=project_names, wanted=some)
    def look_up_and_borrow(self, name, wanted):
        """What another project has is found there, and copied."""
        store = open_project(name, self.root)
        entries = store.lookup([key_of(number) for number in wanted])
        assert store.flush()
        mine = self.model.get(name, {})
        for number in wanted:
            elsewhere = {answers[number] for answers in self.model.values() if number in answers}
            stored = entries.get(key_of(number))
            if stored is None:
                assert not elsewhere
                continue
            version = int(stored.raw.split()[1])
            if number in mine:
                assert version == mine[number]
            else:
                assert version in elsewhere
                self.answers(name)[number] = version

    @rule(name=project_names, number=numbers)
    def forget(self, name, number):
        paths = layout.paths_of(self.root, name)
        was_there = number in self.model.get(name, {})
        assert clearing.forget(paths, key_of(number)) == was_there
        self.model.get(name, {}).pop(number, None)

    @rule(name=project_names)
    def clear(self, name):
        report = clearing.clear(name, self.root)
        if name in self.model:
            assert report.removed.get(name, 0) == len(self.model[name])
        else:
            assert report.unknown == (name,)
        self.model.pop(name, None)

    @rule()
    def clear_everything(self):
        report = clearing.clear("full", self.root)
        assert sum(report.removed.values()) == sum(map(len, self.model.values()))
        self.model.clear()

    @rule(target=trashed, name=project_names)
    def throw_away(self, name):
        (token,) = clearing.clear(name, self.root, to_trash=True).tokens or ("",)
        if token:
            self.trash[token] = (name, self.model.pop(name, {}))
        return token

    @rule(token=consumes(trashed))
    def undo(self, token):
        if not token:
            return
        name, answers = self.trash.pop(token)
        count = clearing.undo(token, self.root)
        mine = self.answers(name)
        back = {number: stored for number, stored in answers.items() if number not in mine}
        assert count == len(back)
        mine.update(back)

    @rule()
    def reopen(self):
        """As if the process had ended and begun anew."""
        for paths in layout.stored_projects(self.root):
            databases.forget(paths.folder)

    @invariant()
    def what_is_there_is_what_was_saved(self):
        there = {
            paths.name: set(projects.keys(paths))
            for paths in layout.stored_projects(self.root)
            if projects.keys(paths)
        }
        assert there == {
            name: {key_of(number) for number in answers}
            for name, answers in self.model.items()
            if answers
        }

    def teardown(self):
        for paths in layout.stored_projects(self.root):
            databases.forget(paths.folder)
        self._folder.cleanup()


def test_whatever_is_done_to_a_cache_folder_what_is_there_is_what_was_saved():
    """
    A few hundred steps in every run.
    """
    run_state_machine_as_test(Stores, settings=steps(examples=12, each=20))


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_whatever_is_done_to_it_for_long_what_is_there_is_what_was_saved():
    """
    Thousands of steps.
    """
    run_state_machine_as_test(Stores, settings=steps(examples=150, each=50))


def steps(*, examples, each):
    return settings(
        max_examples=examples,
        stateful_step_count=each,
        deadline=None,
        derandomize=True,
        database=None,
    )
