"""Bad sensors: which readings of a channel are used, and how far they are trusted.

`judge` looks at one reading, `judge_moment` at all readings of one moment. Both are functions of what the channel's
monitor remembers and of the reading: no clock, no draw, so that a timeline gone through again gives the same verdicts.
"""

from physics_twin.twin.sensors.clocks import ahead_of
from physics_twin.twin.sensors.judgment import judge, judge_moment
from physics_twin.twin.sensors.reading import Reading, Verdict

__all__ = ["Reading", "Verdict", "ahead_of", "judge", "judge_moment"]
