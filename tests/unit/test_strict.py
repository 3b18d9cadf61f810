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


class Lines(msgspec.Struct, tag_field="kind", tag="a", forbid_unknown_fields=True):
    x: int


class Broker(msgspec.Struct, tag_field="kind", tag="b", forbid_unknown_fields=True):
    y: int


class File(msgspec.Struct, forbid_unknown_fields=True):
    sink: tuple[Lines | Broker, ...]


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


def test_every_fault_is_found_where_the_first_is_told() -> None:
    data = {
        "plan": 1,
        "plain": {"size": "x", "sice": 1},
        "maybe": {"size": 1},
        "several": [{"size": 1}, {"size": None}],
        "words": {"a": 1},
    }
    told = [f"{fault} {fault.fix}" for fault in strict.faults(data, Outer, Path("f.toml"), DataError)]
    for named in ("unknown key 'plan'", "plain.size: expected int", "unknown key 'plain.sice'", "several[1].size", "words"):
        assert any(named in line for line in told), (named, told)
    assert len(told) == 5
    assert strict.faults({"plain": {"size": 1}, "maybe": None}, Outer, Path("f.toml"), DataError) == []


def test_faults_of_a_tagged_union_are_those_of_the_member_that_is_meant() -> None:
    data = {"sink": [{"kind": "a", "z": 1}, {"kind": "b"}, {"kind": "c"}, {"kind": "b", "y": 1}]}
    told = [str(fault) for fault in strict.faults(data, File, Path("f.toml"), DataError)]
    assert len(told) == 3
    assert "'sink[0].z'" in told[0]
    assert "sink[1]" in told[1]
    assert "sink[2].kind" in told[2]
