"""`asyncio.run(...)` inside a cell, for code that was written as a script: opt-in, at a cost."""

from __future__ import annotations

import asyncio

from llmnb.errors import ConfigurationError


def allow_nested_asyncio() -> None:
    """Let ``asyncio.run(...)`` and ``loop.run_until_complete(...)`` work where a loop runs already.

    A notebook's kernel runs an event loop, and Python refuses to run a second one inside
    it. nest-asyncio patches asyncio so that it does not. The patch is the whole process's
    and cannot be taken back:

    - asyncio's tasks and futures become those written in Python, for everybody: several
      times slower, llmnb's own engine included;
    - on ipykernel 7.4 clicks on widgets are lost while a nested loop runs: the buttons of
      a dashboard do nothing until the cell is done;
    - nest-asyncio is no longer maintained, and does not work with uvloop.

    llmnb itself never needs it: in a cell, ``await`` what you would have run
    (``await llm.agenerate(...)``), or use the blocking twin (``llm.generate(...)``).

    Raises:
        ConfigurationError: If the running loop is not one of asyncio's own, such as uvloop's.

    Example:
        >>> import asyncio
        >>> async def cell():  # what runs a cell is a coroutine, too
        ...     allow_nested_asyncio()
        ...     return asyncio.run(asyncio.sleep(0, "nested"))
        >>> asyncio.run(cell())  # doctest: +SKIP
        'nested'
    """
    loop = _running_loop()
    if loop is not None and not isinstance(loop, asyncio.BaseEventLoop):
        raise ConfigurationError(
            f"A loop of {type(loop).__module__} cannot be nested. Await the coroutine instead of "
            "running it, or start Python without that loop."
        )
    import nest_asyncio

    if loop is not None:
        nest_asyncio.apply(loop)
        return
    # Where none runs, one is lent for the patch, which is the whole class's.
    lent = asyncio.new_event_loop()
    try:
        if isinstance(lent, asyncio.BaseEventLoop):
            nest_asyncio.apply(lent)
    finally:
        lent.close()


def _running_loop() -> asyncio.AbstractEventLoop | None:
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        return None
