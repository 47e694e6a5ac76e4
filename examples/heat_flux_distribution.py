"""Where does the heat go in? A flux that varies along a plate, from thermocouples on the other side.

A plate of steel, 20 cm long and 1 cm thick, is heated from below by burners that nobody can see into. Nine
thermocouples on top report for two minutes. The unknown is a function: the flux along the plate, as its values at 33
places with a smoothness prior. Gradients come from one backward run of the model, however many places there are.
Synthetic data, so that the answer can be compared with the truth. Run it with
`python examples/heat_flux_distribution.py`; it writes flux.png beside you.
"""

import matplotlib.pyplot as plt
import numpy as np

import physics_twin as pt
from physics_twin import fem

PLACES = np.linspace(0.0, 20.0, 33)  # cm


def heated_plate() -> tuple[fem.FieldModel, fem.Distribution]:
    """The plate in its length and thickness, with the flux through its lower side as a distribution."""
    flux = fem.Distribution("flux", "20 kW/m^2", along="x", knots=(PLACES, "cm"))
    model = fem.HeatConduction(
        mesh=fem.mesh.plate(("20 cm", "1 cm"), cells=(64, 4)),
        materials={"body": fem.Solid(conductivity="45 W/m/K", density="7850 kg/m^3", heat_capacity="470 J/kg/K")},
        boundaries={"bottom": fem.Flux(flux), "top": fem.Convection("20 W/m^2/K", "20 degC")},
        initial="20 degC",
        sensors={f"T{k + 1}": fem.Point((float(x), "cm"), "1 cm") for k, x in enumerate(np.linspace(1, 19, 9))},
        stepping=fem.FixedSteps("4 s"),
    )
    return model, flux


def main(picture: str = "flux.png") -> tuple[pt.Posterior, np.ndarray]:
    """Return the posterior and the true flux at the places, kW/m^2."""
    model, flux = heated_plate()
    truth = 20.0 + 15.0 * np.exp(-(((PLACES - 6.0) / 2.5) ** 2)) - 8.0 / (1.0 + np.exp(-(PLACES - 14.0) / 0.8))
    times = np.arange(0.0, 121.0, 8.0)
    heating = pt.Recipe.constant(duration="120 s")
    run = pt.simulate(
        model, times, heating, values={name: (float(q), "kW/m^2") for name, q in zip(flux.names, truth, strict=True)}
    )
    rng = np.random.default_rng(5)
    sensors = [name for name in run.in_units() if str(name).startswith("T")]
    readings = {name: run.in_units()[name].values + rng.normal(0.0, 0.2, times.size) for name in sensors}
    log = pt.Experiment.from_arrays(
        "heating",
        times,
        readings,
        channels=[pt.Channel(name, unit="degC", noise="0.2 K") for name in sensors],
        recipe=heating,
    )

    posterior = pt.calibrate(
        model,
        [log],
        unknown=[pt.SmoothPrior(flux.names, mean="20 kW/m^2", sd="10 kW/m^2", length=4.0)],
        method=pt.QuasiNewton(),
        rng=7,
    )
    print(posterior.message)

    draws = posterior.draws.values / 1e3
    low, middle, high = np.quantile(draws, [0.05, 0.5, 0.95], axis=0)
    figure, ax = plt.subplots(figsize=(7, 3.6), layout="constrained")
    ax.fill_between(PLACES, low, high, alpha=0.3, label="90 % of the draws")
    ax.plot(PLACES, middle, label="median")
    ax.plot(PLACES, truth, "k--", label="truth")
    ax.set(xlabel="place along the plate / cm", ylabel="heat flux / (kW/m²)", title="The flux that nobody could see")
    ax.legend()
    figure.savefig(picture, dpi=120)
    plt.close(figure)
    return posterior, truth


if __name__ == "__main__":
    main()
