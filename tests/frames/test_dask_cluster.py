"""Promises of Dask with real worker processes: one limit, nothing bought twice, no key anywhere."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections import Counter

import cloudpickle
import dask.dataframe as dd
import pandas as pd
import pytest
from dask_workers import KEY, set_variable, workers
from laboratory import Laboratory
from laboratory.windows import worst_window

import llmnb
from llmnb import errors
from llmnb.frames import dask_watching, failures
from llmnb.rate_limiter import GLOBAL_LIMITER

PER_SECOND = 100
CLIENTS_KEY = "sk-known-to-the-client-alone"


@pytest.fixture(scope="module")
def server():
    """Run one provider for all tests of this file: workers know its address from their start."""
    with Laboratory.spawn(reply=reply, faults=refused, latency=0.05, limit_headers=False) as sim:
        yield sim


@pytest.fixture(scope="module")
def cluster(server):
    """Run two workers that know the key; nobody else does."""
    with workers(2, OPENAI_BASE_URL=server.base_url) as client:
        yield client


@pytest.fixture
def client(cluster, server, cache_dir):
    """Return the client of the two workers, and begin a new page of the ledger."""
    # A worker that is started again has this process's environment of that moment.
    llmnb.configure(cache_dir=str(cache_dir))
    cluster.wait_for_workers(2)
    cluster.run(running)  # what they import is imported
    server.reset()
    yield cluster
    dask_watching.close()
    cluster.run(set_variable, "REDIS_URL", None)


def reply(prompt):
    return f"> {prompt}"


def refused(request):
    return {"fail": 400, "unwelcome": 401, "broke": 402}.get(request.prompt.split()[0])


def table(rows, partitions, word="row"):
    frame = pd.DataFrame({"t": [f"{word} {number}" for number in range(rows)]})
    return dd.from_pandas(frame, npartitions=partitions)


def received(server):
    """Return how often each prompt was received."""
    return Counter(row.prompt_hash for row in server.ledger.rows)


def times(server):
    return sorted(row.received for row in server.ledger.rows)


def within(server):
    """Whether every window keeps the limit, and which part of it was used before the tail."""
    sent = times(server)
    worst = worst_window(sent, rate=PER_SECOND, burst=1.0, slack=1.01)
    most = sent[: int(len(sent) * 0.95)]
    return worst.is_within, len(most) / PER_SECOND / (most[-1] - most[0])


def test_answers_come_from_the_workers_in_their_rows(client, server, monkeypatch):
    """
    With the workers' key: this process's own are not in the graph, nor is any other.
    """
    monkeypatch.setenv("OPENAI_API_KEY", CLIENTS_KEY)
    llmnb.set_key("anthropic", CLIENTS_KEY)
    monkeypatch.setenv("REDIS_URL", f"redis://:{CLIENTS_KEY}@localhost:1")
    frame = table(40, 4).assign(n=1)

    asked = frame.llm.generate("{t}", model="openai/m", into="said")
    answers = asked.compute()

    assert answers["said"].tolist() == [f"> row {number}" for number in range(40)]
    graph = cloudpickle.dumps((asked, asked.__dask_graph__(), asked.optimize()))
    assert b"row 7" in graph
    assert KEY.encode() not in graph
    assert CLIENTS_KEY.encode() not in graph
    assert asked.divisions == frame.divisions
    assert len(server.ledger.rows) == 40
    asked.compute()
    assert len(server.ledger.rows) == 40
    # What was reported of the run, which the scheduler keeps, holds none either.
    events = str(client.get_events())
    assert KEY not in events
    assert CLIENTS_KEY not in events


@pytest.mark.parametrize(
    ("word", "error"),
    [("fail", errors.RowsFailed), ("unwelcome", errors.RowsFailed)],
)
def test_errors_come_back_whole(client, word, error):
    """
    Through a real worker, with their type and what they carry.
    """
    asked = table(4, 2, word).llm.generate("{t}", model="openai/m", on_error="raise")

    with pytest.raises(error) as caught:
        asked.compute()
    assert len(caught.value.partial) == 2
    assert KEY not in str(caught.value)


def test_every_error_of_ours_crosses_the_wire(client):
    """
    As itself, with its details.
    """
    for kind in KINDS:
        with pytest.raises(kind, match="what happened") as caught:
            client.submit(raising, kind, pure=False).result()
        assert caught.value.status == 500


KINDS = [
    kind
    for kind in vars(errors).values()
    if isinstance(kind, type) and issubclass(kind, errors.LLMNBError)
]


def raising(kind):
    raise kind("what happened", status=500)


def test_a_worker_without_a_key_says_what_to_do(client):
    """
    It is an error, not a table of missing values.
    """
    asked = table(4, 2).llm.generate("{t}", model="anthropic/m")

    with pytest.raises(errors.MissingKey, match="ANTHROPIC_API_KEY"):
        asked.compute()


@pytest.mark.redis
@pytest.mark.alone
def test_two_workers_keep_a_shared_limit_through_redis(client, server, redis):
    """
    In every window, and they use what there is; afterwards the workers' limiters are free again.
    """
    client.run(set_variable, "REDIS_URL", redis.url)
    asked = table(350, 4).llm.generate(
        "{t}", model="openai/m", max_requests_per_minute=f"{PER_SECOND} per second"
    )

    assert asked.compute().notna().all()

    is_within, used = within(server)
    assert is_within
    assert used >= 0.95
    assert set(client.run(rates).values()) == {0}


@pytest.mark.slow
@pytest.mark.redis
@pytest.mark.alone
@pytest.mark.parametrize("count", [2, 4])
def test_many_workers_keep_a_shared_limit_for_long(redis, count):
    """
    Requests and tokens, through many partitions.
    """
    with (
        Laboratory.spawn(latency=0.2, limit_headers=False) as sim,
        workers(count, OPENAI_BASE_URL=sim.base_url, REDIS_URL=redis.url),
    ):
        asked = table(3_000, 24).llm.generate(
            "{t}",
            model="openai/m",
            max_requests_per_minute=f"{PER_SECOND} per second",
            max_tokens_per_minute=100_000_000,
        )
        assert asked.compute().notna().all()
        is_within, used = within(sim)
    assert is_within
    assert used >= 0.95


def rates():
    return len(GLOBAL_LIMITER.rate_config)


@pytest.mark.alone
def test_without_redis_each_takes_its_part(client, server, caplog):
    """
    Also of what `GLOBAL_LIMITER` allows; that is said once.
    """
    failures.log_once.cache_clear()
    GLOBAL_LIMITER.rate_config["client|request", "m"] = f"{PER_SECOND} per second"
    try:
        asked = table(250, 4).llm.generate("{t}", model="openai/m")
    finally:
        del GLOBAL_LIMITER.rate_config["client|request", "m"]
    assert asked.compute().notna().all()
    dask_watching.wait(10)

    assert within(server)[0]
    assert caplog.text.count("No REDIS_URL on the workers") == 1


def test_a_cancelled_compute_stops_its_workers(client, server):
    """
    Nothing more is sent; computed again it goes on where it was.
    """
    asked = table(300, 2).llm.generate("{t}", model="openai/m", max_concurrent_requests=2)
    computed = client.compute(asked)
    until(lambda: server.totals().received >= 10)
    computed.cancel()
    until(lambda: not any(client.run(running).values()))
    sent = server.totals().received

    assert sent < 200
    assert asked.partitions[:1].compute().notna().all()
    assert max(received(server).values()) == 1


def test_a_single_display_adds_the_workers_up(client, server, capsys):
    """
    It knows both, and its last line is the whole.
    """
    seen = []
    asked = table(200, 2).llm.generate(
        "{t}", model="openai/m", max_concurrent_requests=4, progress=True
    )
    computed = client.compute(asked)
    while not computed.done():
        for run, _ in list(dask_watching._runs.values()):
            seen.append(run.status())
        threading.Event().wait(0.05)
    dask_watching.wait(10)

    assert 0 < max(status.in_flight for status in seen) <= 2 * 2 * 4
    assert [status.completed for status in seen] == sorted(status.completed for status in seen)
    assert "launched 200, completed 200" in capsys.readouterr().err


def test_stop_on_the_display_stops_every_worker(client, server):
    """
    The compute ends with an error, for half a table is not the table.
    """
    asked = table(300, 2).llm.generate("{t}", model="openai/m", max_concurrent_requests=2)
    computed = client.compute(asked)
    until(lambda: server.totals().received >= 10 and dask_watching._runs)
    for run, _ in list(dask_watching._runs.values()):
        run.stop()

    with pytest.raises(errors.Stopped):
        computed.result(timeout=30)
    assert server.totals().received < 300


def test_a_killed_worker_costs_only_its_unfinished_requests(client, server):
    """
    The result is complete after Dask has computed its partition again.

    The last test of the file, so that none waits until there is another worker.
    """
    asked = table(300, 2).llm.generate("{t}", model="openai/m", max_concurrent_requests=10)
    computed = client.compute(asked)
    until(lambda: server.totals().received >= 60)
    os.kill(min(client.run(os.getpid).values()), signal.SIGKILL)

    assert computed.result(timeout=60).tolist() == [f"> row {number}" for number in range(300)]
    again = sum(count - 1 for count in received(server).values())
    # In flight, and as many answers on their way to the disk.
    assert again <= 2 * 10


def running():
    from llmnb.frames import dask_worker

    return len(dask_worker._runs)


def until(is_met, seconds=30.0):
    """Look again and again until something is so."""
    end = time.monotonic() + seconds
    while not is_met():
        assert time.monotonic() < end
        threading.Event().wait(0.02)
