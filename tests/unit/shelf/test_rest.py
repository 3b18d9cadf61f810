"""The gate: looks when something changed, is free, and rests."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.shelf.rest import Moment, Phase, RestRules, RestState, interrupted, looked, step

MS = 1_000_000
RULES = RestRules(dwell_ns=800 * MS, refresh_ns=60_000 * MS)


def scene(seed: int) -> np.ndarray:
    return np.random.default_rng(seed).uniform(40, 180, (20, 16, 3)).astype(np.float32)


A, B = scene(1), scene(2)


class Driver:
    """Feeds pictures at 10 frames a second and accepts what the gate asks to look at."""

    def __init__(self) -> None:
        self.state, self.now_ns, self.before, self.gain_before = RestState(), 0, A, 1.0
        self.looks: list[int] = []

    def feed(self, picture: np.ndarray, seconds: float = 0.1, *, gain: float = 1.0, blocked: bool = False) -> Phase:
        verdict = Phase.BUSY
        for _ in range(max(1, round(seconds * 10))):
            now = np.minimum(picture * np.float32(gain), 255)
            look = Moment(now, self.before, gain, gain / self.gain_before, blocked)
            self.state, verdict = step(self.state, look, self.now_ns, RULES)
            if verdict is Phase.LOOK:
                self.looks.append(self.now_ns // MS)
                self.state = looked(self.state, now, gain, self.now_ns)
            self.before, self.gain_before = now, gain
            self.now_ns += 100 * MS
        return verdict


def settled() -> Driver:
    driver = Driver()
    driver.feed(A, 2)
    assert driver.looks == [800]
    driver.looks.clear()
    return driver


def test_a_slot_at_rest_is_looked_at_once_and_then_calm():
    driver = settled()
    assert driver.feed(A, 20) is Phase.CALM
    assert driver.looks == []


def test_a_change_is_looked_at_after_the_dwell_time():
    driver = settled()
    start = driver.now_ns // MS
    driver.feed(B, 2)
    assert driver.looks == [start + 800], "at rest since the frame of the change, as the next one shows"


def test_the_dwell_time_counts_from_the_first_frame_in_which_nothing_is_in_front():
    driver = settled()
    driver.feed(B, 1, blocked=True)
    start = driver.now_ns // MS
    driver.feed(B, 2)
    assert driver.looks == [start + 800]


def test_what_moves_in_every_frame_never_rests():
    driver = settled()
    for seed in range(3, 33):
        assert driver.feed(scene(seed)) is Phase.BUSY
    start = driver.now_ns // MS
    driver.feed(B, 2)
    assert driver.looks == [start + 800]


def test_what_passes_delays_and_does_not_fire():
    driver = settled()
    for seed in range(3, 23):
        assert driver.feed(scene(seed)) is Phase.BUSY
    assert driver.feed(A, 2) is Phase.CALM
    assert driver.looks == []


def test_what_stands_in_front_is_no_change_however_long():
    driver = settled()
    assert driver.feed(B, 30, blocked=True) is Phase.BUSY
    assert driver.looks == []
    driver.feed(B, 2)
    assert len(driver.looks) == 1


def test_it_looks_again_after_the_refresh_interval():
    driver = settled()
    driver.feed(A, 61)
    assert driver.looks == [60_800]


@given(st.lists(st.floats(0.3, 1.4), min_size=1, max_size=20))
def test_light_alone_never_fires(gains):
    driver = Driver()
    driver.feed(A * 0.7, 2)
    driver.looks.clear()
    for gain in gains:
        driver.feed(A * 0.7, 0.3, gain=gain)
    assert driver.looks == []


def test_slow_fading_is_followed_and_a_sudden_change_of_the_same_size_is_not():
    driver = settled()
    faded = A.copy()
    for _ in range(500):
        faded[:10] += 0.06
        driver.feed(faded)
    assert driver.looks == []
    other = settled()
    other.feed(faded, 2)
    assert len(other.looks) == 1


def test_an_interruption_starts_the_dwell_time_anew():
    driver = settled()
    driver.feed(B, 0.7)
    driver.state = interrupted(driver.state)
    start = driver.now_ns // MS
    driver.feed(B, 2)
    assert driver.looks == [start + 800]


def moment(now: np.ndarray, before: np.ndarray, *, gain: float = 1.0, step_gain: float = 1.0, blocked: bool = False) -> Moment:
    return Moment(now, before, gain, step_gain, blocked)


def lit(share: float) -> np.ndarray:
    """A that differs by that share of a light grey."""
    return A + np.float32(160 * share)


@pytest.mark.parametrize(("share", "moves"), [(0.055, False), (0.065, True)])
def test_how_much_a_slot_must_differ_from_the_frame_before_to_move(share: float, moves: bool) -> None:
    state, verdict = step(RestState(lit(share), 0, 0), moment(lit(share), A), 5_000 * MS, RULES)
    assert verdict is (Phase.BUSY if moves else Phase.CALM)
    assert state.rests_since_ns == (5_000 * MS if moves else 0)


@pytest.mark.parametrize(("share", "changed"), [(0.115, False), (0.125, True)])
def test_how_much_a_slot_must_differ_from_what_was_accepted_to_be_looked_at(share: float, changed: bool) -> None:
    now = lit(share)
    _, verdict = step(RestState(A, 0, 0), moment(now, now), 5_000 * MS, RULES)
    assert verdict is (Phase.LOOK if changed else Phase.CALM)


def test_a_slot_at_rest_is_followed_by_a_fiftieth_a_frame_in_the_light_of_the_reference() -> None:
    now = (A + 10) / 2
    state, verdict = step(RestState(A, 0, 0), moment(now, now, gain=0.5), 5_000 * MS, RULES)
    assert verdict is Phase.CALM
    assert state.accepted is not None
    np.testing.assert_allclose(state.accepted - A, 0.2, atol=1e-4)
    assert (state.rests_since_ns, state.looked_ns) == (0, 0)


@pytest.mark.parametrize(("at_ms", "verdict"), [(1_799, Phase.BUSY), (1_800, Phase.LOOK)])
def test_the_dwell_time_is_over_when_it_has_passed(at_ms: int, verdict: Phase) -> None:
    state, found = step(RestState(None, 1_000 * MS, 0), moment(A, A), at_ms * MS, RULES)
    assert found is verdict
    assert state.rests_since_ns == 1_000 * MS


def test_while_something_is_in_front_no_rest_begins() -> None:
    state, verdict = step(RestState(A, 1_000 * MS, 0), moment(A, A, blocked=True), 5_000 * MS, RULES)
    assert (verdict, state.rests_since_ns) == (Phase.BUSY, None)
    state, verdict = step(state, moment(A, A), 6_000 * MS, RULES)
    assert (verdict, state.rests_since_ns) == (Phase.BUSY, 6_000 * MS)


def test_light_that_changes_between_two_frames_is_no_movement() -> None:
    _, verdict = step(RestState(A, 0, 0), moment(A * np.float32(1.3), A, gain=1.3, step_gain=1.3), 5_000 * MS, RULES)
    assert verdict is Phase.CALM


def test_a_look_is_remembered_in_the_light_of_the_reference_and_an_interruption_forgets_the_rest_alone() -> None:
    state = looked(RestState(None, 7, 0), A * np.float32(0.5), 0.5, 9)
    assert state.accepted is not None
    np.testing.assert_allclose(state.accepted, A, rtol=1e-6)
    assert (state.rests_since_ns, state.looked_ns) == (7, 9)
    assert interrupted(state) == RestState(state.accepted, None, 9)
