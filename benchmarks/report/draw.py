"""Parts of a plot of latency: marks that differ without colour, logarithmic axes, the limit, and names that do not collide."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from benchmarks.report.label_places import Box, Name, place
from benchmarks.report.points import Point

Quantity = Callable[[Point], float | None]
"""What lies to the right; None where it is not known."""

Line = tuple[tuple[float, float], tuple[float, float]]
"""From and to, in the units of the axes."""

_REACH_PX = 5.0  # half a mark, at the resolution of export.canvas
_CLEAR_PX = 2.0  # between a name and a line
_FIRST = ("int8", "mixed", "fp16", "fp32")  # whose marks get their names first


@dataclass(frozen=True, slots=True)
class MarkStyle:
    """How the marks and lines of a precision look."""

    marker: str
    fill: str
    edge: str
    line: str


# the shape, the fill and the line tell precisions apart without colour; the colours differ in lightness too
_STYLES = {
    "fp32": MarkStyle("s", "white", "#1f4e9c", "--"),
    "fp16": MarkStyle("D", "#c9d7f0", "#1f4e9c", "-."),
    "int8": MarkStyle("o", "#d9730d", "#7a3b00", "-"),
    "mixed": MarkStyle("^", "#f2c48d", "#7a3b00", ":"),
}


def style_of(precision: str) -> MarkStyle:
    """Also for a precision that nobody knows."""
    return _STYLES.get(precision, MarkStyle("v", "0.7", "0.3", ":"))


def marks(axes: Any, points: Sequence[Point], x_of: Quantity, style: MarkStyle, *, label: str) -> None:
    """One mark a point, at its median."""
    if points:
        xs, ys = [x_of(p) for p in points], [p.p50_ms for p in points]
        axes.plot(xs, ys, style.marker, ms=5.5, mfc=style.fill, mec=style.edge, mew=1.0, ls="none", label=label, zorder=3)


def limit_line(axes: Any, limit: float) -> None:
    """Upright and dashed, with its MB."""
    axes.axvline(limit, color="black", lw=1.1, ls=(0, (6, 3)), zorder=1.5)
    place_ = {"xycoords": ("data", "axes fraction"), "xytext": (3, 4), "textcoords": "offset points"}
    axes.annotate(f"{limit:g} MB", (limit, 0), fontsize=8, **place_)


def logarithmic(axes: Any, x_label: str) -> None:
    """Both axes, with round numbers."""
    from export.load.model import import_extra

    ticker = import_extra("matplotlib.ticker")
    axes.set_xscale("log")
    axes.set_yscale("log")
    for one, ticks in ((axes.xaxis, (1, 2, 5)), (axes.yaxis, (1, 2, 5))):
        one.set_major_locator(ticker.LogLocator(subs=ticks, numticks=40))
        one.set_major_formatter(ticker.FuncFormatter(lambda value, _: f"{value:,.10g}"))
        one.set_minor_formatter(ticker.NullFormatter())
    axes.tick_params(labelsize=8, labelbottom=True, labelleft=True)
    axes.set_xlabel(x_label, fontsize=9)
    axes.set_ylabel("latency of one plot, ms (logarithmic)", fontsize=9)
    axes.grid(color="0.92", lw=0.6, zorder=-1)
    axes.margins(0.05, 0.06)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)


def make_room(axes: Any, found: Sequence[float]) -> None:
    """Where all of ``found``, over every panel, is one number: an axis without width shows nothing."""
    if found and min(found) == max(found):
        axes.set_xlim(min(found) / 2, max(found) * 2)


def names(
    axes: Any,
    named: Mapping[Point, str],
    others: Sequence[Point],
    x_of: Quantity,
    font: float,
    *,
    lines: Sequence[Line] = (),
    near: bool = False,
) -> int:
    """Write each name of ``named`` beside its mark, clear of all marks, of upright and level ``lines`` and of the legend; the figure
    must have been laid out. ``near``: only right beside it; otherwise one mark of each name may have it further away, with a line.

    Returns:
        How many names stand nowhere.
    """
    from export.canvas import plain
    from export.load.model import import_extra

    figure = axes.figure
    renderer = figure.canvas.get_renderer()
    ordered = sorted(named, key=lambda p: (_FIRST.index(p.precision) if p.precision in _FIRST else len(_FIRST), p.p50_ms))
    here = [_pixel(axes, x_of(p), p.p50_ms) for p in ordered]
    obstacles = [_around(_pixel(axes, x_of(p), p.p50_ms)) for p in others]
    obstacles += [_along(_pixel(axes, *start), _pixel(axes, *end)) for start, end in lines]
    if (legend := axes.get_legend()) is not None:
        obstacles.append(tuple(legend.get_window_extent(renderer).extents))
    probes = [figure.text(0, 0, plain(named[p]), fontsize=font) for p in ordered]
    boxes = [probe.get_window_extent(renderer) for probe in probes]
    for probe in probes:
        probe.remove()
    first = {named[p]: p for p in reversed(ordered)}  # whose name may be further away, with a line
    wanted = [
        Name(mark, box.width, box.height, near=near or first[named[p]] is not p)
        for p, mark, box in zip(ordered, here, boxes, strict=True)
    ]
    places = place(wanted, obstacles, tuple(axes.get_window_extent(renderer).extents))
    back = axes.transData.inverted()
    halo = [import_extra("matplotlib.patheffects").withStroke(linewidth=1.8, foreground="white")]
    for point, mark, box, found in zip(ordered, here, boxes, places, strict=True):
        if found is None:
            continue
        corner = back.transform((found.left, found.bottom))
        # the box's own bottom is the descender's
        axes.text(*corner, plain(named[point]), fontsize=font, va="bottom", ha="left", zorder=4, path_effects=halo)
        if found.line:
            end = (
                min(max(mark[0], found.left), found.left + box.width),
                min(max(mark[1], found.bottom), found.bottom + box.height),
            )
            (x0, y0), (x1, y1) = back.transform(mark), back.transform(end)
            axes.plot([x0, x1], [y0, y1], "-", color="0.6", lw=0.5, zorder=1)
    said = {named[p] for p, found in zip(ordered, places, strict=True) if found is not None}
    return len(first.keys() - said)


def _pixel(axes: Any, x: float | None, y: float) -> tuple[float, float]:
    across, up = axes.transData.transform((x, y))
    return float(across), float(up)


def _around(centre: tuple[float, float]) -> Box:
    return centre[0] - _REACH_PX, centre[1] - _REACH_PX, centre[0] + _REACH_PX, centre[1] + _REACH_PX


def _along(start: tuple[float, float], end: tuple[float, float]) -> Box:
    (x0, y0), (x1, y1) = start, end
    return min(x0, x1) - _CLEAR_PX, min(y0, y1) - _CLEAR_PX, max(x0, x1) + _CLEAR_PX, max(y0, y1) + _CLEAR_PX
