"""Where an unknown key is found, in every kind of container."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import msgspec
import pytest

from edge import strict
from edge.errors import DataError


class Inner(msgspec.Struct, forbid_unknown_fields=True):
    size: int = 0


class Outer(msgspec.Struct, forbid_unknown_fields=True):
    plain: Inner = msgspec.field(default_factory=Inner)
    maybe: Inner | None = None
    several: tuple[Inner, ...] = ()
    checked: Annotated[tuple[Inner, ...], msgspec.Meta(max_length=9)] = ()
    named: dict[str, Inner] = msgspec.field(default_factory=dict)
    words: dict[str, str] = msgspec.field(default_factory=dict)


@pytest.mark.parametrize(
    ("data", "named"),
    [
        ({"plane": {}}, "'plane'"),
        ({"plain": {"sise": 1}}, "'plain.sise'"),
        ({"maybe": {"sise": 1}}, "'maybe.sise'"),
        ({"several": [{}, {"sise": 1}]}, "'several[1].sise'"),
        ({"checked": [{"sise": 1}]}, "'checked[0].sise'"),
        ({"words": {"any": "thing"}, "plain": {"sise": 1}}, "'plain.sise'"),
        ({"named": {"a": {"sise": 1}}}, "named"),
        ({"plain": {"size": "1"}}, "plain.size: expected int"),
    ],
)
def test_the_fault_is_named(data: dict, named: str) -> None:
    with pytest.raises(DataError) as caught:
        strict.convert(data, Outer, Path("f.json"), DataError)
    assert named in str(caught.value)


def test_what_fits_is_converted() -> None:
    assert strict.convert({"several": [{"size": 3}]}, Outer, Path("f"), DataError).several[0].size == 3
