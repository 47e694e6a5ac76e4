"""The main job, from real data to an operating envelope: `python -m physics_twin_models.demo --out out/demo`.

The thermal isomerization of alpha-pinene (Fuguitt and Hawkins 1947; Box et al. 1973): eight analyses of five species,
five rate constants. The data have a trap, which the library finds: two of the five columns are not independent. The
envelope rests on the fit without them, and it is marked where the check on held-back samples gives reason to.

Then a field model goes the same way: the heated rod of `demo_rod`, where DOLFINx is installed.
"""

import argparse
import datetime as dt
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

import physics_twin as pt
from physics_twin import errors
from physics_twin.comparison import Comparison
from physics_twin.envelope import Budget
from physics_twin.estimation import HoldOut, holdout
from physics_twin.measurements import Redundancy
from physics_twin_models import demo_rod
from physics_twin_models.alpha_pinene import alpha_pinene, experiment

SEED = 7
RATES = ("k1", "k2", "k3", "k4", "k5")
METHOD = pt.GaussNewton(starts=4, n_draws=2000)
N_STEPS = 6
N_FIRST = 5
"""Samples that the hold-out fits; the last three are predicted."""

BATCH_TIME = pt.Setting("batch_time", "h", bounds=(100, 450), description="time after which the batch is stopped")
FEED_PURITY = pt.Setting("feed_purity", "percent", bounds=(80, 100), description="alpha-pinene in the feed, rest inert")
RECIPE = pt.Recipe([pt.Phase("reaction", duration=BATCH_TIME)], initial={"pinene": FEED_PURITY})
LIMITS = (
    pt.Limit("dipentene", lower="40 percent", over=pt.final),
    pt.Limit("dimer", upper="19 percent", over=pt.final),
)
# Twice as many draws certify as the search sees; the box grows little beyond that.
BUDGET = Budget(search_share=0.3, n_search=400, n_certification=1400)


@dataclass(frozen=True)
class Demo:
    """What the demo computed."""

    model: pt.ProcessModel
    experiment: pt.Experiment
    comparison: Comparison
    full: pt.Posterior
    dependent: Redundancy
    reduced: pt.Posterior
    checks: dict[str, HoldOut]
    envelope: pt.Envelope
    seconds: dict[str, float]
    """Step -> time it took."""

    @property
    def reduced_name(self) -> str:
        """What the fit without the dependent columns is called."""
        return f"without {', '.join(self.dependent.leave_out)}"


Step = Callable[[str], None]


def run(step: Step = lambda text: None) -> Demo:
    """Do the main job; `step` is told what comes next. Same numbers every time."""
    seconds: dict[str, float] = {}
    clock = [time.perf_counter()]

    def done(name: str) -> None:
        now = time.perf_counter()
        seconds[name], clock[0] = now - clock[0], now

    def fit(runs: Sequence[pt.Experiment]) -> pt.Posterior:
        return pt.calibrate(model, runs, unknown=RATES, method=METHOD, rng=SEED)

    step("the model over the data, before any fit")
    model, batch = alpha_pinene(), experiment()
    comparison = pt.compare(model, batch, rng=SEED)
    done("comparison")
    step("fit to all five channels")
    full = fit([batch])
    done("fit")
    step("dependent channels")
    dependent = pt.find_dependent_channels(batch)
    independent = batch.without(dependent.leave_out)
    reduced = fit([independent])
    done("dependent channels")
    step(f"hold-out: fit the first {N_FIRST} samples, predict the last three")
    checks = {
        "all channels": holdout(model, batch, fit=fit, n_first=N_FIRST, rng=SEED),
        f"without {', '.join(dependent.leave_out)}": holdout(model, independent, fit=fit, n_first=N_FIRST, rng=SEED),
    }
    done("hold-out")
    step("operating envelope over batch time and feed purity")
    envelope = pt.find_envelope(
        model,
        reduced,
        recipe=RECIPE,
        settings=[BATCH_TIME, FEED_PURITY],
        limits=LIMITS,
        probability=0.95,
        tolerance={"batch_time": "1 h"},
        budget=BUDGET,
        rng=SEED,
    )
    for name, check in checks.items():
        # Not only where the check as a whole fails: a limit rests on its own output.
        if not check.passed or any(limit.output in check.outside for limit in LIMITS):
            envelope = envelope.marked(f"hold-out ({name}): {check.sentence}")
    envelope = envelope.marked(
        "the data hold batches of pure alpha-pinene only: that a diluted feed reacts alike is the model's claim"
    )
    done("envelope")
    return Demo(model, batch, comparison, full, dependent, reduced, checks, envelope, seconds)


