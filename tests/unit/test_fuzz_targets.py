"""A little of ``make fuzz`` at every run: seeds are accepted, and what a few mutations make of them is refused in words."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

pytest.importorskip("onnx")

from tests.fuzz.targets import TARGETS

EDITS = st.lists(
    st.tuples(st.floats(0, 1), st.sampled_from(["set", "insert", "cut", "repeat"]), st.binary(min_size=1, max_size=8)),
    min_size=1,
    max_size=4,
)


def mutated(seed: bytes, edits: list[tuple[float, str, bytes]]) -> bytes:
    """``seed`` after a few edits, each at a share of its length."""
    for share, kind, content in edits:
        at = int(share * len(seed))
        if kind == "set":
            seed = seed[:at] + content + seed[at + len(content) :]
        elif kind == "insert":
            seed = seed[:at] + content + seed[at:]
        elif kind == "cut":
            seed = seed[:at] + seed[at + 16 * len(content) :]
        else:
            seed = seed[:at] + seed[max(0, at - 64) : at] * (2 * len(content)) + seed[at:]
    return seed


@pytest.mark.parametrize("name", TARGETS)
@given(share=st.floats(0, 0.999), edits=EDITS)
@example(share=0.0, edits=[])
@settings(max_examples=60, suppress_health_check=[HealthCheck.too_slow])
def test_a_mutated_input_is_accepted_or_refused_in_words(
    name: str, share: float, edits: list[tuple[float, str, bytes]]
) -> None:
    seeds = TARGETS[name].seeds()
    TARGETS[name].run(mutated(seeds[int(share * len(seeds))], edits))


@pytest.mark.parametrize("name", TARGETS)
@pytest.mark.parametrize("content", [b"", b"\x00" * 4096, b"[" * 100_000, b'{"schema":1,' * 1000, b"PK\x05\x06" + b"\x00" * 18])
def test_an_input_of_another_kind_is_refused_in_words(name: str, content: bytes) -> None:
    TARGETS[name].run(content)
