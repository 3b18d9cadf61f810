"""A run goes on with what another left only where it asks the same."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.record.schema import write_json
from benchmarks.zoo.resume import Resumable, read_resumable
from edge.errors import DataError, SinkError


class Counted(Resumable, frozen=True, kw_only=True):
    """Results."""

    count: int = 0


def test_without_earlier_results_it_begins(tmp_path: Path) -> None:
    assert read_resumable(tmp_path / "r.json", Counted, {"a": "1"}) == Counted(asked={"a": "1"})


def test_the_same_question_goes_on_and_another_is_named(tmp_path: Path) -> None:
    path = tmp_path / "r.json"
    write_json(path, Counted(asked={"a": "1"}, count=3))
    assert read_resumable(path, Counted, {"a": "1"}).count == 3
    for asked, message in (
        ({"a": "2"}, "a was '1', now '2'"),
        ({}, "a was '1', now 'nothing'"),
        ({"a": "1", "b": "x"}, "b was 'nothing', now 'x'"),
    ):
        with pytest.raises(SinkError, match=message):
            read_resumable(path, Counted, asked)


@pytest.mark.parametrize("content", ["{", "[]", '{"schema": 2, "asked": {}}', '{"schema": 1, "asked": {}, "more": 1}'])
def test_something_else_is_refused_by_its_file(tmp_path: Path, content: str) -> None:
    (tmp_path / "r.json").write_text(content)
    with pytest.raises(DataError, match=r"r\.json"):
        read_resumable(tmp_path / "r.json", Counted, {})
