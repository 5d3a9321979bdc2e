from __future__ import annotations

import pytest

from llmnb.adapters import egress
from llmnb.errors import ConfigurationError, RealRequestForbidden
from llmnb.testing import SimulatedProvider, forbid_real_requests, redirect


def routed(url: str) -> str:
    """Where a request with a key would really go."""
    return egress.safe_url(url, True)


@pytest.fixture(autouse=True)
def _allowed():
    """The suite forbids real requests; here nothing is sent, and both states are looked at."""
    with forbid_real_requests(False):
        yield


LOCAL = "http://127.0.0.1:1"
REAL = "https://api.openai.com/v1/chat/completions"


def test_named_origins_are_sent_to_this_machine_while_the_block_runs():
    """
    The path stays, other origins stay, and afterwards all is as before.
    """
    with SimulatedProvider() as sim:
        with redirect({"https://api.openai.com/v1": sim.base_url, "https://b.example:8443": sim}):
            assert routed(REAL) == f"{sim.origin}/v1/chat/completions"
            assert routed("https://b.example:8443/x") == f"{sim.origin}/x"
            assert routed("https://api.groq.com/x") == "https://api.groq.com/x"
        assert routed(REAL) == REAL


def test_redirects_can_be_nested():
    """
    An inner block adds to the outer one and takes only its own away.
    """
    with redirect({"https://a.example": "http://127.0.0.1:1"}):
        with redirect({"https://b.example": "http://127.0.0.1:2"}):
            assert routed("https://a.example/x") == "http://127.0.0.1:1/x"
            assert routed("https://b.example/x") == "http://127.0.0.1:2/x"
        assert routed("https://b.example/x") == "https://b.example/x"


def test_a_redirect_ends_with_an_error_in_its_block():
    """
    A failing test leaves nothing redirected behind.
    """
    with pytest.raises(KeyError), redirect({"https://a.example": "http://localhost:1"}):
        raise KeyError

    assert routed("https://a.example/x") == "https://a.example/x"


@pytest.mark.parametrize("server", ["http://example.com", "http://127.0.0.1.example.com"])
def test_requests_are_redirected_to_this_machine_only(server):
    """
    It is a tool for tests, not a proxy.
    """
    with pytest.raises(ConfigurationError, match="this machine"), redirect({REAL: server}):
        pass


@pytest.mark.parametrize("origin", ["api.openai.com", "ftp://a.example", ""])
def test_what_is_no_origin_is_refused(origin):
    """
    A name without its scheme would redirect nothing, silently.
    """
    with pytest.raises(ConfigurationError, match="origin"), redirect({origin: LOCAL}):
        pass


def test_real_requests_can_be_forbidden_for_a_block():
    """
    Inside it only this machine is reached; redirected origins are this machine.
    """
    with forbid_real_requests():
        with pytest.raises(RealRequestForbidden):
            routed(REAL)
        assert routed("http://127.0.0.1:1/x") == "http://127.0.0.1:1/x"
        with redirect({"https://api.openai.com": "http://127.0.0.1:1"}):
            assert routed(REAL).startswith("http://127.0.0.1:1/")
    assert routed(REAL) == REAL


def test_the_switch_holds_until_it_is_turned_back():
    """
    Called plainly it acts at once and for good, as a test suite's first line wants it.
    """
    forbid_real_requests()
    try:
        with forbid_real_requests(False):
            assert routed(REAL) == REAL
        with pytest.raises(RealRequestForbidden):
            routed(REAL)
    finally:
        forbid_real_requests(False)
    assert routed(REAL) == REAL
