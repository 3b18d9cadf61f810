"""When the rate goes down and up: any heat, any flags, at any times."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.board.cooling import SHARES, CoolingRules, CoolingState, Heat, heat_of, rules_for, step
from edge.board.thermal import Thermal

RULES = CoolingRules()
HOT_C, COOL_C = 75.0, 70.0
"""Of a zone that throttles at 80 °C."""
S = 1_000_000_000

degrees = st.floats(min_value=-20, max_value=120)
flags = st.sampled_from([(), (), (), ("throttled",), ("cpufreq",)])
heats = st.builds(Heat, st.sampled_from(["cpu-thermal"] * 4 + [None]), degrees, st.just(80.0), flags)
readings = st.lists(st.tuples(heats, st.integers(min_value=1, max_value=40)), max_size=60)


def at(celsius: float, *throttled: str) -> Heat:
    return Heat("cpu-thermal", celsius, 80.0, throttled)


def hot(heat: Heat) -> bool:
    return bool(heat.throttled) or (heat.zone is not None and heat.celsius >= HOT_C)


def cool(heat: Heat) -> bool:
    return not heat.throttled and heat.zone is not None and heat.celsius <= COOL_C


@given(readings)
def test_it_moves_by_one_step_down_only_in_heat_and_up_only_after_a_rest(sequence: list[tuple[Heat, int]]) -> None:
    state, now_s, cool_since_s, downs_s = CoolingState(), 0, None, [-1_000_000]
    for heat, pause_s in sequence:
        now_s += pause_s
        before = state.level
        state, why = step(state, heat, now_s * S, RULES)
        assert 0 <= state.level < len(SHARES)
        assert abs(state.level - before) == (why is not None), "each step has a reason, and nothing else has"
        cool_since_s = (now_s if cool_since_s is None else cool_since_s) if cool(heat) else None
        if state.level > before:
            assert hot(heat)
            assert before == 0 or now_s - downs_s[-1] >= RULES.settle_s, "the step before has had its time"
            downs_s.append(now_s)
        if state.level < before:
            assert cool_since_s is not None
            assert now_s - cool_since_s >= RULES.rest_s
            cool_since_s = now_s
        if hot(heat):
            assert state.level > 0, "the first step is not waited for"


@given(readings, st.sampled_from([at(79.9), at(20.0, "throttled")]))
def test_lasting_heat_ends_at_the_lowest_rate(sequence: list[tuple[Heat, int]], heat: Heat) -> None:
    state, now_s = after(sequence)
    for _ in range(20):
        now_s += 5
        state, _ = step(state, heat, now_s * S, RULES)
    assert state.share == SHARES[-1]


@given(readings)
def test_lasting_cool_ends_at_full_rate_and_stays_there(sequence: list[tuple[Heat, int]]) -> None:
    state, now_s = after(sequence)
    for _ in range(60):
        now_s += 5
        state, why = step(state, at(60.0), now_s * S, RULES)
    assert (state.share, why) == (1.0, None)


@given(readings, st.lists(st.floats(min_value=COOL_C + 0.01, max_value=HOT_C - 0.01), min_size=1, max_size=60))
def test_between_hot_and_cool_nothing_moves(sequence: list[tuple[Heat, int]], between: list[float]) -> None:
    state, now_s = after(sequence)
    level = state.level
    for celsius in between:
        now_s += 60
        state, why = step(state, at(celsius), now_s * S, RULES)
        assert (state.level, why) == (level, None)


def after(sequence: list[tuple[Heat, int]]) -> tuple[CoolingState, int]:
    state, now_s = CoolingState(), 0
    for heat, pause_s in sequence:
        now_s += pause_s
        state, _ = step(state, heat, now_s * S, RULES)
    return state, now_s


def test_reasons() -> None:
    assert step(CoolingState(), at(75.0), 0, RULES)[1] == "within 5 °C of throttling"
    assert step(CoolingState(), at(40.0, "cpufreq", "throttled"), 0, RULES)[1] == "throttled: cpufreq, throttled"
    resting = CoolingState(1, 0, cool_ns=0)
    assert step(resting, at(69.0), 60 * S, RULES)[1] == "cool for 60 s"


def test_sensors_that_fall_silent_change_nothing() -> None:
    silent = Heat(None, 0.0, 0.0, ())
    for state in (CoolingState(), CoolingState(2, 0, cool_ns=0)):
        assert step(state, silent, 1_000 * S, RULES)[0].level == state.level


def test_the_zone_nearest_to_its_own_limit_counts_not_the_hottest() -> None:
    thermal = Thermal({"gpu": 85.0, "soc": 70.0}, {}, {}, {"gpu": 99.0, "soc": 75.0})
    assert heat_of(thermal, RULES) == Heat("soc", 70.0, 75.0, ())
    assert heat_of(thermal, CoolingRules(limit_c=90.0)) == Heat("gpu", 85.0, 90.0, ())
    assert heat_of(Thermal({"cpu-thermal": 61.0}, {}, {}), RULES).limit_c == 80.0
    assert heat_of(Thermal({}, {"cpufreq": True}, {}), RULES) == Heat(None, 0.0, 0.0, ("cpufreq",))


def test_a_weak_power_supply_is_no_heat() -> None:
    weak = {"under_voltage": True, "frequency_capped": True, "throttled": True, "soft_temperature_limit": False}
    assert heat_of(Thermal({"cpu-thermal": 50.0}, weak, {}), RULES).throttled == ()
    assert heat_of(Thermal({"cpu-thermal": 50.0}, weak | {"under_voltage": False}, {}), RULES).throttled == (
        "frequency_capped",
        "throttled",
    )


@pytest.mark.parametrize(
    ("model", "limit_c", "expected"),
    [
        ("Raspberry Pi 3 Model B Plus Rev 1.3", None, 60.0),
        ("Raspberry Pi 3 Model B Rev 1.2", None, 80.0),
        ("Raspberry Pi 5 Model B Rev 1.0", None, 80.0),
        ("Raspberry Pi 3 Model B Plus Rev 1.3", 75.0, 75.0),
    ],
)
def test_limits_of_boards(model: str, limit_c: float | None, expected: float) -> None:
    rules = rules_for(model, limit_c)
    soft = Thermal({"cpu-thermal": 50.0}, {"soft_temperature_limit": True}, {})
    assert heat_of(soft, rules).limit_c == expected
    assert bool(heat_of(soft, rules).throttled) == (limit_c is None), "the site's own limit overrides the soft one"
