"""Content → a directory with one HTML page, and its pictures as files beside it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import cv2

from edge.data import U8Image
from edge.errors import SinkError
from edge.files import staged_directory
from export.inspect.describe import read_layers
from export.report import figures, page
from export.report.content import ReportContent
from export.report.rows import CandidateRow, candidate_rows, disagreements, eight_bit, float_accuracy, float_partner
from export.request import REPORT_PAGE

_PICTURES_MAX = 12
_BYTES_PER_MB = 1_000_000


def write_report(directory: Path, content: ReportContent, *, replace: bool = False) -> Path:
    """Write the page, whole or not at all; it needs none of the files beside it.

    Returns:
        The page's path.

    Raises:
        SinkError: the directory is not empty (unless it is an earlier report and ``replace``), or cannot be written.
        BundleError: a candidate's file is not what it was.
    """
    rows = candidate_rows(content)
    with staged_directory(directory, mark=REPORT_PAGE, replace=replace) as stage:
        keep = _Keep(stage)
        body = [
            page.header(content),
            page.candidates(rows, content.too_heavy, float_accuracy(content)),
            _costs(keep, rows, content),
            _sizes(keep, content),
            _sensitivity(keep, content),
            _pictures(keep, content),
        ]
        (stage / REPORT_PAGE).write_text(page.document(f"shelfcam export of {content.model}", body), encoding="utf-8")
    return directory / REPORT_PAGE


class _Keep:
    """Writes a picture as a file and hands it on."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    def __call__(self, name: str, png: bytes) -> bytes:
        (self._directory / name).write_bytes(png)
        return png


def _costs(keep: _Keep, rows: Sequence[CandidateRow], content: ReportContent) -> str:
    known = any(row.accuracy is not None for row in rows)
    what = "accuracy" if known else "agreement with the float network"
    reference = float_accuracy(content) if known else None
    size = {row.name: row.bytes / _BYTES_PER_MB for row in rows}
    plots = [
        page.figure(
            keep("quality-size.png", figures.scatter_png(rows, size, "size of the file, MB", what, reference)),
            f"{what} against size",
        )
    ]
    speed = {row.name: row.latency.p50_ms for row in rows if row.latency is not None and row.latency.p50_ms is not None}
    if speed:
        png = figures.scatter_png(rows, speed, "p50 latency of one picture on this machine, ms", what, reference)
        plots.append(page.figure(keep("quality-latency.png", png), f"{what} against latency"))
    missing = "" if speed else page.note("Latency was not measured.")
    return page.section("What each candidate costs", page.pair(*plots), missing)


def _sizes(keep: _Keep, content: ReportContent) -> str:
    draft = eight_bit(content) or (content.drafts[0] if content.drafts else None)
    if draft is None:
        return ""
    partner = float_partner(content, draft)
    partner = None if partner is draft else partner
    sizes = figures.pair_sizes(read_layers(draft.path), read_layers(partner.path) if partner is not None else [])
    if not sizes:
        return page.section("Size per layer", page.note(f"{draft.plan.name} has no layer that multiplies."))
    png = figures.sizes_png(sizes, draft.plan.name, partner.plan.name if partner is not None else None)
    caption = f"weights and biases per layer, in the order they run: {draft.plan.name}"
    return page.section("Size per layer", page.figure(keep("sizes.png", png), caption))


def _sensitivity(keep: _Keep, content: ReportContent) -> str:
    if not content.sensitivity:
        return page.section("Sensitivity per layer", page.note("Not measured: no candidate needed it."))
    png = keep("sensitivity.png", figures.sensitivity_png(content.sensitivity))
    return page.section("Sensitivity per layer", page.figure(png, "which layers quantization hurts most, the worst first"))


def _pictures(keep: _Keep, content: ReportContent) -> str:
    title = "Where 8-bit and float disagree"
    if not content.labels:
        return page.section(title, page.note("The network has no classes to disagree about."))
    draft = eight_bit(content)
    if draft is None or draft.plan.name not in content.candidate_logits:
        return page.section(title, page.note("There are no answers of an 8-bit candidate to compare."))
    found, total = disagreements(content, draft.plan.name, most=_PICTURES_MAX)
    if not found:
        return page.section(
            title, page.note(f"{draft.plan.name} and the float network agree on all {len(content.images)} pictures.")
        )
    pictures = {item.picture: keep(f"picture-{item.picture:04d}.png", _png(content.images[item.picture])) for item in found}
    warning = "This page and the files beside it hold photos from the held-out set: pass them on only if those may be."
    shown = (
        f"{total} of {len(content.images)} pictures; {len(found)} are shown, those first of which the float network is surest."
    )
    warn = page.note(warning, warn=True) if content.source == "held_out" else ""
    return page.section(title, warn, page.note(shown), page.cards(found, pictures, draft.plan.name))


def _png(image: U8Image) -> bytes:
    done, encoded = cv2.imencode(".png", cv2.cvtColor(image, cv2.COLOR_RGB2BGR))
    if not done:
        raise SinkError("a picture of the report cannot be encoded as PNG")
    return encoded.tobytes()
