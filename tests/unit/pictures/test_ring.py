"""The ring: never over its quota, the oldest go first, nothing of others is touched."""

from __future__ import annotations

import os
import shutil
import tempfile
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from edge.errors import SinkError
from edge.pictures import ring as ring_module
from edge.pictures.ring import Ring, file_name, stored

DAY_S = 86_400
MAX_BYTES = 1_000


class FakeClock:
    """Starts at the present, so that files' own dates fit; ``go`` moves it on."""

    def __init__(self, *, synced: bool = True) -> None:
        self.now, self.mono, self.is_synced = datetime.now(timezone.utc), 0, synced

    def go(self, seconds: float) -> None:
        self.now += timedelta(seconds=seconds)
        self.mono += int(seconds * 1e9)

    def mono_ns(self) -> int:
        return self.mono

    def utc(self) -> datetime:
        return self.now

    def synced(self) -> bool:
        return self.is_synced


def name(number: int, when: str = "after", camera: str = "cam") -> str:
    return file_name(f"{camera}-{number:012d}", when)  # type: ignore[arg-type]


def ring_of(directory: Path, clock: FakeClock | None = None, **more) -> Ring:
    return Ring(directory, "cam", **{"max_bytes": MAX_BYTES, "max_age_s": 7 * DAY_S, "clock": clock or FakeClock(), **more})


def test_nothing_is_made_before_the_first_picture(tmp_path: Path) -> None:
    ring = ring_of(tmp_path / "new")
    assert (ring.names, ring.bytes, (tmp_path / "new").exists()) == ((), 0, False)
    ring.add(name(1), b"x" * 10)
    assert (tmp_path / "new" / name(1)).read_bytes() == b"x" * 10
    assert (tmp_path / "new" / name(1)).stat().st_mode & 0o077 == 0, "nobody else's business"


def test_the_oldest_go_first_also_those_of_a_run_before(tmp_path: Path) -> None:
    first = ring_of(tmp_path)
    for number in (1, 2, 3):
        first.add(name(number, "before"), b"b" * 150)
        first.add(name(number), b"a" * 150)
    os.utime(tmp_path / name(1), (2e9, 2e9))  # the order is that of the numbers, not of a clock
    os.utime(tmp_path / name(1, "before"), (2e9, 2e9))
    second = ring_of(tmp_path, FakeClock(synced=False))
    assert second.bytes == 900
    second.add(name(4), b"c" * 500)
    assert second.names == (name(2), name(3, "before"), name(3), name(4))
    assert set(os.listdir(tmp_path)) == set(second.names)
    assert second.bytes == 950


def test_a_smaller_quota_counts_at_once(tmp_path: Path) -> None:
    ring = ring_of(tmp_path)
    for number in range(1, 6):
        ring.add(name(number), b"x" * 200)
    assert ring_of(tmp_path, max_bytes=450).names == (name(4), name(5))


def test_what_belongs_to_others_is_neither_counted_nor_touched(tmp_path: Path) -> None:
    others = [
        name(1, camera="cam2"),
        name(1, camera="cam-000000000001"),
        "cam-1-after.jpg",
        "notes.txt",
        "cam-000000000001.jpg",
    ]
    for other in others:
        (tmp_path / other).write_bytes(b"x" * 5_000)
    (tmp_path / name(2)).mkdir()
    ring = ring_of(tmp_path, first_number=1)
    assert ring.bytes == 0
    for number in range(3, 20):
        ring.add(name(number), b"x" * 300)
    assert {*others, name(2)} < set(os.listdir(tmp_path))


def test_what_a_killed_process_left_is_cleared_away(tmp_path: Path) -> None:
    for left in (f".{name(3)}.x1y2z3", f".{name(3, camera='cam2')}.x1y2z3"):
        (tmp_path / left).write_bytes(b"half")
    ring_of(tmp_path)
    assert os.listdir(tmp_path) == [f".{name(3, camera='cam2')}.x1y2z3"]


def test_pictures_of_events_that_were_never_committed_go(tmp_path: Path) -> None:
    ring = ring_of(tmp_path)
    for number in (7, 8, 9):
        ring.add(name(number), b"x")
    assert ring_of(tmp_path, first_number=9).names == (name(7), name(8))


def test_too_large_or_no_picture(tmp_path: Path) -> None:
    ring = ring_of(tmp_path)
    ring.add(name(1), b"x" * 900)
    with pytest.raises(SinkError, match="more than the quota"):
        ring.add(name(2), b"x" * 1_001)
    assert ring.names == (name(1),), "nothing was deleted for it"
    for wrong in (name(1, camera="cam2"), "../escape.jpg"):
        with pytest.raises(ValueError, match="is no picture"):
            ring.add(wrong, b"x")


