"""The zoo's timings: resumable, complete, never stopped by a network; and the machine's peak beside them."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

pytest.importorskip("export.load.zoo")

from benchmarks.measure.alternation import Outcome, Schedule, timed_record
from benchmarks.measure.peak import macs_per_s, peak_records, share_of_peak
from benchmarks.measure.stream import Limits
from benchmarks.record.families import family_of
from benchmarks.record.spec import Conditions, Missing, Report, read_report
from benchmarks.zoo import command as zoo_cli
from benchmarks.zoo import fit as zoo
from benchmarks.zoo import show as zoo_show
from benchmarks.zoo import time as zoo_time
from benchmarks.zoo.fit import Plan
from benchmarks.zoo.time import State, TimePlan, Unit, report_of, time_all, time_unit
from edge.errors import BackendError, DataError, SinkError, UsageError
from tests.fakes.timings import manifest_bundle, subject, timing

CALM = Conditions(load_before=0.0, load_after=0.0, others_share=0.0, steal_share=0.0)


class Silent:
    def __init__(self) -> None:
        self.units: list[str] = []

    def unit(self, key: str, processes: int) -> None:
        self.units.append(f"{key} {processes}")

    def step(self, what: str) -> None:
        pass

    def done(self, unit: Unit) -> None:
        pass


def plan(out: Path, *keys: str, **change) -> TimePlan:
    export = Plan(networks=(), out=out, candidates="onnx-fp32", budget_bytes=20_000_000, calibration_count=16, timeout_s=60.0)
    given = {
        "candidates": ("onnx-fp32", "onnx-int8"), "threads": (1,), "schedule": Schedule(2, Limits(3, 0.0), 60.0), "bundles": (),
        "export": export, "quick": False,
    }  # fmt: skip
    return TimePlan(keys=keys, **(given | change))


def unit(out: Path, key: str, *, reason: str = "") -> Unit:
    records = () if reason else (timed_record("zoo", Outcome(subject(out / key, key), (timing([1.0]),)), thermal={}),)
    missing = (Missing(name=key, reason=reason),) if reason else ()
    return Unit(key=key, records=records, ratios=(), missing=missing, seconds=10.0, conditions=CALM)


def test_a_killed_run_goes_on_where_it_was(tmp_path: Path) -> None:
    asked, tried = plan(tmp_path, "a", "b", "c"), []

    def measure(key: str, _plan: TimePlan, _say: object) -> Unit:
        tried.append(key)
        if len(tried) == 2:
            raise KeyboardInterrupt
        return unit(tmp_path, key)

    with pytest.raises(KeyboardInterrupt):
        time_all(asked, zoo_cli.read_state(asked), Silent(), measure)
    assert [record.model.network for record in read_report(tmp_path / "report.json").records] == ["a"], "a is safe already"
    time_all(asked, zoo_cli.read_state(asked), Silent(), measure)
    assert tried == ["a", "b", "b", "c"]
    report = read_report(tmp_path / "report.json")
    assert [record.model.network for record in report.records] == ["a", "b", "c"]
    assert report.bench == "zoo"


def test_what_could_not_be_had_is_tried_again_and_then_replaced(tmp_path: Path) -> None:
    asked = plan(tmp_path, "a", "b")
    state = time_all(asked, zoo_cli.read_state(asked), Silent(), lambda key, *_: unit(tmp_path, key, reason="no torch"))
    assert [missing.name for missing in report_of(asked, state).missing] == ["a", "b"]
    state = time_all(asked, zoo_cli.read_state(asked), Silent(), lambda key, *_: unit(tmp_path, key))
    assert len(state.units) == 2
    assert report_of(asked, state).missing == ()


def partly(out: Path, key: str, candidates: tuple[str, ...], reason: str) -> Unit:
    records = tuple(
        timed_record("zoo", Outcome(subject(out / key / one, key, one), (timing([1.0]),)), thermal={}) for one in candidates
    )
    missing = (Missing(name=f"{key}/tflite-fp32/1t", reason=reason),) if reason else ()
    return Unit(key=key, records=records, ratios=(), missing=missing, seconds=10.0, conditions=CALM)


def runs(out: Path, *found: Unit) -> tuple[int, State]:
    """So many runs on the same results as there are units: how often the network was timed, and what is left."""
    asked, waiting = plan(out, "a"), list(found)
    state = State(asked=asked.asked())
    for _ in found:
        state = time_all(asked, zoo_cli.read_state(asked), Silent(), lambda *_: waiting.pop(0))
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
    lacking = partly(tmp_path, "a", ("onnx-fp32",), f"/a: {zoo_time._NO_SUCH}: not asked for")
    timed, state = runs(tmp_path, lacking, lacking)
    assert (timed, state.units) == (1, (lacking,))


def test_other_questions_do_not_go_into_the_same_results(tmp_path: Path) -> None:
    asked = plan(tmp_path, "a")
    time_all(asked, zoo_cli.read_state(asked), Silent(), lambda key, *_: unit(tmp_path, key))
    assert zoo_cli.read_state(plan(tmp_path, "a", "b")).units, "more networks are the same question"
    with pytest.raises(SinkError, match="threads was '1', now '1,2'"):
        zoo_cli.read_state(plan(tmp_path, "a", threads=(1, 2)))
    stored = msgspec.json.decode((tmp_path / "timings.json").read_bytes(), type=State)
    moved = msgspec.structs.replace(stored, asked=stored.asked | {"machine": "a Raspberry Pi"})
    (tmp_path / "timings.json").write_bytes(msgspec.json.encode(moved))
    with pytest.raises(SinkError, match="machine was 'a Raspberry Pi'"):
        zoo_cli.read_state(asked)
    (tmp_path / "timings.json").write_text("{")
    with pytest.raises(DataError, match=r"timings\.json"):
        zoo_cli.read_state(asked)


def test_a_ready_bundle_is_timed_and_what_it_lacks_is_missing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ready = tmp_path / "ready"
    bundle = manifest_bundle(ready / "mobilenet_w1", "mobilenet_w1", ["onnx-fp32"])
    for candidate in bundle.manifest.models[0].candidates:
        monkeypatch.setattr(type(bundle), "path", lambda self, ref: self.directory / ref.file)
        (ready / "mobilenet_w1" / candidate.model_file.file).write_bytes(b"no model")
    monkeypatch.setattr(zoo_time, "activation_bytes", lambda *_: 12_345)

    def alternated(subjects, schedule, advance):
        return [Outcome(one, (timing([5.0, 6.0, 7.0]),) * schedule.rounds) for one in subjects]

    monkeypatch.setattr(zoo_time, "alternate", alternated)
    say = Silent()
    found = time_unit("mobilenet_w1", plan(tmp_path, bundles=(ready,), threads=(1, 2)), say)
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
    found = time_unit("squeezenet", plan(tmp_path, bundles=(tmp_path / "ready",)), Silent())
    assert found.records == ()
    assert found.missing[0].name == "squeezenet"
    assert "schema" in found.missing[0].reason


def test_a_size_that_a_network_cannot_take_is_a_row(tmp_path: Path) -> None:
    pytest.importorskip("torch")
    (missing,) = time_unit("lenet@96", plan(tmp_path), Silent()).missing
    assert (missing.name, missing.reason) == ("lenet@96", "refused: its dense layers take 32×32 pixels only")


def test_a_process_that_cannot_run_the_candidate_says_why(tmp_path: Path) -> None:
    """A real child process: the bundle's file is not the one that its manifest names."""
    ready = tmp_path / "ready"
    manifest_bundle(ready / "squeezenet", "squeezenet", ["onnx-fp32"])
    (ready / "squeezenet" / "onnx-fp32.onnx").write_bytes(b"short")
    found = time_unit("squeezenet", plan(tmp_path, bundles=(ready,)), Silent())
    assert found.records == ()
    assert "altered" in found.missing[0].reason


