"""Promises about `.llm` itself: there as soon as pandas is, and nobody's name is taken."""

from __future__ import annotations

import subprocess
import sys
import textwrap

import pandas as pd
import pytest

import llmnb
from llmnb import errors
from llmnb.frames import accessors, registration


def python(source, *options, **extra):
    """Run a script and return what it printed."""
    done = subprocess.run(
        [sys.executable, *options, "-c", textwrap.dedent(source)],
        capture_output=True,
        text=True,
        check=False,
        **extra,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.split(), done.stderr


@pytest.mark.parametrize(
    "order",
    [
        "import pandas, llmnb",
        "import llmnb, pandas",
        "import llmnb; from pandas import DataFrame",
        # These import pandas themselves, before anybody else.
        "import llmnb; llmnb.attach",
        "import llmnb; llmnb.register_accessor('ask')",
        "from llmnb import *; import pandas",
    ],
)
def test_frames_have_it_whatever_is_imported_first(order):
    """
    Also where llmnb's own files bring pandas; its own loader is what everybody sees, and no
    finder stays behind.
    """
    said, warned = python(f"""
        {order}
        import sys
        pandas = sys.modules["pandas"]
        print(type(pandas.DataFrame({{"a": [1]}}).llm).__name__)
        print(type(pandas.Series([1]).llm).__name__)
        print(type(pandas.__loader__).__name__, type(pandas.__spec__.loader).__name__)
        print(sum(getattr(finder, "llmnb_awaits", "") == "pandas" for finder in sys.meta_path))
    """)

    assert said == ["DataFrameLLM", "SeriesLLM", "SourceFileLoader", "SourceFileLoader", "0"]
    assert warned == ""


def test_registering_loads_no_engine():
    """
    What the methods need comes with the first call of one.
    """
    said, _ = python("""
        import llmnb, pandas, sys
        pandas.DataFrame({"a": [1]}).llm
        print(*(name for name in ("aiohttp", "tqdm", "llmnb.engine", "pydantic")
                if name in sys.modules))
    """)

    assert said == []


def test_a_pandas_that_cannot_be_imported_is_tried_again(tmp_path):
    """
    The first failure is pandas' own; once it can be imported frames have their accessor.
    """
    package = tmp_path / "pandas"
    package.mkdir()
    (package / "__init__.py").write_text("raise ImportError('broken')\n")

    said, warned = python(
        """
        import sys
        sys.path.insert(0, sys.argv[1])
        import llmnb
        for _ in range(2):
            try:
                import pandas
            except ImportError as error:
                print(error)
        sys.path.remove(sys.argv[1])
        sys.path_importer_cache.clear()
        import pandas
        print(type(pandas.Series([1]).llm).__name__)
        """.replace("sys.argv[1]", repr(str(tmp_path)))
    )

    assert said == ["broken", "broken", "SeriesLLM"]
    assert warned == ""


def test_many_threads_import_pandas_at_once():
    """
    Each of them finds the accessor when its import returns.
    """
    said, warned = python("""
        import llmnb, sys, threading
        found, begin = [], threading.Barrier(8)

        def work():
            begin.wait()
            import pandas
            found.append(type(pandas.Series([1]).llm).__name__)

        threads = [threading.Thread(target=work) for _ in range(8)]
        [thread.start() for thread in threads]
        [thread.join() for thread in threads]
        finders = [getattr(finder, "llmnb_awaits", "") for finder in sys.meta_path]
        print(len(found), *set(found), finders.count("pandas"))
    """)

    assert said == ["8", "SeriesLLM", "0"]
    assert warned == ""


def test_reloading_changes_nothing():
    """
    Of llmnb or of pandas, before or after: one finder at most, and no warning.
    """
    said, warned = python(
        """
        import importlib, llmnb, sys
        importlib.reload(llmnb)
        print(sum(getattr(finder, "llmnb_awaits", "") == "pandas" for finder in sys.meta_path))
        import pandas
        importlib.reload(llmnb)
        importlib.reload(pandas)
        del sys.modules["llmnb"]
        import llmnb
        print(type(pandas.Series([1]).llm).__name__)
        print(sum(getattr(finder, "llmnb_awaits", "") == "pandas" for finder in sys.meta_path))
        """,
        "-W",
        "error::UserWarning",
    )

    assert said == ["1", "SeriesLLM", "0"]
    assert warned == ""


def test_looking_whether_pandas_is_there_does_not_import_it():
    """
    Others may ask for its spec, and get one that works.
    """
    said, _ = python("""
        import importlib.util, llmnb, sys
        spec = importlib.util.find_spec("pandas")
        print("pandas" in sys.modules, spec.origin.endswith("__init__.py"), spec.has_location)
        print(bool(spec.loader.get_filename()), importlib.util.find_spec("pandaz"))
    """)

    assert said == ["False", "True", "True", "True", "None"]


def test_somebody_elses_name_is_left_alone():
    """
    With one warning, and another name to be had.
    """
    said, warned = python("""
        import pandas

        @pandas.api.extensions.register_dataframe_accessor("llm")
        class Theirs:
            def __init__(self, frame):
                pass

        import llmnb
        from llmnb.frames.registration import attach
        attach()
        frame = pandas.DataFrame({"a": [1]})
        print(type(frame.llm).__name__, hasattr(pandas.Series, "llm"))
        llmnb.register_accessor("other")
        print(type(frame.other).__name__, type(frame["a"].other).__name__)
    """)

    assert said == ["Theirs", "False", "DataFrameLLM", "SeriesLLM"]
    assert warned.count("UserWarning") == 1
    assert "register_accessor" in warned
    assert "Theirs" in warned


@pytest.mark.parametrize("name", ["mean", "index", "1st", "class", "_private", ""])
def test_a_name_that_is_taken_or_none_is_refused(name):
    """
    Nothing of pandas is ever replaced.
    """
    with pytest.raises(errors.ConfigurationError):
        llmnb.register_accessor(name)


def test_accessors_hold_nothing_but_the_frame():
    """
    They may be made anew at each look, and fail with nothing.
    """
    frame = pd.DataFrame({"a": [1]})

    assert vars(frame.llm) == {"_table": frame}
    assert vars(frame["a"].llm).keys() == {"_table"}
    assert "generate" in dir(frame.llm)
    assert "llm" in dir(frame)
    assert pd.DataFrame.llm is accessors.DataFrameLLM


def test_what_goes_wrong_while_registering_does_not_take_pandas_down(monkeypatch, caplog):
    """
    It is written to the log.
    """

    def broken():
        raise RuntimeError("no")

    monkeypatch.setattr(registration, "attach", broken)
    llmnb._attach()

    assert "no .llm" in caplog.text
