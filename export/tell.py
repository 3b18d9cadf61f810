"""What an export knows in the end → the report's page."""

from __future__ import annotations

from dataclasses import dataclass

from edge.choice.keys import installed_versions
from edge.manifest import Manifest
from export.convert.workshop import Workshop
from export.judge import sensitivity
from export.judge.evaluator import Evaluator
from export.judge.mend import Mended
from export.progress import Progress
from export.report import ReportContent, write_report
from export.report.latency import measure_latency
from export.request import Request
from export.write_bundle import TOOLS, command_line

_SENSITIVITY_PICTURES = 8


@dataclass(frozen=True, slots=True)
class Told:
    """Everything that an export found out; ``too_heavy``: candidates that were not made, with the reason; ``manifest`` is None where
    nothing was written."""

    workshop: Workshop
    evaluator: Evaluator
    mended: Mended
    too_heavy: dict[str, str]
    manifest: Manifest | None


def report(request: Request, told: Told, progress: Progress) -> None:
    """Write ``request.report``: every candidate tried, written or not, while their files still exist.

    Raises:
        SinkError: it cannot be written.
    """
    assert request.report is not None  # the caller asked
    workshop, evaluator, mended, manifest = told.workshop, told.evaluator, told.mended, told.manifest
    model, exam = workshop.model, evaluator.exams[-1]
    errors = mended.errors
    if not errors and any(draft.plan.arithmetic == "int8" for draft in mended.drafts):
        pictures = workshop.images[:_SENSITIVITY_PICTURES]
        errors = tuple(sensitivity.measure(model, pictures, progress=progress))
    outcome = f"written to {request.out.name}" if manifest else "nothing was written: no candidate passes its gate"
    content = ReportContent(
        model=model.name,
        command=command_line(request),
        outcome=outcome,
        drafts=mended.drafts,
        too_heavy=told.too_heavy,
        labels=model.labels,
        images=exam.images,
        float_logits=exam.expected,
        candidate_logits={draft.plan.name: evaluator.answers(draft) for draft in mended.drafts if draft.candidate.quality},
        source=exam.source,
        truth=exam.truth,
        sensitivity=errors,
        latency=measure_latency(mended.drafts, task=model.task, threads=1, progress=progress),
        repairs=mended.steps,
        manifest=manifest,
        tools=installed_versions(TOOLS),
        bundle=request.out.name if manifest else None,
    )
    write_report(request.report, content, replace=request.replace)
