"""Is a bundle that was made again the one that is kept? ``python -m export.compare NEW KEPT`` (``make export``).

Files are not compared byte by byte: another CPU or library version rounds differently. What a camera depends on is: the same labels,
the same inputs and outputs, the same float network, and candidates as good as before within the tolerances below.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from pathlib import Path

import msgspec
import numpy as np

from edge import console
from edge.bundle.golden import GoldenSet
from edge.bundle.limits import WORKSTATION
from edge.bundle.reader import Bundle, open_bundle
from edge.errors import ExitCode, ShelfcamError
from edge.manifest import Answer, Candidate, Gate, Model, Quality
from edge.tasks import task_of

COSINE_TOLERANCE = 0.01
AGREEMENT_TOLERANCE = 0.05
"""Three of 64 golden pictures, rounded up: drawn scenes have close runners-up, and a rounding step moves a few of them."""
BYTES_TOLERANCE = 0.02
FLOAT_COSINE_MIN = 0.9999
GOLDEN_PIXEL_TOLERANCE = 2.0
"""Mean absolute difference of the golden pictures, in grey levels: OpenCV's drawing differs a little between versions."""


def differences(new: Bundle, kept: Bundle) -> Iterator[str]:
    """A line for everything that differs beyond its tolerance. Raises BundleError if a bundle is damaged."""
    for bundle in (new, kept):
        bundle.verify()
    ours, theirs = ({m.name: m for m in b.manifest.models} for b in (new, kept))
    if ours.keys() != theirs.keys():
        yield f"models: {', '.join(ours)} instead of {', '.join(theirs)}"
    for name in ours.keys() & theirs.keys():
        yield from _model_differences(new, ours[name], kept, theirs[name])


def _model_differences(new: Bundle, model: Model, kept: Bundle, old: Model) -> Iterator[str]:
    if [a.name for a in model.answers] != [a.name for a in old.answers]:
        yield f"{model.name}: answers {', '.join(a.name for a in model.answers)} instead of {', '.join(a.name for a in old.answers)}"
        return
    for one, other in zip(model.answers, old.answers, strict=True):
        where = f"{model.name}.{one.name}"
        if new.labels(one) != kept.labels(other):
            yield f"{where}: labels differ"
        if _rule(one.gate) != _rule(other.gate):
            yield f"{where}: gate {one.gate} instead of {other.gate}"
        yield from _golden_differences(new.golden(model, one), kept.golden(old, other), one, where)
    ours, theirs = ({c.name: c for c in m.candidates} for m in (model, old))
    if ours.keys() != theirs.keys():
        yield f"{model.name}: candidates {', '.join(ours)} instead of {', '.join(theirs)}"
    for name in ours.keys() & theirs.keys():
        yield from _candidate_differences(ours[name], theirs[name])


def _rule(gate: Gate | None) -> Gate | None:
    """Without the limit that follows from a few photos' answers, which another CPU may turn."""
    return None if gate is None else msgspec.structs.replace(gate, accuracy_min=None)


def _golden_differences(ours: GoldenSet | None, theirs: GoldenSet | None, answer: Answer, where: str) -> Iterator[str]:
    if ours is None or theirs is None or ours.images.shape != theirs.images.shape:
        yield f"{where}: golden set missing, or of another size"
        return
    moved = float(np.abs(ours.images.astype(np.int16) - theirs.images.astype(np.int16)).mean())
    if moved > GOLDEN_PIXEL_TOLERANCE:
        yield f"{where}: golden pictures differ by {moved:.2f} grey levels on average"
    cosine = task_of(answer.task).compare(ours.expected, theirs.expected, answer).logit_cosine
    if cosine < FLOAT_COSINE_MIN and moved == 0:
        yield f"{where}: what the float network says of the golden pictures differs: cosine {cosine:.5f}"


def _candidate_differences(new: Candidate, old: Candidate) -> Iterator[str]:
    for what in ("format", "precision", "input", "outputs", "runtime_options", "requires", "weights", "macs"):
        if getattr(new, what) != getattr(old, what):
            yield f"{new.name}: {what} {getattr(new, what)} instead of {getattr(old, what)}"
    if abs(new.model_file.bytes / old.model_file.bytes - 1) > BYTES_TOLERANCE:
        yield f"{new.name}: {new.model_file.bytes:,} bytes instead of {old.model_file.bytes:,}"
    ours, theirs = (_by_source(c.quality) for c in (new, old))
    for source in ours.keys() & theirs.keys():
        drop = theirs[source].logit_cosine - ours[source].logit_cosine
        if drop > COSINE_TOLERANCE:
            yield f"{new.name}: logit cosine on {source} fell by {drop:.4f} to {ours[source].logit_cosine:.4f}"
        fall = theirs[source].top1_agreement - ours[source].top1_agreement
        if fall > AGREEMENT_TOLERANCE:
            yield f"{new.name}: top-1 agreement on {source} fell by {fall:.3f} to {ours[source].top1_agreement:.3f}"


def _by_source(rows: tuple[Quality, ...]) -> dict[str, Quality]:
    """The first row of each source: the arithmetic that the gate judged by."""
    return {row.source: row for row in reversed(rows)}


def main(argv: list[str]) -> int:
    """0: the same; 65: not, with a line a difference."""
    parser = argparse.ArgumentParser(
        prog="python -m export.compare", description="Compare a new bundle with the one that is kept."
    )
    parser.add_argument("new", type=Path)
    parser.add_argument("kept", type=Path)
    given = parser.parse_args(argv)
    try:
        new, kept = open_bundle(given.new, WORKSTATION), open_bundle(given.kept, WORKSTATION)
        found = list(differences(new, kept))
    except ShelfcamError as error:
        console.print_error(f"compare: {error}")
        return error.exit_code
    for line in found:
        console.print_error(f"differs: {line}")
    if found:
        return ExitCode.DATA
    rows = [(c.name, f"{c.model_file.bytes:,}", *_both(c, kept, m)) for m in new.manifest.models for c in m.candidates]
    console.print_table("The same within tolerance (new / kept)", ["candidate", ">bytes", ">cosine", ">agreement"], rows)
    return ExitCode.OK


def _both(candidate: Candidate, kept: Bundle, model: Model) -> tuple[str, str]:
    old = next(c for m in kept.manifest.models if m.name == model.name for c in m.candidates if c.name == candidate.name)
    ours, theirs = candidate.quality[0], old.quality[0]
    return (
        f"{ours.logit_cosine:.4f} / {theirs.logit_cosine:.4f}",
        f"{ours.top1_agreement:.3f} / {theirs.top1_agreement:.3f}",
    )


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
