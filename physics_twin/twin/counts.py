"""How many samples a twin has taken in, and how many it could not use."""

from dataclasses import dataclass, replace


@dataclass(frozen=True)
class Counts:
    """What became of all entries since the start. None of it changes what the twin knows.

    samples: taken in. late: of those, behind others that had been filtered already. duplicates: known already.
    too_late: older than the window reaches. unknown: of a channel that the twin does not have.
    """

    samples: int = 0
    late: int = 0
    duplicates: int = 0
    too_late: int = 0
    unknown: int = 0

    def plus(self, **more: int) -> "Counts":
        """The counts with so many more of some kinds."""
        return replace(self, **{name: getattr(self, name) + n for name, n in more.items()})