def test_one_broken_file_costs_its_candidate_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ready = tmp_path / "ready"
    bundle = manifest_bundle(ready / "squeezenet", "squeezenet", ["onnx-fp32", "onnx-int8"])
    check = type(bundle).path

    def path(self, ref):
        return check(self, ref) if ref.file == "onnx-fp32.onnx" else self.directory / ref.file

    monkeypatch.setattr(type(bundle), "path", path)
    monkeypatch.setattr(zoo_time, "activation_bytes", lambda *_: 12_345)
    monkeypatch.setattr(zoo_time, "alternate", lambda subjects, *_: [Outcome(one, (timing([5.0]),)) for one in subjects])
    found = time_unit("squeezenet", plan(tmp_path, bundles=(ready,)), Silent())
    assert [record.model.candidate for record in found.records] == ["onnx-int8"]
    ((name, reason),) = [(one.name, one.reason) for one in found.missing]
    assert name == "squeezenet/onnx-fp32"
    assert "onnx-fp32.onnx: missing from the bundle" in reason


@pytest.mark.parametrize("json", [False, True])
def test_nothing_measured_is_an_error_after_the_table(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], json: bool
) -> None:
    peaks = peak_records([outcome(tmp_path, "peak_3x3", "onnx-fp32", 1_000_000_000, 2.5)], {})
    peak = msgspec.structs.replace(unit(tmp_path, zoo_cli.PEAK, reason="no room"), records=tuple(peaks))
    found = {zoo_cli.PEAK: peak}
    monkeypatch.setattr(zoo_time, "time_unit", lambda key, *_: found.get(key) or unit(tmp_path, key, reason="no torch"))
    with pytest.raises(BackendError, match="nothing could be measured: lenet: no torch") as caught:
        zoo_cli.zoo_command(out=tmp_path / "out", networks="lenet", json=json)
    assert caught.value.exit_code == 69
    assert "no torch" in capsys.readouterr().out
    assert len(read_report(tmp_path / "out" / "report.json").records) == 1


