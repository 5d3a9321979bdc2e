"""The simulated provider: a server on this machine that answers as providers do, with a ledger.

It speaks OpenAI's chat, text, Responses and embeddings, Anthropic's messages and
Gemini's generateContent, each with its own errors and its own way to tell of
limits. It listens at 127.0.0.1 only, on a thread with a loop of its own, so that
blocking and async tests use it alike. Same seed, same requests: same texts,
same waits, same faults.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import inspect
import threading
from collections.abc import Callable
from typing import ClassVar, Self, Unpack

from llmnb import bridge
from llmnb.errors import ConfigurationError
from llmnb.signatures import show_keywords
from llmnb.testing.batches import Batches
from llmnb.testing.faults import Script
from llmnb.testing.latency import Lognormal
from llmnb.testing.ledger import Ledger, LedgerTotals
from llmnb.testing.limits import LimitSettings
from llmnb.testing.options import HOST, Behaviour, LimitOptions, ProviderOptions
from llmnb.testing.request_handler import RequestHandler


class SimulatedProvider:
    """A provider on this machine, for tests, benchmarks and notebooks without a key.

    Args:
        seed: Decides every text, wait and random fault.
        latency: Seconds until the first token, or a model such as
            `Lognormal(0.2)` or `Stragglers(Fixed(0.1))`.
        tokens_per_second: Pace of the tokens after it; None sends all at once.
        requests_per_minute: Limit that is enforced; None is no limit.
        tokens_per_minute: Limit that is enforced; None is no limit.
        burst_seconds: How many seconds' worth of a limit may come at once.
        concurrency: Requests served at once; one more is refused.
        charge: Whether tokens count before they are known, as the larger of prompt and
            `max_tokens` or as their sum, or after.
        limit_headers: Whether replies carry the headers that tell of limits
            (``x-ratelimit-*``, ``anthropic-ratelimit-*``; Gemini has none).
        retry_hint: How a refusal says when to come back; None says nothing.
        faults: A script of faults; see `llmnb.testing.faults`.
        api_key: Key, or keys, that are accepted; True accepts any but needs
            one; None needs none.
        reply: What to answer: a text, a mapping from prompts to texts, or a
            function of the prompt (or of the prompt and the
            `SimulatedRequest`). None answers short sentences. A function runs
            on the server's thread, and what it raises is raised again when the
            provider is closed.
        models: Models that exist; None accepts every name.
        prices: US dollars per token, for all models or by model.
        ledger: Keep every request, or totals only (for millions).
        clock: Time of limits, outages and ledger; latencies are real waits.
        port: Port to listen at; 0 takes a free one.

    Example:
        >>> import json, urllib.request
        >>> with SimulatedProvider(reply="Four.") as sim:
        ...     body = json.dumps({"model": "any", "prompt": "2 + 2?"}).encode()
        ...     with urllib.request.urlopen(f"{sim.base_url}/completions", body) as answer:
        ...         text = json.load(answer)["choices"][0]["text"]
        >>> text, sim.ledger.count("2 + 2?")
        ('Four.', 1)
    """

    handler_class: ClassVar[type[RequestHandler]] = RequestHandler
    """What decides about each request; a subclass with more endpoints or hooks names its own."""

    behaviour_class: ClassVar[type[Behaviour]] = Behaviour
    """What it can be set to."""

    def __init__(self, *, port: int = 0, **options: Unpack[ProviderOptions]) -> None:
        self._behaviour = self.behaviour_class.of(options)
        self._handler = self.handler_class(self._behaviour)
        self._wanted_port = port
        self._port: int | None = None
        self._thread: threading.Thread | None = None
        self._serving: asyncio.Task[None] | None = None

    # ------------------------------------------------------------- start and stop

    def start(self) -> Self:
        """Listen; returns when it does.

        Raises:
            ConfigurationError: If the port is taken, or it runs already.
        """
        if self._thread is not None:
            raise ConfigurationError("This simulated provider runs already.")
        listening: concurrent.futures.Future[int] = concurrent.futures.Future()
        self._thread = threading.Thread(
            target=self._run, args=(listening,), name="llmnb-simulated", daemon=True
        )
        self._thread.start()
        try:
            self._port = listening.result()
        except Exception as error:
            self._thread.join()
            self._thread = None
            raise ConfigurationError(
                f"The simulated provider cannot listen at {HOST}:{self._wanted_port}: "
                f"{error}. Nothing runs. Give another port, or 0 for a free one."
            ) from error
        return self

    def _run(self, listening: concurrent.futures.Future[int]) -> None:
        """Serve on a loop of its own; `listening` gets the port, or what prevents it."""

        async def main() -> None:
            self._serving = asyncio.current_task()
            await self.serve(self._wanted_port, listening.set_result)

        try:
            asyncio.run(main())
        except asyncio.CancelledError:
            pass  # how `stop` ends it
        except BaseException as error:
            if not listening.done():
                listening.set_exception(error)

    async def serve(self, port: int, on_listening: Callable[[int], object]) -> None:
        """Serve until cancelled; call `on_listening` with the port when it accepts connections."""
        from llmnb.testing import server  # aiohttp's is heavy, and only needed here

        await server.serve(self._handler, port, on_listening)

    def stop(self) -> None:
        """Stop listening and drop what is open; a second time does nothing."""
        thread, serving = self._thread, self._serving
        if thread is None or serving is None:
            return
        self._thread = None
        serving.get_loop().call_soon_threadsafe(serving.cancel)
        thread.join()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        self.stop()
        if error is None and self._handler.errors:
            # Otherwise a typo in a test's own `reply` would pass for a provider's 500.
            raise self._handler.errors[0]

    async def __aenter__(self) -> Self:
        return await asyncio.to_thread(self.start)

    async def __aexit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        await asyncio.to_thread(self.__exit__, kind, error, trace)

    # ------------------------------------------------------------------- where it is

    @property
    def is_listening(self) -> bool:
        """Whether it has been started, not stopped, and lives in this process."""
        return self._thread is not None and self._thread.is_alive()

    @property
    def origin(self) -> str:
        """Scheme, host and port, such as ``"http://127.0.0.1:8000"``."""
        if self._port is None:
            raise ConfigurationError(
                "The simulated provider has not been started: use it in a `with` block, "
                "or call start() first."
            )
        return f"http://{HOST}:{self._port}"

    @property
    def base_url(self) -> str:
        """What takes the place of ``https://api.openai.com/v1``."""
        return f"{self.origin}/v1"

    @property
    def gemini_url(self) -> str:
        """What takes the place of ``https://generativelanguage.googleapis.com/v1beta``."""
        return f"{self.origin}/v1beta"

    @property
    def environment(self) -> dict[str, str]:
        """Environment variables that lead OpenAI's SDK and llmnb here."""
        return {"OPENAI_BASE_URL": self.base_url, "OPENAI_API_KEY": self.api_key}

    @property
    def api_key(self) -> str:
        """A key that it accepts."""
        accepted = self._behaviour.api_key
        if accepted is None or isinstance(accepted, bool):
            return "simulated"
        return next(iter(accepted))

    # ------------------------------------------------------------------ what it knows

    @property
    def ledger(self) -> Ledger:
        """Every request it received."""
        return self._handler.ledger

    @property
    def errors(self) -> list[Exception]:
        """What the test's own functions (`reply`, `faults`) raised."""
        return self._handler.errors

    @property
    def batches(self) -> Batches:
        """Its batches and files."""
        return self._handler.batches

    def wait_until(self, is_met: Callable[[LedgerTotals], bool], timeout: float = 30.0) -> None:
        """Block until the ledger's totals satisfy a condition. Raises `TimeoutError`."""
        self.ledger.wait_until(is_met, timeout)

    def wait_received(self, requests: int, timeout: float = 30.0) -> None:
        """Block until so many requests have come."""
        self.wait_until(lambda totals: totals.received >= requests, timeout)

    # --------------------------------------------------------- changed while it runs

    def set_faults(self, script: Script) -> None:
        """Replace the script of faults; a list begins with the next request."""
        self._handler.set_faults(script)

    def set_limits(self, **limits: Unpack[LimitOptions]) -> None:
        """Replace all limits; those not given stand at their defaults again."""
        self._handler.set_limits(self.behaviour_class.of(limits))

    def __repr__(self) -> str:
        where = "stopped" if self._thread is None else f"at {self.base_url}"
        return f"<SimulatedProvider {where}, {self.ledger.totals().summary()}>"


show_keywords(SimulatedProvider, inspect.signature(Behaviour).parameters.values())
show_keywords(SimulatedProvider.set_limits, inspect.signature(LimitSettings).parameters.values())

_shared: SimulatedProvider | None = None
_shared_lock = threading.Lock()


def shared_provider() -> SimulatedProvider:
    """Return this process's own simulated provider, started at first use; it stands for ``sim/…``.

    It waits a lifelike fifth of a second or so before it answers, keeps totals
    only, and runs until the process ends. Where it was stopped, or does not
    live on in a forked child, a new one is started.

    Example:
        >>> import llmnb
        >>> before = shared_provider().ledger.totals().received
        >>> text = llmnb.LLM(model="sim/any").generate("Anything that was not asked before")
        >>> shared_provider().ledger.totals().received - before
        1
    """
    global _shared
    with _shared_lock:
        if _shared is None or not _shared.is_listening:
            _shared = SimulatedProvider(latency=Lognormal(0.2), ledger="totals").start()
            bridge.at_exit(_shared.stop)
        return _shared
