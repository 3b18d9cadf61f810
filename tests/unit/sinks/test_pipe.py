"""JSON lines into a named pipe of a camera: whole lines, once, whatever the reader does; and nothing stays behind."""

from __future__ import annotations

import fcntl
import json
import os
import socket
import threading
from contextlib import closing
from pathlib import Path

import msgspec
import pytest

from edge.data import ShelfEvent
from edge.errors import SinkError
from edge.sink_config import JsonLinesConfig
from edge.sinks import pipe
from edge.sinks.base import DeliveryError, RefusedError, SinkSite
from edge.sinks.committer import OutboxLimits
from edge.sinks.delivery import Backoff
from edge.sinks.jsonl import JsonLines
from edge.sinks.outbox import StoredOutbox
from tests.fakes.events import make_event
from tests.fakes.patience import wait_until

PAGE_BYTES = 4_096
QUICK = Backoff(first_s=0.01, longest_s=0.05)
LIMITS = OutboxLimits(window_s=0.02, drain_s=1.0)


class Reader:
    """Reads only when it is asked to."""

    def __init__(self, path: Path) -> None:
        self._handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
        fcntl.fcntl(self._handle, fcntl.F_SETPIPE_SZ, PAGE_BYTES)
        self.got = b""

    def read(self) -> list[int]:
        """The numbers of all events that it has so far."""
        try:
            while piece := os.read(self._handle, 1_000):  # in pieces that end within lines
                self.got += piece
        except BlockingIOError:
            pass
        return [json.loads(line)["seq"] for line in self.got.rpartition(b"\n")[0].splitlines()]

    def leave(self) -> None:
        os.close(self._handle)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    os.mkfifo(tmp_path / "pipe")
    return tmp_path / "pipe"


def sink_for(path: Path) -> JsonLines:
    return JsonLines(JsonLinesConfig(path=str(path)), SinkSite("cam", durable=True))


def outbox_for(path: Path) -> StoredOutbox:
    state = path.parent / "state"
    state.mkdir(exist_ok=True)
    return StoredOutbox(state, {f"jsonl:{path}": sink_for(path)}, bundle="b", live=True, limits=LIMITS, backoff=QUICK)


def numbered(numbers: range) -> list[ShelfEvent]:
    return [msgspec.structs.replace(make_event(number), id=f"cam-{number:012d}") for number in numbers]


def long_event(size_bytes: int) -> ShelfEvent:
    return msgspec.structs.replace(make_event(1), flags=("x" * size_bytes,))


def held() -> tuple[set[str], int]:
    return {thread.name for thread in threading.enumerate()}, len(os.listdir("/proc/self/fd"))


def test_without_a_reader_nothing_waits_and_nothing_is_lost(path: Path) -> None:
    with closing(outbox_for(path)) as outbox:
        outbox.commit(numbered(range(1, 4)), None)
        wait_until(lambda: outbox.status().sinks[0].failing is not None)
        assert "nobody reads the pipe" in str(outbox.status().sinks[0].failing)
        reader = Reader(path)
        wait_until(lambda: reader.read() == [1, 2, 3])
    reader.leave()


def test_a_reader_that_stops_and_goes_on_gets_every_line_whole_and_once(path: Path) -> None:
    reader = Reader(path)
    with closing(outbox_for(path)) as outbox:
        outbox.commit(numbered(range(1, 101)), None)
        wait_until(lambda: outbox.status().sinks[0].failing is not None)
        assert "the pipe is full" in str(outbox.status().sinks[0].failing)
        assert 0 < outbox.status().sinks[0].delivered < 100
        wait_until(lambda: len(reader.read()) == 100)
    assert reader.read() == list(range(1, 101))
    reader.leave()


def test_a_reader_that_leaves_and_comes_back_misses_nothing(path: Path) -> None:
    reader = Reader(path)
    with closing(outbox_for(path)) as outbox:
        outbox.commit(numbered(range(1, 101)), None)
        wait_until(lambda: outbox.status().sinks[0].failing is not None)
        before = reader.read()[:]
        reader.leave()
        wait_until(lambda: "Broken pipe" in str(outbox.status().sinks[0].failing))
        again = Reader(path)
        again.got = reader.got
        wait_until(lambda: len(again.read()) == 100)
    assert again.read()[: len(before)] == before
    assert again.read() == list(range(1, 101))
    again.leave()


def test_after_a_close_at_a_full_pipe_neither_thread_nor_descriptor_remains(path: Path) -> None:
    reader, first = Reader(path), held()
    for number in range(3):  # each like a reload: all that was not delivered is there again
        with closing(outbox_for(path)) as outbox:
            outbox.commit(numbered(range(1 + 100 * number, 101 + 100 * number)), None)
            wait_until(lambda outbox=outbox: "the pipe is full" in str(outbox.status().sinks[0].failing))
        assert held() == first
    with closing(outbox_for(path)) as outbox:
        wait_until(lambda: len(reader.read()) == 300)
    assert reader.read() == list(range(1, 301)), "whole lines over all four writers, none lost, none twice"
    assert held() == first
    reader.leave()


def test_after_a_close_without_a_reader_neither_thread_nor_descriptor_remains(path: Path) -> None:
    first = held()
    for number in range(3):
        with closing(outbox_for(path)) as outbox:
            outbox.commit(numbered(range(1 + number, 2 + number)), None)
            wait_until(lambda outbox=outbox: outbox.status().sinks[0].failing is not None)
        assert held() == first


def test_a_line_longer_than_a_page_goes_in_only_as_a_whole(path: Path) -> None:
    reader = Reader(path)
    with closing(sink_for(path)) as sink:
        assert sink.write([make_event(7), long_event(3 * PAGE_BYTES)]) == 1
        with pytest.raises(DeliveryError, match="the pipe is full"):
            sink.write([long_event(3 * PAGE_BYTES)])
        assert reader.read() == [7]
        assert sink.write([long_event(3 * PAGE_BYTES)]) == 1
        assert reader.read() == [7, 1]
    reader.leave()


def test_a_line_longer_than_the_pipe_can_be_made_is_refused(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    reader = Reader(path)
    with closing(sink_for(path)) as sink:
        monkeypatch.setattr(pipe.fcntl, "F_SETPIPE_SZ", pipe.fcntl.F_GETPIPE_SZ)  # root may make it as large as it likes
        with pytest.raises(RefusedError, match="longer than the pipe can be") as refused:
            sink.write([long_event(3 * PAGE_BYTES), make_event(2)])
        assert refused.value.count == 1
    reader.leave()


def test_a_pipe_that_becomes_a_file_is_one(path: Path) -> None:
    with closing(sink_for(path)) as sink:
        with pytest.raises(DeliveryError, match="nobody reads"):
            sink.write([make_event(1)])
        path.unlink()
        sink.write([make_event(1)])
    assert path.read_bytes().count(b"\n") == 1


def test_a_socket_is_said_at_the_start(tmp_path: Path) -> None:
    with closing(socket.socket(socket.AF_UNIX)) as server:
        server.bind(str(tmp_path / "socket"))
        with pytest.raises(SinkError, match="cannot be written"):
            sink_for(tmp_path / "socket")
