"""Smith's heated rods: flux and film coefficient of two metals from their thermocouples, in 1-D and in 3-D."""

import functools

import physics_twin as pt
from physics_twin.verification import ABSOLUTE, RELATIVE, Case, Measured
from physics_twin_models.heated_rod import ALUMINUM, COPPER, Metal, experiment, heated_rod, heated_rod_3d
from physics_twin_validation.reference import reference

_SOURCE = "R. C. Smith, Uncertainty Quantification, SIAM 2013, section 3.2.2, table 3.2"
_UNKNOWN = ("source_flux", "film_coefficient")
_MODELS = {1: heated_rod, 3: heated_rod_3d}
_PER_CM2 = 1e4  # SI to W/cm^2 and to W/(cm^2 K)


@functools.cache
def fitted(metal: Metal, dimensions: int) -> pt.Posterior:
    """The fit of one metal by one of the models."""
    return pt.calibrate(_MODELS[dimensions](metal), experiment(metal), unknown=_UNKNOWN, rng=7)


def _measured(metal: Metal, dimensions: int, values: list[float]) -> Measured:
    posterior = fitted(metal, dimensions)
    details = {"fingerprint": posterior.provenance["fingerprint"], "data": f"sha256 {experiment(metal).sha256}"}
    return Measured(values, details)


def _estimates(metal: Metal, dimensions: int) -> Measured:
    """Flux W/cm^2, film coefficient W/(cm^2 K), noise K."""
    mode = fitted(metal, dimensions).mode
    found = [float(mode[name]) / _PER_CM2 for name in _UNKNOWN]
    return _measured(metal, dimensions, [*found, float(mode["noise.thermocouple"])])


def _errors(metal: Metal, dimensions: int) -> Measured:
    errors = fitted(metal, dimensions).standard_errors
    return _measured(metal, dimensions, [errors[name] / _PER_CM2 for name in _UNKNOWN])


def _apart(metal: Metal) -> Measured:
    """Estimates of the 3-D model minus those of the 1-D model, in standard errors."""
    one, three = fitted(metal, 1), fitted(metal, 3)
    return _measured(
        metal, 3, [float(three.mode[name] - one.mode[name]) / one.standard_errors[name] for name in _UNKNOWN]
    )


def _published() -> Measured:
    return _measured(ALUMINUM, 3, list(_estimates(ALUMINUM, 3).values[:2]))


def _published_deviations() -> Measured:
    posterior = fitted(ALUMINUM, 3)
    return _measured(ALUMINUM, 3, [float(posterior[name].std()) / _PER_CM2 for name in _UNKNOWN])


def _cases_of(metal: Metal) -> tuple[Case, ...]:
    name = metal.name
    return (
        Case(
            name=f"heated_rod_{name}_estimates",
            claim=f"Flux, film coefficient and noise of the {name} rod are those of least squares with the fin.",
            requirement="heated rods",
            source=f"{_SOURCE}; least squares recomputed with the closed form (equations 3.22, 3.23)",
            quantity="flux W/cm^2, film coefficient W/(cm^2 K), noise K, of the 1-D model",
            expected=reference("heated_rod", f"{name} estimate"),
            tolerance=2.5e-4,
            acceptance="half a unit of the last printed digit of the noise; the others are then met to theirs",
            compute=functools.partial(_estimates, metal, 1),
            measure=RELATIVE,
        ),
        Case(
            name=f"heated_rod_{name}_standard_errors",
            claim=f"Standard errors of flux and film coefficient of the {name} rod are those of least squares.",
            requirement="heated rods",
            source=f"{_SOURCE}; least squares recomputed with the closed form (equations 3.22, 3.23)",
            quantity="standard error of flux W/cm^2 and film coefficient W/(cm^2 K), of the 1-D model",
            expected=reference("heated_rod", f"{name} standard error"),
            tolerance=6e-4,
            acceptance="half a unit of the last printed digit",
            compute=functools.partial(_errors, metal, 1),
            measure=RELATIVE,
        ),
        Case(
            name=f"heated_rod_{name}_3d",
            claim=f"The {name} rod as a body gives the estimates of the 1-D model.",
            requirement="heated rods",
            source=f"{_SOURCE}; the 1-D model",
            quantity="3-D minus 1-D estimate in standard errors: flux, film coefficient",
            expected=(0.0, 0.0),
            tolerance=0.05,
            acceptance="a twentieth of a standard error changes no decision; the drop of temperature within the "
            "cross-section (Biot number 8e-4) explains about a fiftieth",
            compute=functools.partial(_apart, metal),
            measure=ABSOLUTE,
        ),
    )


CASES = (
    *_cases_of(ALUMINUM),
    *_cases_of(COPPER),
    Case(
        name="heated_rod_published",
        claim="The 3-D model of the aluminum rod gives the published flux and film coefficient.",
        requirement="heated rods",
        source=f"{_SOURCE} and its Bayesian analysis; phi = -18.41 W/cm^2 with the other sign",
        quantity="flux W/cm^2, film coefficient W/(cm^2 K)",
        expected=reference("heated_rod", "published aluminum"),
        tolerance=2.7e-3,
        acceptance="half a unit of the last printed digit of the film coefficient (0.00191)",
        compute=_published,
        measure=RELATIVE,
    ),
    Case(
        name="heated_rod_published_deviations",
        claim="The draws for the aluminum rod scatter as the published chain does.",
        requirement="heated rods",
        source=f"{_SOURCE} and its Bayesian analysis",
        quantity="standard deviation of flux W/cm^2 and film coefficient W/(cm^2 K), 3-D model",
        expected=reference("heated_rod", "published deviation"),
        tolerance=0.06,
        acceptance="1000 draws give a standard deviation to 2.2 %, the published chain its own to about as much; two "
        "of their combined standard deviations",
        compute=_published_deviations,
        measure=RELATIVE,
    ),
)
