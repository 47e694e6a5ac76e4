"""An influence as text, in declared units."""

from typing import TYPE_CHECKING

import numpy as np

from physics_twin.posterior.tables import aligned
from physics_twin.units import Unit, format_si

if TYPE_CHECKING:
    from physics_twin.envelope.influence.influence import Influence

UNKNOWN = "unknown"


def as_text(found: "Influence") -> str:
    """Margins with their slopes along the settings, then what narrowing each source would buy."""
    first = found.places[0]
    where = ", ".join(f"{s.name} = {format_si(first.settings[s.name], s.unit)}" for s in found.settings)
    parts = [
        f"at the {first.name} ({where}): margins kept with the required probability, and how they change",
        aligned(margin_rows(found)),
        f"what it would buy to narrow one source of uncertainty to {found.narrowed:g} of its spread "
        f"({found.n_draws} draws, {found.n_simulations} simulations; +- one standard error of so many draws)",
        aligned(source_rows(found)),
        "gain: of this limit by itself; side: to first order, for all limits together with the room of a certificate; "
        "nothing of this is certified",
    ]
    return "\n\n".join(parts)


def margin_rows(found: "Influence") -> list[list[str]]:
    """For each limit its margin at the first place, and the margin's slope along each setting."""
    slopes = [f"per {s.unit.difference().text} of {s.name}" for s in found.settings]
    rows = [["limit", "margin", *slopes]]
    for j, (limit, unit) in enumerate(zip(found.limits, found.units, strict=True)):
        cells = []
        for k, setting in enumerate(found.settings):
            one = setting.unit.difference().to_si(1.0, True)
            cells.append(_text(found.setting_slopes[0, j, k] * one, unit))
        rows.append([limit, _text(found.margins[0, j], unit), *cells])
    return rows


def source_rows(found: "Influence") -> list[list[str]]:
    """For each place, and the limit that binds there, every source: share, slope for one sd, gain, move of the side."""
    rows = [["where", "limit", "margin", "source", "share of variance", "for +1 sd", "gain", "side moves by"]]
    for i, place in enumerate(found.places):
        j = found.limits.index(place.limit)
        unit = found.units[j]
        order = np.argsort(-found.gains[i, j], kind="stable")
        for n, k in enumerate(order):
            source = found.sources[k]
            head = [place.name, place.limit, _text(found.margins[i, j], unit)] if n == 0 else ["", "", ""]
            rows.append(
                [
                    *head,
                    source.name,
                    _share(found.shares[i, j, k]),
                    _text(_not_rounding(found, i, j, int(k)), unit, signed=True),
                    _with_error(found.gains[i, j, k], found.gain_errors[i, j, k], unit),
                    _moved(found, i, int(k)),
                ]
            )
        rest = found.unexplained[i, j]
        if len(order) and np.isfinite(rest) and abs(rest) >= 5e-3:
            rows.append(["", "", "", "no source by itself (curvature)", _share(rest), "", "", ""])
    return rows


def _not_rounding(found: "Influence", place: int, limit: int, source: int) -> float:
    """The slope for one standard deviation; zero where it is rounding beside that of the other sources."""
    sizes = np.array([s.sd for s in found.sources]) * found.source_slopes[place, limit]
    return float(sizes[source]) if abs(sizes[source]) > 1e-9 * np.abs(sizes).max() else 0.0


def _moved(found: "Influence", place: int, source: int) -> str:
    name = found.places[place].setting
    if not name:
        return ""
    unit = next(s.unit for s in found.settings if s.name == name)
    return _with_error(found.moves[place, source], found.move_errors[place, source], unit)


def _with_error(x: float, error: float, unit: Unit) -> str:
    """A change and its standard error, with as many digits as the error leaves."""
    if not np.isfinite(x):
        return UNKNOWN
    shown = unit.difference()
    own, sd = (float(shown.from_si(value, True)) for value in (x, error))
    decimals = int(np.clip(1 - np.floor(np.log10(sd)), 0, 12)) if sd > 0.0 else 6
    words = "" if shown.text == "1" else f" {shown.text}"
    return f"{own + 0.0:+.{decimals}f} +- {sd:.{decimals}f}{words}"


def _share(share: float) -> str:
    return UNKNOWN if not np.isfinite(share) else f"{100.0 * share + 0.0:.1f} %"


def _text(x: float, unit: Unit, signed: bool = False) -> str:
    if not np.isfinite(x):
        return UNKNOWN
    return ("+" if signed and x >= 0.0 else "") + format_si(float(x), unit, 3, difference=True)
