"""Reports: a calibration and an envelope as one HTML file that stands alone."""

from physics_twin.report.document import write_report

__all__ = ["write_report"]
