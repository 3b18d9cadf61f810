"""What a network can be exported for; one module a task, and the registry of them.

A new task is a module with an ``ExportTask`` (``export.tasks.base``), a line in ``TASKS``, and its name in the manifest's ``TaskName``.
Nothing else in ``export`` asks which task it is.
"""

from __future__ import annotations

from edge.errors import UsageError
from edge.manifest import TaskName
from export.tasks.base import ExportTask
from export.tasks.classify import Classify
from export.tasks.embed import Embed

TASKS: dict[str, ExportTask] = {task.name: task for task in (Classify(), Embed())}

DEFAULT_TASK: TaskName = "classify"


def task_of(name: str) -> ExportTask:
    """The task of that name.

    Raises:
        UsageError: nothing can be exported for it.
    """
    if name not in TASKS:
        raise UsageError(f"--task {name}: networks are exported for {', '.join(TASKS)}")
    return TASKS[name]
