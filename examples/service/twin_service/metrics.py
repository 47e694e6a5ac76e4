"""Numbers of the service for Prometheus."""

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

from twin_service.inbox import Inbox
from twin_service.reports import Update
from twin_service.supervisor import Supervisor

SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0)
STATUSES = ("WAITING", "OK", "DEGRADED", "STALE", "PREDICTION ONLY", "FAILED")


class Metrics:
    """One registry of its own: two services in one process do not mix."""

    def __init__(self) -> None:
        self.registry = own = CollectorRegistry()
        label = ["asset"]
        self.update = Histogram("twin_update_seconds", "One call of assimilate", label, registry=own, buckets=SECONDS)
        self.lag = Gauge("twin_lag_seconds", "Since the last sample that was used", label, registry=own)
        self.nis = Gauge("twin_nis", "Normalized innovation squared over its degrees of freedom", label, registry=own)
        self.pending = Gauge("twin_pending", "Entries and appends that wait", label, registry=own)
        self.unused = Counter("twin_rejected_samples", "Samples compared and not used", label, registry=own)
        self.counts = Gauge("twin_samples", "What became of samples, by kind", ["asset", "kind"], registry=own)
        self.status = Gauge("twin_status", "1 for the present status", ["asset", "status"], registry=own)
        self.quarantine = Gauge("twin_quarantine", "1 where the asset is left out", label, registry=own)
        self.restarts = Gauge("service_worker_restarts", "Since the start", ["worker"], registry=own)
        self.journaled = Gauge("service_journaled_samples", "Durable since the start", registry=own)
        self.commits = Gauge("service_commits", "Of the journal since the start", registry=own)
        self.failures = Gauge("service_failed_commits", "Of the journal since the start", registry=own)
        self.waiting = Gauge("service_waiting_samples", "Not durable yet", registry=own)
        self.future = Gauge("service_future_samples", "Turned away: stamped in the future", label, registry=own)
        self.refused = Gauge("service_refused_messages", "What was no sample", label, registry=own)

    def take(self, update: Update) -> None:
        """Count what a worker has reported."""
        name = update.asset
        for seconds in update.seconds:
            self.update.labels(name).observe(seconds)
        self.lag.labels(name).set(update.lag)
        self.nis.labels(name).set(update.nis)
        self.pending.labels(name).set(update.pending)
        self.unused.labels(name).inc(sum(not point.used for point in update.points))
        for kind, n in update.counts.items():
            self.counts.labels(name, kind).set(n)
        if update.status:
            self.show(name, update.status)

    def show(self, name: str, present: str) -> None:
        """The status of an asset."""
        for status in STATUSES:
            self.status.labels(name, status).set(status == present)

    def text(self, inbox: Inbox, supervisor: Supervisor) -> bytes:
        """As Prometheus reads it."""
        for worker, n in supervisor.restarts.items():
            self.restarts.labels(str(worker)).set(n)
        for name in supervisor.names:
            self.quarantine.labels(name).set(name in supervisor.quarantined)
        counts = inbox.counts
        self.journaled.set(counts.samples)
        self.commits.set(counts.commits)
        self.failures.set(counts.failed_commits)
        self.waiting.set(inbox.n_waiting)
        for name, n in counts.future.items():
            self.future.labels(name).set(n)
        for name, n in counts.refused.items():
            self.refused.labels(name).set(n)
        return generate_latest(self.registry)
