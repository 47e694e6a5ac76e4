"""A process that follows a plant until it is killed; forked for each life, so that a life begins at once.

It first goes through the stream twice, and answers with the digest of its twin and the seconds that it took. Then it
reads commands: "live <journal> <file>" forks a child that goes on from where the journal says, and answers with its
process number; "reap" waits for its end and answers with the signal that ended it, or 0.
"""

import os
import sys
import time

import physics_twin as pt
from physics_twin.twin.journal import Journal
from physics_twin.twin.timeline import Act, Operation
from tests.twin.plants import at, heater_block, heater_samples, heater_twin

ASSET = "line1"
EVERY = 7
AGAIN = 2
"""Calls that the source delivers a second time after a restart: those whose acknowledgement may have been lost."""


def stream():
    """Calls in the order of arrival: moments, some of them late, laboratory results, what people do, repetitions."""
    samples = heater_samples(48)
    moments = [list(samples[k : k + 4]) for k in range(0, len(samples), 4)]
    laboratory = [
        pt.Sample("T1", at(5 * k + 1), 30.0 + k / 7, "degC", reported=at(5 * k + 120), source=f"lab {k}")
        for k in range(6, 60, 12)
    ]
    calls = []
    for k, moment in enumerate(moments):
        if k % 9 == 4:  # half of it comes three calls later
            moments[min(k + 3, len(moments) - 1)] += moment[2:]
            moment = moment[:2]
        if k % 10 == 6:
            moment = moment[::-1] + list(moments[k - 1][:2])
        if k == 20:
            mask = Operation(Act.MASK, at(99) + 1, "A. Miller", "being cleaned", {"channel": "T2", "until": at(140)})
            moment = [mask, *moment]
        if k >= 30 and k % 12 == 6:
            moment = [*moment, laboratory[k // 12 - 2]]
        calls.append(moment)
    return calls


def begin():
    """The twin at its start: a short window, so that laboratory results go back to sparse snapshots and the journal."""
    return heater_twin(window=pt.Window(seconds=40.0, n=6, every=60.0, n_sparse=6), method=pt.ExtendedKalman(), seed=3)


def follow(path, file):
    """Go through the stream from where the journal says; the twin at its end."""
    model, calls = heater_block(), stream()
    with Journal(path) as journal:
        twin = journal.resume(ASSET, model)
        if twin is None:
            twin = begin()
            journal.save_state(ASSET, twin, reached=0)
        reached = journal.positions(ASSET).get("source", 0)
        for k in range(max(reached - AGAIN, 0), len(calls)):
            journal.append(ASSET, calls[k], {"source": max(reached, k + 1)})
            twin, _ = pt.assimilate(twin, calls[k], budget=None, journal=journal.of(ASSET))
            if k % EVERY == EVERY - 1:
                journal.save_state(ASSET, twin, reached=journal.reached(ASSET))
                twin.save(file, keep=2)
        journal.save_state(ASSET, twin, reached=journal.reached(ASSET))
    return twin


def main():
    heater_block()
    follow(sys.argv[1], sys.argv[1] + ".nc")  # everything is loaded and compiled before the first life
    began = time.perf_counter()
    twin = follow(sys.argv[2], sys.argv[2] + ".nc")
    sys.stdout.write(f"{twin.digest} {time.perf_counter() - began}\n")
    sys.stdout.flush()
    child = 0
    for line in sys.stdin:
        command, *rest = line.split()
        if command == "live":
            child = os.fork()
            if not child:
                follow(*rest)
                os._exit(0)
            answer = child
        else:
            _, status = os.waitpid(child, 0)
            if not os.WIFSIGNALED(status) and os.waitstatus_to_exitcode(status):
                raise SystemExit("a life ended with an error of its own")
            answer = os.WTERMSIG(status) if os.WIFSIGNALED(status) else 0
        sys.stdout.write(f"{answer}\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
