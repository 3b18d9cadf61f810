"""What an export knows in the end → the report's page."""

from __future__ import annotations

from dataclasses import dataclass

from edge.choice.keys import installed_versions
from edge.manifest import Manifest
from export.convert.workshop import Workshop
from export.judge import sensitivity
from export.judge.evaluator import Evaluator
from export.judge.repair import RepairedDrafts
from export.progress import Progress
from export.report import ReportContent, write_report
from export.report.latency import measure_latency
from export.request import Request
from export.write_bundle import TOOLS, command_line

_SENSITIVITY_PICTURES = 8


@dataclass(frozen=True, slots=True)
class ExportFindings:
    """Everything that an export found out; ``too_heavy``: candidates that were not made, with the reason; ``manifest`` is None where
    nothing was written."""

    workshop: Workshop
    evaluator: Evaluator
    repaired: RepairedDrafts
    too_heavy: dict[str, str]
    manifest: Manifest | None


def report(request: Request, findings: ExportFindings, progress: Progress) -> None:
    """Write ``request.report``: every candidate tried, written or not, while their files still exist.

    Raises:
        SinkError: it cannot be written.
    """
    assert request.report is not None  # the caller asked
    workshop, evaluator, repaired, manifest = findings.workshop, findings.evaluator, findings.repaired, findings.manifest
    model, evaluation_set = workshop.model, evaluator.sets[-1]
    errors = repaired.errors
    if not errors and any(draft.plan.arithmetic == "int8" for draft in repaired.drafts):
        pictures = workshop.images[:_SENSITIVITY_PICTURES]
        errors = tuple(sensitivity.measure(model, pictures, progress=progress))
    outcome = f"written to {request.out.name}" if manifest else "nothing was written: no candidate passes its gate"
    content = ReportContent(
        model=model.name,
        command=command_line(request),
        outcome=outcome,
        drafts=repaired.drafts,
        too_heavy=findings.too_heavy,
        labels=model.labels,
        images=evaluation_set.images,
        float_logits=evaluation_set.expected,
        candidate_logits={draft.plan.name: evaluator.answers(draft) for draft in repaired.drafts if draft.candidate.quality},
        source=evaluation_set.source,
        truth=evaluation_set.truth,
        sensitivity=errors,
        latency=measure_latency(repaired.drafts, task=model.task, threads=1, progress=progress),
        repairs=repaired.steps,
        manifest=manifest,
        tools=installed_versions(TOOLS),
        bundle=request.out.name if manifest else None,
    )
    write_report(request.report, content, replace=request.replace)
