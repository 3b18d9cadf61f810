"""Axes of the plots."""

from __future__ import annotations

from importlib import import_module

import pytest

pytest.importorskip("matplotlib", reason="the axes")

from benchmarks.report.draw import logarithmic, make_room
from benchmarks.report.points import points_of
from tests.fakes.zoo_reports import NETS, zoo_report


def test_one_network_alone_has_room_on_its_axes() -> None:
    (point,) = points_of(zoo_report(candidates=("onnx-int8",), nets=NETS[4:5]), name="x")[0]
    axes = import_module("matplotlib.figure").Figure().subplots()
    axes.plot([point.mb], [point.p50_ms], "o")
    logarithmic(axes, "MB")
    make_room(axes, [point.mb])
    low, high = axes.get_xlim()
    assert low < point.mb * 0.6
    assert high > point.mb * 1.8
    make_room(axes, [point.mb, 1000.0])
    assert axes.get_xlim() == (low, high)
