"""What did not go into the experiments when a log was cut, and why: nothing is dropped in silence."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from physics_twin.measurements.quality import duration_text

__all__ = ["CuttingReport", "LaboratoryOrphan", "MissingTag", "NotBuilt", "Orphans", "Overlap", "Replacement"]

_SHOWN = 5


@dataclass(frozen=True)
class Overlap:
    """Two batches that ran at the same time, for how many seconds; both keep the samples."""

    first: str
    second: str
    seconds: float


@dataclass(frozen=True)
class Orphans:
    """Samples of a tag outside every batch: how many of how many, and those without a readable time."""

    tag: str
    n_outside: int
    n_timeless: int
    n: int


@dataclass(frozen=True)
class NotBuilt:
    """A batch that did not become an experiment, and why."""

    batch: str
    reason: str


@dataclass(frozen=True)
class MissingTag:
    """A batch without a single sample of a tag."""

    batch: str
    tag: str


@dataclass(frozen=True)
class LaboratoryOrphan:
    """A laboratory value that belongs to no experiment, and why; source: its row."""

    output: str
    value: str
    reason: str
    source: str = ""


@dataclass(frozen=True)
class Replacement:
    """A sensor that was replaced while a batch ran, s after its time zero; later samples are left out.

    moment: the same on the clock of the plant.
    """

    batch: str
    tag: str
    at: float
    before: str
    after: str
    moment: str = ""


@dataclass(frozen=True)
class CuttingReport:
    """What was found when a log was cut.

    n_batches: how many there were. overlaps, orphans (by tag, only those with any), not_built, missing (tags of
    batches that were built), laboratory, replaced: see their types. disordered: tag -> samples out of order. tags: tag
    -> notes of the whole tag. notes: of log and batch list.
    """

    n_batches: int = 0
    overlaps: tuple[Overlap, ...] = ()
    orphans: tuple[Orphans, ...] = ()
    not_built: tuple[NotBuilt, ...] = ()
    missing: tuple[MissingTag, ...] = ()
    laboratory: tuple[LaboratoryOrphan, ...] = ()
    replaced: tuple[Replacement, ...] = ()
    disordered: Mapping[str, int] = field(default_factory=dict)
    tags: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    notes: tuple[str, ...] = ()

    def __str__(self) -> str:
        """Return all findings in words, the first few of each kind."""
        lines: list[str] = []
        n = self.n_batches - len(self.not_built)
        lines.append(f"{n} of {self.n_batches} batches are experiments")
        lines += _some("not built", [f"{one.batch}: {one.reason}" for one in self.not_built])
        lines += _some(
            "overlap", [f"{one.first} and {one.second} for {duration_text(one.seconds)}" for one in self.overlaps]
        )
        lines += _some("without samples", [f"{one.batch}: tag {one.tag}" for one in self.missing])
        lines += _some("outside every batch", [_orphan_text(one) for one in self.orphans])
        lines += _some("laboratory values without an experiment", [_laboratory_text(one) for one in self.laboratory])
        lines += _some(
            "sensors replaced within a batch",
            [
                f"{one.batch}: {one.tag} from {one.before} to {one.after} at {duration_text(one.at)}"
                + (f" ({one.moment})" if one.moment else "")
                + "; later samples "
                "are left out"
                for one in self.replaced
            ],
        )
        lines += _some("out of order", [f"{tag}: {n} samples, bad" for tag, n in self.disordered.items()])
        lines += _some("notes on tags", [f"{tag}: {note}" for tag, notes in self.tags.items() for note in notes])
        lines += [f"note: {note}" for note in self.notes]
        return "\n".join(lines)

    @property
    def record(self) -> dict[str, Any]:
        """The report as plain JSON."""
        return asdict(self)

    @classmethod
    def from_record(cls, record: Mapping[str, Any]) -> "CuttingReport":
        """Return the report of `record`. Raises KeyError or TypeError for anything else."""
        return cls(
            int(record["n_batches"]),
            tuple(Overlap(**one) for one in record["overlaps"]),
            tuple(Orphans(**one) for one in record["orphans"]),
            tuple(NotBuilt(**one) for one in record["not_built"]),
            tuple(MissingTag(**one) for one in record["missing"]),
            tuple(LaboratoryOrphan(**one) for one in record["laboratory"]),
            tuple(Replacement(**one) for one in record["replaced"]),
            {str(tag): int(n) for tag, n in record["disordered"].items()},
            {str(tag): tuple(map(str, notes)) for tag, notes in record["tags"].items()},
            tuple(map(str, record["notes"])),
        )


def _some(title: str, found: Sequence[str]) -> list[str]:
    """Return the first few findings of a kind, below their count."""
    if not found:
        return []
    more = [f"  and {len(found) - _SHOWN} more"] if len(found) > _SHOWN else []
    return [f"{title}: {len(found)}", *(f"  {one}" for one in found[:_SHOWN]), *more]


def _orphan_text(one: Orphans) -> str:
    timeless = f", {one.n_timeless} without a readable time" if one.n_timeless else ""
    return f"{one.tag}: {one.n_outside} of {one.n} samples{timeless}"


def _laboratory_text(one: LaboratoryOrphan) -> str:
    return f"{one.output} = {one.value}: {one.reason}" + (f" ({one.source})" if one.source else "")
