from __future__ import annotations

import subprocess
import sys
from importlib import import_module

import pytest

import llmnb.testing


def test_every_name_leads_somewhere_and_all_are_listed():
    """
    What `__all__` promises can be imported, and nothing else is offered.
    """
    homes = {name for names in llmnb.testing._HOMES.values() for name in names} | {"faults"}

    assert sorted(homes) == llmnb.testing.__all__
    for name in llmnb.testing.__all__:
        assert getattr(llmnb.testing, name) is not None
    for home, names in llmnb.testing._HOMES.items():
        module = import_module(f"llmnb.testing.{home}")
        assert all(getattr(module, name) is getattr(llmnb.testing, name) for name in names)
    with pytest.raises(AttributeError, match="nothing_of_that_name"):
        llmnb.testing.nothing_of_that_name


def test_the_door_itself_is_light():
    """
    Importing it loads neither a server nor a client.
    """
    code = "import sys, llmnb.testing; print('aiohttp' in sys.modules, 'asyncio' in sys.modules)"
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert out.stdout.split() == ["False", "False"]


def test_nothing_but_its_own_server_needs_aiohttp():
    """
    The provider, its ledger and the faults are plain Python until it is started.
    """
    code = (
        "import sys; from llmnb.testing import SimulatedProvider, Ledger, faults; "
        "SimulatedProvider(faults=[500]); print('aiohttp' in sys.modules)"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert out.stdout.strip() == "False"
