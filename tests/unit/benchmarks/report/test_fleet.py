"""Which candidate to ship: the fastest p90 that fits, ties said, and the fastest for all boards."""

from __future__ import annotations

import dataclasses

from benchmarks.record.schema import Round
from benchmarks.report.fleet import name_boards, ships
from benchmarks.report.points import Point, points_of
from tests.fakes.zoo_reports import NETS, board, zoo_report


def point(candidate: str, p90_ms: float, *, megabytes: float = 5.0, scatter: float = 0.001, threads: int = 1) -> Point:
    found, _ = points_of(zoo_report(candidates=("onnx-int8",), nets=NETS[4:5]), name="x")
    medians = [p90_ms / 1.1 * (1 + scatter * sign) for sign in (1, -1, 0.3, -0.7, 0.5)]
    if candidate.startswith("tflite"):
        medians.reverse()
    return dataclasses.replace(
        found[0],
        candidate=candidate,
        threads=threads,
        p50_ms=p90_ms / 1.1,
        p90_ms=p90_ms,
        bytes=round(megabytes * 1e6),
        rounds=tuple(Round(queries=9, seconds=1.0, p50_ms=ms) for ms in medians),
    )


def test_the_fastest_that_fits() -> None:
    (row,) = ships({"pi": [point("onnx-int8", 2.0), point("tflite-int8", 3.0), point("onnx-fp32", 1.0, megabytes=20.1)]})
    assert (row.candidate, row.p90_ms, row.ties, row.everywhere) == ("onnx-int8", 2.0, (), ("onnx-int8",))
    (none,) = ships({"pi": [point("onnx-fp32", 1.0, megabytes=30)]})
    assert (none.candidate, none.p90_ms, none.everywhere) == (None, None, ())


def test_ties_within_the_noise_are_said() -> None:
    (noisy,) = ships({"pi": [point("onnx-int8", 2.0, scatter=0.1), point("tflite-int8", 2.05, scatter=0.1)]})
    assert noisy.ties == ("tflite-int8, 1 thread",)
    (quiet,) = ships({"pi": [point("onnx-int8", 2.0), point("tflite-int8", 2.05)]})
    assert quiet.ties == ()


def test_one_for_all_boards_where_there_is_one() -> None:
    pi = [point("onnx-int8", 2.0, scatter=0.1), point("tflite-int8", 2.05, scatter=0.1)]
    orin = [point("onnx-int8", 1.0), point("tflite-int8", 0.5)]
    first, second = ships({"pi": pi, "orin": orin})
    assert (first.candidate, second.candidate) == ("onnx-int8", "tflite-int8")
    assert first.everywhere == second.everywhere == ("tflite-int8",)
    pi = [point("onnx-int8", 2.0), point("tflite-int8", 2.5)]
    assert {row.everywhere for row in ships({"pi": pi, "orin": orin})} == {()}


def test_the_threads_are_part_of_the_answer() -> None:
    (row,) = ships({"pi": [point("onnx-int8", 2.0), point("onnx-int8", 1.0, threads=4)]})
    assert (row.candidate, row.threads) == ("onnx-int8", 4)


def test_boards_of_one_name_are_told_apart_by_their_files() -> None:
    report = zoo_report(candidates=("onnx-int8",), nets=NETS[:1])
    name = report.records[0].host.board
    assert name_boards({"a/x.json": report}) == {"a/x.json": name}
    assert list(name_boards({"a/x.json": report, "a/y.json": report}).values()) == [f"{name} (x)", f"{name} (y)"]
    assert list(name_boards({"a/x.json": report, "b/x.json": report}).values()) == [f"{name} (a/x.json)", f"{name} (b/x.json)"]


def test_a_machine_without_a_board_is_called_by_its_cpu() -> None:
    report = zoo_report(candidates=("onnx-int8",), nets=NETS[4:5], host=board("unknown", "AMD EPYC"))
    assert name_boards({"x.json": report}) == {"x.json": "AMD EPYC"}
