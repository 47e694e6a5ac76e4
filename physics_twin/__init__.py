"""physics_twin: physics-based process twins, calibrated against measurements, with certified operating envelopes.

Names are loaded when they are first used, so that `import physics_twin` is quick and loads neither CasADi nor DOLFINx.
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from physics_twin.datasets import Dataset as Dataset

__version__ = "0.1.0"

_HOME = {
    "arrays": (),
    "errors": (
        "BoundsError",
        "CalibrationError",
        "DataError",
        "EnvelopeError",
        "FileFormatError",
        "ModelError",
        "PhysicsTwinError",
        "RecipeError",
        "ShapeError",
        "SolveError",
        "UnitError",
        "UnknownNameError",
    ),
    "units": ("Unit", "normal_flow"),
    "priors": ("HalfNormal", "LogNormal", "Normal", "Truncated", "Uniform"),
    "expressions": (
        "Expression",
        "cos",
        "exp",
        "interpolate",
        "log",
        "log10",
        "maximum",
        "minimum",
        "power",
        "sin",
        "sqrt",
        "tan",
        "tanh",
        "where",
    ),
    "parameters": ("Parameter", "ParameterSet", "PerExperiment", "Values"),
    "signals": ("Setting", "Signal"),
    "recipes": (
        "HOLD",
        "RAMP",
        "STEADY",
        "Phase",
        "Recipe",
        "Rule",
        "discharge",
        "dose",
        "falls_to",
        "ramp",
        "reaches",
        "rises_to",
        "set_state",
        "table",
    ),
    "measurements": (
        "Channel",
        "Column",
        "EstimatedNoise",
        "Experiment",
        "Flag",
        "Stamps",
        "Uncertainty",
        "UnknownBias",
        "UnknownDelay",
        "find_dependent_channels",
    ),
    "model": ("Model", "StateBlock", "StateKind"),
    "posterior": ("Posterior", "Prediction"),
    "simulation": ("Run", "simulate"),
    "comparison": ("compare",),
    "process": ("FunctionModel", "PI", "ProcessBuilder", "ProcessModel", "Sundials", "with_controller"),
    "estimation": ("GaussNewton", "calibrate"),
    "envelope": ("Envelope", "Limit", "at", "final", "find_envelope", "integral", "mean", "peak", "time_above"),
    "verification": ("Case", "Report", "check_model", "run_cases"),
    "report": ("write_report",),
}
_NAMES = {name: home for home, names in _HOME.items() for name in names}

__all__ = sorted([*_NAMES, "__version__", "datasets"])


def __getattr__(name: str) -> Any:
    """Load a public name from its home on first use."""
    if name in _NAMES:
        value = getattr(importlib.import_module(f"physics_twin.{_NAMES[name]}"), name)
    elif name in ("datasets", "process", "fem", "estimation", "envelope", "verification", "measurements", "errors"):
        value = importlib.import_module(f"physics_twin.{name}")
    else:
        raise AttributeError(f"module 'physics_twin' has no attribute {name!r}")
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return __all__
