"""Two bodies in contact: without resistance from different temperatures, and through a contact layer."""

import physics_twin as pt
from physics_twin.verification import ABSOLUTE, RELATIVE, Case, Measured
from physics_twin_validation.reference import reference

TIMES = [5.0, 20.0, 60.0]  # s


def two_bodies() -> pt.Model:
    """Copper at 100 degC and steel 304 at 20 degC, long enough that their far ends do not know."""
    fem = pt.fem
    model: pt.Model = fem.HeatConduction(
        mesh=fem.mesh.bar(
            ["0.8 m", "0.2 m"], cells=[80, 80], regions=["copper", "steel"], grading=[1.0 / 400.0, 400.0]
        ),
        materials={
            "copper": fem.Solid(conductivity="401 W/m/K", density="8933 kg/m^3", heat_capacity="385 J/kg/K"),
            "steel": fem.Solid(conductivity="16.2 W/m/K", density="7900 kg/m^3", heat_capacity="500 J/kg/K"),
        },
        initial=lambda x: pt.where(x <= "0.8 m", "100 degC", "20 degC"),
        sensors={"interface": fem.Point("0.8 m")},
        stepping=fem.Adaptive("0.005 K"),
    )
    return model


def joined_slabs() -> pt.Model:
    """30 mm (k 50) at 200 degC on the left, 20 mm (k 10) at 0 degC on the right, 2000 W/(m^2 K) between them."""
    fem = pt.fem
    model: pt.Model = fem.HeatConduction(
        mesh=fem.mesh.bar(["30 mm", "0.1 mm", "20 mm"], cells=[6, 1, 4], regions=["hot", "joint", "cold"]),
        materials={
            "hot": fem.Solid(conductivity="50 W/m/K"),
            "joint": fem.ContactLayer("2000 W/m^2/K", "0.1 mm"),
            "cold": fem.Solid(conductivity="10 W/m/K"),
        },
        boundaries={"left": fem.Temperature("200 degC"), "right": fem.Temperature("0 degC")},
        sensors={"flow": fem.HeatFlow("left"), "before": fem.Point("30 mm"), "behind": fem.Point("30.1 mm")},
        steady=True,
    )
    return model


def _interface() -> Measured:
    model = two_bodies()
    run = pt.simulate(model, TIMES)
    return Measured([float(v) for v in run.in_units()["interface"]], {"fingerprint": model.fingerprint})


def _joint() -> Measured:
    model = joined_slabs()
    run = pt.simulate(model, [0.0])
    drop = float(run["before"][0]) - float(run["behind"][0])
    return Measured([float(run["flow"][0]), drop], {"fingerprint": model.fingerprint})


_RESISTANCE = 0.03 / 50.0 + 1.0 / 2000.0 + 0.02 / 10.0

CASES = (
    Case(
        name="thermal_contact_interface",
        claim="Two half spaces brought together have a constant temperature where they touch.",
        requirement="transient conduction in several materials",
        source="closed form: (e1 T1 + e2 T2) / (e1 + e2) with the effusivities e = sqrt(k rho c); recomputed",
        quantity="temperature of the interface after 5, 20, 60 s, degC",
        expected=reference("thermal_contact", "interface") * 3,
        tolerance=0.1,
        acceptance="0.1 K of 80 K between the bodies",
        compute=_interface,
        measure=ABSOLUTE,
    ),
    Case(
        name="thermal_contact_joint",
        claim="A contact layer of cells carries the flow of a contact conductance, and has its temperature drop.",
        requirement="contact conductance between regions",
        source="resistances in series: q = dT / (L1/k1 + 1/h + L2/k2)",
        quantity="heat flow, W/m^2, and temperature drop across the joint, K",
        expected=(200.0 / _RESISTANCE, 200.0 / _RESISTANCE / 2000.0),
        tolerance=1e-9,
        acceptance="1e-9: straight lines are exact in linear elements, rounding remains",
        compute=_joint,
        measure=RELATIVE,
    ),
)
