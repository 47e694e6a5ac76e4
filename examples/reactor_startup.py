"""Start up a cooled stirred tank in which an exothermic reaction runs.

With coolant of 300 K the reactor has three steady states, and a cold start stays in the cool one. With coolant of 305 K
there is only one, and it is unstable: once ignited, the reactor never comes to rest.
"""

from typing import Any

import numpy as np

import physics_twin as pt
from physics_twin_models.jacketed_reactor import jacketed_reactor

FEED: dict[str, Any] = {"feed_temperature": "350 K", "feed_concentration": "1 mol/L", "feed_flow": "100 L/min"}


def startup(coolant: str, warm: str | None = None) -> pt.Run:
    """Run 30 min at one coolant temperature, after 3 min at a warmer one where `warm` is given."""
    phases = []
    if warm is not None:
        phases.append(pt.Phase("ignition", coolant_temperature=warm, duration="3 min", **FEED))
    phases.append(pt.Phase("operation", coolant_temperature=coolant, duration="30 min", **FEED))
    return pt.simulate(jacketed_reactor(), recipe=pt.Recipe(phases))


def main() -> dict[str, float]:
    """Return the final temperature in K of a cold start, and the swing in K over the last minutes of a hot one."""
    cold = startup("300 K")
    print(cold)
    hot = startup("305 K", warm="312 K")
    print(hot)
    late = hot["temperature"].values[-60:]
    final, swing = float(cold["temperature"].values[-1]), float(np.ptp(late))
    print(f"cold start: {final:.2f} K at rest; hot start: still swinging by {swing:.0f} K")
    return {"cold": final, "swing": swing}


if __name__ == "__main__":
    main()
