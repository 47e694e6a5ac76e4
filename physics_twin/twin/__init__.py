"""Online twins: a model that follows its plant, sample by sample, for months.

A `Twin` is a value. What it knows is a function of the entries on its timeline (samples and what people did), in the
order of their own times: not of when they came in, nor in how many calls, nor of restarts between. Late samples, kills
and replays are all the same thing: the timeline is gone through again from an earlier moment.
"""

from physics_twin.twin.intake import assimilate
from physics_twin.twin.setup import Guard, Window
from physics_twin.twin.state import Mode
from physics_twin.twin.timeline import Operation, Sample
from physics_twin.twin.twin import Twin

__all__ = ["Guard", "Mode", "Operation", "Sample", "Twin", "Window", "assimilate"]
