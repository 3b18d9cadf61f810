"""What a monitor is told, from a scripted clock, source and loop, over a real HTTP connection."""

from __future__ import annotations

import dataclasses
import json
import socket
import urllib.error
import urllib.request
from pathlib import Path

import pytest

from edge.board.cooling import CoolingState
from edge.board.pace import PaceSigns
from edge.board.thermal import Thermal
from edge.data import Frame
from edge.errors import ConfigError, SinkError
from edge.monitor import stopwatch as stopwatch_module
from edge.monitor.heartbeat import Heartbeat
from edge.monitor.stopwatch import STAGES, Stopwatch
from edge.monitor.vitals import Vitals, count_start, judge_health
from tests.fakes.events import FakeClock
from tests.fakes.events import frame as any_frame
from tests.fakes.patience import patience_s

LIMIT_S = 30.0
HOT = Thermal({"cpu-thermal": 61.5}, {"under_voltage": True}, {"under_voltage": 1})


class FakeSource:
    def __init__(self, live: bool = True, simulated: bool = False) -> None:
        self.live, self.simulated = live, simulated
        self.dropped = self.skipped = 0


def frame(captured_mono_ns: int) -> Frame:
    return dataclasses.replace(any_frame(), captured_mono_ns=captured_mono_ns)


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def heartbeat(clock: FakeClock) -> Heartbeat:
    return Heartbeat(clock)


def attached(clock: FakeClock, heartbeat: Heartbeat, source: FakeSource) -> Vitals:
    vitals = Vitals(clock, heartbeat)
    vitals.attach(source, "shelf-1", lambda: "b@1", lambda: "m/onnx-a")
    return vitals


def after(clock: FakeClock, seconds: float) -> None:
    clock.now_ns += int(seconds * 1e9)


def test_ready_only_after_a_frame_of_a_real_camera_and_only_while_they_come(clock: FakeClock, heartbeat: Heartbeat) -> None:
    vitals = attached(clock, heartbeat, FakeSource())

    def told() -> tuple[str, bool, bool]:
        health = judge_health(vitals.signs(), LIMIT_S)
        return health.status, health.ready, health.healthy

    assert told() == ("starting", False, True)
    after(clock, 10)
    heartbeat.beat(frame(captured_mono_ns=clock.now_ns - 200_000_000))
    assert told() == ("ok", True, True)
    after(clock, 29.5)
    assert told() == ("ok", True, True)
    after(clock, 1)
    assert told() == ("stalled", False, False)
    heartbeat.beat(frame(captured_mono_ns=clock.now_ns))
    assert told() == ("ok", True, True)


def test_a_camera_that_never_gives_a_frame_is_stalled_in_the_end(clock: FakeClock, heartbeat: Heartbeat) -> None:
    vitals = attached(clock, heartbeat, FakeSource())
    after(clock, LIMIT_S + 1)
    assert judge_health(vitals.signs(), LIMIT_S).status == "stalled"


@pytest.mark.parametrize(("live", "simulated"), [(True, True), (False, False)])
def test_without_a_camera_it_is_never_ready(clock: FakeClock, heartbeat: Heartbeat, live: bool, simulated: bool) -> None:
    vitals = attached(clock, heartbeat, FakeSource(live, simulated))
    heartbeat.beat(frame(captured_mono_ns=0))
    health = judge_health(vitals.signs(), LIMIT_S)
    assert (health.status, health.ready, health.healthy) == ("no camera", False, True)


def test_counters_are_kept_when_the_source_changes_but_readiness_is_earned_anew(clock: FakeClock, heartbeat: Heartbeat) -> None:
    old, new = FakeSource(), FakeSource()
    vitals = attached(clock, heartbeat, old)
    heartbeat.beat(frame(captured_mono_ns=0))
    old.dropped, old.skipped = 3, 1
    after(clock, LIMIT_S * 2)
    vitals.attach(new, "shelf-1", lambda: "b@2", lambda: "m/onnx-b")
    new.dropped = 2
    signs = vitals.signs()
    assert (signs.frames, signs.source_frames, signs.dropped, signs.skipped, signs.idle_s) == (1, 0, 5, 1, 0.0)
    assert (signs.bundle, signs.model) == ("b@2", "m/onnx-b")
    assert judge_health(signs, LIMIT_S).status == "starting"


def test_the_age_of_the_newest_frame(clock: FakeClock, heartbeat: Heartbeat) -> None:
    vitals = attached(clock, heartbeat, FakeSource())
    assert vitals.signs().frame_age_s is None
    after(clock, 5)
    heartbeat.beat(frame(captured_mono_ns=clock.now_ns - 250_000_000))
    after(clock, 1)
    assert vitals.signs().frame_age_s == pytest.approx(1.25)


