"""Idle or not, from made-up /proc/stat lines."""

from __future__ import annotations

import pytest

from edge.choice import idle


@pytest.fixture
def stat(monkeypatch: pytest.MonkeyPatch):
    """A machine of two CPUs whose busy share is what the test says, sample by sample."""
    state = {"busy": 0, "idle": 0, "shares": [], "slept": 0.0}

    def sleep(seconds: float) -> None:
        share = state["shares"].pop(0)
        state["busy"] += round(200 * share)
        state["idle"] += 200 - round(200 * share)
        state["slept"] += seconds

    monkeypatch.setattr(
        idle.Path, "read_text", lambda *_, **__: f"cpu  {state['busy']} 0 0 {state['idle']} 0 0 0 0 0 0\ncpu0 1\n"
    )
    state["sleep"] = sleep
    return state


def test_the_share_is_of_all_cpu_time(stat) -> None:
    stat["shares"] = [0.25, 1.0]
    assert idle.busy_share(stat["sleep"]) == pytest.approx(0.25)
    assert idle.busy_share(stat["sleep"]) == pytest.approx(1.0)


def test_it_waits_for_an_idle_moment(stat) -> None:
    stat["shares"] = [0.9, 0.5, 0.1]
    assert idle.wait_until_idle(stat["sleep"])
    assert stat["slept"] == 3 * idle.SAMPLE_S


def test_it_gives_up_on_a_machine_that_never_is(stat) -> None:
    stat["shares"] = [0.9] * 99
    assert not idle.wait_until_idle(stat["sleep"], patience_s=10)
    assert stat["slept"] == pytest.approx(10)


def test_a_system_that_does_not_tell_counts_as_idle(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(idle.Path, "read_text", lambda *_, **__: "no such line")
    assert idle.busy_share(lambda _: None) == 0.0
