"""Files of a camera's state that somebody else put there: pipes, links, devices, nonsense. Nothing hangs, nothing is followed."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import cv2
import msgspec
import numpy as np
import pytest

from edge.choice.store import ChoiceStore
from edge.clock import Clock
from edge.config import CameraConfig, DeviceConfig, PicturesConfig, SlotConfig, StateConfig
from edge.errors import BusyError, DataError, SinkError
from edge.events import camera_lock, earlier_counter
from edge.files import open_directory, open_regular, read_regular, replacing, write_atomic
from edge.monitor.vitals import count_start
from edge.shelf import reference
from edge.sinks.base import Snapshot
from edge.sinks.store import Store
from edge.site import open_pictures
from edge.sources.ladder import Ladder, LadderRules, Position, climb
from tests.conftest import ROOT
from tests.fakes.patience import patience_s


def put_device(path: Path) -> None:
    if os.geteuid() != 0:
        pytest.skip("only root makes devices")
    os.mknod(path, 0o600 | 0o020000, os.makedev(1, 5))  # /dev/zero


ODD: dict[str, Callable[[Path], object]] = {
    "pipe": os.mkfifo,
    "directory": Path.mkdir,
    "device": put_device,
    "link": lambda path: path.symlink_to(path.parent / "victim"),
    "link to a device": lambda path: path.symlink_to("/dev/zero"),
    "link to itself": lambda path: path.symlink_to(path),
}
TEXTS = {
    "nothing": b"",
    "nonsense": b"\xff\xfe\x00",
    "a huge number": b"9" * 5_000,
    "a number too high": b"%d" % 2**70,
    "a negative number": b"-5",
    "another number": "٣".encode(),
    "deep": b'{"schema":1,"tries":' + b"[" * 100_000,
    "deeper": b"[" * 1_000_000,
    "huge": b" " * 3_000_000,
    "another shape": b'{"schema":1,"choices":[{"key":5}],"tries":"x"}',
    "numbers out of range": b'{"schema":1,"tries":%d,"here":-%d}' % (2**70, 2**70),
    "negative tries": b'{"schema":1,"tries":-9,"here":-1000000000}',
}


@pytest.fixture
def victim(tmp_path: Path) -> Path:
    path = tmp_path / "victim"
    path.write_bytes(b"41")
    return path


@pytest.mark.parametrize("kind", ODD)
def test_only_regular_files_are_opened(tmp_path: Path, victim: Path, kind: str) -> None:
    path = tmp_path / "file"
    ODD[kind](path)
    for flags in (os.O_RDONLY, os.O_WRONLY, os.O_RDWR | os.O_CREAT, os.O_WRONLY | os.O_TRUNC):
        with pytest.raises(OSError, match="so it is not used"):
            open_regular(path, flags)
    with pytest.raises(OSError, match="so it is not used"):
        read_regular(path)
    assert victim.read_bytes() == b"41"


def test_a_regular_file_is_opened_also_through_a_directory_that_the_site_linked(tmp_path: Path, victim: Path) -> None:
    (tmp_path / "linked").symlink_to(tmp_path)
    assert read_regular(tmp_path / "linked" / "victim") == b"41"
    with pytest.raises(OSError, match="at most 1 are read"):
        read_regular(victim, 1)
    with pytest.raises(FileNotFoundError):
        read_regular(tmp_path / "none")
    with pytest.raises(OSError, match="a symbolic link"):
        open_directory(tmp_path / "linked", follow=False)
    with pytest.raises(SinkError, match="a symbolic link"):
        write_atomic(tmp_path / "linked" / "file", b"x", follow=False)
    write_atomic(tmp_path / "linked" / "file", b"x")
    assert (tmp_path / "file").read_bytes() == b"x"


@pytest.mark.parametrize("kind", [kind for kind in ODD if kind != "directory"])
def test_a_write_replaces_what_is_there_and_follows_nothing(tmp_path: Path, victim: Path, kind: str) -> None:
    path = tmp_path / "file"
    ODD[kind](path)
    write_atomic(path, b"mine")
    assert read_regular(path) == b"mine"
    assert path.stat().st_mode & 0o777 == 0o600
    assert victim.read_bytes() == b"41"
    assert sorted(one.name for one in tmp_path.iterdir()) == ["file", "victim"], "nothing is left over"


def test_a_write_that_fails_leaves_nothing(tmp_path: Path) -> None:
    (tmp_path / "file").mkdir()
    with pytest.raises(SinkError, match="cannot be written"):
        write_atomic(tmp_path / "file", b"x")
    assert [one.name for one in tmp_path.iterdir()] == ["file"]
    handle = open_directory(tmp_path)
    try:
        with replacing(handle, "other", 0o644) as file:
            file.write(b"x")
    finally:
        os.close(handle)
    assert (tmp_path / "other").stat().st_mode & 0o777 == 0o644


def look_at_everything(directory: Path) -> None:
    """As a start does."""
    assert count_start(directory / "starts") >= 1
    ladder = Ladder(LadderRules(), directory / "recovery.json")
    ladder.climb()
    ladder.recovered()
    store = ChoiceStore(directory / "choices.json")
    assert store.recall("key") is None


@pytest.mark.parametrize("what", [*ODD, *TEXTS])
def test_state_that_is_nonsense_counts_as_none(tmp_path: Path, victim: Path, what: str) -> None:
    for name in ("starts", "recovery.json", "choices.json"):
        path = tmp_path / name
        ODD[what](path) if what in ODD else path.write_bytes(TEXTS[what])
    look_at_everything(tmp_path)
    assert victim.read_bytes() == b"41"


@pytest.mark.parametrize("what", [*ODD, *TEXTS])
def test_a_reference_or_counter_that_is_nonsense_is_said(tmp_path: Path, victim: Path, what: str) -> None:
    for name in ("reference.png", "next_event"):
        path = tmp_path / name
        ODD[what](path) if what in ODD else path.write_bytes(TEXTS[what])
    with pytest.raises(DataError, match=r"reference\.png"):
        reference.load(tmp_path, (4, 4))
    with pytest.raises(SinkError, match="next_event"):
        earlier_counter(tmp_path)


@pytest.mark.parametrize("kind", ODD)
def test_a_lock_that_is_no_file_is_said(tmp_path: Path, victim: Path, kind: str) -> None:
    ODD[kind](tmp_path / "next_event.lock")
    with pytest.raises(SinkError, match=r"next_event\.lock: cannot be written"), camera_lock(tmp_path):
        pass
    assert victim.read_bytes() == b"41"


def test_a_link_in_the_place_of_a_cameras_directory_is_refused_and_one_that_the_site_named_is_not(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "real")
    with pytest.raises(SinkError, match="a symbolic link") as caught, camera_lock(tmp_path / "link"):
        pass
    assert "[state] dir" in (caught.value.fix or "")
    with camera_lock(tmp_path / "link" / "cam"), pytest.raises(BusyError), camera_lock(tmp_path / "real" / "cam"):
        pass
    with pytest.raises(SinkError, match="a symbolic link"):
        reference.save(tmp_path / "link", reference.Reference(np.zeros((4, 4, 3), np.uint8)))
    assert sorted(path.name for path in (tmp_path / "real").iterdir()) == ["cam"]


def test_pictures_are_not_stored_through_a_link_but_the_site_may_name_one(tmp_path: Path) -> None:
    (tmp_path / "cam").mkdir()
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "cam" / "pictures").symlink_to(tmp_path / "elsewhere")

    def opened(pictures: PicturesConfig) -> None:
        slot = SlotConfig(name="A1", box=(0, 0, 1, 1))
        config = DeviceConfig(
            config_version=1,
            camera=CameraConfig(name="cam"),
            slot=(slot,),
            state=StateConfig(dir=str(tmp_path)),
            pictures=pictures,
        )
        keeper = open_pictures(config, first_number=1, live=True, clock=Clock())
        assert keeper is not None
        keeper.close()

    with pytest.raises(SinkError, match="a symbolic link"):
        opened(PicturesConfig())
    opened(PicturesConfig(dir=str(tmp_path / "cam" / "pictures")))


def test_a_position_never_grows_out_of_what_is_read_again(tmp_path: Path) -> None:
    position = msgspec.json.decode(b'{"schema":1,"tries":1000000000,"left":999999999}', type=Position)
    after, step = climb(position, LadderRules(reopens=1), 0.5)
    assert step.wait_s <= 60
    assert after.tries <= 2_000_000_000


def test_the_whole_command_neither_hangs_nor_crashes(tmp_path: Path, colour_bundle: Path) -> None:
    state = tmp_path / "state"
    config = tmp_path / "site.toml"
    config.write_text(
        'config_version = 1\n[camera]\nname = "cam"\nsource = "synthetic:fps=0"\n'
        f'[model]\nbundle = "{colour_bundle}"\n[state]\ndir = "{state}"\n[metrics]\nlisten = "127.0.0.1:0"\n'
        '[[slot]]\nname = "A1"\nbox = [0.1, 0.1, 0.4, 0.9]\n[[sink]]\nkind = "jsonl"\npath = "events.jsonl"\n'
    )
    cam = state / "cam"
    cam.mkdir(parents=True)
    for name in ("outbox.db", "starts", "recovery.json", "choices.json", "event_numbers"):
        os.mkfifo(cam / name)
    command = [sys.executable, "-m", "edge.cli", "run", "--config", str(config), "--frames", "3", "--json"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=patience_s(), cwd=ROOT)
    assert (done.returncode, "Traceback" in done.stderr) == (0, False), done.stderr
    assert "outbox.db.damaged-" in done.stderr
    assert '"outbox_damaged"' in (tmp_path / "events.jsonl").read_text()
    cv2.imwrite(str(cam / "reference.png"), np.zeros((5, 5, 3), np.uint8))
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=patience_s(), cwd=ROOT)
    assert (done.returncode, "Traceback" in done.stderr) == (78, False), done.stderr


@pytest.mark.parametrize(("snapshot", "code"), [(b"\xff", 0), (b"[" * 100_000, 0), (b'{"schema":99}', 65)])
def test_a_stored_shelf_that_is_nonsense_is_learned_anew_and_a_newer_one_refused(
    tmp_path: Path, colour_bundle: Path, snapshot: bytes, code: int
) -> None:
    with closing(Store(tmp_path / "outbox.db", durable=False)) as store, store.transaction():
        store.set_snapshot(Snapshot("hash", snapshot))
    (tmp_path / "cam").mkdir()
    (tmp_path / "outbox.db").rename(tmp_path / "cam" / "outbox.db")
    config = tmp_path / "site.toml"
    config.write_text(
        'config_version = 1\n[camera]\nname = "cam"\nsource = "synthetic:fps=0"\n'
        f'[model]\nbundle = "{colour_bundle}"\n[state]\ndir = "{tmp_path}"\n[[slot]]\nname = "A1"\nbox = [0.1, 0.1, 0.4, 0.9]\n'
    )
    command = [sys.executable, "-m", "edge.cli", "run", "--config", str(config), "--frames", "3", "--json"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=patience_s(), cwd=ROOT)
    assert (done.returncode, "Traceback" in done.stderr) == (code, False), done.stderr
    assert ("; the slots learn anew" in done.stderr) == (code == 0)
    assert not list((tmp_path / "cam").glob("outbox.db.damaged-*"))
