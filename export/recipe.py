"""The order of an export, visible in one place: load → convert → judge → repair → write."""

from __future__ import annotations

import logging
import tempfile
from dataclasses import dataclass, replace
from pathlib import Path

from edge.errors import GateError
from edge.files import refuse_occupied
from edge.manifest import MANIFEST_NAME, Manifest
from export import candidates, pictures
from export.candidates import Draft
from export.convert.all import convert_one
from export.convert.workshop import Workshop
from export.judge.budget import nothing_left, refuse_if_over, too_heavy
from export.judge.evaluator import Evaluator
from export.judge.naming import deliberate
from export.judge.repair import BEFORE, RepairedDrafts, RepairLimits, repair_drafts
from export.load.assemble import load as load_model
from export.progress import Progress
from export.request import REPORT_PAGE, Request
from export.write_bundle import write

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class ExportResult:
    """The manifest as written, every candidate that was tried, what repairs did to each that needed one, why a candidate was too heavy
    to be made at all, and how many calibration pictures could not be read."""

    manifest: Manifest
    drafts: tuple[Draft, ...]
    steps: dict[str, tuple[str, ...]]
    too_heavy: dict[str, str]
    skipped: int


def export(request: Request, progress: Progress) -> ExportResult:
    """Put a network into a bundle at ``request.out``; nothing is written unless at least one candidate passes its gate.

    Raises:
        UsageError, InputMissingError, DataError: the request or its pictures cannot be used.
        BundleError: every candidate is over the budget, with its heaviest layers.
        GateError: no candidate passes, with a table of what was tried.
        SinkError: the bundle or the report cannot be written.
    """
    request.check()
    plans = candidates.choose(request.candidates)
    refuse_occupied(request.out, mark=MANIFEST_NAME, replace=request.replace)  # the writers would say so too, after minutes
    if request.report is not None:
        refuse_occupied(request.report, mark=REPORT_PAGE, replace=request.replace)
    model = load_model(request.model)
    heavy = too_heavy(model, plans, request.budget_bytes)
    plans = tuple(plan for plan in plans if plan.name not in heavy)
    if not plans:
        raise nothing_left([*heavy.values()])
    split = pictures.gather(request, model)
    evaluator = Evaluator(model, pictures.evaluation_sets(request, model, split, progress), request.gate, progress)
    with tempfile.TemporaryDirectory(prefix="shelfcam-") as scratch:
        folder = Path(scratch)
        workshop = Workshop(model, split.calibration.images, progress)
        planned = [_convert(workshop, plan, folder) for plan in plans]
        over = [draft for draft in (refuse_if_over(draft, request.budget_bytes) for draft in planned) if draft]
        judged = [evaluator.judge(draft) for draft in planned if draft.candidate.model_file.bytes <= request.budget_bytes]
        if not judged:
            raise nothing_left([*heavy.values(), *(draft.verdict for draft in over)])
        limits = RepairLimits(request.strategy, request.budget_bytes, folder / "repair")
        repaired = repair_drafts(judged, workshop, evaluator, limits, progress)
        repaired = replace(repaired, drafts=(*repaired.drafts, *over))
        passing = [draft for draft in repaired.drafts if draft.passes]
        manifest = None
        if passing:
            manifest = write(request, model, split, evaluator, passing)
        if request.report is not None:
            from export.write_report import ExportFindings, report  # plots and timings are loaded only for whom they are asked

            report(request, ExportFindings(workshop, evaluator, repaired, heavy, manifest), progress)
    if manifest is None:
        raise _none_passes(repaired)
    for reason in heavy.values():
        log.warning("left out of the bundle: %s", reason)
    for draft in repaired.drafts:
        if draft.plan.name.endswith(BEFORE):
            log.warning("%s was made again with another recipe: %s", draft.plan.name.removesuffix(BEFORE), draft.verdict)
        elif not draft.passes:
            log.warning("%s is left out of the bundle: %s", draft.plan.name, draft.verdict)
    return ExportResult(manifest, repaired.drafts, repaired.steps, heavy, split.skipped)


def _convert(workshop: Workshop, plan: candidates.Plan, folder: Path) -> Draft:
    options = plan.default_options()
    draft = convert_one(workshop, plan, options, folder)
    return draft if options is None else deliberate(draft, options)


def _none_passes(repaired: RepairedDrafts) -> GateError:
    lines = []
    for draft in repaired.drafts:
        lines.append(f"  {draft.plan.name:20}{draft.candidate.model_file.bytes:>12,} bytes  {draft.verdict}")
        for step in repaired.steps.get(draft.plan.name, ()):
            lines.append(f"      {step}" if step.startswith("gate") else f"    tried {step}")
    worst = [f"{error.layer} ({error.sqnr_db:.1f} dB)" for error in repaired.errors[:3]]
    if worst:
        lines.append(f"  layers that lose most by 8 bits: {', '.join(worst)}")
    return GateError(
        "no candidate answers like the float network:",
        details=lines,
        fix="calibrate on more and better photos; --strategy thorough tries more; --min-cosine, --min-agreement and --max-drop "
        "move the gate",
    )
