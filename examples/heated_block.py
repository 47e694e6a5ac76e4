"""Calibrate two heaters and their sensors on a measured record, then predict another heater program.

The record is of the Temperature Control Lab: 600 s, one row a second, both heaters stepped. It is a data set that the
library fetches (or finds in the folder PHYSICS_TWIN_DATA); see `pt.datasets`.
"""

import sys

import physics_twin as pt
from physics_twin_models.heated_block import experiment, heated_block


def main() -> tuple[pt.Posterior, pt.Prediction]:
    """Return the fit and a prediction; raises DataError when the record cannot be had."""
    record = experiment(pt.datasets.load("tclab").path("mimo_1s_600.csv"))
    print(record)
    model = heated_block()

    posterior = pt.calibrate(
        model,
        record,
        unknown=["film_coefficient", "exchange_coefficient", "heater_1_gain", "heater_2_gain", "sensor_time_constant"],
        rng=7,
    )
    print(posterior)  # 600 rows a second apart are not 600 independent samples: the draws are widened, and it says so

    program = pt.Recipe(
        [
            pt.Phase("warm up", heater_1="60 percent", heater_2="40 percent", duration="5 min"),
            pt.Phase("hold", heater_1="35 percent", heater_2="25 percent", duration="5 min"),
        ]
    )
    prediction = posterior.predict(model, program, ([1, 5, 10], "min"), n_draws=100, rng=7)
    print(prediction)
    return posterior, prediction


if __name__ == "__main__":
    try:
        main()
    except pt.DataError as reason:
        sys.exit(f"skipped: {reason}")
