"""Promises about files that cells name: a table does not decide what leaves the machine."""

from __future__ import annotations

import os
from pathlib import Path

import pandas as pd
import pytest

from llmnb.errors import ConfigurationError, InputError
from llmnb.frames import images

PNG = bytes.fromhex("89504e470d0a1a0a") + b"rest"


@pytest.fixture
def places(tmp_path, monkeypatch):
    """A working folder with a picture in it, and a home with a secret one."""
    work, home = tmp_path / "work", tmp_path / "home"
    (work / "inner").mkdir(parents=True)
    home.mkdir()
    (home / "secret.png").write_bytes(PNG)
    (work / "inner" / "a.png").write_bytes(PNG)
    (work / "link.png").symlink_to(home / "secret.png")
    (work / "folder").symlink_to(home)
    monkeypatch.chdir(work)
    monkeypatch.setenv("HOME", str(home))
    return work, home


@pytest.mark.parametrize(
    "cell",
    [
        "~/secret.png",
        "../home/secret.png",
        "inner/../../home/secret.png",
        "link.png",
        "folder/secret.png",
        "{home}/secret.png",
    ],
)
def test_a_text_opens_no_file_outside_the_working_folder(places, cell):
    """A path that leads out, by dots, a tilde, a link or from the root, is refused with advice."""
    with pytest.raises(InputError, match="files_root") as caught:
        images.address(cell.format(home=places[1]))

    assert "pathlib.Path" in caught.value.message
    assert "Nothing was sent" in caught.value.message


@pytest.mark.parametrize("cell", ["inner/a.png", "./inner/../inner/a.png", "{work}/inner/a.png"])
def test_a_text_opens_a_file_below_the_working_folder(places, cell):
    """A picture that lies below the working folder is read, however its path is written."""
    url = images.address(cell.format(work=places[0]))

    assert url.startswith("data:image/png")


@pytest.mark.parametrize("is_link", [True, False])
def test_a_file_that_is_exchanged_while_it_is_looked_at_is_not_sent(places, monkeypatch, is_link):
    """Neither what a link now leads to is read, nor is a pipe waited for."""
    work, home = places
    within = images._file_below

    def exchanged(name, root):
        path = within(name, root)
        os.replace(path, work / "moved.png")
        if is_link:
            os.symlink(home / "secret.png", path)
        else:
            regular = os.stat(work / "moved.png")
            os.mkfifo(path)
            monkeypatch.setattr(images.os, "stat", lambda path: regular)
        return path

    monkeypatch.setattr(images, "_file_below", exchanged)
    with pytest.raises(InputError, match="Nothing was sent"):
        images.address("inner/a.png")


@pytest.mark.parametrize(
    "cell",
    [
        "file:///etc/hostname",
        "FILE:///etc/hostname",
        "\\\\host\\share\\a.png",
        "//host/share/a.png",
        "/dev/zero",
        "data:text/plain;base64,aGk=",
        "data:,hi",
        "ftp://host/a.png",
        "a\0.png",
        "inner",
        "pipe.png",
        "large.png",
        "loop.png",
    ],
)
def test_nothing_else_in_a_cell_opens_a_file(places, cell):
    """Addresses of files, shares, devices, pipes, folders, loops and what is too large."""
    work, _ = places
    os.mkfifo(work / "pipe.png")
    (work / "loop.png").symlink_to("loop.png")
    with open(work / "large.png", "wb") as file:
        file.truncate(images.LARGEST_BYTES + 1)

    with pytest.raises(InputError, match="Nothing was sent"):
        images.address(cell)


def test_a_path_of_the_programs_is_trusted(places):
    """A pathlib.Path was made by the program and may lie anywhere."""
    assert images.address(places[1] / "secret.png").startswith("data:image/png")
    assert images.address(Path("~/secret.png")).startswith("data:image/png")


def test_a_root_replaces_the_working_folder(places):
    """With files_root= names are looked for below it, and the working folder is closed."""
    work, home = places

    assert images.address("secret.png", root=home).startswith("data:image/png")
    with pytest.raises(InputError, match="files_root"):
        images.address(os.fspath(work / "inner" / "a.png"), root=home)


def test_a_cell_that_names_a_file_elsewhere_is_a_failed_row(places, sim, asked):
    """The row fails with its reason, the others are asked, and the picture is not sent."""
    frame = pd.DataFrame({"picture": ["~/secret.png", "inner/a.png"]})

    with pytest.warns(UserWarning, match="files_root"):
        answers = frame.llm.generate("What is it?", images="picture")

    assert answers.isna().tolist() == [True, False]
    assert len(asked) == 1


def test_the_accessor_takes_a_root(places, sim):
    """generate(files_root=…) opens what lies below it; what is no folder's name is refused."""
    frame = pd.DataFrame({"picture": ["secret.png"]})

    answers = frame.llm.generate("What?", images="picture", files_root=places[1])

    assert answers.notna().all()
    with pytest.raises(ConfigurationError, match="files_root"):
        frame.llm.generate("What?", images="picture", files_root=5)
