"""What nothing else beats: the front of size, latency and, where it is known, accuracy. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from benchmarks.report.points import Point


def front(points: Sequence[Point]) -> list[Point]:
    """Points of which no other is as light and as fast and better in one of the two, the lightest first."""
    return sorted(_undominated(points, with_accuracy=False), key=lambda point: (point.bytes, point.p50_ms))


def accurate_front(points: Sequence[Point]) -> list[Point]:
    """Of those whose accuracy is known: none is as light, as fast and as accurate, and better in one of the three."""
    known = [point for point in points if point.accuracy is not None]
    return sorted(_undominated(known, with_accuracy=True), key=lambda point: (point.bytes, point.p50_ms))


def _undominated(points: Sequence[Point], *, with_accuracy: bool) -> list[Point]:
    return [p for p in points if not any(_dominates(other, p, with_accuracy=with_accuracy) for other in points)]


def _dominates(one: Point, other: Point, *, with_accuracy: bool) -> bool:
    ours, theirs = _costs(one, with_accuracy=with_accuracy), _costs(other, with_accuracy=with_accuracy)
    return all(a <= b for a, b in zip(ours, theirs, strict=True)) and ours != theirs


def _costs(point: Point, *, with_accuracy: bool) -> tuple[float, ...]:
    costs = (float(point.bytes), point.p50_ms)
    return (*costs, -(point.accuracy or 0.0)) if with_accuracy else costs
