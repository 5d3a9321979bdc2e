"""Promises to whoever gives a verb a thing of a wrong kind: a sentence, and nothing sent."""

from __future__ import annotations

import pandas as pd
import pytest

import llmnb
from llmnb.errors import ConfigurationError

TABLE = pd.DataFrame({"text": ["a", "b"]})


@pytest.mark.parametrize("model", [1, 1.5, object(), ["openai/a", 1]])
def test_a_model_that_is_none_is_refused_in_a_sentence(model):
    """
    Whatever was given in place of a name.
    """
    with pytest.raises(ConfigurationError, match="A model is named by a text or an object"):
        TABLE.llm.generate("{text}", model=model, progress=False)


@pytest.mark.parametrize("given", [{"model": 1}, {"url": 1}, {"url": b"http://127.0.0.1"}])
def test_an_llm_takes_texts_only(given):
    """
    The sentence names what is wrong.
    """
    with pytest.raises(ConfigurationError, match=f"{next(iter(given))} is a text, not .*Nothing"):
        llmnb.LLM(**given)


@pytest.mark.parametrize("labels", [5, None, 1.5])
def test_labels_that_are_no_list_are_refused_in_a_sentence(labels):
    """
    Nothing is sent.
    """
    with pytest.raises(ConfigurationError, match=r"labels is a list .*Nothing was sent"):
        TABLE.llm.classify("{text}", labels, model="openai/m", progress=False)