def test_a_table_of_other_options_is_one_refusal(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    timed = []

    def time_one(key: str, *_: object) -> Unit:
        timed.append(key)
        return unit(tmp_path, key)

    monkeypatch.setattr(zoo_time, "time_unit", time_one)
    fitted = Plan(networks=(), out=tmp_path, candidates="onnx-int8", budget_bytes=1, calibration_count=16, timeout_s=60.0)
    zoo.write_table(fitted, zoo.Table(asked=fitted.asked()))
    with pytest.raises(SinkError, match=r"table\.json: was made with other options"):
        zoo_cli.zoo_command(out=tmp_path, networks="lenet,squeezenet")
    assert timed == []
    zoo_cli.zoo_command(out=tmp_path, networks="lenet,squeezenet", restart=True)
    assert timed == ["peak", "lenet", "squeezenet"]
    zoo_cli.zoo_command(out=tmp_path, networks="lenet,squeezenet")


def test_names_of_units() -> None:
    assert zoo_cli.keys_of(("mobilenet_w1", "lenet"), "") == ("mobilenet_w1", "lenet")
    keys = zoo_cli.keys_of(("mobilenet_w1", "inceptionv3"), "96,224")
    assert keys == ("mobilenet_w1@96", "mobilenet_w1", "inceptionv3@96", "inceptionv3@224")
    with pytest.raises(UsageError, match="not below 32"):
        zoo_cli.keys_of(("lenet",), "16")


def test_every_network_has_a_family_and_quick_has_every_mobile_one() -> None:
    from export.load.zoo import ZOO

    assert all(family_of(name) != name for name in ZOO)
    assert family_of("mobilenetv3_small") == family_of("mobilenetv3_large") == "MobileNetV3"
    assert family_of("inceptionresnetv2") != family_of("inceptionv2") == family_of("googlenet")
    assert family_of("resnet50") == family_of("resnet152") != family_of("resnext50_32x4d")
    assert family_of("my_own") == "my_own"
    assert set(zoo_cli.QUICK) <= set(ZOO)
    assert {family_of(name) for name in zoo_cli.QUICK} == {
        "MobileNetV1", "MobileNetV2", "MobileNetV3", "ShuffleNetV1", "ShuffleNetV2", "SqueezeNet", "SqueezeNext", "MnasNet",
        "EfficientNet-Lite",
    }  # fmt: skip


def outcome(out: Path, name: str, candidate: str, macs: int, time_ms: float, threads: int = 1) -> Outcome:
    return Outcome(subject(out / name / candidate, name, candidate, threads, macs), (timing([time_ms] * 3),))


def test_the_peak_is_the_best_shape_of_each_runtime_precision_and_thread_count(tmp_path: Path) -> None:
    found = peak_records(
        [
            outcome(tmp_path, "peak_3x3", "onnx-fp32", 2_000_000_000, 20.0),  # 100 GMAC/s
            outcome(tmp_path, "peak_1x1", "onnx-fp32", 1_000_000_000, 8.0),  # 125
            outcome(tmp_path, "peak_3x3", "onnx-int8", 2_000_000_000, 5.0),  # 400
            outcome(tmp_path, "peak_1x1", "onnx-int8", 1_000_000_000, 4.0),  # 250
            outcome(tmp_path, "peak_3x3", "onnx-fp32", 2_000_000_000, 10.0, threads=2),
            Outcome(subject(tmp_path / "none", "peak_3x3", "tflite-fp32"), (), "no runtime"),
        ],
        {},
    )
    reached = [(r.bench, r.model.candidate, r.runtime.threads, r.model.model, macs_per_s(r) / 1e9) for r in found]
    assert reached == [
        ("peak", "fp32", 1, "peak_1x1", pytest.approx(125)),
        ("peak", "int8", 1, "peak_3x3", pytest.approx(400)),
        ("peak", "fp32", 2, "peak_3x3", pytest.approx(200)),
    ]
    network = timed_record("zoo", outcome(tmp_path, "net", "onnx-int8", 300_000_000, 3.0), thermal={})
    assert share_of_peak(network, found) == pytest.approx(0.25)  # 100 of 400
    mixed = msgspec.structs.replace(network, model=msgspec.structs.replace(network.model, precision="mixed"))
    assert share_of_peak(mixed, found) == pytest.approx(0.25)
    other = timed_record("zoo", outcome(tmp_path, "net", "tflite-int8", 300_000_000, 3.0), thermal={})
    assert share_of_peak(other, found) is None


def test_the_table_shows_times_and_reasons(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    record = timed_record("zoo", outcome(tmp_path, "net", "onnx-fp32", 300_000_000, 3.0), thermal={})
    peaks = peak_records([outcome(tmp_path, "peak_3x3", "onnx-fp32", 1_000_000_000, 2.5)], {})
    missing = (Missing(name="vgg19", reason="over budget: 143.67 MB of 8-bit weights"),)
    zoo_show.show(Report(
        bench="zoo", quick=True, records=(*peaks, record), ratios=(), checks=(), conditions=CALM, missing=missing
    ))  # fmt: skip
    shown = capsys.readouterr().out
    assert "25%" in shown
    assert "32×48" in shown
    assert "143.67 MB" in shown
    assert "quick" in shown
