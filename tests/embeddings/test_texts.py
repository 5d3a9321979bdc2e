"""Promises of the parts that compute: batches, portions, cuts."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from llmnb.adapters.tokens import count_tokens
from llmnb.embeddings.store_adapter import portions
from llmnb.embeddings.texts import Packer, Text, cut

sizes = st.lists(st.integers(0, 50), max_size=40)


@given(sizes, st.integers(1, 7), st.integers(1, 60))
def test_batches_hold_every_text_once_in_order_within_the_bounds(tokens, most, most_tokens):
    """
    No batch is larger than allowed, unless one text alone is.
    """
    packer = Packer(most, most_tokens)
    texts = [Text(str(position), [position], tokens=size) for position, size in enumerate(tokens)]

    batches = [batch for text in texts if (batch := packer.add(text))] + [packer.rest()]

    assert [text for batch in batches for text in batch] == texts
    for batch in batches:
        assert len(batch) <= most
        assert len(batch) <= 1 or sum(text.tokens for text in batch) <= most_tokens


@given(st.integers(0, 10_000), st.lists(st.integers(0, 100), min_size=1, max_size=30))
def test_portions_add_up(total, weights):
    """
    Nothing of a request's tokens is lost or invented when texts share them.
    """
    shares = portions(total, weights)

    assert sum(shares) == total
    assert min(shares) >= 0


@settings(deadline=None)  # the first one reads the table of tokens
@given(st.text(min_size=20, max_size=400), st.integers(1, 12))
def test_a_cut_text_is_a_beginning_that_fits(text, most):
    """
    Whatever the text is made of, and the same cut every time.
    """
    shortened = cut(text, most)

    if shortened is None:
        assert count_tokens(text).tokens <= most
        return
    beginning, had = shortened
    # Where tokens can only be estimated, a tenth is kept in reserve.
    assert had > (int(0.9 * most) if count_tokens(text).is_estimate else most)
    assert text.startswith(beginning)
    assert cut(text, most) == shortened
    assert len(beginning) == 1 or count_tokens(beginning).tokens <= most


def test_a_cut_keeps_nearly_all_that_fits():
    """
    Nine tenths of what the model reads, also where the end is denser than the start; a tenth less
    where tokens can only be estimated.
    """
    text = "word " * 3000 + "ĸøþ€" * 3000
    beginning, _ = cut(text, 4000)

    kept = count_tokens(beginning)
    assert (3500 if kept.is_estimate else 3600) <= kept.tokens <= 4000
