"""Facts as rows: layers, cost, audit, forgetting, calibration. Nothing is drawn here."""

from ftkit.report.auditing import Audit, audit
from ftkit.report.calibration import Calibration, apply_temperature, calibration, fit_temperature
from ftkit.report.costs import Cost, cost
from ftkit.report.forgotten import forgetting
from ftkit.report.layer_table import layers

__all__ = ["Audit", "Calibration", "Cost", "apply_temperature", "audit", "calibration", "cost", "fit_temperature",
           "forgetting", "layers"]
