"""The report's plots: PNG, legible in black and white, drawn without a display."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from export.canvas import new_figure, plain, png
from export.inspect.description import Layer, short_name
from export.load.model import import_extra
from export.report.content import LayerErrorLike
from export.report.rows import CandidateRow

_LAYERS_MAX = 60
_SENSITIVITY_MAX = 40
_ROW_INCHES = 0.17
_LOG_FROM = 8  # times the smallest: then a linear axis would crowd the others
_NEAR_X, _NEAR_Y, _TURN = 0.14, 0.05, 0.75
_MARKERS = {"fp32": "s", "fp16": "D", "int8": "o", "mixed": "^"}


@dataclass(frozen=True, slots=True)
class LayerSize:
    """A layer's constants in the file, in bytes; ``float_bytes`` is None where there is nothing to compare with."""

    name: str
    bytes: int
    float_bytes: int | None


def pair_sizes(layers: Sequence[Layer], float_layers: Sequence[Layer]) -> list[LayerSize]:
    """The layers that multiply, in their order, with their partners in the float file: the same order, if both multiply equally
    often and equally much; else no partners."""
    ours, theirs = ([layer for layer in some if layer.macs] for some in (layers, float_layers))
    paired = [layer.macs for layer in ours] == [layer.macs for layer in theirs]
    partners: Sequence[int | None] = [layer.weight_bytes for layer in theirs] if paired else [None] * len(ours)
    names = [layer.name for layer in (theirs if paired else ours)]
    return [LayerSize(name, layer.weight_bytes, size) for name, layer, size in zip(names, ours, partners, strict=True)]


def sizes_png(sizes: Sequence[LayerSize], ours: str, theirs: str | None) -> bytes:
    """Bars per layer in the order they run; of very deep networks the heaviest."""
    shown = list(sizes)
    if len(shown) > _LAYERS_MAX:
        limit = sorted((size.bytes for size in shown), reverse=True)[_LAYERS_MAX - 1]
        shown = [size for size in shown if size.bytes >= limit][:_LAYERS_MAX]
    figure, axes = _axes((8.2, 1.3 + _ROW_INCHES * len(shown)))
    places = range(len(shown))
    if any(size.float_bytes is not None for size in shown):
        floats = [(size.float_bytes or 0) / 1000 for size in shown]
        axes.barh(places, floats, height=0.84, fc="white", ec="black", hatch="////", lw=0.6, label=plain(theirs or "float"))
    axes.barh(places, [size.bytes / 1000 for size in shown], height=0.5, fc="0.25", ec="black", lw=0.6, label=plain(ours))
    axes.set_xscale("log")
    axes.set_xlabel("weights in the file, kB (logarithmic)")
    _layer_axis(axes, [size.name for size in shown])
    axes.legend(loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=2, frameon=False, fontsize=8)
    return png(figure)


def sensitivity_png(errors: Sequence[LayerErrorLike]) -> bytes:
    """Worst first: the lower the ratio, the more the layer's rounding disturbs."""
    shown = sorted(errors, key=lambda error: error.sqnr_db)[:_SENSITIVITY_MAX]
    figure, axes = _axes((8.2, 1.3 + _ROW_INCHES * len(shown)))
    places = range(len(shown))
    axes.hlines(places, 0, [error.sqnr_db for error in shown], color="0.75", lw=0.8)
    axes.plot(
        [e.sqnr_db for e in shown],
        places,
        "o",
        color="black",
        ms=4.5,
        label="of the network's answer, this layer alone in 8 bits",
    )
    axes.plot([e.own_sqnr_db for e in shown], places, "D", mfc="white", mec="black", ms=4, label="of the layer's own output")
    axes.set_xlabel("signal-to-quantization-noise ratio, dB (lower is worse)")
    axes.grid(axis="x", color="0.88", lw=0.6)
    _layer_axis(axes, [error.layer for error in shown])
    axes.legend(loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=2, frameon=False, fontsize=8)
    return png(figure)


def scatter_png(
    rows: Sequence[CandidateRow], x_of: dict[str, float], x_label: str, y_label: str, reference: float | None
) -> bytes:
    """Quality against a cost, a mark per candidate: filled if it passed, hollow if it was left out; the shape is its precision.

    ``reference`` is the float network's own accuracy.
    """
    figure, axes = _axes((6.4, 4.6))
    points = [(x_of[row.name], row.quality, row) for row in rows if row.name in x_of and row.quality is not None]
    seen: set[tuple[str, bool]] = set()
    for x, y, row in sorted(
        points, key=lambda point: not point[2].passes
    ):  # hollow marks on top, or filled ones would hide them
        key = (row.precision, row.passes)
        label = f"{row.precision}, {'passes' if row.passes else 'left out'}"
        marker = _MARKERS.get(row.precision, "v")
        fill = "0.3" if row.passes else "white"
        axes.plot(x, y, marker, ms=9, mfc=fill, mec="black", ls="none", label=None if key in seen else label, zorder=3)
        seen.add(key)
    if reference is not None:
        axes.axhline(reference, color="black", lw=1, ls="--", label=f"float network {reference:.3f}")
    if points and max(x for x, _, _ in points) > _LOG_FROM * min(x for x, _, _ in points):
        _logarithmic(axes)
    _annotate(axes, [(x, y, row.name) for x, y, row in points if y is not None])
    axes.set_xlabel(x_label)
    axes.set_ylabel(y_label)
    axes.grid(color="0.9", lw=0.6)
    if points or reference is not None:
        axes.legend(loc="upper center", bbox_to_anchor=(0.5, 1.2), ncols=3, frameon=False, fontsize=8)
    return png(figure)


def _annotate(axes: Any, points: Sequence[tuple[float, float, str]]) -> None:
    """Names beside their marks; candidates at (nearly) the same place share a list, one name below the other."""
    axes.margins(0.18, 0.22)
    axes.autoscale_view()
    groups: list[tuple[float, float, list[str]]] = []  # places in shares of the plot
    for x, y, name in points:
        across, up = axes.transAxes.inverted().transform(axes.transData.transform((x, y)))
        near = next((g for g in groups if abs(g[0] - across) < _NEAR_X and abs(g[1] - up) < _NEAR_Y), None)
        if near is None:
            groups.append((across, up, [name]))
        else:
            near[2].append(name)
    for across, up, names in groups:
        side, align = (8, "left") if across <= _TURN else (-8, "right")
        place = {"xycoords": "axes fraction", "xytext": (side, -4), "textcoords": "offset points"}
        axes.annotate(plain("\n".join(names)), (across, up), fontsize=8.5, ha=align, va="top", zorder=4, **place)


def _logarithmic(axes: Any) -> None:
    ticker = import_extra("matplotlib.ticker")
    axes.set_xscale("log")
    axes.xaxis.set_major_locator(ticker.LogLocator(subs=(1, 2, 5)))
    axes.xaxis.set_major_formatter(ticker.FormatStrFormatter("%g"))
    axes.xaxis.set_minor_formatter(ticker.NullFormatter())


def _layer_axis(axes: Any, names: Sequence[str]) -> None:
    axes.set_yticks(range(len(names)), [plain(short_name(name)) for name in names], fontsize=7)
    axes.set_ylim(len(names) - 0.4, -0.6)


def _axes(size_inches: tuple[float, float]) -> tuple[Any, Any]:
    figure = new_figure(size_inches, layout="constrained")
    axes = figure.add_subplot()
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    return figure, axes
