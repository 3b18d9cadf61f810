"""Agreement and ratios, with workers of known answers."""

from __future__ import annotations

import pytest

from benchmarks.peers.judge import AGREE_MIN, agreement, find, ratios


def test_a_fast_wrong_peer_is_no_peer(fake_entry, judge_all) -> None:
    judged, missing = judge_all(fake_entry(None), fake_entry("wrong", says="1"))
    wrong = find(judged, "wrong", "loop", "onnx-a")
    assert wrong is not None
    assert wrong.agreement == pytest.approx(1 / 3)
    assert not wrong.agrees
    assert not ratios(judged, "onnx-a")
    assert [one.name for one in missing] == ["ratio to wrong, loop, onnx-a"]
    assert "33%" in missing[0].reason


def test_without_our_own_side_nothing_is_judged(fake_entry, judge_all) -> None:
    judged, missing = judge_all(fake_entry(None, dies="load"), fake_entry("steady"))
    assert not judged
    assert {one.name for one in missing} == {"shelfcam, loop, onnx-a", "steady, loop, onnx-a"}


def test_loop_and_bare_are_never_mixed(fake_entry, judge_all) -> None:
    judged, missing = judge_all(fake_entry(None, "loop"), fake_entry(None, "bare"), fake_entry("steady", "bare"))
    assert not missing
    assert [ratio.numerator.partition("/")[0] for ratio in ratios(judged, "onnx-a")] == ["bare"]


def test_agreement() -> None:
    assert agreement([1, 2, 3, 4], [1, 2, 0, 4]) == 0.75 < AGREE_MIN
    for ours, theirs in (([], []), ([1], [1, 2])):
        with pytest.raises(ValueError, match="no agreement"):
            agreement(ours, theirs)
