"""Promises of the settings: one order of precedence, keys in memory only."""

from __future__ import annotations

import pytest

from llmnb import settings
from llmnb.errors import ConfigurationError


@pytest.fixture(autouse=True)
def fresh(monkeypatch, tmp_path):
    """No setting, no key, no .env of the machine."""
    monkeypatch.setattr(settings, "_current", settings.Settings())
    monkeypatch.setattr(settings, "_keys", {})
    for name in ("LLMNB_MODEL", "LLMNB_PROJECT", "LLMNB_CACHE_DIR", "SOME_KEY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)


def test_argument_then_configure_then_environment_then_dotenv_then_default(monkeypatch, tmp_path):
    """
    The first that says something wins, in the documented order.
    """
    assert settings.project_name() == "default"
    (tmp_path / ".env").write_text("LLMNB_PROJECT=from-dotenv\n")
    assert settings.project_name() == "from-dotenv"
    monkeypatch.setenv("LLMNB_PROJECT", "from-environment")
    assert settings.project_name() == "from-environment"
    settings.configure(project_name="from-configure")
    assert settings.project_name() == "from-configure"
    assert settings.project_name("from-argument") == "from-argument"


def test_dotenv_is_looked_for_upwards_and_read_again_when_changed(monkeypatch, tmp_path):
    """
    A key written into .env after the import is found.
    """
    below = tmp_path / "a" / "b"
    below.mkdir(parents=True)
    monkeypatch.chdir(below)
    assert settings.find_key("some", ["SOME_KEY"]) is None

    (tmp_path / ".env").write_text("SOME_KEY='one'\n")

    assert settings.find_key("some", ["SOME_KEY"]) == "one"


@pytest.mark.parametrize(
    "file",
    [
        "SOME_KEY=one\r\n".encode("utf-8-sig"),
        "SOME_KEY=one\r\n".encode("utf-16"),
        "# für alle\nSOME_KEY=one\n".encode("latin-1"),
    ],
)
def test_dotenv_is_read_as_whichever_editor_wrote_it(tmp_path, file):
    """
    With Notepad's mark, in PowerShell's UTF-16, with a comment in an older encoding.
    """
    (tmp_path / ".env").write_bytes(file)

    assert settings.find_key("some", ["SOME_KEY"]) == "one"


def test_a_dotenv_that_may_not_be_read_is_passed_over(tmp_path, monkeypatch):
    """
    It belongs to somebody else, in a folder above, and is no reason to end a call.
    """
    (tmp_path / ".env").write_text("SOME_KEY=one\n")

    def refuse(path):
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(settings.Path, "read_bytes", refuse)

    assert settings.find_key("some", ["SOME_KEY"]) is None


def test_dotenv_does_not_change_the_environment(tmp_path, monkeypatch):
    """
    Reading a file is no reason for other programs to see it.
    """
    import os

    (tmp_path / ".env").write_text("SOME_KEY=one\n")

    settings.find_key("some", ["SOME_KEY"])

    assert "SOME_KEY" not in os.environ


def test_keys_argument_then_memory_then_environment(monkeypatch):
    """
    A key given by hand wins over one lying about.
    """
    monkeypatch.setenv("SOME_KEY", "environment")
    assert settings.find_key("some", ["SOME_KEY"]) == "environment"
    settings.keep_key("Some", "memory")
    assert settings.find_key("some", ["SOME_KEY"]) == "memory"
    assert settings.find_key("some", ["SOME_KEY"], "argument") == "argument"
    settings.keep_key("some", None)
    assert settings.find_key("some", ["SOME_KEY"]) == "environment"


def test_no_key_shows_in_what_is_set():
    """
    The repr of the settings holds no key.
    """
    settings.keep_key("some", "sk-secret")

    assert "sk-secret" not in repr(settings.current())


def test_an_unknown_setting_is_an_error_that_lists_them():
    """
    A typing mistake is caught, not stored.
    """
    with pytest.raises(ConfigurationError, match="project_name"):
        settings.configure(projekt="x")
