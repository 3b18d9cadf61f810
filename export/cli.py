"""``shelfcam export``, and what else this package adds to the command line. Imports nothing heavy until a command runs."""

from __future__ import annotations

import math
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Annotated, Any, Literal

from cyclopts import App, Parameter

from edge import console
from edge.commands import options
from edge.errors import UsageError
from edge.manifest import Candidate, Gate
from export.judge.defaults import (
    ACCURACY_DROP_MAX,
    ACCURACY_SHARE_MIN,
    DEFAULT_STRATEGY,
    LOGIT_COSINE_MIN,
    TOP1_AGREEMENT_MIN,
    Strategy,
)
from export.load.options import NO_OPTIONS, ModelOptions

if TYPE_CHECKING:
    from export.recipe import ExportResult

_BYTES_PER_MB = 1_000_000
_POINTS = 100


def register(app: App) -> None:
    """Add this package's commands to ``app``, by import path: called by ``edge.cli`` through an entry point."""
    app.command("export.cli:export_command", name="export")
    app.command("export.train.finetune_cli:finetune_command", name="finetune")
    app.command("export.train.prune_cli:prune_command", name="prune")
    app.command("export.inspect.cli:inspect_command", name="inspect")
    app.command("export.explain.cli:explain_command", name="explain")
    app["bundle"].command("export.wrap.cli:wrap_command", name="wrap")


def export_command(
    spec: Annotated[
        str,
        Parameter(help="A network's name, package.module:factory, or a .pt2 or TorchScript file; as in efficientnet_lite0."),
    ],
    /,
    *,
    calibration: Annotated[
        str, Parameter(help="Directory of photos like those of the camera; or skimage: the photos of that package.")
    ],
    out: Annotated[Path, Parameter(help="Bundle directory to make.")],
    network: ModelOptions = NO_OPTIONS,
    calibration_list: Annotated[
        Path | None, Parameter(help="CSV with the column path: only these below the calibration directory.")
    ] = None,
    calibration_count: Annotated[int, Parameter(help="At most so many calibration photos are used.")] = 100,
    held_out: Annotated[
        Path | None, Parameter(help="Photos to judge on; without it a third of the calibration directory.")
    ] = None,
    held_out_labels: Annotated[
        Path | None, Parameter(help="CSV with the columns path,label: only these below --held-out, judged by accuracy too.")
    ] = None,
    held_out_count: Annotated[
        int | None, Parameter(help="At most so many photos judge; without it all of the list, or 100.")
    ] = None,
    golden: Annotated[
        Literal["held_out", "rendered"], Parameter(help="Pictures that go into the bundle: your photos, or drawn scenes.")
    ] = "held_out",
    golden_count: Annotated[int, Parameter(help="How many of them, at least 64.")] = 64,
    candidates: Annotated[
        str, Parameter(help="Only these, with commas, as in onnx-int8,tflite-int8-full; all: every one there is.")
    ] = "",
    budget_mb: Annotated[float, Parameter(help="No file may be larger; 1 MB is 1,000,000 bytes.")] = 20.0,
    min_cosine: Annotated[float, Parameter(help="Gate: mean cosine of logits with the float network.")] = LOGIT_COSINE_MIN,
    min_agreement: Annotated[
        float, Parameter(help="Gate: share of pictures with the float network's best class.")
    ] = TOP1_AGREEMENT_MIN,
    max_drop: Annotated[
        float, Parameter(help="Gate: points of top-1 below the float network, where labels are known; 98 % of it in any case.")
    ] = ACCURACY_DROP_MAX * 100,
    strategy: Annotated[
        Strategy,
        Parameter(help="fast: one recipe; balanced: repair what fails its gate; thorough: try more, and improve what passes."),
    ] = DEFAULT_STRATEGY,
    report: Annotated[Path | None, Parameter(help="Directory to make with a page about everything that was tried.")] = None,
    force: options.ForceOption = False,
    json: options.JsonOption = False,
) -> None:
    """Put a PyTorch network into a bundle: float and 8-bit, ONNX and TFLite, each compared with the original.

    A candidate that is over the budget or fails its gate is left out; if none is left, exit code 65 and nothing written.

    **Examples**

        shelfcam export efficientnet_lite0 --pretrained --calibration photos --out bundle
        shelfcam export my_shop.nets:build --weights best.pt --labels goods.txt --calibration photos \\
            --held-out test --held-out-labels test.csv --report report --out bundle
        shelfcam export efficientnet_lite0 --pretrained --calibration skimage --golden rendered --out bundle
    """
    request = {
        "model": network.spec(spec),
        "out": out,
        "calibration": calibration,
        "calibration_list": calibration_list,
        "calibration_count": calibration_count,
        "held_out": held_out,
        "held_out_labels": held_out_labels,
        "held_out_count": held_out_count,
        "golden": golden,
        "golden_count": golden_count,
        "candidates": tuple(word.strip() for word in candidates.split(",") if word.strip()),
        "budget_bytes": _budget_bytes(budget_mb),
        "gate": _gate(min_cosine, min_agreement, max_drop),
        "strategy": strategy,
        "report": report,
        "seed": network.seed,
        "replace": force,
    }
    result = _run(request)
    if json:
        console.print_json(summary(result))
    else:
        _print(result, out)


