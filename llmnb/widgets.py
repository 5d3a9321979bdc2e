"""The cards of llmnb as widgets, to build applications of.

`RunDashboard` shows and steers a run, `PlanCard` shows what one would send and cost and begins
it, `CacheManager` shows, exports and clears what is kept, `LabellerWidget` is what a person labels
rows in, `WorkbenchWidget` where a prompt is made. Each is an ordinary ipywidget (an anywidget): it
stands in a `VBox`, a `Tab`, an `AppLayout`, an `Output`, or is what a function under `interact`
returns. What happens in it is told by traits, which can be observed and linked
from; they are read-only, so that ``ipywidgets.dlink`` is the link to make.

Example:
    >>> import ipywidgets
    >>> import pandas as pd
    >>> import llmnb
    >>> from llmnb.widgets import PlanCard, RunDashboard
    >>> df = pd.DataFrame({"text": ["one", "two", "three"]})
    >>> run = df.llm.start("Say {text}", model="sim/any", progress=False)
    >>> dashboard = RunDashboard(run)
    >>> bar = ipywidgets.IntProgress(max=len(df))
    >>> link = ipywidgets.dlink((dashboard, "done"), (bar, "value"))
    >>> app = ipywidgets.VBox([bar, dashboard])
    >>> run.wait()
    True
"""

from llmnb.notebook.cache_manager import CacheManager
from llmnb.notebook.dashboard import RunDashboard
from llmnb.notebook.labeller import LabellerWidget
from llmnb.notebook.plan_card import PlanCard
from llmnb.notebook.workbench import WorkbenchWidget

__all__ = ["CacheManager", "LabellerWidget", "PlanCard", "RunDashboard", "WorkbenchWidget"]
