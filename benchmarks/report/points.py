"""Records → points: one network, candidate, runtime, thread count and input size; and those that nothing else beats. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from benchmarks.record.facts import picture_sides
from benchmarks.record.schema import NETWORK_BENCHES, PEAK, Missing, Record, Report, Round, record_id
from edge.errors import DataError

LIMIT_BYTES = 20_000_000
"""The 20 MB that a model on a camera may weigh; MB are 10⁶ bytes, as in every budget of this project."""
SIDE_MIN_PX = 64
"""Networks for smaller pictures (LeNet's digits) are in the tables alone: three decades away from all others, one point would by itself
raise every correlation, flatten every plot and be the whole front."""
_PEAK_OF = {"mixed": "int8", "fp16": "fp32"}  # partly in 8 bits; weights in fp16 that a CPU computes in fp32


@dataclass(frozen=True, slots=True)
class Point:
    """What the plots and the verdict need of a record. ``family`` is None for a network without relatives; ``peak_share`` is
    achieved ÷ peak multiply-accumulates per second, None where no peak of the same runtime, precision and threads was measured."""

    id: str
    network: str
    family: str | None
    candidate: str
    runtime: str
    version: str
    precision: str
    threads: int
    height_px: int
    width_px: int
    bytes: int
    params: int
    macs: int
    activation_bytes: int | None
    accuracy: float | None
    p50_ms: float
    p90_ms: float
    p99_ms: float
    max_ms: float | None
    queries: int
    peak_share: float | None
    peak_memory_bytes: int | None
    rounds: tuple[Round, ...]

    @property
    def mb(self) -> float:
        """Of the file, 10⁶ bytes."""
        return self.bytes / 1e6

    @property
    def size(self) -> str:
        """Height × width of the input in pixels."""
        return f"{self.height_px}×{self.width_px}"

    @property
    def fits(self) -> bool:
        """At most 20 MB."""
        return self.bytes <= LIMIT_BYTES


def points_of(report: Report, *, name: str) -> tuple[list[Point], list[Missing]]:
    """The points of a report, in its order, and everything that should have one and has none, with the reason.

    Args:
        report: of ``bench zoo`` or ``bench latency``, of one machine.
        name: what errors call it: its file.

    Raises:
        DataError: it is a report of another bench, or of several machines.
    """
    if report.bench not in NETWORK_BENCHES:
        raise DataError(f"{name}: is a report of bench {report.bench}", fix=f"give one of bench {' or '.join(NETWORK_BENCHES)}")
    machines = sorted({f"{r.host.board}, {r.host.cpu}" for r in report.records})
    if len(machines) > 1:
        raise DataError(
            f"{name}: holds records of several machines: {'; '.join(machines)}", fix="one report a machine; bench merge"
        )
    peaks = _peaks(report.records)
    points: dict[str, Point] = {}
    missing = list(report.missing)
    for record in report.records:
        if not plotted(record):
            continue
        reason = _unusable(record) or ("measured twice; the first is shown" if _key(record) in points else None)
        if reason is not None:
            missing.append(Missing(name=record_id(record), reason=reason))
        else:
            points[_key(record)] = _point(record, peaks)
    return list(points.values()), missing


def plotted(record: Record) -> bool:
    """Whether it is about a network alone, as its backend answers; else it is a peak, the loop, or a run of minutes."""
    return record.bench in NETWORK_BENCHES


def comparable(points: Iterable[Point]) -> list[Point]:
    """Without the networks for pictures smaller than SIDE_MIN_PX."""
    return [point for point in points if min(point.height_px, point.width_px) >= SIDE_MIN_PX]


def largest(points: Iterable[Point]) -> list[Point]:
    """Of a network that was measured at several input sizes, the points of the largest."""
    found = list(points)
    most: dict[str, int] = {}
    for point in found:
        most[point.network] = max(most.get(point.network, 0), point.height_px * point.width_px)
    return [point for point in found if point.height_px * point.width_px == most[point.network]]


def fastest(points: Iterable[Point]) -> list[Point]:
    """One point a network: of several candidates the one with the lowest median, which is what a camera would choose."""
    best: dict[str, Point] = {}
    for point in points:
        if point.network not in best or point.p50_ms < best[point.network].p50_ms:
            best[point.network] = point
    return list(best.values())


def front(points: Sequence[Point]) -> list[Point]:
    """Points of which no other is as light and as fast and better in one of the two, the lightest first."""
    return sorted(_undominated(points, with_accuracy=False), key=lambda point: (point.bytes, point.p50_ms))


def accurate_front(points: Sequence[Point]) -> list[Point]:
    """Of those whose accuracy is known: none is as light, as fast and as accurate, and better in one of the three."""
    known = [point for point in points if point.accuracy is not None]
    return sorted(_undominated(known, with_accuracy=True), key=lambda point: (point.bytes, point.p50_ms))


def families(points: Sequence[Point], least: int) -> dict[str, list[Point]]:
    """Family → its points, of families with at least ``least`` of them."""
    found: dict[str, list[Point]] = {}
    for point in points:
        if point.family is not None:
            found.setdefault(point.family, []).append(point)
    return {name: members for name, members in found.items() if len(members) >= least}


def _point(record: Record, peaks: dict[tuple[str, str, int], float]) -> Point:
    model, runtime = record.model, record.runtime
    precision = _precision(record)
    height_px, width_px = picture_sides(record.model.input)
    peak = peaks.get((runtime.name, _PEAK_OF.get(precision, precision), runtime.threads))
    p50 = record.p50_ms or 0.0  # _unusable has made sure
    return Point(
        id=record_id(record),
        network=model.network or model.model,
        family=model.family,
        candidate=model.candidate,
        runtime=runtime.name,
        version=runtime.version,
        precision=precision,
        threads=runtime.threads,
        height_px=height_px,
        width_px=width_px,
        bytes=model.bytes,
        params=model.params,
        macs=model.macs,
        activation_bytes=model.activation_bytes,
        accuracy=model.accuracy,
        p50_ms=p50,
        p90_ms=p50 if record.p90_ms is None else record.p90_ms,
        p99_ms=p50 if record.p99_ms is None else record.p99_ms,
        max_ms=record.max_ms,
        queries=record.queries,
        peak_share=None if peak is None else model.macs / p50 / peak,
        peak_memory_bytes=record.memory.get("peak"),
        rounds=record.rounds,
    )


def _unusable(record: Record) -> str | None:
    if not record.p50_ms or record.p50_ms < 0:
        return "its single queries were not timed"
    if record.model.bytes <= 0 or record.model.macs <= 0:
        return "its bytes or multiply-accumulates are not known"
    return None if len(picture_sides(record.model.input)) == 2 else f"its input is no picture: {record.model.input}"


def _key(record: Record) -> str:
    model, runtime = record.model, record.runtime
    return "/".join((model.network or model.model, model.candidate, model.input, runtime.name, str(runtime.threads)))


def _precision(record: Record) -> str:
    """As recorded, or from the candidate's name, which by the rules of export ends with it."""
    named = record.model.candidate.split("-")
    return record.model.precision or next((word for word in named if word in ("fp32", "fp16", "int8", "mixed")), "unknown")


def _peaks(records: Iterable[Record]) -> dict[tuple[str, str, int], float]:
    """(runtime, precision, threads) → multiply-accumulates per millisecond of the large convolution."""
    return {
        (r.runtime.name, r.model.candidate, r.runtime.threads): r.model.macs / r.p50_ms
        for r in records
        if r.bench == PEAK and r.p50_ms
    }


def _undominated(points: Sequence[Point], *, with_accuracy: bool) -> list[Point]:
    return [p for p in points if not any(_dominates(other, p, with_accuracy=with_accuracy) for other in points)]


def _dominates(one: Point, other: Point, *, with_accuracy: bool) -> bool:
    ours, theirs = _costs(one, with_accuracy=with_accuracy), _costs(other, with_accuracy=with_accuracy)
    return all(a <= b for a, b in zip(ours, theirs, strict=True)) and ours != theirs


def _costs(point: Point, *, with_accuracy: bool) -> tuple[float, ...]:
    costs = (float(point.bytes), point.p50_ms)
    return (*costs, -(point.accuracy or 0.0)) if with_accuracy else costs
