"""The plots: PNG, legible in black and white; drawn with matplotlib, which only a workstation has."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from benchmarks.report.draw import Line, MarkStyle, Quantity, limit_line, logarithmic, make_room, marks, names, style_of
from benchmarks.report.points import LIMIT_BYTES, Point, accurate_front, families, front

_PANEL_INCHES = {1: (10.4, 6.2), 2: (5.2, 4.8)}  # by columns; either way as wide as the page
_FONTS = {1: 7.5, 2: 6.5}
_LIMIT_MB = LIMIT_BYTES / 1e6


@dataclass(frozen=True, slots=True)
class Axis:
    """A quantity to draw latency against; ``limit`` is marked."""

    title: str
    label: str
    of: Quantity
    limit: float | None = None


AXES: dict[str, Axis] = {
    "weight": Axis("weight", "size of the file, MB (logarithmic)", lambda p: p.mb, _LIMIT_MB),
    "macs": Axis("multiply-accumulates", "multiply-accumulates of one plot, millions (logarithmic)", lambda p: p.macs / 1e6),
    "activations": Axis(
        "bytes of the activations",
        "bytes that the layers write for one plot, MB (logarithmic)",
        lambda p: None if p.activation_bytes is None else p.activation_bytes / 1e6,
    ),
}


@dataclass(frozen=True, slots=True)
class Plot:
    """A plot as PNG. ``unnamed``: networks whose names had no room, summed over the panels."""

    png: bytes
    unnamed: int


def latency_plot(panels: Mapping[str, Sequence[Point]], axis: Axis, *, columns: int = 1) -> Plot:
    """Median latency against ``axis``, both logarithmic, with lines from the median up to p99 that are ticked at p90, and each
    family joined by a line.

    Args:
        panels: title → points of one panel; all panels share their axes, so that they can be compared.
        axis: what lies to the right; points that do not know it are left out.
        columns: panels beside each other, 1 or 2.
    """
    from export.canvas import new_figure, png

    width, height = _PANEL_INCHES[columns]
    rows = -(-len(panels) // columns)
    figure = new_figure((width * columns, height * rows), layout="constrained")
    grid = [axes for row in figure.subplots(rows, columns, squeeze=False, sharex=True, sharey=True) for axes in row]
    shown = {title: [p for p in points if axis.of(p)] for title, points in panels.items()}
    for axes, (title, points) in zip(grid, shown.items(), strict=False):
        _panel(axes, title, points, axis)
    make_room(grid[0], [x for points in shown.values() for p in points if (x := axis.of(p))])
    for axes in grid[len(panels) :]:
        axes.set_visible(False)
    _settle(figure)
    unnamed = 0
    for axes, points in zip(grid, shown.values(), strict=False):
        lines = [((x, p.p50_ms), (x, p.p99_ms)) for p in points if (x := axis.of(p))] + _limit(axes, axis)
        named = {p: p.network for p in points}
        unnamed += names(axes, named, points, axis.of, _FONTS[columns], lines=lines, near=columns > 1)
    return Plot(png(figure), unnamed)


def front_plot(points: Sequence[Point]) -> Plot:
    """All points by size and latency. Those that nothing beats are black, joined by steps; where accuracies are known, those that
    nothing beats in size, latency and accuracy are grey. Both are named with their candidate, the input's side where a network has
    several, and the accuracy where it is known."""
    from export.canvas import new_figure, png

    figure = new_figure(_PANEL_INCHES[1], layout="constrained")
    axes, axis = figure.subplots(), AXES["weight"]
    best = front(points)
    accurate = [p for p in accurate_front(points) if p not in best]
    for precision in sorted({p.precision for p in points}):
        marker = style_of(precision).marker
        same = [p for p in points if p.precision == precision]
        rest = [p for p in same if p not in best and p not in accurate]
        marks(axes, rest, axis.of, MarkStyle(marker, "white", "0.6", "-"), label=f"{precision}, beaten by another")
        known = [p for p in same if p in accurate]
        marks(axes, known, axis.of, MarkStyle(marker, "0.6", "black", "-"), label=f"{precision}, on the front with accuracy")
        winners = [p for p in same if p in best]
        marks(
            axes,
            winners,
            axis.of,
            MarkStyle(marker, "black", "black", "-"),
            label=f"{precision}, on the front of size and latency",
        )
    axes.step([p.mb for p in best], [p.p50_ms for p in best], where="post", color="black", lw=1.0, zorder=2)
    limit_line(axes, _LIMIT_MB)
    logarithmic(axes, axis.label)
    axes.legend(loc="upper left", frameon=False, fontsize=8)
    _settle(figure)
    named = {p: _front_name(p, points) for p in (*best, *accurate)}
    lines = steps(best) + _limit(axes, axis)
    unnamed = names(axes, named, points, axis.of, _FONTS[1], lines=lines)
    return Plot(png(figure), unnamed)


def steps(best: Sequence[Point]) -> list[Line]:
    """The lines that join a front, in MB and ms."""
    corners: list[Line] = []
    for one, other in pairwise(best):
        corners += [((one.mb, one.p50_ms), (other.mb, one.p50_ms)), ((other.mb, one.p50_ms), (other.mb, other.p50_ms))]
    return corners


def _limit(axes: Any, axis: Axis) -> list[Line]:
    low, high = axes.get_ylim()
    return [] if axis.limit is None else [((axis.limit, low), (axis.limit, high))]


def _front_name(point: Point, points: Sequence[Point]) -> str:
    several = len({p.size for p in points if p.network == point.network}) > 1
    side = "" if not several else f"@{point.height_px}" if point.height_px == point.width_px else f"@{point.size}"
    accuracy = "" if point.accuracy is None else f" {point.accuracy:.1%}"
    return f"{point.network}{side} {point.candidate}{accuracy}"


def _panel(axes: Any, title: str, points: Sequence[Point], axis: Axis) -> None:
    from export.canvas import plain

    for precision in sorted({p.precision for p in points}):
        style, same = style_of(precision), [p for p in points if p.precision == precision]
        for relatives in families(same, 2).values():
            ordered = sorted(relatives, key=lambda p: (axis.of(p) or 0, p.p50_ms))
            xs, ys = [axis.of(p) for p in ordered], [p.p50_ms for p in ordered]
            axes.plot(xs, ys, style.line, color=style.edge, lw=0.9, alpha=0.75, zorder=1)
        xs = [axis.of(p) for p in same]
        axes.vlines(xs, [p.p50_ms for p in same], [p.p99_ms for p in same], color=style.edge, lw=0.8, zorder=2)
        axes.plot(xs, [p.p90_ms for p in same], "_", color=style.edge, ms=5, zorder=2)
        marks(axes, same, axis.of, style, label=precision)
    if axis.limit is not None:
        limit_line(axes, axis.limit)
    axes.set_title(plain(title), loc="left", fontsize=10)
    logarithmic(axes, axis.label)
    if points:
        axes.legend(loc="upper left", frameon=False, fontsize=8)
    else:
        axes.text(0.5, 0.5, "not measured", ha="center", transform=axes.transAxes, fontsize=9)


def _settle(figure: Any) -> None:
    """Lay everything out, once: names are then placed in pixels that stay."""
    from export.canvas import DPI

    figure.set_dpi(DPI)  # else texts are measured smaller than they are saved
    figure.canvas.draw()
    figure.set_layout_engine("none")
