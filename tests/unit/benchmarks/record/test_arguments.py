"""Lists on the command lines of the benchmarks."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.latency import command as latency_cli
from benchmarks.record import arguments
from benchmarks.zoo import command
from edge.bundle.reader import open_bundle
from edge.cli import main
from edge.errors import ExitCode, SinkError, UsageError
from edge.models import DEFAULT_BUNDLE, bundle_directory


@given(st.lists(st.integers(1, 4), min_size=1))
def test_threads_are_kept_in_order_each_once(counts: list[int]) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "sched_getaffinity", lambda _: set(range(4)))
        assert arguments.parse_threads(",".join(map(str, counts))) == tuple(dict.fromkeys(counts))


@pytest.mark.parametrize("text", ["0", "1,99999", "one", "", "1,,2"])
def test_threads_that_cannot_be(text: str) -> None:
    with pytest.raises(UsageError, match="--threads"):
        arguments.parse_threads(text)


def test_candidates_are_those_of_the_model() -> None:
    model = open_bundle(bundle_directory(DEFAULT_BUNDLE)).manifest.models[0]
    first, *_, last = model.candidates
    assert arguments.parse_candidates(model, f"{last.name}, {first.name}") == (last, first)
    with pytest.raises(UsageError, match="'onnx-int9'") as caught:
        arguments.parse_candidates(model, "onnx-int9")
    assert "onnx-int8" in str(caught.value.fix)
    with pytest.raises(UsageError, match="nothing is named"):
        arguments.parse_candidates(model, " , ")


def test_where_the_result_cannot_be_written_nothing_is_measured(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(latency_cli, "measure", lambda *_: pytest.fail("ten minutes for nothing"))
    (tmp_path / "file").write_text("")
    for out in (tmp_path / "file" / "report.json", tmp_path):
        with pytest.raises(SinkError, match=str(out)):
            latency_cli.latency_command(candidates="onnx-int8", out=out)


@pytest.mark.parametrize(
    ("words", "named"),
    [
        ({"candidates": "onnx-int9"}, "onnx-int9"),
        ({"export_only": True, "sizes": "96"}, "--sizes"),
        ({"export_only": True, "rounds": 3}, "--rounds"),
        ({"export_only": True, "bundles": "nowhere"}, "--bundles"),
    ],
)
def test_a_zoo_that_makes_no_sense_is_refused_before_anything_is_exported(tmp_path: Path, words, named: str) -> None:
    with pytest.raises(UsageError, match=named):
        command.zoo_command(out=tmp_path / "out", networks="lenet", **words)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("words", ["--budget-mb nan", "--budget-mb inf", "--timeout-minutes 0", "--calibration-count 0"])
def test_numbers_that_are_none_are_refused(tmp_path: Path, words: str, capsys: pytest.CaptureFixture[str]) -> None:
    code = main(["bench", "zoo", "--networks", "lenet", "--out", str(tmp_path / "out"), *words.split()])
    assert code == ExitCode.USAGE
    assert words.split(maxsplit=1)[0] in capsys.readouterr().err
