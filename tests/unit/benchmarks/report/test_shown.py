"""What a page shows of its records: pairs that belong together, every size on the front, machines and marks by name."""

from __future__ import annotations

import dataclasses
from importlib import import_module
from pathlib import Path

import msgspec

from benchmarks.record.spec import percentiles_of
from benchmarks.report.draw import logarithmic, make_room
from benchmarks.report.fleet import name_boards
from benchmarks.report.parts import sizes_words
from benchmarks.report.plots import _front_name, steps
from benchmarks.report.points import Point, points_of
from benchmarks.report.tables import SEED_COLUMNS, seed_cells, seed_note, seed_rows
from benchmarks.report.write import _drawn, write_report
from tests.fakes.zoo_reports import NETS, board, make_record, zoo_report


def googlenet() -> list[Point]:
    return points_of(zoo_report(candidates=("onnx-int8", "tflite-int8"), nets=NETS[4:5]), name="x")[0]


def test_size_and_time_of_the_seeds_table_are_of_one_file() -> None:
    onnx, tflite = googlenet()
    fast = dataclasses.replace(tflite, bytes=onnx.bytes * 2, p50_ms=onnx.p50_ms / 2)
    rows = seed_rows([onnx, fast], [("GoogLeNet", None)], {"googlenet": "GoogLeNet"})
    (row,) = rows
    assert (row.int8_mb, row.int8_p50_ms, row.int8_runtime) == (fast.mb, fast.p50_ms, "ai-edge-litert")
    assert (row.fp32_mb, row.fp32_runtime) == (None, None)
    (cells,) = seed_cells(rows)
    assert len(cells) == len(SEED_COLUMNS)
    assert cells[-1] == "ai-edge-litert"
    assert "1 thread." in seed_note(rows)


def test_smaller_inputs_are_on_the_front_by_name_and_their_absence_elsewhere_is_said() -> None:
    report = zoo_report(candidates=("onnx-int8",), nets=NETS[4:6])
    small = make_record(dataclasses.replace(NETS[4], side_px=96), "onnx-int8", 0.1, host=board())
    points, _ = points_of(msgspec.structs.replace(report, records=(*report.records, small)), name="x")
    drawn = _drawn(points, 1)
    assert [p.height_px for p in drawn] == [224, 224, 96]
    assert [_front_name(p, drawn) for p in drawn] == [
        "googlenet@224 onnx-int8",
        "inceptionv2 onnx-int8",
        "googlenet@96 onnx-int8",
    ]
    assert "at its largest input" in sizes_words(drawn)
    assert sizes_words(drawn[:2]) == ""


def test_a_latency_report_shows_its_loop_its_stages_and_its_heat(tmp_path: Path) -> None:
    bare = make_record(NETS[4], "onnx-int8", 4.0, host=board(), bench="latency")
    bare = msgspec.structs.replace(bare, stages={"cold_start": percentiles_of([321.0])})
    loop = make_record(NETS[4], "onnx-int8", 5.0, host=board(), bench="latency-camera")
    loop = msgspec.structs.replace(
        loop,
        stages={"preprocess": percentiles_of([0.625])},
        thermal={"temperature_c_max": 71.5},
        energy_j={"SOC": 12.25},
        notes=("a note",),
    )
    report = msgspec.structs.replace(zoo_report(nets=NETS[:1]), bench="latency", records=(bare, loop), missing=())
    made = write_report(report, tmp_path / "page", name="latency.json")
    assert [record.bench for record in made.measured] == ["latency", "latency-camera"]
    assert made.missing == []
    page = (tmp_path / "page" / "index.html").read_text()
    section = page[page.index("Measured, not plotted") : page.index("All records")]
    for words in (
        "latency-camera",
        "preprocess",
        "0.62",
        "cold_start",
        "321.0",
        "temperature c max",
        "71.5",
        "SOC, J",
        "12.25",
        "a note",
    ):
        assert words in section, words


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


def test_a_zoos_page_has_no_such_section(tmp_path: Path) -> None:
    write_report(zoo_report(candidates=("onnx-int8",), nets=NETS[4:6]), tmp_path / "page", name="zoo.json")
    assert "Measured, not plotted" not in (tmp_path / "page" / "index.html").read_text()


def test_runtimes_of_one_network_are_told_apart_on_the_front() -> None:
    points = googlenet()
    assert [_front_name(p, points) for p in points] == ["googlenet onnx-int8", "googlenet tflite-int8"]


def test_a_fronts_steps_are_level_then_upright() -> None:
    one, other = (
        dataclasses.replace(p, bytes=b, p50_ms=ms) for p, b, ms in zip(googlenet(), (10**6, 2 * 10**6), (5.0, 3.0), strict=True)
    )
    assert steps([one, other]) == [((1.0, 5.0), (2.0, 5.0)), ((2.0, 5.0), (2.0, 3.0))]
    assert steps([one]) == []


def test_a_machine_without_a_board_is_called_by_its_cpu() -> None:
    report = zoo_report(candidates=("onnx-int8",), nets=NETS[4:5], host=board("unknown", "AMD EPYC"))
    assert name_boards({"x.json": report}) == {"x.json": "AMD EPYC"}