@pytest.mark.parametrize("synced", [True, False])
def test_old_ones_go_by_their_date_or_by_how_long_they_were_there(tmp_path: Path, synced: bool) -> None:
    clock = FakeClock(synced=synced)
    ring = ring_of(tmp_path, clock)
    ring.add(name(1), b"x")
    clock.go(4 * DAY_S)
    ring.add(name(2), b"x")
    ring.tidy()
    assert ring.names == (name(1), name(2))
    clock.go(4 * DAY_S)
    os.utime(tmp_path / name(2), (clock.now.timestamp() - 4 * DAY_S,) * 2)
    ring.tidy()
    assert ring.names == (name(2),)
    assert os.listdir(tmp_path) == [name(2)]


def test_after_a_restart_their_date_counts_if_the_clock_can_be_believed(tmp_path: Path) -> None:
    ring = ring_of(tmp_path)
    for number, days in ((1, 8), (2, 6), (3, -9)):
        ring.add(name(number), b"x")
        os.utime(tmp_path / name(number), (datetime.now(timezone.utc).timestamp() - days * DAY_S,) * 2)
    assert len(ring_of(tmp_path, FakeClock(synced=False)).names) == 3
    assert ring_of(tmp_path).names == (name(2),), "neither the old one nor the one from the future"


def test_people_may_delete_them(tmp_path: Path) -> None:
    ring = ring_of(tmp_path)
    for number in range(1, 6):
        ring.add(name(number), b"x" * 200)
    for number in (1, 2, 3):
        (tmp_path / name(number)).unlink()
    ring.tidy()
    assert (ring.bytes, ring.names) == (400, (name(4), name(5)))
    shutil.rmtree(tmp_path)
    ring.add(name(6), b"x" * 300)
    ring.tidy()
    assert (ring.bytes, ring.names) == (300, (name(6),))


def test_a_directory_that_is_none_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(SinkError, match="cannot be read"):
        ring_of(tmp_path / "file")


def test_what_is_stored_can_be_asked(tmp_path: Path) -> None:
    assert stored(tmp_path / "none", "cam") == (0, 0, None)
    ring = ring_of(tmp_path)
    ring.add(name(1), b"x" * 30)
    ring.add(name(2), b"x" * 12)
    os.utime(tmp_path / name(2), (5.0, 5.0))
    assert stored(tmp_path, "cam") == (2, 42, 5.0)


class RingMachine(RuleBasedStateMachine):
    """Whatever happens to it: within the quota, also while it writes, and what is there is the newest of what was added."""

    def __init__(self) -> None:
        super().__init__()
        self.directory = Path(tempfile.mkdtemp())
        self.clock = FakeClock()
        self.number = 0
        self.ring = ring_of(self.directory, self.clock)
        self.added: list[str] = []
        self.gone: set[str] = set()
        self.written_over: int | None = None
        self._write, ring_module.write_atomic = ring_module.write_atomic, self._watched

    def teardown(self) -> None:
        ring_module.write_atomic = self._write
        shutil.rmtree(self.directory)

    def _watched(self, path: Path, content: bytes) -> None:
        assert self.on_disk() + len(content) <= MAX_BYTES, "the new file stands beside the others while it is written"
        self._write(path, content)

    def on_disk(self) -> int:
        return sum(path.stat().st_size for path in self.directory.iterdir())

    @rule(size=st.integers(0, 1_200), step=st.integers(0, 3), when=st.sampled_from(["before", "after"]))
    def add(self, size: int, step: int, when: str) -> None:
        self.number += step
        new = name(self.number, when)
        try:
            self.ring.add(new, bytes(size))
        except SinkError:
            assert size > MAX_BYTES
            return
        assert (self.directory / new).stat().st_size == size
        self.added = [*(one for one in self.added if one != new), new]
        self.gone.discard(new)

    @rule()
    def restart(self) -> None:
        self.ring = ring_of(self.directory, self.clock, first_number=self.number + 1)

    @rule(seconds=st.integers(0, 3 * DAY_S), synced=st.booleans())
    def wait(self, seconds: int, synced: bool) -> None:
        self.clock.go(seconds)
        self.clock.is_synced = synced

    @rule(chance=st.randoms(use_true_random=False))
    def somebody_deletes(self, chance) -> None:
        there = sorted(path.name for path in self.directory.iterdir())
        if there:
            victim = chance.choice(there)
            (self.directory / victim).unlink()
            self.gone.add(victim)

    @rule()
    def tidy(self) -> None:
        self.ring.tidy()

    @invariant()
    def bounded(self) -> None:
        there = {path.name for path in self.directory.iterdir()}
        assert self.on_disk() <= MAX_BYTES
        assert self.ring.bytes >= self.on_disk(), "more is never there than is counted"
        expected = [one for one in sorted(self.added, key=lambda one: (one[:16], "after" in one)) if one not in self.gone]
        if there and self.clock.mono < 7 * DAY_S:
            kept = [one for one in expected if one in there]
            assert len(there) == len(kept)
            if self.in_order():
                assert kept == expected[len(expected) - len(kept) :], "the oldest go first"

    def in_order(self) -> bool:
        """Whether none was added behind a younger one."""
        return self.added == sorted(self.added, key=lambda one: (one[:16], "after" in one))


RingMachine.TestCase.settings = settings(max_examples=60, stateful_step_count=30, deadline=None)
TestRing = RingMachine.TestCase
