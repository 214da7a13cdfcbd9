"""Facts as rows: layers, cost, audit, forgetting, calibration, memorisation, mixed weights. Nothing is drawn here."""

from ftkit.report.auditing import Audit, audit
from ftkit.report.calibration import Calibration, apply_temperature, calibration, fit_temperature
from ftkit.report.costs import Cost, cost
from ftkit.report.forgotten import forgetting
from ftkit.report.intelligible import intelligibility
from ftkit.report.layer_table import layers
from ftkit.report.memorised import Memorised, memorised
from ftkit.report.next_tokens import NextTokens, next_tokens
from ftkit.report.weight_change import WeightChange, weight_changes
from ftkit.report.wise import WiseFT, interpolate, wise_ft

__all__ = ["Audit", "Calibration", "Cost", "Memorised", "NextTokens", "WeightChange", "WiseFT", "apply_temperature",
           "audit", "calibration", "cost", "fit_temperature", "forgetting", "intelligibility", "interpolate",
           "layers", "memorised", "next_tokens", "weight_changes", "wise_ft"]
