"""The decision itself: pure functions over what was measured."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from edge.choice.places import label
from edge.data import Provider
from edge.gate import Measured, judge
from edge.manifest import Candidate, Model


class ProbeResult(msgspec.Struct, frozen=True, kw_only=True):
    """One candidate as it runs on this machine. ``latency_ms``: every timed inference of one crop, in order; ``judged``: by its name, what
    each answer that has a golden set reached; ``failure`` says why a candidate cannot run there at all, with the ``fix`` where one is
    known, and what that is the fault of: ``unavailable``, the runtime here; ``missing``, the place itself cannot be had; ``killed``, the
    candidate went beyond the limits of its process. ``available``: the places that the runtime which ran it has; ``bundle``: the hash of
    the one that was opened."""

    candidate: str
    place: Provider = "cpu"
    runtime: str = ""
    provider: str = ""
    available: tuple[Provider, ...] = ()
    latency_ms: tuple[float, ...] = ()
    judged: dict[str, Measured] = msgspec.field(default_factory=dict)
    failure: str | None = None
    fix: str | None = None
    unavailable: bool = False
    missing: bool = False
    killed: bool = False
    bundle: str = ""


class Row(msgspec.Struct, frozen=True, kw_only=True):
    """A line of the table: ``passes`` the gate here, with ``margin`` (share of the way from threshold to perfect) and ``reason``.

    ``logit_cosine`` and ``top1_agreement``: of the answer that comes closest to missing its gate.
    ``place``: where it ran; ``missing``: that cannot be had on this machine at all. Rows that an earlier version stored say neither.
    """

    candidate: str
    precision: str
    bytes: int
    p50_ms: float | None
    p90_ms: float | None
    logit_cosine: float | None
    top1_agreement: float | None
    passes: bool
    margin: float | None
    reason: str
    runtime: str
    place: Provider = "cpu"
    missing: bool = False


class Choice(msgspec.Struct, frozen=True, kw_only=True):
    """What to run and why; ``rows`` is what the decision was taken from."""

    candidate: str
    reason: str
    rows: tuple[Row, ...]
    place: Provider = "cpu"


def make_row(candidate: Candidate, probes: Sequence[ProbeResult], model: Model) -> Row:
    """Sum up the rounds of one candidate: the median of its rounds' medians, and the gate's verdict on its first round."""
    first = probes[0]
    failure = next((p.failure for p in probes if p.failure), None)
    timed = [sorted(p.latency_ms) for p in probes if p.latency_ms]
    passes, margin, reason, narrowest = _verdict(first, failure, model)
    return Row(
        candidate=candidate.name,
        precision=candidate.precision,
        bytes=candidate.model_file.bytes,
        p50_ms=_quantile([_quantile(t, 0.5) for t in timed], 0.5) if timed else None,
        p90_ms=_quantile([_quantile(t, 0.9) for t in timed], 0.5) if timed else None,
        logit_cosine=None if narrowest is None else narrowest.logit_cosine,
        top1_agreement=None if narrowest is None else narrowest.top1_agreement,
        passes=passes,
        margin=margin,
        reason=reason,
        runtime=first.runtime,
        place=first.place,
        missing=first.missing,
    )


def pick(rows: Sequence[Row]) -> Choice | None:
    """The fastest that passes; None if none does. Equal speed: the one with the wider margin."""
    able = [(row.p50_ms, -(row.margin or 0.0), row) for row in rows if row.passes and row.p50_ms is not None]
    if not able:
        return None
    able.sort(key=lambda item: item[:2])
    best_ms, _, best = able[0]
    judged = "pass the gate here" if best.margin is not None else "run here, without a golden set to judge by"
    reason = f"fastest of {len(able)} that {judged}: {best_ms:.2f} ms"
    if len(able) > 1:
        next_ms, _, runner_up = able[1]
        reason += f"; next is {label(runner_up.candidate, runner_up.place)}, {next_ms:.2f} ms ({next_ms / best_ms:.2f}×)"
    failed = [f"{label(row.candidate, row.place)}: {row.reason}" for row in rows if not row.passes and not row.missing]
    if failed:
        reason += "; out: " + ", ".join(failed)
    return Choice(candidate=best.candidate, place=best.place, reason=reason, rows=tuple(rows))


def missing_places(rows: Sequence[Row]) -> dict[Provider, str]:
    """Places that could not be had, with the reason, each once."""
    return {row.place: row.reason for row in reversed(rows) if row.missing}


def safe_order(model: Model) -> list[Candidate]:
    """Candidates by the margin that the export measured, the widest first; ones without a measurement last, in their order.

    A candidate measured with several arithmetics counts with its worst.
    """

    gates = {answer.name: answer.gate for answer in model.answers}

    def margin(candidate: Candidate) -> float:
        judged = [(q, gates[q.answer]) for q in candidate.quality if q.answer in gates]
        return min(
            (
                judge(Measured(q.images, q.logit_cosine, q.top1_agreement, q.accuracy), gate).margin
                for q, gate in judged
                if gate is not None
            ),
            default=float("-inf"),
        )

    return sorted(model.candidates, key=margin, reverse=True)


def _verdict(probe: ProbeResult, failure: str | None, model: Model) -> tuple[bool, float | None, str, Measured | None]:
    """Whether it passes, with which margin, why, and what of it came closest to missing its gate."""
    verdicts = [
        (answer.name, judge(probe.judged[answer.name], answer.gate), probe.judged[answer.name])
        for answer in model.answers
        if answer.gate is not None and answer.name in probe.judged
    ]
    _, narrowest, measured = min(verdicts, key=lambda item: item[1].margin, default=(None, None, None))
    if failure is not None:
        return False, None, failure, measured
    if narrowest is None:
        return True, None, "no golden set to judge by", None
    several = len(model.answers) > 1
    missed = [f"{name}: {verdict.reason}" if several else verdict.reason for name, verdict, _ in verdicts if not verdict.passes]
    return not missed, narrowest.margin, "; ".join(missed) or "passes", measured


def _quantile(values: Sequence[float], q: float) -> float:
    """Nearest-rank quantile of sorted or unsorted values."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(q * len(ordered)))]
