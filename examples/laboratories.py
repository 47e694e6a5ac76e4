"""Two laboratories weigh the same PMMA while they heat it, their thermometers differ by 3 K: what holds for a third?

Fifteen records of the MaCFP round robin (NIST and FSRI, 3 to 30 K/min), a data set that the library fetches (or finds
in the folder PHYSICS_TWIN_DATA); see `pt.datasets`. One fit takes all laboratories as one, the other has an error of
the thermometer for each laboratory and of placement and tare for each run, drawn from populations. Then NIST is left
out and predicted from FSRI.
"""

import sys

import matplotlib.pyplot as plt
import numpy as np

import physics_twin as pt
from physics_twin_models.pmma_decomposition import KINETICS, pmma_decomposition, populations, thermogravimetry

MODEL = pmma_decomposition()
DRIFT = pt.Noise(pt.EstimatedNoise(0.003, shared="balance"), correlation_time=pt.Estimated("3 min"))
"""What a balance and the model miss keeps its sign for minutes: taken as noise of single samples, it would move the
temperature of both laboratories by kelvins."""
SAME: dict[str, str | float] = {"thermometer_error": "0 K", "placement_error": "0 K", "tare_error": 0.0}
HEATING = pt.Recipe(
    [
        pt.Phase(
            "10 K/min",
            temperature=pt.ramp("500 K", "760 K"),
            thermometer_error=pt.Setting("thermometer_error", "K", bounds=(-15.0, 15.0)),
            duration="26 min",
        )
    ]
)
TIMES = np.linspace(0.0, 26.0 * 60.0, 105)
READ = 500.0 + TIMES / 6.0
"""What the thermometer shows, K."""


def pooled(runs: list[pt.Experiment]) -> pt.Posterior:
    """One material, and every laboratory and every run the same."""
    return pt.calibrate(MODEL, runs, unknown=KINETICS, values=SAME, rng=7)


def hierarchical(runs: list[pt.Experiment]) -> pt.Posterior:
    """One material, laboratories and runs that differ."""
    return pt.calibrate(MODEL, runs, unknown=[*KINETICS, *populations()], rng=7)


def main(picture: str = "laboratories.png") -> tuple[dict[str, pt.Posterior], dict[str, float], dict[str, pt.HoldOut]]:
    """Return both fits, how wide their bands are at 640 K, and both checks; raises DataError without the records."""
    data = pt.datasets.load("macfp_pmma_kinetics")
    files = [data.path(f) for f in data.files if "_TGA_" in f]
    runs = [thermogravimetry(file, error="thermometer_error", noise=DRIFT) for file in files]
    fits = {"one laboratory as the other": pooled(runs), "a laboratory that nobody has seen": hierarchical(runs)}
    several = fits["a laboratory that nobody has seen"]
    fsri, nist = several["thermometer_error@FSRI"], several["thermometer_error@NIST"]
    print(f"NIST reads {(nist - fsri).mean():.1f} +- {(nist - fsri).std():.1f} K more than FSRI")
    least, most = several.interval("spread.thermometer_error")
    print(f"standard deviation of laboratories: {least:.1f} to {most:.1f} K")
    print(several.verdicts["spread.thermometer_error"])

    widths = {}
    figure, ax = plt.subplots(figsize=(6.0, 3.6), layout="constrained")
    for (name, posterior), color in zip(fits.items(), ("tab:blue", "tab:orange"), strict=True):
        band = posterior.predict(MODEL, HEATING, TIMES, rng=7).dataset["mass_fraction"]
        low, middle, high = (band.sel(quantile=q).values for q in (0.025, 0.5, 0.975))
        widths[name] = float(np.interp(640.0, READ, high - low))
        print(f"{name}: at 640 K {np.interp(640.0, READ, low):.3f} to {np.interp(640.0, READ, high):.3f} of the mass")
        ax.fill_between(READ, low, high, color=color, alpha=0.4, label=name)
        ax.plot(READ, middle, color=color)
    ax.set(xlabel="reading of the thermometer, K", ylabel="mass left", title="PMMA in nitrogen at 10 K/min")
    ax.legend()
    figure.savefig(picture, dpi=120)
    plt.close(figure)

    # Of NIST the fit has the first 30 K of one record, in which nothing happens: a laboratory that has just begun.
    # (A spread needs two laboratories, and its prior says how far they may differ.)
    known = [run for run in runs if run.context["laboratory"] == "FSRI"]
    first, *others = (run for run in runs if run.context["laboratory"] == "NIST")
    held = [first.last(first.n_used - 4), *others]
    checks = {}
    for name, fit in (("one laboratory as the other", pooled), ("a laboratory that has begun", hierarchical)):
        checks[name] = pt.holdout(MODEL, [*known, first.first(4)], fit=fit, held=held, n_draws=300, rng=3)
        print(f"NIST, {name}: {checks[name].sentence}")
    return fits, widths, checks


if __name__ == "__main__":
    try:
        main()
    except pt.DataError as reason:
        sys.exit(f"skipped: {reason}")
