"""A posterior drawn anew: as many fresh draws as are wanted, where it says how its draws come about."""

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from physics_twin.arrays import Array
from physics_twin.errors import CalibrationError
from physics_twin.parameters import ParameterSet
from physics_twin.posterior.drawing.origin import Origin, Priors
from physics_twin.posterior.members import from_prior, generator

if TYPE_CHECKING:
    from physics_twin.posterior.result import Posterior


def redraw(posterior: "Posterior", n: int, rng: int | np.random.Generator) -> "Posterior":
    """The posterior with `n` fresh draws; see `Posterior.redraw`."""
    from physics_twin.posterior.result import draws_array

    if n < 1:
        raise CalibrationError(f"{n} draws: at least one")
    if posterior.origin is None:
        raise CalibrationError(
            "these draws cannot be made anew from the posterior alone: only those of GaussNewton and QuasiNewton "
            "(independent normal noise, no spread of a population to estimate) and of Posterior.from_prior can; "
            + more_draws(posterior, n)
        )
    # A stream of its own: the same seed as that of the first draws must not give these again.
    own = np.random.default_rng(generator(rng).integers(2**63, size=2))
    seed = f", seed {rng}" if isinstance(rng, int) else ""
    return replace(
        posterior,
        draws=draws_array(posterior.parameters, _table(posterior.origin, posterior.parameters, n, own)),
        effective_draws=float(n),
        provenance={**posterior.provenance, "redrawn": f"{n} draws from {posterior.origin.words}{seed}"},
    )


def _table(origin: Origin, parameters: ParameterSet, n: int, rng: np.random.Generator) -> Array:
    """Draws (n, n_parameters) SI."""
    return from_prior(parameters, n, rng) if isinstance(origin, Priors) else origin.table(n, rng)


def more_draws(posterior: "Posterior", n: int) -> str:
    """How a person comes by `n` draws of this posterior, where it says how it was made."""
    made = posterior.provenance.get("method", "")
    if isinstance(posterior.origin, Priors) or made == "draws from the priors":
        return f"Posterior.from_prior(..., n_draws={n}) gives more"
    if "n_draws=" in made:
        return f"calibrate(..., method=pt.{made.partition('(')[0]}(n_draws={n})) gives more"
    return "more have to come from where these were made"
