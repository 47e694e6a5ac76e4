"""Young's modulus and Poisson's ratio of a steel plate with a hole from its measured displacement field."""

import functools

import physics_twin as pt
from physics_twin import datasets
from physics_twin.errors import DataError
from physics_twin.verification import ABSOLUTE, AT_MOST, Case, Measured, NotAvailable
from physics_twin_models.plate_with_hole import experiment, plate_with_hole, read_cloud

_FILE = "20231116_displacements_raw.csv"
_SOURCE = "Troger, Hartmann, Anton, Wessels, Zenodo doi:10.5281/zenodo.11257192, raw record"
_NUISANCES = ("bending_gradient", "eccentricity")


@functools.cache
def fitted(bending: bool) -> pt.Posterior:
    """The fit to the raw record, bending out of the plane unknown or held at zero; NotAvailable without the data."""
    try:
        cloud = read_cloud(datasets.load("dic_plate_hole").path(_FILE))
    except DataError as error:
        raise NotAvailable(str(error)) from None
    unknown = ["youngs_modulus", "poissons_ratio", *_NUISANCES, *(["bending"] if bending else [])]
    return pt.calibrate(plate_with_hole(cloud.points), experiment(cloud), unknown=unknown, rng=7)


def _details(posterior: pt.Posterior) -> dict[str, str]:
    return {"fingerprint": posterior.provenance["fingerprint"], "experiments": posterior.provenance["experiments"]}


def _beside_other_fits() -> Measured:
    """(E - 220 GPa)/sd and (nu - 0.30)/sd with the widened standard deviations, bending held."""
    posterior = fitted(False)
    apart = [
        (float(posterior.mode[name]) - reference) / float(posterior[name].std())
        for name, reference in (("youngs_modulus", 220e9), ("poissons_ratio", 0.30))
    ]
    return Measured(apart, _details(posterior))


def _beside_steel() -> Measured:
    """(E - 210 GPa)/sd with bending unknown."""
    posterior = fitted(True)
    off = (float(posterior.mode["youngs_modulus"]) - 210e9) / float(posterior["youngs_modulus"].std())
    return Measured([off], _details(posterior))


def _residuals() -> Measured:
    """Noise levels of both components, um."""
    posterior = fitted(False)
    return Measured([1e6 * float(posterior.mode[f"noise.camera_{axis}"]) for axis in "xy"], _details(posterior))


CASES = (
    Case(
        name="plate_with_hole_other_fits",
        claim="E and nu from the displacement field are those of other fits of the record: 220 GPa and 0.30.",
        requirement="dic_plate_hole",
        source=_SOURCE + "; finite-element fits with balanced tractions and rigid-body motion eliminated",
        quantity="distance of E and nu from 220 GPa and 0.30 in widened standard deviations, bending held",
        expected=(0.0, 0.0),
        tolerance=2.0,
        acceptance="two standard deviations, widened for the correlation of neighboring points",
        compute=_beside_other_fits,
        measure=ABSOLUTE,
    ),
    Case(
        name="plate_with_hole_steel",
        claim="With bending unknown, the modulus of structural steel is inside the interval.",
        requirement="dic_plate_hole",
        source=_SOURCE + "; EN 1993-1-1, 3.2.6: 210 GPa",
        quantity="distance of E from 210 GPa in standard deviations",
        expected=(0.0,),
        tolerance=2.0,
        acceptance="two standard deviations; that of bending, 5 percent, is most of it",
        compute=_beside_steel,
        measure=ABSOLUTE,
    ),
    Case(
        name="plate_with_hole_residuals",
        claim="The model leaves residuals no larger than other fits of the record do.",
        requirement="dic_plate_hole",
        source=_SOURCE + "; finite-element fits with balanced tractions and rigid-body motion eliminated",
        quantity="standard deviation of the residuals along and across the load, um",
        expected=(0.45, 0.37),
        tolerance=0.0,
        acceptance="upper limits: 0.45 and 0.36 um of those fits, the second rounded up by its last digit",
        compute=_residuals,
        measure=AT_MOST,
    ),
)
