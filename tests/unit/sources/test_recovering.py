"""A camera that fails in every way, opened again; the clock and the camera are scripted."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from datetime import datetime, timezone
from pathlib import Path

import numpy as np
import pytest

from edge.data import Frame, NoFrame, NoFrameReason, Tick
from edge.errors import ConfigError, SourceError
from edge.sources import recovering
from edge.sources.ladder import Ladder, LadderRules
from edge.sources.recovering import Actions, RecoveringSource

S = 1_000_000_000
UTC = datetime(2026, 1, 1, tzinfo=timezone.utc)


class UsedUp(Exception):
    """There is no more script."""


class FakeClock:
    def __init__(self) -> None:
        self.now_ns = 0

    def mono_ns(self) -> int:
        return self.now_ns


class Camera:
    """One opening: "f" is a frame after a second, "F" one of another size, "." a second of silence, "z" a second of a frozen picture, "!"
    breaks off; where the script ends, so do the frames. "x" as the whole script: it cannot be opened."""

    live, simulated, skipped = True, False, 0

    def __init__(self, script: str, clock: FakeClock) -> None:
        self._script, self._clock, self.dropped, self.closed = script, clock, 0, 0

    def __enter__(self) -> Camera:
        if self._script == "x":
            raise SourceError("no such camera")
        return self

    def __exit__(self, *_: object) -> None:
        self.closed += 1

    def __iter__(self) -> Iterator[Tick]:
        for number, letter in enumerate(self._script):
            self._clock.now_ns += S
            if letter == "!":
                raise SourceError("it broke off")
            if letter in "fF":
                self.dropped += 1
                side = 8 if letter == "f" else 16
                yield Frame(np.zeros((side, 8, 3), np.uint8), number, self._clock.now_ns, UTC, True)
            else:
                reason = NoFrameReason.TIMEOUT
                yield NoFrame(reason, "silent" if letter == "." else "frozen", self._clock.now_ns)

    def stop(self) -> None:
        pass


class Log:
    def __init__(self) -> None:
        self.steps: list[tuple[str, str]] = []
        self.recovered: list[int] = []
        self.extended: list[float] = []
        self.asked: list[str] = []

    def actions(self) -> Actions:
        return Actions(
            lambda step, reason: self.steps.append((step.rung, reason)),
            self.recovered.append,
            self.extended.append,
            self.asked.append,
            lambda: self.asked.append("reboot"),
        )


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> FakeClock:
    """Waiting passes the fake clock's time."""
    fake = FakeClock()

    class Event(recovering.threading.Event):
        def wait(self, timeout: float | None = None) -> bool:
            fake.now_ns += int((timeout or 0) * S)
            return self.is_set()

    monkeypatch.setattr(recovering.threading, "Event", Event)
    return fake


def run(
    scripts: list[str],
    clock: FakeClock,
    folder: Path,
    rules: LadderRules | None = None,
    ticks: int = 200,
    *,
    one_size: bool = False,
) -> tuple[list[Tick], Log, list[Camera]]:
    """Open one script after another, until they are used up, the ladder leaves, or so many ticks came."""
    log, made, left = Log(), [], list(scripts)

    def make() -> Camera:
        if not left:
            raise UsedUp
        made.append(Camera(left.pop(0), clock))
        return made[-1]

    source = RecoveringSource(
        make,
        Ladder(rules or LadderRules(), folder / "r.json"),
        log.actions(),
        stall_ms=5_000,
        timeout_ms=1_000,
        open_bound_s=15,
        one_size=one_size,
        clock=clock,
    )
    got: list[Tick] = []
    with source, contextlib.suppress(UsedUp):
        for tick in source:
            got.append(tick)
            if len(got) >= ticks:
                source.stop()
    return got, log, made


def frames(ticks: list[Tick]) -> list[int]:
    return [tick.seq for tick in ticks if isinstance(tick, Frame)]


@pytest.mark.parametrize(
    ("first", "reason"),
    [
        ("ff!", "it broke off"),
        ("ff......", "no frame for 5 s (silent)"),
        ("ffzzzzzz", "no frame for 5 s (frozen)"),
        ("ff", "the camera's frames ended"),
    ],
)
def test_a_camera_that_fails_is_opened_again_and_frames_count_on(first, reason, clock, tmp_path):
    got, log, made = run([first, "fff"], clock, tmp_path)
    assert frames(got) == [0, 1, 2, 3, 4]
    assert log.steps[0] == ("reopen", reason)
    assert made[0].closed == 1
    assert any(isinstance(tick, NoFrame) and "opened again in" in tick.detail for tick in got), "the loop goes on meanwhile"


