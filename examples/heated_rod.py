"""From fifteen thermocouples on a heated rod to its heat flux and film coefficient, and a forecast for a warmer room.

A field model (finite elements, DOLFINx) of a square aluminum rod that is heated at one end in still air (R. C. Smith,
Uncertainty Quantification, 2013, table 3.2). Run it with `python examples/heated_rod.py`; it writes heated_rod.png
beside you.
"""

import physics_twin as pt
from physics_twin_models.heated_rod import ALUMINUM, experiment, heated_rod_3d


def main(picture: str = "heated_rod.png") -> tuple[pt.Posterior, pt.Prediction]:
    """Return the fit, and what the rod does with less heat in a warmer room."""
    model, readings = heated_rod_3d(ALUMINUM), experiment(ALUMINUM)
    print(model)
    print(readings)

    posterior = pt.calibrate(model, readings, unknown=["source_flux", "film_coefficient"], rng=7)
    print(posterior)  # the book's flux has the other sign: it counts what leaves the rod
    posterior.plot_fit().savefig(picture)

    warm_room = pt.Recipe.constant(heat_flux="15 W/cm^2", ambient_temperature="30 degC")
    prediction = posterior.predict(model, warm_room, [0.0], n_draws=200, rng=7)
    for name in ("hot_end", "far_end"):
        low, *_, high = prediction.in_units()[name].values[:, 0]
        print(f"{name}: {low:.1f} to {high:.1f} degC")
    return posterior, prediction


if __name__ == "__main__":
    main()
