"""One page about an export: what was tried, what it costs, where the weights and the errors are, and where 8-bit answers differ."""

from __future__ import annotations

from export.report.content import Latency, LayerErrorLike, ReportContent
from export.report.write import write_report

__all__ = ["Latency", "LayerErrorLike", "ReportContent", "write_report"]
