"""From eight analyses of a batch to its operating envelope.

The short form of `make demo`: thermal isomerization of alpha-pinene (Fuguitt and Hawkins 1947; Box et al. 1973).
Run it with `python examples/alpha_pinene.py`; it takes half a minute and writes envelope.png beside you.
"""

import physics_twin as pt
from physics_twin_models.alpha_pinene import alpha_pinene, experiment


def main(picture: str = "envelope.png") -> tuple[pt.Posterior, pt.Posterior, pt.Envelope]:
    """Return the fit to all columns, the fit to the independent ones, and the envelope."""
    model, batch = alpha_pinene(), experiment()
    rates = ["k1", "k2", "k3", "k4", "k5"]

    full = pt.calibrate(model, batch, unknown=rates, rng=7)
    print(full)

    dependent = pt.find_dependent_channels(batch)  # pyronene was computed, and the rows sum to 100 percent
    posterior = pt.calibrate(model, batch.without(dependent.leave_out), unknown=rates, rng=7)
    print(posterior)

    batch_time = pt.Setting("batch_time", "h", bounds=(100, 450))
    envelope = pt.find_envelope(
        model,
        posterior,
        recipe=pt.Recipe([pt.Phase("reaction", duration=batch_time)]),
        settings=[batch_time],
        limits=[
            pt.Limit("dipentene", lower="40 percent", over=pt.final),
            pt.Limit("dimer", upper="19 percent", over=pt.final),
        ],
        probability=0.95,
        tolerance={"batch_time": "1 h"},
        rng=7,
    )
    print(envelope)
    envelope.plot().savefig(picture)
    return full, posterior, envelope


if __name__ == "__main__":
    main()
