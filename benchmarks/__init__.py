"""What llmnb costs, as ratios to bare aiohttp (and to `import pandas`) in one run."""

import sys
from pathlib import Path

# The simulated provider in a process of its own, and questions to its ledger, are the tests' own.
sys.path.append(str(Path(__file__).parents[1] / "tests" / "support"))
