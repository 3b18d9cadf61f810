"""How many frames go through while the board is hot, from a scripted clock, board and source."""

from __future__ import annotations

import dataclasses
import itertools
import threading
from collections.abc import Iterable, Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.board.cooling import CoolingRules, CoolingState
from edge.board.pace import BoardWatch, Pace, PaceSigns
from edge.board.thermal import Thermal
from edge.data import Frame, NoFrame, NoFrameReason, Tick
from tests.fakes.events import FakeClock
from tests.fakes.events import frame as any_frame
from tests.fakes.patience import patience_s, wait_until

MS = 1_000_000
COLD, HOT = Thermal({"cpu-thermal": 40.0}, {}, {}), Thermal({"cpu-thermal": 79.0}, {}, {})


class ScriptedBoard:
    def __init__(self) -> None:
        self.next: list[Thermal | None] = []

    def take(self) -> Thermal | None:
        return self.next.pop(0) if self.next else None


class Rig:
    def __init__(self, level: int = 0, longest_s: float = 1.0) -> None:
        self.clock, self.board, self.signs = FakeClock(), ScriptedBoard(), PaceSigns(state=CoolingState(level, 0))
        self.told: list[tuple[str, ...]] = []
        self.pace = Pace(CoolingRules(), self.board, self.told.append, self.signs, clock=self.clock, longest_s=longest_s)

    def camera(self, period_ms: int, count: int) -> Iterator[Tick]:
        """A live source: frame k comes at k periods; those that came while the loop was busy are lost, but for the newest."""
        for k in range(count):
            due_ns = k * period_ms * MS
            if self.clock.now_ns >= due_ns + period_ms * MS:
                continue
            self.clock.now_ns = max(self.clock.now_ns, due_ns)
            yield dataclasses.replace(any_frame(), seq=k, captured_mono_ns=due_ns)

    def run(self, ticks: Iterable[Tick], busy_ms: int = 0) -> list[tuple[int, int]]:
        """(seq, milliseconds) of the frames that went through; each takes the loop ``busy_ms``."""
        through = []
        for tick in self.pace.ticks(ticks):
            if isinstance(tick, Frame):
                through.append((tick.seq, self.clock.now_ns // MS))
                assert self.clock.now_ns - tick.captured_mono_ns <= busy_ms * MS + 1, "as fresh as without it"
                self.clock.now_ns += busy_ms * MS
        return through


def test_at_full_rate_every_frame_goes_through_and_nothing_is_told() -> None:
    rig = Rig()
    rig.board.next = [COLD] * 100
    assert [seq for seq, _ in rig.run(rig.camera(50, 100))] == list(range(100))
    assert (rig.told, rig.signs.held) == ([], 0)


@pytest.mark.parametrize(("level", "every"), [(1, 2), (2, 4)])
def test_of_a_fast_loop_every_second_or_fourth_frame(level: int, every: int) -> None:
    rig = Rig(level)
    assert [seq for seq, _ in rig.run(rig.camera(50, 100))] == list(range(0, 100, every))
    assert rig.signs.held == 100 - 100 // every


def test_of_a_slow_loop_it_is_the_loop_s_rate_that_is_halved() -> None:
    """A model of 300 ms behind a camera of 25 frames a second: every second frame would change nothing."""
    full, half = Rig(0), Rig(1)
    often = len(full.run(full.camera(40, 1_000), busy_ms=300))
    assert len(half.run(half.camera(40, 1_000), busy_ms=300)) == pytest.approx(often / 2, rel=0.1)


@given(
    st.sampled_from([1, 2]), st.integers(20, 3_000), st.integers(0, 2_000), st.sampled_from([0.5, 1.0]), st.integers(30, 120)
)
def test_never_longer_apart_than_the_limit_or_than_without_it(
    level: int, period_ms: int, busy_ms: int, longest_s: float, count: int
) -> None:
    full, slow = Rig(0), Rig(level, longest_s)
    free = [ms for _, ms in full.run(full.camera(period_ms, count), busy_ms)]
    paced = [ms for _, ms in slow.run(slow.camera(period_ms, count), busy_ms)]
    widest = max((b - a for a, b in itertools.pairwise(free)), default=0)
    for a, b in itertools.pairwise(paced):
        assert b - a <= max(widest, longest_s * 1_000 + period_ms + 1)
    assert len(paced) <= len(free) + 1


def test_ticks_without_a_frame_all_pass() -> None:
    rig = Rig(2)
    silence = [NoFrame(NoFrameReason.TIMEOUT, "", 0)] * 5
    assert list(rig.pace.ticks(silence)) == silence


def test_a_camera_that_comes_back_is_not_held_for_what_it_was_silent() -> None:
    rig = Rig(2)
    first = dataclasses.replace(any_frame(), seq=0, captured_mono_ns=0)

    def ticks() -> Iterator[Tick]:
        yield first
        rig.clock.now_ns = 60_000 * MS
        yield dataclasses.replace(first, seq=1, captured_mono_ns=rig.clock.now_ns)

    assert [seq for seq, _ in rig.run(ticks())] == [0, 1]


def test_steps_are_told_counted_and_kept_and_end_at_once() -> None:
    rig = Rig()
    rig.board.next = [HOT, *[None] * 9, COLD, *[None] * 1_300, COLD]
    seqs = [seq for seq, _ in rig.run(rig.camera(50, 1_400))]
    assert rig.told == [
        ("rate=0.5", "celsius=79.0", "limit_c=80", "zone=cpu-thermal", "reason=within 5 °C of throttling"),
        ("rate=1", "celsius=40.0", "limit_c=80", "zone=cpu-thermal", "reason=cool for 60 s"),
    ]
    assert (rig.signs.down, rig.signs.up, rig.signs.reason, rig.signs.state.share) == (1, 1, None, 1.0)
    assert seqs[:3] == [0, 2, 4]
    assert seqs[-50:] == list(range(1_350, 1_400))


def test_a_new_configuration_goes_on_at_the_same_rate() -> None:
    rig = Rig()
    rig.board.next = [HOT]
    rig.run(rig.camera(50, 10))
    assert rig.signs.reason == "cpu-thermal 79.0 °C of 80 °C, within 5 °C of throttling"
    Pace(CoolingRules(), rig.board, rig.told.append, rig.signs, clock=rig.clock)
    assert rig.signs.state.share == 0.5


def test_the_board_is_asked_again_and_again_beside_the_loop_and_each_answer_is_given_once() -> None:
    asked = threading.Semaphore(0)

    def read() -> Thermal:
        asked.release()
        return HOT

    with BoardWatch(read, every_s=0.001) as board:
        for _ in range(3):
            assert asked.acquire(timeout=patience_s())
        wait_until(lambda: board.take() is HOT)
    quiet = BoardWatch(read)
    assert quiet.take() is None


def test_a_sensor_that_hangs_holds_up_neither_the_loop_nor_the_end() -> None:
    stuck = threading.Event()

    def read() -> Thermal:
        stuck.wait(patience_s())
        return HOT

    with BoardWatch(read) as board:
        assert board.take() is None
    assert not stuck.is_set()
    stuck.set()


def test_what_ends_the_asking_is_raised_in_the_loop() -> None:
    def read() -> Thermal:
        raise ValueError("broken")

    with BoardWatch(read) as board, pytest.raises(ValueError, match="broken"):
        wait_until(lambda: board.take() is not None)