def test_histograms_hold_every_lap(monkeypatch: pytest.MonkeyPatch) -> None:
    now = {"ns": 0}
    monkeypatch.setattr(stopwatch_module.time, "perf_counter_ns", lambda: now["ns"])
    watch = Stopwatch()
    for milliseconds in (0.4, 0.5, 3.0, 7_000.0):
        now["ns"] += int(milliseconds * 1e6)
        watch.lap("inference")
    histogram = watch.histograms()["inference"]
    assert (histogram.counts[0], histogram.counts[3], histogram.counts[-1]) == (2, 1, 1), "a bound belongs to its own bucket"
    assert (sum(histogram.counts), histogram.sum_s) == (4, pytest.approx(7.0039))
    assert sum(watch.histograms()["decode"].counts) == 0


def test_starts_are_counted_and_a_broken_file_or_disk_is_no_reason_to_stop(tmp_path: Path) -> None:
    path = tmp_path / "shelf-1" / "starts"
    assert [count_start(path), count_start(path)] == [1, 2]
    path.write_text("rubbish")
    assert count_start(path) == 1
    assert count_start(path / "below-a-file") == 1


@pytest.fixture
def served(clock: FakeClock, heartbeat: Heartbeat):
    pytest.importorskip("prometheus_client")
    from edge.monitor.http import HttpEndpoint
    from edge.monitor.metrics import Exposition

    vitals = attached(clock, heartbeat, FakeSource())
    vitals.starts, vitals.recoveries = 7, {"reopen": 3}
    vitals.pace = PaceSigns(CoolingState(1), "too hot", held=9, down=2, up=1)
    stopwatch = Stopwatch()
    stopwatch.lap("inference")

    def health():
        return judge_health(vitals.signs(), LIMIT_S)

    with HttpEndpoint("127.0.0.1:0", health, Exposition(health, stopwatch.histograms, lambda: HOT)) as endpoint:
        yield endpoint


def get(port: int, path: str) -> tuple[int, str]:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=patience_s()) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


def test_the_pages(served, clock: FakeClock, heartbeat: Heartbeat) -> None:
    from prometheus_client.parser import text_string_to_metric_families

    status, body = get(served.port, "/healthz")
    assert (status, json.loads(body)["status"]) == (503, "starting")
    after(clock, 2)
    heartbeat.beat(frame(captured_mono_ns=clock.now_ns))
    status, body = get(served.port, "/healthz")
    assert (status, json.loads(body)["ready"]) == (200, True)
    assert "0.5 of the full rate: too hot" in json.loads(body)["reason"]
    assert json.loads(body)["signs"]["rate"] == 0.5
    status, text = get(served.port, "/metrics")
    assert status == 200
    samples = {
        (s.name, *sorted(s.labels.values())): s.value for family in text_string_to_metric_families(text) for s in family.samples
    }
    assert samples["shelfcam_frames_processed_total",] == 1
    assert samples["shelfcam_starts_total",] == 7
    assert samples["shelfcam_recoveries_total", "reopen"] == 3
    assert samples["shelfcam_ready",] == 1
    assert samples["shelfcam_rate",] == 0.5
    assert samples["shelfcam_frames_held_total",] == 9
    assert samples["shelfcam_frames_in_total",] == 1 + 9
    assert (samples["shelfcam_rate_steps_total", "down"], samples["shelfcam_rate_steps_total", "up"]) == (2, 1)
    assert samples["shelfcam_temperature_celsius", "cpu-thermal"] == 61.5
    assert samples["shelfcam_throttled", "under_voltage"] == 1
    assert {stage for name, *labels in samples if name == "shelfcam_stage_seconds_count" for stage in labels} == set(STAGES)
    assert samples["shelfcam_stage_seconds_bucket", "+Inf", "inference"] == 1
    assert samples["shelfcam_camera_info", "b@1", "m/onnx-a", "shelf-1"] == 1
    assert get(served.port, "/other")[0] == 404


def test_a_port_that_is_taken_and_an_address_that_is_none(served) -> None:
    from edge.monitor.http import HttpEndpoint

    with pytest.raises(SinkError, match=r"metrics\.listen"), HttpEndpoint(f"127.0.0.1:{served.port}", None, None):
        pass
    with pytest.raises(ConfigError, match=r"metrics\.listen"), HttpEndpoint("127.0.0.1:99999", None, None):
        pass


def test_an_idle_connection_does_not_hold_up_the_end(clock: FakeClock, heartbeat: Heartbeat) -> None:
    pytest.importorskip("prometheus_client")
    from edge.monitor.http import HttpEndpoint

    with HttpEndpoint("127.0.0.1:0", None, None) as endpoint:
        hanging = socket.create_connection(("127.0.0.1", endpoint.port))
    hanging.close()


def test_without_the_package_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    from edge.monitor.metrics import Exposition

    monkeypatch.setitem(sys.modules, "prometheus_client", None)
    with pytest.raises(ConfigError, match="prometheus-client") as caught:
        Exposition(None, None, None)
    assert "prometheus-client>=0.21" in (caught.value.fix or "")
