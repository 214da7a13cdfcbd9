"""Facts as rows: layers, cost, audit, forgetting. Nothing is drawn here."""

from ftkit.report.auditing import Audit, audit
from ftkit.report.costs import Cost, cost
from ftkit.report.forgotten import forgetting
from ftkit.report.layer_table import layers

__all__ = ["Audit", "Cost", "audit", "cost", "forgetting", "layers"]
