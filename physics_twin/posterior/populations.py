"""Parameters of lots in a posterior: which lot an experiment belongs to, and draws for a lot that nobody has seen.

A population is recognized by its columns `mean.<name>` and `spread.<name>`; it is normal in the logarithm where the
declaration of the mean says so (`in_logarithm`), which a saved posterior tells as well.
"""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy.special import ndtr, ndtri

from physics_twin.arrays import Array
from physics_twin.measurements import Experiment
from physics_twin.parameters import Parameter
from physics_twin.priors import LogNormal, Truncated

if TYPE_CHECKING:
    from physics_twin.posterior.result import Posterior

MEAN, SPREAD = "mean.", "spread."


def population_names(names: Iterable[str]) -> tuple[str, ...]:
    """Parameters that have a mean and a spread among the names of a posterior."""
    known = set(names)
    return tuple(n.removeprefix(MEAN) for n in known if n.startswith(MEAN) and SPREAD + n.removeprefix(MEAN) in known)


def members_of_populations(names: Iterable[str]) -> dict[str, str]:
    """Name of a member -> name of its population."""
    known = list(names)
    populations = population_names(known)
    owned = {name: name.partition("@")[0] for name in known if "@" in name}
    return {name: base for name, base in owned.items() if base in populations}


def in_logarithm(parameter: Parameter) -> bool:
    """Whether groups of a parameter are alike in its logarithm: where the search runs in that."""
    prior = parameter.prior.prior if isinstance(parameter.prior, Truncated) else parameter.prior
    return parameter.log_scale or isinstance(prior, LogNormal)


@dataclass(frozen=True)
class Belonging:
    """Which group the experiments of a fit belong to, for one parameter."""

    by: str | None
    """Entry of the context, None where each experiment is a group."""
    of: Mapping[str, str]
    """Experiment -> group."""

    @property
    def each(self) -> str:
        """What a group is called."""
        return "experiment" if self.by is None else self.by

    def group(self, experiment: str | Experiment) -> str:
        """The label of an experiment, or of what already is a label; "" where its context does not say."""
        if isinstance(experiment, str):
            return self.of.get(experiment, experiment)
        if self.by is None:
            return experiment.name
        return f"{experiment.context.get(self.by, '')}"


def belonging(posterior: "Posterior") -> dict[str, Belonging]:
    """Parameter -> its groups, as the fit noted them."""
    noted = json.loads(posterior.provenance.get("populations", "{}"))
    return {name: Belonging(entry["by"], entry["of"]) for name, entry in noted.items()}


def each_of(posterior: "Posterior", name: str) -> str:
    """What a group of a parameter is called: "laboratory", "experiment", or "lot" where the fit did not note it."""
    groups = belonging(posterior)
    return groups[name].each if name in groups else "lot"


def new_members(declared: Parameter, mean: Array, spread: Array, rng: np.random.Generator) -> Array:
    """A draw (n,) SI from each of n populations, within the bounds of the parameter.

    declared: the parameter `mean.<name>`. mean: (n,) SI. spread: (n,) SI, of ln x where the search runs in that.
    """
    center, (low, high) = mean, declared.bounds
    if in_logarithm(declared):
        with np.errstate(divide="ignore"):
            center, low, high = np.log(mean), np.log(max(low, 0.0)), np.log(high)
    with np.errstate(divide="ignore", invalid="ignore"):
        a, b = ndtr((low - center) / spread), ndtr((high - center) / spread)
        t = center + spread * ndtri(a + rng.random(mean.size) * (b - a))
    # A spread of nothing, or a mean on a bound that leaves no room to rounding: the mean itself.
    t = np.clip(np.where(np.isfinite(t), t, center), low, high)
    return np.clip(np.exp(t), *declared.bounds) if in_logarithm(declared) else t


def drawn_anew(name: str, each: str, labels: Iterable[str]) -> str:
    """What a prediction says about a parameter whose group is a new one."""
    known = list(labels)
    return (
        f"{name}: of a new {each}, drawn from the population of the {len(known)} that were fitted; "
        f'say experiment="{known[0]}" or values={{"{name}": ...}} for another choice'
    )