def _budget_bytes(budget_mb: float) -> int:
    if not math.isfinite(budget_mb) or budget_mb <= 0:
        raise UsageError(f"--budget-mb {budget_mb} must be a number greater than 0")
    return round(budget_mb * _BYTES_PER_MB)


def summary(result: ExportResult) -> dict[str, Any]:
    """The result for programs: the manifest, each candidate with its verdict, and what repairs tried."""
    tried = [
        {
            "candidate": draft.plan.name,
            "bytes": draft.candidate.model_file.bytes,
            "precision": draft.candidate.precision,
            "int8_mac_share": draft.candidate.int8_mac_share,
            "weights": draft.candidate.weights,
            "quality": draft.candidate.quality,
            "recipe": draft.candidate.recipe,
            "passes": draft.passes,
            "verdict": draft.verdict,
        }
        for draft in result.drafts
    ]
    return {
        "tried": tried,
        "repairs": result.steps,
        "too_heavy": result.too_heavy,
        "pictures_skipped": result.skipped,
        "manifest": result.manifest,
    }


def _run(request: dict[str, Any]) -> ExportResult:
    from export.load.model import need_torch

    need_torch()
    from export import recipe
    from export.request import Request

    with console.progress() as bars, stoppable():
        return recipe.export(Request(**request), console.Bars(bars))


def _gate(min_cosine: float, min_agreement: float, max_drop: float) -> Gate:
    if not -1 <= min_cosine <= 1 or not 0 <= min_agreement <= 1:
        raise UsageError(f"--min-cosine {min_cosine} must lie in -1…1 and --min-agreement {min_agreement} in 0…1")
    if not 0 <= max_drop <= _POINTS:
        raise UsageError(f"--max-drop {max_drop} must lie in 0…100 points")
    return Gate(
        logit_cosine_min=min_cosine,
        top1_agreement_min=min_agreement,
        accuracy_drop_max=max_drop / _POINTS,
        accuracy_share_min=ACCURACY_SHARE_MIN,
    )


def _print(result: ExportResult, out: Path) -> None:
    rows = []
    labelled = any(row.accuracy is not None for draft in result.drafts for row in draft.candidate.quality)
    for draft in result.drafts:
        candidate, first = draft.candidate, next(iter(draft.candidate.quality), None)  # over the budget: not judged
        weights = f"{candidate.weights.tensors_8bit}/{candidate.weights.tensors}"
        share, verdict = f"{candidate.int8_mac_share:.1%}", "passes" if draft.passes else f"left out: {draft.verdict}"
        size = f"{candidate.model_file.bytes:,}"
        measured = ("–", "–") if first is None else (f"{first.logit_cosine:.4f}", f"{first.top1_agreement:.3f}")
        row = [draft.plan.name, size, share, weights, *measured]
        rows.append([*row, *([_accuracy(candidate)] if labelled else []), verdict])
    columns = ["candidate", ">bytes", ">8-bit MACs", ">8-bit weights", ">cosine", ">agreement"]
    columns += [">accuracy / float", "verdict"] if labelled else ["verdict"]
    rows += [[name, *["–"] * (len(columns) - 2), f"not made: {reason}"] for name, reason in result.too_heavy.items()]
    first = next(draft.candidate.quality[0] for draft in result.drafts if draft.candidate.quality)
    console.print_table(f"{out}: against the float network on {first.images} {first.source} pictures", columns, rows)
    for name, steps in result.steps.items():
        console.print_line(f"repair of {name}:")
        for step in steps:
            console.print_line(f"  {step}")


def _accuracy(candidate: Candidate) -> str:
    row = next((q for q in candidate.quality if q.accuracy is not None and q.float_accuracy is not None), None)
    return "" if row is None else f"{row.accuracy:.1%} / {row.float_accuracy:.1%} of {row.images}"


@contextmanager
def stoppable() -> Iterator[None]:
    """SIGTERM ends a long command as Ctrl-C does: by an exception, so that whatever it had begun to write is taken away again.

    Inside the block it raises KeyboardInterrupt in the main thread; outside the main thread nothing changes.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGTERM, _stop)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _stop(number: int, frame: FrameType | None) -> None:  # noqa: ARG001 - the signal module's
    signal.signal(signal.SIGTERM, signal.SIG_IGN)  # a second one must not interrupt the tidying up
    raise KeyboardInterrupt