def field_model_part(step: Step = lambda text: None) -> "demo_rod.RodDemo | str":
    """The second part, or why it is skipped."""
    try:
        return demo_rod.run(step)
    except errors.MissingDependencyError as reason:
        return f"The field-model part (heated rod) is skipped: {reason}"


def write(demo: Demo, out: Path, date: dt.date | None = None, more: str = "") -> Path:
    """Write report, numbers and pictures to `out`; returns the path of the report. more: remark for its first page."""
    from matplotlib import pyplot as plt

    out.mkdir(parents=True, exist_ok=True)
    demo.experiment.save(out / "experiment.nc")
    demo.full.save(out / "posterior.nc")
    demo.reduced.save(out / "posterior_independent_channels.nc")
    demo.envelope.save(out / "envelope.nc")
    pictures = {
        "before_fit": demo.comparison.plot,
        "fit": demo.full.plot_fit,
        "parameters": demo.full.plot_parameters,
        "residuals": demo.full.plot_residuals,
        "holdout": demo.checks["all channels"].plot,
        "envelope": demo.envelope.plot,
    }
    for name, draw in pictures.items():
        figure = draw()
        figure.savefig(out / f"{name}.png", dpi=150)
        plt.close(figure)
    return pt.write_report(
        out / "report.html",
        title="Alpha-pinene: calibration and operating envelope",
        posterior=demo.full,
        experiments=demo.experiment,
        model=demo.model,
        recipe=RECIPE,
        comparison=demo.comparison,
        holdout=demo.checks,
        envelope=demo.envelope,
        dependent=demo.dependent,
        alternatives={demo.reduced_name: demo.reduced},
        notes=(
            "Data: R. E. Fuguitt and J. E. Hawkins, J. Am. Chem. Soc. 69 (1947) 319, as printed in Box et al., "
            "Technometrics 15 (1973) 33. The envelope rests on the fit without the dependent columns, so that no "
            "measurement counts twice.",
            *([more] if more else []),
        ),
        date=date,
    )


@contextmanager
def _progress(console: Console, n_steps: int) -> Iterator[Step]:
    """A line that says which step is running; plain lines where the output is no terminal."""
    if not console.is_terminal:
        yield lambda text: console.print(f"- {text}")
        return
    columns = (SpinnerColumn(), TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console, transient=True) as bar:
        task = bar.add_task("", total=n_steps)
        begun: list[str] = []

        def step(text: str) -> None:
            bar.update(task, description=text, completed=len(begun))
            begun.append(text)

        yield step


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the demo from the command line; prints the numbers and the path of the report."""
    parser = argparse.ArgumentParser(prog="python -m physics_twin_models.demo", description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("out/demo"), help="folder for report, pictures and numbers")
    given = parser.parse_args(arguments)
    start = time.perf_counter()
    # A report that is handed on carries its date; the numbers do not depend on it.
    today = dt.date.today()
    with _progress(Console(stderr=True), N_STEPS + demo_rod.N_STEPS) as step:
        demo = run(step)
        rod = field_model_part(step)
        step("report")
        more = (
            rod if isinstance(rod, str) else "The second part, a field model, is in rod_report.html beside this file."
        )
        report = write(demo, given.out, today, more)
        rod_report = None if isinstance(rod, str) else demo_rod.write(rod, given.out, today)
    n_all, n_reduced = (sum(c.n_samples for c in p.channels) for p in (demo.full, demo.reduced))
    print(demo.full)
    print(f"\nDependent channels\n{demo.dependent}")
    print(f"\nFitted {demo.reduced_name} ({n_reduced} samples instead of {n_all})\n{demo.reduced}")
    for name, check in demo.checks.items():
        print(f"\nHold-out, {name}\n{check}")
    print(f"\n{demo.envelope}")
    seconds = dict(demo.seconds)
    if isinstance(rod, str):
        print(f"\n{rod}")
    else:
        print(f"\nHeated rod, a field model\n{rod.fit}\n{demo_rod.closed_form_sentence(rod)}")
        print(f"{demo_rod.forecast_sentence(rod)}\n\n{rod.envelope}")
        seconds |= rod.seconds
    took = ", ".join(f"{name} {duration:.1f} s" for name, duration in seconds.items())
    print(f"\n{took}; all {time.perf_counter() - start:.1f} s")
    print(f"report: {report}" + ("" if rod_report is None else f" and {rod_report}"))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
