"""The zoo's timings: resumable, complete, never stopped by a network."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

pytest.importorskip("export.load.zoo")

from benchmarks.measure.alternation import Outcome, timed_record
from benchmarks.record.schema import Missing, read_report
from benchmarks.zoo import timings
from benchmarks.zoo.timings import TimingPlan, Unit, ZooTimings, report_of, time_all, time_unit
from edge.errors import DataError, SinkError
from tests.fakes.timings import CALM, Silent, manifest_bundle, subject, timing, timing_plan, unit


def test_a_killed_run_goes_on_where_it_was(tmp_path: Path) -> None:
    asked, tried = timing_plan(tmp_path, "a", "b", "c"), []

    def measure(key: str, _plan: TimingPlan, _say: object) -> Unit:
        tried.append(key)
        if len(tried) == 2:
            raise KeyboardInterrupt
        return unit(tmp_path, key)

    with pytest.raises(KeyboardInterrupt):
        time_all(asked, timings.read_timings(asked), Silent(), measure)
    assert [record.model.network for record in read_report(tmp_path / "report.json").records] == ["a"], "a is safe already"
    time_all(asked, timings.read_timings(asked), Silent(), measure)
    assert tried == ["a", "b", "b", "c"]
    report = read_report(tmp_path / "report.json")
    assert [record.model.network for record in report.records] == ["a", "b", "c"]
    assert report.bench == "zoo"


def test_what_could_not_be_had_is_tried_again_and_then_replaced(tmp_path: Path) -> None:
    asked = timing_plan(tmp_path, "a", "b")
    state = time_all(asked, timings.read_timings(asked), Silent(), lambda key, *_: unit(tmp_path, key, reason="no torch"))
    assert [missing.name for missing in report_of(asked, state).missing] == ["a", "b"]
    state = time_all(asked, timings.read_timings(asked), Silent(), lambda key, *_: unit(tmp_path, key))
    assert len(state.units) == 2
    assert report_of(asked, state).missing == ()


def partly(out: Path, key: str, candidates: tuple[str, ...], reason: str) -> Unit:
    records = tuple(
        timed_record("zoo", Outcome(subject(out / key / one, key, one), (timing([1.0]),)), thermal={}) for one in candidates
    )
    missing = (Missing(name=f"{key}/tflite-fp32/1t", reason=reason),) if reason else ()
    return Unit(key=key, records=records, ratios=(), missing=missing, seconds=10.0, conditions=CALM)


def runs(out: Path, *found: Unit) -> tuple[int, ZooTimings]:
    """So many runs on the same results as there are units: how often the network was timed, and what is left."""
    asked, waiting = timing_plan(out, "a"), list(found)
    state = ZooTimings(asked=asked.asked())
    for _ in found:
        state = time_all(asked, timings.read_timings(asked), Silent(), lambda *_: waiting.pop(0))
    return len(found) - len(waiting), state


def test_a_candidate_that_was_short_of_memory_is_tried_again_and_found(tmp_path: Path) -> None:
    short = partly(tmp_path, "a", ("onnx-fp32",), "needs about 1,350 MB of memory, 900 MB are free")
    full = partly(tmp_path, "a", ("onnx-fp32", "tflite-fp32"), "")
    timed, state = runs(tmp_path, short, full, full)
    assert timed == 2
    assert state.units == (full,)


def test_a_candidate_that_fails_twice_does_not_cost_the_others_a_third_time(tmp_path: Path) -> None:
    good = partly(tmp_path, "a", ("onnx-fp32", "onnx-int8"), "benchmarks.measure.timing took longer than 450 s")
    worse = partly(tmp_path, "a", ("onnx-fp32",), "killed, perhaps because memory ran out")
    timed, state = runs(tmp_path, good, worse, worse, worse)
    assert timed == 2
    assert state.units == (msgspec.structs.replace(good, tried_again=True),), "what was found first stays"


def test_what_cannot_come_is_not_tried_again(tmp_path: Path) -> None:
    lacking = partly(tmp_path, "a", ("onnx-fp32",), f"/a: {timings._NO_SUCH}: not asked for")
    timed, state = runs(tmp_path, lacking, lacking)
    assert (timed, state.units) == (1, (lacking,))


def test_other_questions_do_not_go_into_the_same_results(tmp_path: Path) -> None:
    asked = timing_plan(tmp_path, "a")
    time_all(asked, timings.read_timings(asked), Silent(), lambda key, *_: unit(tmp_path, key))
    assert timings.read_timings(timing_plan(tmp_path, "a", "b")).units, "more networks are the same question"
    with pytest.raises(SinkError, match="threads was '1', now '1,2'"):
        timings.read_timings(timing_plan(tmp_path, "a", threads=(1, 2)))
    stored = msgspec.json.decode((tmp_path / "timings.json").read_bytes(), type=ZooTimings)
    moved = msgspec.structs.replace(stored, asked=stored.asked | {"machine": "a Raspberry Pi"})
    (tmp_path / "timings.json").write_bytes(msgspec.json.encode(moved))
    with pytest.raises(SinkError, match="machine was 'a Raspberry Pi'"):
        timings.read_timings(asked)
    (tmp_path / "timings.json").write_text("{")
    with pytest.raises(DataError, match=r"timings\.json"):
        timings.read_timings(asked)


def test_a_ready_bundle_is_timed_and_what_it_lacks_is_missing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ready = tmp_path / "ready"
    bundle = manifest_bundle(ready / "mobilenet_w1", "mobilenet_w1", ["onnx-fp32"])
    for candidate in bundle.manifest.models[0].candidates:
        monkeypatch.setattr(type(bundle), "path", lambda self, ref: self.directory / ref.file)
        (ready / "mobilenet_w1" / candidate.model_file.file).write_bytes(b"no model")
    monkeypatch.setattr(timings, "activation_bytes", lambda *_: 12_345)

    def alternated(subjects, schedule, advance):
        return [Outcome(one, (timing([5.0, 6.0, 7.0]),) * schedule.rounds) for one in subjects]

    monkeypatch.setattr(timings, "alternate", alternated)
    say = Silent()
    found = time_unit("mobilenet_w1", timing_plan(tmp_path, bundles=(ready,), threads=(1, 2)), say)
    assert say.units == ["mobilenet_w1 4"]
    assert [(r.runtime.threads, r.model.candidate, r.p50_ms) for r in found.records] == [
        (1, "onnx-fp32", 6.0),
        (2, "onnx-fp32", 6.0),
    ]
    assert found.records[0].model.activation_bytes == 12_345
    assert found.records[0].model.family == "MobileNetV1"
    assert [(one.name, "holds no such candidate" in one.reason) for one in found.missing] == [("mobilenet_w1/onnx-int8", True)]


def test_a_broken_bundle_is_a_row(tmp_path: Path) -> None:
    (tmp_path / "ready" / "squeezenet").mkdir(parents=True)
    (tmp_path / "ready" / "squeezenet" / "manifest.json").write_text("{}")
    found = time_unit("squeezenet", timing_plan(tmp_path, bundles=(tmp_path / "ready",)), Silent())
    assert found.records == ()
    assert found.missing[0].name == "squeezenet"
    assert "schema" in found.missing[0].reason


def test_a_size_that_a_network_cannot_take_is_a_row(tmp_path: Path) -> None:
    pytest.importorskip("torch")
    (missing,) = time_unit("lenet@96", timing_plan(tmp_path), Silent()).missing
    assert (missing.name, missing.reason) == ("lenet@96", "refused: its dense layers take 32×32 pixels only")


def test_a_process_that_cannot_run_the_candidate_says_why(tmp_path: Path) -> None:
    """A real child process: the bundle's file is not the one that its manifest names."""
    ready = tmp_path / "ready"
    manifest_bundle(ready / "squeezenet", "squeezenet", ["onnx-fp32"])
    (ready / "squeezenet" / "onnx-fp32.onnx").write_bytes(b"short")
    found = time_unit("squeezenet", timing_plan(tmp_path, bundles=(ready,)), Silent())
    assert found.records == ()
    assert "altered" in found.missing[0].reason


def test_one_broken_file_costs_its_candidate_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ready = tmp_path / "ready"
    bundle = manifest_bundle(ready / "squeezenet", "squeezenet", ["onnx-fp32", "onnx-int8"])
    check = type(bundle).path

    def path(self, ref):
        return check(self, ref) if ref.file == "onnx-fp32.onnx" else self.directory / ref.file

    monkeypatch.setattr(type(bundle), "path", path)
    monkeypatch.setattr(timings, "activation_bytes", lambda *_: 12_345)
    monkeypatch.setattr(timings, "alternate", lambda subjects, *_: [Outcome(one, (timing([5.0]),)) for one in subjects])
    found = time_unit("squeezenet", timing_plan(tmp_path, bundles=(ready,)), Silent())
    assert [record.model.candidate for record in found.records] == ["onnx-int8"]
    ((name, reason),) = [(one.name, one.reason) for one in found.missing]
    assert name == "squeezenet/onnx-fp32"
    assert "onnx-fp32.onnx: missing from the bundle" in reason
