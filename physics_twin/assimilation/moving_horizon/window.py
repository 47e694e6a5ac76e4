"""What moving horizon estimation remembers: the samples of the window and the trajectory through them."""

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace

import numpy as np

from physics_twin.arrays import Array
from physics_twin.assimilation.belief import Observation
from physics_twin.assimilation.moving_horizon.transcription import Elements

_ELEMENT = "element."


@dataclass(frozen=True, eq=False)
class Window:
    """M moments with their samples, the steps between them, and what was known before the first.

    times: (M,) s. points: (M, n + q) coordinates of the trajectory. known: (M, n_inputs + n_accumulators) SI at the
    moments, left limits. z: (M, n_algebraic) algebraic variables over their scales. variance: (M - 1, n + q) what
    random walks add over each step. mean (n + q,) and root (n + q, n + q): coordinates at the first moment, before its
    samples. sample_moment, sample_row, sample_value, sample_variance: (n_samples,); values in SI, positions as floats.
    length: (1,) s, the element length to try next. elements: of the steps.
    """

    times: Array
    points: Array
    known: Array
    z: Array
    variance: Array
    mean: Array
    root: Array
    sample_moment: Array
    sample_row: Array
    sample_value: Array
    sample_variance: Array
    length: Array
    elements: Elements

    @classmethod
    def of(cls, memory: Mapping[str, Array]) -> "Window":
        """A window from the arrays of a belief."""
        elements = Elements(*(memory[name] for name in _OF_ELEMENTS))
        return cls(**{name: memory[name] for name in _OWN}, elements=elements)

    def memory(self) -> dict[str, Array]:
        """All of it as arrays by name, for a belief.

        In rows, as a file gives them back: products of an array in columns may round otherwise.
        """
        own = [getattr(self, name) for name in _OWN]
        own += [getattr(self.elements, name.removeprefix(_ELEMENT)) for name in _OF_ELEMENTS]
        return {name: np.ascontiguousarray(array) for name, array in zip(_OWN + _OF_ELEMENTS, own, strict=True)}

    @property
    def n_moments(self) -> int:
        """How many moments."""
        return len(self.times)

    def begun(self, time: float, known: Array, z: Array) -> "Window":
        """The first moment has its time (s) and its inputs."""
        return replace(self, times=np.array([time]), known=known[None, :], z=z[None, :])

    def appended(
        self, time: float, point: Array, known: Array, z: Array, variance: Array, elements: Elements, length: float
    ) -> "Window":
        """One more step and the moment at its end."""
        own = replace(elements, interval=np.full(len(elements.begin), float(self.n_moments - 1)))
        return replace(
            self,
            times=np.append(self.times, time),
            points=np.vstack([self.points, point]),
            known=np.vstack([self.known, known]),
            z=np.vstack([self.z, z]),
            variance=np.vstack([self.variance, variance]),
            elements=self.elements.joined(own),
            length=np.array([length]),
        )

    def sampled(self, observation: Observation) -> "Window":
        """Samples at the last moment."""
        return replace(
            self,
            sample_moment=np.append(self.sample_moment, np.full(len(observation.rows), float(self.n_moments - 1))),
            sample_row=np.append(self.sample_row, observation.rows.astype(float)),
            sample_value=np.append(self.sample_value, observation.values),
            sample_variance=np.append(self.sample_variance, observation.variance),
        )

    def without_first(self, mean: Array, root: Array) -> "Window":
        """The window without its first moment; mean and root are of the second, before its samples."""
        stays = self.elements.interval > 0.0
        first = int(np.argmax(stays)) if stays.any() else len(stays)
        elements = self.elements.take(slice(first, None))
        samples = self.sample_moment > 0.0
        return replace(
            self,
            times=self.times[1:],
            points=self.points[1:],
            known=self.known[1:],
            z=self.z[1:],
            variance=self.variance[1:],
            mean=mean,
            root=root,
            sample_moment=self.sample_moment[samples] - 1.0,
            sample_row=self.sample_row[samples],
            sample_value=self.sample_value[samples],
            sample_variance=self.sample_variance[samples],
            elements=replace(elements, interval=elements.interval - 1.0),
        )


_OWN = tuple(f.name for f in fields(Window) if f.name != "elements")
_OF_ELEMENTS = tuple(_ELEMENT + f.name for f in fields(Elements))


def new_window(mean: Array, root: Array, elements: Elements) -> Window:
    """A window of one moment that has no time yet and no samples; `elements` are none."""
    none = np.zeros(0)
    m, n_a = elements.known.shape[2], elements.z.shape[2]
    point = mean[None, :]
    return Window(
        times=np.array([np.nan]),
        points=point,
        known=np.zeros((1, m)),
        z=np.zeros((1, n_a)),
        variance=np.zeros((0, mean.size)),
        mean=mean,
        root=root,
        sample_moment=none,
        sample_row=none,
        sample_value=none,
        sample_variance=none,
        length=np.array([np.inf]),
        elements=elements,
    )
