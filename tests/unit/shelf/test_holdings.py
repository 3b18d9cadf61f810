"""What slots hold, as flags: what is written is read again, whatever the label."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.bundle.manifest import Name
from edge.shelf.holdings import UNKNOWN, Holding, as_flags, holding_of, read_flags
from edge.shelf.machine import SlotState

names = st.from_regex(r"\A[A-Za-z0-9][A-Za-z0-9._-]{0,8}\Z")
held = st.one_of(
    st.just(UNKNOWN), st.just(Holding(True)), st.builds(Holding, st.just(True), st.text(max_size=20), misplaced=st.booleans())
)


@given(st.dictionaries(names, held), st.sampled_from([(), ("covered",), ("moved", "shift_px=3,?"), ("clear", "unknown")]))
def test_what_is_written_is_read_again(told, others):
    assert read_flags((*others, *as_flags(told.items()))) == (told, others)


@pytest.mark.parametrize("name", ["a:b", "a=b"])
def test_a_slots_name_has_no_separator_in_it(name: str) -> None:
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert(name, Name)


@pytest.mark.parametrize(
    ("state", "expected", "holding"),
    [
        (SlotState(), "milk", UNKNOWN),
        (SlotState("empty", None, "milk"), "milk", Holding(True)),
        (SlotState("product", None, "milk"), "milk", UNKNOWN),
        (SlotState("product", "milk", "milk"), "milk", Holding(True, "milk")),
        (SlotState("product", "milk", "milk"), None, Holding(True, "milk")),
        (SlotState("product", "milk", "milk"), "tea", Holding(True, "milk", misplaced=True)),
    ],
)
def test_of_a_state(state, expected, holding) -> None:
    assert holding_of(state, expected) == holding
