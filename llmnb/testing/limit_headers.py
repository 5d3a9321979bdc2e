"""How servers tell of their limits, each family of headers in its own words."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from llmnb.testing.limits import Standing


def written(family: str, standings: Sequence[Standing]) -> dict[str, str]:
    """Return the headers of one family.

    Args:
        family: As `llmnb.testing.limits.Family` names it.
        standings: How the limits stand.
    """
    found: dict[str, str] = {}
    for one in standings:
        limit, left = str(math.floor(one.per_minute)), str(one.left)
        short = "req" if one.kind == "requests" else one.kind
        if family == "azure":
            # Figures of ten seconds, of a limit that is given by the minute.
            found[f"x-ratelimit-limit-{one.kind}"] = str(max(1, math.floor(one.per_minute / 6)))
            found[f"x-ratelimit-remaining-{one.kind}"] = left
            found[f"x-ratelimit-renewalperiod-{one.kind}"] = "10"
        elif family == "mistral":
            tenth = str(max(1, math.floor(one.per_minute / 6)))
            found[f"x-ratelimit-limit-{short}-10-second"] = tenth
            found[f"x-ratelimit-remaining-{short}-10-second"] = left
        elif family == "together":
            begin = "x-ratelimit" if one.kind == "requests" else "x-tokenlimit"
            found[f"{begin}-limit"] = f"{one.per_minute / 60:g}"
            found[f"{begin}-remaining"] = left
        elif family == "groq":
            if one.kind == "tokens":
                found["x-ratelimit-limit-tokens"] = limit
                found["x-ratelimit-remaining-tokens"] = left
                found["x-ratelimit-reset-tokens"] = f"{one.reset:.3f}s"
            else:
                found["x-ratelimit-limit-requests"] = str(math.floor(one.per_minute * 1440))
                found["x-ratelimit-remaining-requests"] = str(math.floor(one.per_minute * 1440) - 9)
                found["x-ratelimit-reset-requests"] = "6s"
        elif family == "limit":
            found[f"x-ratelimit-limit-{one.kind}"] = limit
        elif family == "xai":
            found[f"x-ratelimit-limit-{one.kind}"] = limit
            found[f"x-ratelimit-remaining-{one.kind}"] = left
        elif one.kind == "requests" and family == "gateway":
            found["x-ratelimit-limit"] = limit
            found["x-ratelimit-remaining"] = left
            found["x-ratelimit-reset"] = str(math.ceil(one.reset))
        elif one.kind == "requests" and family == "ietf":
            found["ratelimit-policy"] = f'"default";q={limit};w=60'
            found["ratelimit"] = f'"default";r={one.left};t={math.ceil(one.reset)}'
    return found