def test_a_camera_that_is_not_there_at_the_start_is_waited_for(clock, tmp_path):
    got, log, _ = run(["x", "x", "x", "ff"], clock, tmp_path)
    assert frames(got) == [0, 1]
    assert log.steps[:3] == [("reopen", "no such camera")] * 3


def test_it_leaves_with_the_cameras_own_error_after_the_daemon_was_asked(clock, tmp_path):
    rules = LadderRules(reopens=1, daemon="nvargus-daemon")
    log_path = tmp_path
    with pytest.raises(SourceError, match="no such camera"):
        run(["x"] * 9, clock, log_path, rules)
    again = Ladder(rules, tmp_path / "r.json")
    assert again.position.left == 1


def test_the_daemon_and_the_reboot_are_asked_for_once(clock, tmp_path):
    asked = []
    for _ in range(2):
        log = Log()
        source = RecoveringSource(
            lambda: Camera("x", clock),
            Ladder(LadderRules(reopens=1, daemon="d", leaves=2), tmp_path / "r.json"),
            log.actions(),
            stall_ms=5_000,
            timeout_ms=1_000,
            open_bound_s=15,
            clock=clock,
        )
        with pytest.raises(SourceError), source:
            list(source)
        asked += log.asked
    assert asked == ["d", "reboot"]


def test_the_watchdog_is_extended_once_a_step_by_its_bound(clock, tmp_path):
    _, log, _ = run(["x", "x", "ff"], clock, tmp_path)
    assert len(log.extended) == len(log.steps)
    for bound_s, pause_s in zip(log.extended, (1, 2, 4), strict=False):
        assert 20 + 0.75 * pause_s <= bound_s <= 20 + 1.25 * pause_s


def test_it_has_recovered_when_frames_came_for_ten_seconds(clock, tmp_path):
    _, log, _ = run(["f!", "fff!", "f" * 12], clock, tmp_path, ticks=60)
    assert log.recovered == [2], "three frames are no recovery, and the pause goes on growing"


def test_a_wrong_configuration_is_not_tried_again(clock, tmp_path):
    class Wrong(Camera):
        def __enter__(self):
            raise ConfigError("no such option")

    source = RecoveringSource(
        lambda: Wrong("", clock),
        Ladder(LadderRules(), tmp_path / "r.json"),
        Log().actions(),
        stall_ms=1,
        timeout_ms=1,
        open_bound_s=1,
        clock=clock,
    )
    with pytest.raises(ConfigError), source:
        pass


def test_what_was_dropped_is_counted_over_all_openings(clock, tmp_path):
    log = Log()
    scripts = ["ff!", "fff"]
    source = RecoveringSource(
        lambda: Camera(scripts.pop(0), clock),
        Ladder(LadderRules(), tmp_path / "r.json"),
        log.actions(),
        stall_ms=5_000,
        timeout_ms=1_000,
        open_bound_s=1,
        clock=clock,
    )
    with source:
        for count, _ in enumerate(frame for frame in source if isinstance(frame, Frame)):
            if count == 4:
                source.stop()
    assert source.dropped == 5


def test_a_camera_that_comes_back_in_another_size_is_opened_again_until_it_has_its_own(
    clock: FakeClock, tmp_path: Path
) -> None:
    got, log, _ = run(["ff!", "FF", "F", "ff", "x"], clock, tmp_path, one_size=True)
    assert {tick.pixels.shape[0] for tick in got if isinstance(tick, Frame)} == {8}
    assert len(frames(got)) == 4
    other = "the camera came back with frames of 8×16 pixels instead of 8×8"
    assert [reason for _, reason in log.steps][:3] == ["it broke off", other, other]
    with pytest.raises(SourceError, match="instead of 8×8"):
        run(["ff!", "F"], clock, tmp_path / "gives up", LadderRules(reopens=1), one_size=True)


def test_where_the_size_does_not_matter_another_one_is_taken(clock: FakeClock, tmp_path: Path) -> None:
    got, _, _ = run(["f!", "FF", "x"], clock, tmp_path)
    assert [tick.pixels.shape[0] for tick in got if isinstance(tick, Frame)] == [8, 16, 16]
