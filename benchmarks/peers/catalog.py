"""The peers: which script, which packages, and what holds each back."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).parent


@dataclass(frozen=True, slots=True, kw_only=True)
class Peer:
    """One way to ask many rows."""

    name: str
    """As it is chosen on the command line."""

    title: str
    """As it stands in the table."""

    script: str
    """File in `scripts/`, without its ending."""

    remark: str
    """What holds it back, as one sentence."""

    requirements: str
    """File in `requirements/`, without its ending: the packages of its virtual environment."""

    variant: str = ""
    only: str = ""
    """The one trial that this way is for; empty: all of them."""

    installs_us: bool = False
    """Whether llmnb itself is installed beside the requirements."""

    @property
    def path(self) -> Path:
        """Its script."""
        return HERE / "scripts" / f"{self.script}.py"

    @property
    def requirements_path(self) -> Path:
        """Its pinned packages."""
        return HERE / "requirements" / f"{self.requirements}.txt"


PEERS = (
    Peer(
        name="aiohttp",
        title="bare aiohttp",
        script="with_aiohttp",
        requirements="aiohttp",
        remark="the measure of cost: knows no limit, asks nothing twice and keeps nothing",
    ),
    Peer(
        name="llmnb",
        title="llmnb",
        script="with_llmnb",
        requirements="llmnb",
        installs_us=True,
        remark="told the limit it keeps to one second's worth at once, so it leaves the rest "
        "of a larger bucket unused; part of its CPU is the store that the others lack",
    ),
    Peer(
        name="llmnb-untold",
        title="llmnb, told nothing",
        script="with_llmnb",
        requirements="llmnb",
        installs_us=True,
        variant="untold",
        only="limits",
        remark="begins carefully and learns limit and concurrency from the replies",
    ),
    Peer(
        name="openai",
        title="OpenAI SDK",
        script="with_openai",
        requirements="openai",
        remark="cannot be told a limit: runs into it, "
        "and a row is lost when its retries are used up",
    ),
    Peer(
        name="litellm",
        title="LiteLLM SDK",
        script="with_litellm",
        requirements="litellm",
        remark="cannot be told a limit, and a row is lost when its retries are used up; "
        "its logging and cost lookup run for each call",
    ),
    Peer(
        name="litellm-router",
        title="LiteLLM Router",
        script="with_litellm_router",
        requirements="litellm",
        remark="counts by the minute of the clock, so a whole minute's worth may go at once; "
        "then what it waits before each retry decides",
    ),
    Peer(
        name="cookbook",
        title="Cookbook method",
        script="with_cookbook",
        requirements="cookbook",
        remark="its bucket holds a whole minute, one refusal stops everything for 15 s, "
        "and at most one request starts per millisecond's sleep",
    ),
    Peer(
        name="openaivec",
        title="openaivec",
        script="with_openaivec",
        requirements="openaivec",
        remark="cannot be told a limit, and one row's last error ends the call for all of them",
    ),
    Peer(
        name="langchain",
        title="LangChain, InMemoryRateLimiter",
        script="with_langchain",
        requirements="langchain",
        remark="counts requests only, and looks for room every 0.1 s; retries are not counted",
    ),
)


def chosen(names: list[str]) -> tuple[Peer, ...]:
    """Return the peers of these names, or all.

    Raises:
        SystemExit: If a name is unknown; the message lists those that are known.
    """
    known = {peer.name: peer for peer in PEERS}
    unknown = [name for name in names if name not in known]
    if unknown:
        raise SystemExit(f"No peer is called {', '.join(unknown)}. Known: {', '.join(known)}.")
    return tuple(known[name] for name in names) if names else PEERS
