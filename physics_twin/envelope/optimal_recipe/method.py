"""How a dynamic optimization is solved."""

from dataclasses import dataclass

from physics_twin.errors import EnvelopeError

MOST_DEGREE = 9


@dataclass(frozen=True)
class Collocation:
    """Direct collocation on finite elements with Radau points, solved by IPOPT with exact second derivatives.

    elements: at least this many over the run; every corner of an input and every phase begins a new one. degree: points
    in each element; the states are polynomials of that degree. starts: first the recipe as it is, then recipes with
    other profiles drawn at random; the best solution is kept. iterations: of IPOPT, at most, for each start. tolerance:
    of IPOPT, for the scaled problem. refinements: how often the elements are halved where the simulation of the
    result and the collocation disagree.

    Biegler, Nonlinear Programming (2010), chapter 10; Cuthrell and Biegler, Computers and Chemical Engineering 13
    (1989) 49; Waechter and Biegler, Mathematical Programming 106 (2006) 25 for IPOPT.
    """

    elements: int = 40
    degree: int = 3
    starts: int = 4
    iterations: int = 1000
    tolerance: float = 1e-9
    refinements: int = 2

    def __post_init__(self) -> None:
        """Refuse what cannot work."""
        for name, least in (("elements", 1), ("degree", 1), ("starts", 1), ("iterations", 1), ("refinements", 0)):
            if getattr(self, name) < least:
                raise EnvelopeError(f"Collocation({name}={getattr(self, name)}): at least {least}")
        if self.degree > MOST_DEGREE:
            raise EnvelopeError(f"Collocation(degree={self.degree}): at most {MOST_DEGREE}; take more elements instead")
        if not 0.0 < self.tolerance < 1e-3:
            raise EnvelopeError(f"Collocation(tolerance={self.tolerance:g}): above 0 and below 1e-3")
