"""physics_twin: physics-based process twins, calibrated against measurements, with certified operating envelopes.

Names are loaded when they are first used, so that `import physics_twin` is quick and loads neither CasADi nor DOLFINx.
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from physics_twin.advisor import (
        Advisor as Advisor,
        Approval as Approval,
        approve as approve,
        withdraw as withdraw,
    )
    from physics_twin.assimilation import (
        AdaptiveInflation as AdaptiveInflation,
        EnsembleKalman as EnsembleKalman,
        ExtendedKalman as ExtendedKalman,
        Localized as Localized,
        MovingHorizon as MovingHorizon,
        RandomWalk as RandomWalk,
        RealTimeIteration as RealTimeIteration,
        RungeKutta as RungeKutta,
        UnscentedKalman as UnscentedKalman,
    )
    from physics_twin.comparison import (
        compare as compare,
    )
    from physics_twin.envelope import (
        Budget as Budget,
        CVaR as CVaR,
        Envelope as Envelope,
        Expectation as Expectation,
        Fault as Fault,
        LargestBox as LargestBox,
        Limit as Limit,
        Maximize as Maximize,
        Minimize as Minimize,
        Polytope as Polytope,
        SetPoint as SetPoint,
        Study as Study,
        WorstCase as WorstCase,
        any_moment as any_moment,
        at as at,
        compare_scenarios as compare_scenarios,
        equivalent_time as equivalent_time,
        final as final,
        find_envelope as find_envelope,
        find_set_point as find_set_point,
        integral as integral,
        lethality as lethality,
        load_study as load_study,
        mean as mean,
        peak as peak,
        rate as rate,
        save_study as save_study,
        time_above as time_above,
    )
    from physics_twin.envelope.optimal_recipe import (
        Collocation as Collocation,
        OptimalRecipe as OptimalRecipe,
        Profile as Profile,
        find_recipe as find_recipe,
    )
    from physics_twin.errors import (
        BoundsError as BoundsError,
        CalibrationError as CalibrationError,
        DataError as DataError,
        EnvelopeError as EnvelopeError,
        FileFormatError as FileFormatError,
        JournalError as JournalError,
        ModelError as ModelError,
        PhysicsTwinError as PhysicsTwinError,
        RecipeError as RecipeError,
        ShapeError as ShapeError,
        SolveError as SolveError,
        StoppedError as StoppedError,
        UnitError as UnitError,
        UnknownNameError as UnknownNameError,
    )
    from physics_twin.estimation import (
        CorrelationLocalization as CorrelationLocalization,
        CrossValidation as CrossValidation,
        Discrepancy as Discrepancy,
        DistanceLocalization as DistanceLocalization,
        EnsembleSmoother as EnsembleSmoother,
        GaussNewton as GaussNewton,
        HoldOut as HoldOut,
        MarkovChain as MarkovChain,
        ModelComparison as ModelComparison,
        Population as Population,
        ProfileLikelihood as ProfileLikelihood,
        QuasiNewton as QuasiNewton,
        SmoothPrior as SmoothPrior,
        TimeLocalization as TimeLocalization,
        calibrate as calibrate,
        compare_models as compare_models,
        cross_validate as cross_validate,
        holdout as holdout,
        validate as validate,
        with_discrepancy as with_discrepancy,
    )
    from physics_twin.experiment_design import (
        AOptimal as AOptimal,
        DOptimal as DOptimal,
        ExperimentDesign as ExperimentDesign,
        Planned as Planned,
        PredictionVariance as PredictionVariance,
        design_experiment as design_experiment,
    )
    from physics_twin.expressions import (
        Expression as Expression,
        cos as cos,
        exp as exp,
        interpolate as interpolate,
        log as log,
        log10 as log10,
        maximum as maximum,
        minimum as minimum,
        power as power,
        sin as sin,
        sqrt as sqrt,
        tan as tan,
        tanh as tanh,
        where as where,
    )
    from physics_twin.global_sensitivity import (
        Influences as Influences,
        Morris as Morris,
        Of as Of,
        Sobol as Sobol,
        rank_influences as rank_influences,
    )
    from physics_twin.measurements import (
        Averaged as Averaged,
        Batch as Batch,
        ByTag as ByTag,
        Channel as Channel,
        Checks as Checks,
        Column as Column,
        Estimated as Estimated,
        EstimatedNoise as EstimatedNoise,
        Exclusion as Exclusion,
        Experiment as Experiment,
        Experiments as Experiments,
        Flag as Flag,
        FromContext as FromContext,
        Layout as Layout,
        LongForm as LongForm,
        Noise as Noise,
        Place as Place,
        QualityScheme as QualityScheme,
        Query as Query,
        Sensor as Sensor,
        Stamps as Stamps,
        StampsAt as StampsAt,
        Tag as Tag,
        TagTable as TagTable,
        Uncertainty as Uncertainty,
        UnknownBias as UnknownBias,
        UnknownDelay as UnknownDelay,
        WideForm as WideForm,
        convert_log as convert_log,
        experiments_from as experiments_from,
        find_dependent_channels as find_dependent_channels,
        inspect as inspect,
        read_batches as read_batches,
        read_laboratory as read_laboratory,
        read_log as read_log,
    )
    from physics_twin.model import (
        Model as Model,
        StateBlock as StateBlock,
        StateKind as StateKind,
    )
    from physics_twin.parameters import (
        Parameter as Parameter,
        ParameterSet as ParameterSet,
        PerExperiment as PerExperiment,
        Values as Values,
    )
    from physics_twin.posterior import (
        Identification as Identification,
        Posterior as Posterior,
        Prediction as Prediction,
    )
    from physics_twin.priors import (
        HalfNormal as HalfNormal,
        LogNormal as LogNormal,
        Normal as Normal,
        Truncated as Truncated,
        Uniform as Uniform,
    )
    from physics_twin.process import (
        PI as PI,
        FunctionModel as FunctionModel,
        ProcessBuilder as ProcessBuilder,
        ProcessModel as ProcessModel,
        Sundials as Sundials,
        with_controller as with_controller,
    )
    from physics_twin.recipes import (
        HOLD as HOLD,
        RAMP as RAMP,
        STEADY as STEADY,
        Phase as Phase,
        Recipe as Recipe,
        Rule as Rule,
        discharge as discharge,
        dose as dose,
        falls_to as falls_to,
        ramp as ramp,
        reaches as reaches,
        rises_to as rises_to,
        set_state as set_state,
        table as table,
    )
    from physics_twin.report import (
        write_report as write_report,
    )
    from physics_twin.signals import (
        Setting as Setting,
        Signal as Signal,
    )
    from physics_twin.simulation import (
        Run as Run,
        simulate as simulate,
    )
    from physics_twin.splines import (
        Spline as Spline,
    )
    from physics_twin.twin import (
        Guard as Guard,
        Sample as Sample,
        Twin as Twin,
        Window as Window,
        assimilate as assimilate,
    )
    from physics_twin.twin.forecast import (
        Forecast as Forecast,
    )
    from physics_twin.twin.innovation import (
        Innovation as Innovation,
    )
    from physics_twin.twin.journal import (
        Journal as Journal,
    )
    from physics_twin.twin.recalibration import (
        Candidate as Candidate,
    )
    from physics_twin.units import (
        Unit as Unit,
        normal_flow as normal_flow,
    )
    from physics_twin.verification import (
        Case as Case,
        Report as Report,
        check_model as check_model,
        run_cases as run_cases,
    )

__version__ = "0.1.0"

_HOME = {
    "errors": (
        "BoundsError",
        "CalibrationError",
        "DataError",
        "EnvelopeError",
        "FileFormatError",
        "JournalError",
        "ModelError",
        "PhysicsTwinError",
        "RecipeError",
        "ShapeError",
        "SolveError",
        "StoppedError",
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
    "splines": ("Spline",),
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
        "Averaged",
        "Batch",
        "ByTag",
        "Channel",
        "Checks",
        "Column",
        "Estimated",
        "EstimatedNoise",
        "Exclusion",
        "Experiment",
        "Experiments",
        "Flag",
        "FromContext",
        "Layout",
        "LongForm",
        "Noise",
        "Place",
        "QualityScheme",
        "Query",
        "Sensor",
        "Stamps",
        "StampsAt",
        "Tag",
        "TagTable",
        "Uncertainty",
        "UnknownBias",
        "UnknownDelay",
        "WideForm",
        "convert_log",
        "experiments_from",
        "find_dependent_channels",
        "inspect",
        "read_batches",
        "read_laboratory",
        "read_log",
    ),
    "model": ("Model", "StateBlock", "StateKind"),
    "posterior": ("Identification", "Posterior", "Prediction"),
    "simulation": ("Run", "simulate"),
    "comparison": ("compare",),
    "process": ("FunctionModel", "PI", "ProcessBuilder", "ProcessModel", "Sundials", "with_controller"),
    "estimation": (
        "CorrelationLocalization",
        "CrossValidation",
        "Discrepancy",
        "DistanceLocalization",
        "EnsembleSmoother",
        "GaussNewton",
        "HoldOut",
        "MarkovChain",
        "ModelComparison",
        "Population",
        "ProfileLikelihood",
        "QuasiNewton",
        "SmoothPrior",
        "TimeLocalization",
        "calibrate",
        "compare_models",
        "cross_validate",
        "holdout",
        "validate",
        "with_discrepancy",
    ),
    "envelope": (
        "Budget",
        "CVaR",
        "Envelope",
        "Expectation",
        "Fault",
        "LargestBox",
        "Limit",
        "Maximize",
        "Minimize",
        "Polytope",
        "SetPoint",
        "Study",
        "WorstCase",
        "any_moment",
        "at",
        "equivalent_time",
        "compare_scenarios",
        "final",
        "find_envelope",
        "find_set_point",
        "integral",
        "lethality",
        "load_study",
        "mean",
        "peak",
        "rate",
        "save_study",
        "time_above",
    ),
    "envelope.optimal_recipe": ("Collocation", "OptimalRecipe", "Profile", "find_recipe"),
    "advisor": ("Advisor", "Approval", "approve", "withdraw"),
    "experiment_design": (
        "AOptimal",
        "DOptimal",
        "ExperimentDesign",
        "Planned",
        "PredictionVariance",
        "design_experiment",
    ),
    "global_sensitivity": ("Influences", "Morris", "Of", "Sobol", "rank_influences"),
    "verification": ("Case", "Report", "check_model", "run_cases"),
    "report": ("write_report",),
    "twin": ("Guard", "Sample", "Twin", "Window", "assimilate"),
    "twin.forecast": ("Forecast",),
    "twin.innovation": ("Innovation",),
    "twin.journal": ("Journal",),
    "twin.recalibration": ("Candidate",),
    "assimilation": (
        "AdaptiveInflation",
        "EnsembleKalman",
        "Localized",
        "ExtendedKalman",
        "MovingHorizon",
        "RandomWalk",
        "RealTimeIteration",
        "RungeKutta",
        "UnscentedKalman",
    ),
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
