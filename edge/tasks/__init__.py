"""One module a task, and their registry: nothing else compares a task's name."""

from __future__ import annotations

from collections.abc import Mapping

from edge.manifest import TaskName
from edge.tasks import classify, detect, embed
from edge.tasks.base import Task

TASKS: Mapping[str, Task] = {"classify": classify, "embed": embed, "detect": detect}


def task_of(name: TaskName) -> Task:
    """Raises ValueError for one that this version cannot run."""
    if name not in TASKS:
        raise ValueError(f"task {name!r} cannot be run by this version; it runs: {', '.join(TASKS)}")
    return TASKS[name]
