"""The recovery ladder: what comes after what, also over restarts."""

from __future__ import annotations

import random
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.sources.ladder import DAEMON_WAIT_S, Ladder, LadderRules, Position, climb


def rungs(ladder: Ladder, count: int) -> list[str]:
    return [ladder.climb().rung for _ in range(count)]


def test_reopen_then_the_daemon_then_reopen_again_then_leave(tmp_path: Path) -> None:
    ladder = Ladder(LadderRules(reopens=2, daemon="nvargus-daemon"), tmp_path / "r.json")
    assert rungs(ladder, 6) == ["reopen", "reopen", "restart_daemon", "reopen", "reopen", "leave"]


def test_without_a_daemon_it_leaves_and_without_consent_it_never_reboots(tmp_path: Path) -> None:
    ladder = Ladder(LadderRules(reopens=1), tmp_path / "r.json")
    assert rungs(ladder, 20) == ["reopen", "leave"] * 10


def test_a_reboot_is_asked_for_after_so_many_leaves_and_then_not_at_once_again(tmp_path: Path) -> None:
    ladder = Ladder(LadderRules(reopens=1, leaves=3), tmp_path / "r.json")
    assert rungs(ladder, 12) == ["reopen", "leave", "reopen", "leave", "reopen", "reboot"] * 2


def test_pauses_double_up_to_a_minute_and_are_spread(tmp_path: Path) -> None:
    ladder = Ladder(LadderRules(reopens=9), tmp_path / "r.json", random.Random(1))
    waits = [ladder.climb().wait_s for _ in range(9)]
    for wait_s, expected in zip(waits, (1, 2, 4, 8, 16, 32, 60, 60, 60), strict=True):
        assert 0.75 * expected <= wait_s <= 1.25 * expected
    assert (
        len({round(wait_s / expected, 3) for wait_s, expected in zip(waits, (1, 2, 4, 8, 16, 32, 60, 60, 60), strict=True)}) > 3
    )


def test_the_position_survives_a_restart_and_a_recovery_forgets_it(tmp_path: Path) -> None:
    path = tmp_path / "r.json"
    first = Ladder(LadderRules(reopens=2), path)
    assert rungs(first, 3) == ["reopen", "reopen", "leave"]
    second = Ladder(LadderRules(reopens=2), path, random.Random(0))
    step = second.climb()
    assert (step.rung, step.number) == ("reopen", 4)
    assert step.wait_s > 2.9, "the pause goes on where it was"
    assert second.recovered() == 4
    assert Ladder(LadderRules(), path).on_the_ground


@pytest.mark.parametrize("content", [b"", b"{", b'{"schema":2}', b'{"tries":"x"}'])
def test_a_damaged_position_is_the_ground(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "r.json").write_bytes(content)
    assert Ladder(LadderRules(), tmp_path / "r.json").on_the_ground


def test_a_position_that_cannot_be_kept_is_told_and_does_no_harm(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "file").write_text("")
    ladder = Ladder(LadderRules(), tmp_path / "file" / "r.json")
    assert ladder.climb().rung == "reopen"
    assert "not kept" in caplog.text


@given(
    reopens=st.integers(1, 6),
    daemon=st.sampled_from([None, "d"]),
    leaves=st.one_of(st.none(), st.integers(1, 4)),
    chances=st.lists(st.floats(0, 0.999), min_size=60, max_size=60),
)
def test_it_never_ends_and_every_step_is_bounded(reopens, daemon, leaves, chances):
    rules, position, seen = LadderRules(reopens, daemon, leaves), Position(), []
    for chance in chances:
        position, step = climb(position, rules, chance)
        assert 0 <= step.wait_s <= max(75.0, DAEMON_WAIT_S)
        seen.append(step.rung)
    assert seen[:reopens] == ["reopen"] * reopens
    assert ("restart_daemon" in seen) == (daemon is not None)
    assert leaves is not None or "reboot" not in seen
    assert "leave" in seen or leaves == 1
