"""Promises about `.llm` of Dask: there as soon as its frames are, and nobody's name is taken."""

from __future__ import annotations

from children import printed


def test_frames_have_it_when_dask_is_imported_later():
    """
    Neither library brings the other, the engine stays away, and no finder stays behind.
    """
    said, warned = printed("""
        import sys
        import llmnb
        print("dask" in sys.modules)
        import dask.dataframe as dd
        print(dd.DataFrame.llm.__name__)
        print(dd.Series.llm.__name__)
        print(*(name for name in ("aiohttp", "llmnb.engine") if name in sys.modules))
        awaited = [getattr(finder, "llmnb_awaits", "") for finder in sys.meta_path]
        print(awaited.count("dask.dataframe"))
    """)

    assert said == ["False", "DaskFrameLLM", "DaskSeriesLLM", "0"]
    assert warned == ""


def test_somebody_elses_name_is_left_alone():
    """
    With one warning, and another name to be had.
    """
    said, warned = printed("""
        import dask.dataframe as dd
        from dask.dataframe.extensions import register_dataframe_accessor

        @register_dataframe_accessor("llm")
        class Theirs:
            def __init__(self, frame):
                pass

        import llmnb
        print(dd.DataFrame.llm.__name__, hasattr(dd.Series, "llm"))
        llmnb.register_accessor("other")
        print(dd.DataFrame.other.__name__)
    """)

    assert said == ["Theirs", "False", "DaskFrameLLM"]
    assert warned.count("UserWarning") == 1
    assert "Theirs" in warned
