"""Faults and changes of a soak, by seed."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from benchmarks.soak.plan import COOL_DOWN_S, RECEIVER_FAULTS, SERVICE_FAULTS, WARM_UP_S, plan_faults, soak_script
from edge.scene.script import REACH_S

ALL = (*SERVICE_FAULTS, *RECEIVER_FAULTS)


@given(st.integers(0, 1000), st.floats(60, 1200), st.sets(st.sampled_from(ALL)))
def test_faults_are_possible_ones_in_their_time_and_of_each_lane_one_at_a_time(
    seed: int, duration_s: float, possible: set[str]
) -> None:
    faults = plan_faults(seed, duration_s, possible)
    assert faults == plan_faults(seed, duration_s, possible)
    for lane in (SERVICE_FAULTS, RECEIVER_FAULTS):
        mine = [fault for fault in faults if fault.kind in lane]
        assert all(after.at_s >= before.at_s + before.last_s for before, after in pairwise(mine))
    assert {fault.kind for fault in faults} <= possible
    assert all(fault.at_s >= WARM_UP_S and fault.at_s + fault.last_s <= duration_s - COOL_DOWN_S for fault in faults)


@given(st.integers(0, 1000))
def test_ten_minutes_do_everything_and_leave_one_process_alone_for_the_second_half(seed: int) -> None:
    faults = plan_faults(seed, 600, ALL)
    assert {fault.kind for fault in faults} == set(ALL)
    assert all(fault.at_s < 300 for fault in faults if fault.kind == "kill")
    assert len({fault.kind for fault in faults if fault.at_s > 300}) >= 5


@given(st.integers(0, 1000))
def test_slots_are_emptied_and_filled_in_turn_one_at_a_time(seed: int) -> None:
    script = soak_script(seed, ["A", "B", "C"], ["x", "y"], 120)
    changes = [action for action in script.actions if action.slot is not None]
    assert all(after.at_s - before.at_s > 2 * REACH_S for before, after in pairwise(changes))
    holds = dict(script.start)
    for action in changes:
        assert (holds[action.slot] is None) != (action.product is None)
        holds[action.slot] = action.product
