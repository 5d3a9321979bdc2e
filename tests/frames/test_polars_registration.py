"""Promises about `.llm` of Polars: there as soon as Polars is, and nobody's name is taken."""

from __future__ import annotations

import subprocess
import sys
import textwrap

import pytest


def python(source):
    """Run a script and return what it printed, and its warnings."""
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(source)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.split(), done.stderr


@pytest.mark.parametrize(
    "order",
    ["import polars, llmnb", "import llmnb, polars", "import llmnb.frames.polars as _, polars"],
)
def test_frames_have_it_whatever_is_imported_first(order):
    """
    Neither library brings the other, pandas stays away, and no finder stays behind.
    """
    said, warned = python(f"""
        import sys
        import llmnb
        print("polars" in sys.modules)
        {order}
        frame = polars.DataFrame({{"a": [1]}})
        print(type(frame.llm).__name__, type(frame["a"].llm).__name__)
        print(type(frame.lazy().llm).__name__, type(polars.col("a").llm).__name__)
        print(*(name for name in ("pandas", "aiohttp", "llmnb.engine") if name in sys.modules))
        print(sum(getattr(finder, "llmnb_awaits", "") == "polars" for finder in sys.meta_path))
    """)

    assert said == [*("False", "PolarsFrameLLM", "PolarsSeriesLLM", "LazyFrameLLM", "ExprLLM", "0")]
    assert warned == ""


def test_somebody_elses_name_is_left_alone():
    """
    With one warning, and another name to be had.
    """
    said, warned = python("""
        import polars

        @polars.api.register_dataframe_namespace("llm")
        class Theirs:
            def __init__(self, frame):
                pass

        import llmnb
        frame = polars.DataFrame({"a": [1]})
        print(type(frame.llm).__name__, hasattr(polars.Series, "llm"))
        llmnb.register_accessor("other")
        print(type(frame.other).__name__)
    """)

    assert said == ["Theirs", "False", "PolarsFrameLLM"]
    assert warned.count("UserWarning") == 1
    assert "Theirs" in warned
