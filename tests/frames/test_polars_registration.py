"""Promises about `.llm` of Polars: there as soon as Polars is, and nobody's name is taken."""

from __future__ import annotations

import pytest
from children import printed


@pytest.mark.parametrize(
    "order",
    ["import polars, llmnb", "import llmnb, polars", "import llmnb.frames.polars as _, polars"],
)
def test_frames_have_it_whatever_is_imported_first(order):
    """
    Neither library brings the other, pandas stays away, and no finder stays behind.
    """
    said, warned = printed(f"""
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
    said, warned = printed("""
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
