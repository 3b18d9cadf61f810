"""A camera's process without a camera: commits events for ever, and says each id on standard output once ``commit`` returned.

``python -m tests.fakes.committing STATE EVENTS.jsonl [COUNT]``: with COUNT it ends well after so many.
"""

from __future__ import annotations

import itertools
import sys
from contextlib import closing
from pathlib import Path

from edge.data import Score
from edge.events import EventFactory, camera_lock
from edge.sink_config import JsonLinesConfig
from edge.sinks.base import SinkSite
from edge.sinks.jsonl import JsonLines
from edge.sinks.outbox import StoredOutbox
from tests.fakes.events import UTC, frame


def main(state: Path, events_file: str, count: int | None) -> None:
    sink = JsonLines(JsonLinesConfig(path=events_file), SinkSite("cam", durable=True))
    with camera_lock(state), closing(StoredOutbox(state, {"jsonl": sink}, bundle="hash", live=True)) as outbox:
        factory = EventFactory("cam", "b@1", "m/c", outbox.counter)
        before = outbox.last_snapshot()
        print("snapshot", before.body.decode() if before else "none", flush=True)
        for _ in itertools.count() if count is None else range(count):
            observation = factory.observation(frame(), "a1", (Score("milk", 3, 0.75),))
            event = factory.status("changed", UTC, (), simulated=False)
            outbox.commit([observation, event], event.id.encode())  # the state says which event led to it
            print(observation.id, event.id, flush=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2], int(sys.argv[3]) if len(sys.argv) > 3 else None)
