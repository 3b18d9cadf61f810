"""Names never lie on each other, on a mark or outside."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from benchmarks.report.label_places import LINE_FROM_PX, Box, Name, place

BOUNDS: Box = (0.0, 0.0, 300.0, 200.0)
NAMES = st.lists(
    st.builds(
        Name,
        mark=st.tuples(st.floats(0, 300), st.floats(0, 200)),
        width=st.floats(10, 90),
        height=st.floats(6, 12),
        near=st.booleans(),
    ),
    max_size=25,
)


def overlap(one: Box, other: Box) -> bool:
    return one[0] < other[2] and other[0] < one[2] and one[1] < other[3] and other[1] < one[3]


@given(NAMES)
def test_what_is_placed_is_readable(wanted: list[Name]) -> None:
    marks = [(n.mark[0] - 4, n.mark[1] - 4, n.mark[0] + 4, n.mark[1] + 4) for n in wanted]
    places = place(wanted, marks, BOUNDS)
    boxes = [
        (found.left, found.bottom, found.left + name.width, found.bottom + name.height)
        for name, found in zip(wanted, places, strict=True)
        if found is not None
    ]
    for number, box in enumerate(boxes):
        assert box[0] >= BOUNDS[0]
        assert box[1] >= BOUNDS[1]
        assert box[2] <= BOUNDS[2]
        assert box[3] <= BOUNDS[3]
        assert not any(overlap(box, other) for other in boxes[:number] + marks)
    assert not any(found.line for name, found in zip(wanted, places, strict=True) if name.near and found is not None)


def test_a_lone_name_is_right_beside_its_mark_and_a_crowded_one_has_a_line() -> None:
    alone = place([Name((100.0, 100.0), 40.0, 10.0)], [], BOUNDS)[0]
    assert alone is not None
    assert not alone.line
    assert 0 < alone.left - 100.0 < LINE_FROM_PX
    crowd = [(60.0, 85.0, 140.0, 115.0)]
    moved = place([Name((100.0, 100.0), 40.0, 10.0)], crowd, BOUNDS)[0]
    assert moved is not None
    assert moved.line
    assert place([Name((100.0, 100.0), 40.0, 10.0, near=True)], crowd, BOUNDS) == [None]
