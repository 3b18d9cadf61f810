"""Which tasks there are."""

from __future__ import annotations

from typing import get_args

import pytest

from edge.manifest import TaskName
from edge.tasks import TASKS, classify, detect, embed, task_of


def test_a_task_is_found_by_its_name() -> None:
    assert (task_of("classify"), task_of("embed"), task_of("detect")) == (classify, embed, detect)
    assert set(TASKS) <= set(get_args(TaskName))


def test_a_task_that_this_version_does_not_have_is_named_with_those_that_it_has() -> None:
    with pytest.raises(ValueError, match=f"task 'tag' cannot be run by this version; it runs: {', '.join(TASKS)}"):
        task_of("tag")
