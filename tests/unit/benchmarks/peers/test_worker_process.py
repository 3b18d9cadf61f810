"""The real parent with a worker of known latency."""

from __future__ import annotations

import contextlib
import os

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.peers.worker_process import Loaded, Times, TopClasses, Worker, parse_answer
from edge.errors import BackendError


@given(st.binary(max_size=60))
def test_a_line_is_what_was_asked_for_or_a_named_error(line: bytes) -> None:
    with contextlib.suppress(BackendError):
        times = parse_answer(line, Times, "peer").times_ms  # any other error fails the test
        assert msgspec.json.decode(line) == {"times_ms": times}


@pytest.mark.parametrize("line", [b'{"times_ms": [1.0], "more": 1}', b'{"times_ms": ["1"]}', b"{}", b"INFO: chatter"])
def test_unknown_or_wrong_keys_are_refused(line: bytes) -> None:
    with pytest.raises(BackendError, match="Times"):
        parse_answer(line, Times, "peer")


@given(st.lists(st.lists(st.integers(0, 10**6), max_size=5), max_size=5))
def test_answers_survive_the_wire(top: list[list[int]]) -> None:
    assert parse_answer(msgspec.json.encode(TopClasses(top=top)), TopClasses, "peer").top == top


def test_a_worker_loads_answers_and_is_timed(fake_entry) -> None:
    entry = fake_entry("steady", ms="4")
    core = max(os.sched_getaffinity(0))
    with Worker(entry.command, entry.job, [core]) as worker:
        assert worker.loaded.runtime == "steady"
        assert worker.loaded.version == str(core), "held to the core that was named"
        assert worker.loaded.first[0] == 0
        assert worker.start_s > 0.004
        assert [top[0] for top in worker.answers("judged")] == [0, 1, 2]
        times = worker.round(7, 30)
        assert len(times) == 7
        assert min(times) >= 4.0, "a sleep is never shorter than asked for"
        resident, peak = worker.memory_bytes()
        assert 5_000_000 < resident <= peak
        assert worker.cpu_s() > 0
        pid = worker._child.pid
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


def test_a_worker_that_dies_is_quoted(fake_entry) -> None:
    entry = fake_entry("steady", dies="load")
    with pytest.raises(BackendError, match="this file is not to my taste"), Worker(entry.command, entry.job, [0]):
        pass


def test_a_worker_that_hangs_is_ended(fake_entry) -> None:
    entry = fake_entry("steady", wait="0.2")
    with Worker(entry.command, entry.job, [0]) as worker, pytest.raises(BackendError, match="it was given 0 s"):
        worker.round(50, 0.1)


def test_a_gone_worker_takes_nothing(fake_entry) -> None:
    entry = fake_entry("steady")
    with Worker(entry.command, entry.job, [0]) as worker:
        worker._child.kill()
        worker._child.wait()
        assert worker.cpu_s() == 0.0
        with pytest.raises(BackendError, match="gone"):
            worker.memory_bytes()
        with pytest.raises(BackendError, match="ended with -9"):
            worker.round(1, 5)


def test_the_first_answer_needs_its_keys() -> None:
    whole = {"runtime": "r", "version": "1", "python": "3", "first": [2, 1]}
    assert parse_answer(msgspec.json.encode(whole), Loaded, "peer").first == (2, 1)
    for key in whole:
        with pytest.raises(BackendError, match=key):
            parse_answer(msgspec.json.encode({k: v for k, v in whole.items() if k != key}), Loaded, "peer")
