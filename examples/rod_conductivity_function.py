"""Does the conductivity of a rod depend on temperature? What fifteen thermocouples can say about it, and what not.

The heated aluminum rod of R. C. Smith (Uncertainty Quantification, 2013, table 3.2) with its conductivity as a function
of temperature, and, as the rival explanation, with its film coefficient as one. Both functions meet the readings
equally well: the heat balance sees their ratio. Run it with `python examples/rod_conductivity_function.py`; it writes
rod_functions.png beside you.
"""

import matplotlib.pyplot as plt
import numpy as np

import physics_twin as pt
from physics_twin_models.heated_rod import ALUMINUM, experiment, heated_rod_3d

KNOTS = ([20.0, 60.0, 100.0], "degC")


def fits() -> tuple[dict[str, pt.Posterior], dict[str, pt.SmoothPrior], dict[str, pt.Spline]]:
    """Fit constants, a conductivity over temperature, and a film coefficient over temperature."""
    readings = experiment(ALUMINUM)
    conductivity = pt.Spline(
        "conductivity", over="T", knots=KNOTS, value=ALUMINUM.conductivity, bounds=("0.5 W/cm/K", "10 W/cm/K")
    )
    film = pt.Spline("film", over="T", knots=KNOTS, value="0.002 W/cm^2/K", bounds=("2e-4 W/cm^2/K", "2e-2 W/cm^2/K"))
    # Handbooks know the conductivity to a tenth; the film coefficient of a rod in a room is a guess.
    handbook = pt.SmoothPrior(conductivity, mean=ALUMINUM.conductivity, sd="0.24 W/cm/K", length="80 K")
    guess = pt.SmoothPrior(film, mean="0.002 W/cm^2/K", sd="0.001 W/cm^2/K", length="80 K")
    models = {
        "both constant": (heated_rod_3d(ALUMINUM), ["source_flux", "film_coefficient"]),
        "conductivity over T": (
            heated_rod_3d(ALUMINUM, conductivity=conductivity),
            ["source_flux", "film_coefficient", handbook],
        ),
        "film coefficient over T": (heated_rod_3d(ALUMINUM, film_coefficient=film), ["source_flux", guess]),
    }
    posteriors = {
        name: pt.calibrate(model, readings, unknown=unknown, rng=7) for name, (model, unknown) in models.items()
    }
    return posteriors, {"conductivity": handbook, "film": guess}, {"conductivity": conductivity, "film": film}


def main(picture: str = "rod_functions.png") -> dict[str, pt.Posterior]:
    """Return the posteriors of the three explanations."""
    posteriors, priors, splines = fits()
    for name, posterior in posteriors.items():
        low, high = (1e-4 * end for end in posterior.interval("source_flux"))
        squares = posterior.sum_of_squares["K"]
        print(f"{name:24s} sum of squares {squares:.3f} K^2, flux {low:.1f} to {high:.1f} W/cm^2")
    print("\n".join(f"- {n}: {v}" for n, v in posteriors["conductivity over T"].verdicts.items() if v.sentence))

    for function, name in (("conductivity", "conductivity over T"), ("film", "film coefficient over T")):
        cold, hot = posteriors[name][f"{function}_1"], posteriors[name][f"{function}_3"]
        low, middle, high = np.quantile(hot / cold, [0.025, 0.5, 0.975])
        print(f"{function} at 100 degC over that at 20 degC: {middle:.2f} ({low:.2f} to {high:.2f})")

    figure, axes = plt.subplots(1, 2, figsize=(9.0, 3.4), layout="constrained")
    for ax, (function, name) in zip(
        axes, (("conductivity", "conductivity over T"), ("film", "film coefficient over T")), strict=True
    ):
        posteriors[name].plot_function(splines[function], prior=priors[function], ax=ax)
        ax.set_title(f"{name}: {posteriors[name].sum_of_squares['K']:.2f} K²", fontsize=9)
    figure.savefig(picture, dpi=120)
    plt.close(figure)
    return posteriors


if __name__ == "__main__":
    main()
