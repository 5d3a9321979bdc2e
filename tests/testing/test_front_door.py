from __future__ import annotations

import subprocess
import sys


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
