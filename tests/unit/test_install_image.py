"""``shelfcam install --root``: an image full of links that lead out of it changes and reads nothing of this machine."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from edge.board.boards import board_kind
from edge.errors import SinkError
from edge.rootfs import Image
from edge.service.install import EXAMPLE, UNITS, apply, plan, settle

HOST = {
    "etc/passwd": "root:x:0:0::/root:/bin/sh\n",
    "etc/shadow": "root:*:1::::::\n",
    "etc/systemd/system/x": "x",
    "victim": "v",
}


@pytest.fixture
def host(tmp_path: Path) -> Path:
    """Stands for this machine: links of the image lead there."""
    root = tmp_path / "host"
    for name, text in HOST.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    (root / "usr/local/lib").mkdir(parents=True)
    return root


@pytest.fixture
def image(tmp_path: Path) -> Path:
    root = tmp_path / "image"
    root.mkdir()
    return root


def state(root: Path) -> dict[str, object]:
    """Everything below it."""
    return {
        str(path.relative_to(root)): (
            path.lstat().st_mode,
            path.lstat().st_mtime_ns,
            path.read_bytes() if path.is_file() else None,
        )
        for path in sorted(root.rglob("*"))
    }


def link(path: Path, target: object) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.symlink_to(str(target))


UP = "../" * 40
DIRECTORIES: dict[str, Callable[[Path, Path], object]] = {
    "etc": lambda image, host: link(image / "etc", host / "etc"),
    "usr": lambda image, host: link(image / "usr", host / "usr"),
    "usr/local": lambda image, host: link(image / "usr/local", host / "usr/local"),
    "usr/local/lib": lambda image, host: link(image / "usr/local/lib", host / "usr/local/lib"),
    "units": lambda image, host: link(image / UNITS, host / "etc/systemd/system"),
    "a drop-in": lambda image, host: link(image / UNITS / "shelfcam@.service.d", host),
    "etc/shelfcam": lambda image, host: link(image / "etc/shelfcam", host / "etc"),
    "upwards": lambda image, host: link(image / "etc", f"{UP}{str(host)[1:]}/etc"),
    "upwards in the middle": lambda image, host: link(image / "etc", f"/a/{UP}{str(host)[1:]}/etc"),
    "through another link": lambda image, host: (link(image / "one", host), link(image / "etc", "one/etc")),
    "through a link upwards": lambda image, host: (link(image / "a/b/up", "../../.."), link(image / "usr", "a/b/up/host/usr")),
}


@pytest.mark.parametrize("what", DIRECTORIES)
def test_a_directory_that_leads_out_is_resolved_inside(image: Path, host: Path, what: str) -> None:
    DIRECTORIES[what](image, host)
    before = state(host)
    done = list(apply(plan("/srv/cam", "pi"), image, dry_run=False))
    assert {change.action for change in done} == {"made"}
    assert state(host) == before
    again = apply(plan("/srv/cam", "pi"), image, dry_run=False)
    assert {change.action for change in again} == {"unchanged"}, "it is found where it was put"


@pytest.mark.parametrize("absolute", [True, False])
def test_links_that_stay_inside_are_followed(image: Path, absolute: bool) -> None:
    (image / "data/local").mkdir(parents=True)
    link(image / "usr/local", "/data/local" if absolute else "../data/local")
    link(image / "etc", "/data/missing/etc" if absolute else "data/missing/etc")
    list(apply(plan("/srv/cam", "pi"), image, dry_run=False))
    assert (image / "data/local/lib/systemd/system/shelfcam@.service").is_file()
    assert (image / "data/missing" / EXAMPLE).is_file()


@pytest.mark.parametrize("target", ["absolute", "relative", "itself", "nowhere"])
def test_a_link_in_a_files_place_is_replaced(image: Path, host: Path, target: str) -> None:
    path = image / UNITS / "shelfcam@.service"
    leads = {
        "absolute": host / "victim",
        "relative": f"{UP}{str(host)[1:]}/victim",
        "itself": path.name,
        "nowhere": "/nonexistent/x",
    }
    link(path, leads[target])
    before = state(host)
    done = {Path(change.what).name: change.action for change in apply(plan("/srv/cam", "pi"), image, dry_run=False)}
    assert done["shelfcam@.service"] == "replaced"
    assert path.is_file()
    assert not path.is_symlink()
    assert state(host) == before


@pytest.mark.parametrize("what", ["pipe", "socket"])
def test_what_is_no_file_is_replaced_and_never_waited_for(image: Path, what: str) -> None:
    path = image / UNITS / "shelfcam@.service"
    path.parent.mkdir(parents=True)
    os.mkfifo(path) if what == "pipe" else os.mknod(path, 0o140600)
    list(apply(plan("/srv/cam", "pi"), image, dry_run=False))
    assert path.is_file()


def test_a_config_that_somebody_linked_is_left_alone(image: Path, host: Path) -> None:
    link(image / EXAMPLE, host / "victim")
    list(apply(plan("/srv/cam", "pi"), image, dry_run=False))
    assert (image / EXAMPLE).is_symlink()
    assert (host / "victim").read_text() == "v"


def test_a_drop_in_of_another_board_is_removed_and_not_what_it_leads_to(image: Path, host: Path) -> None:
    link(image / UNITS / "shelfcam@.service.d/20-board.conf", host / "victim")
    changes = {Path(change.what).name: change.action for change in apply(plan("/srv/cam", "other"), image, dry_run=False)}
    assert changes["20-board.conf"] == "removed"
    assert (host / "victim").read_text() == "v"
    link(image / UNITS / "shelfcam@.service.d/20-board.conf", "/nonexistent")
    list(apply(plan("/srv/cam", "other"), image, dry_run=False))
    assert not (image / UNITS / "shelfcam@.service.d/20-board.conf").is_symlink(), "nor does one to nowhere stay"


@pytest.mark.parametrize(
    "build",
    [
        lambda image: link(image / "etc", "etc"),
        lambda image: (link(image / "a", "b"), link(image / "b", "a"), link(image / "etc", "a")),
        lambda image: (image / "etc").write_text("a file"),
        lambda image: os.mkfifo(image / "etc"),
        lambda image: (image / EXAMPLE).parent.mkdir(parents=True) or (image / UNITS / "shelfcam@.service").mkdir(parents=True),
    ],
    ids=["itself", "in a circle", "a file", "a pipe", "a directory in a file's place"],
)
def test_what_cannot_be_resolved_is_said(image: Path, build: Callable[[Path], object]) -> None:
    build(image)
    with pytest.raises(SinkError, match="cannot be"):
        list(apply(plan("/srv/cam", "pi"), image, dry_run=False))


ACCOUNTS: dict[str, Callable[[Path, Path], object]] = {
    "etc": lambda image, host: link(image / "etc", host / "etc"),
    "etc inside": lambda image, host: ((image / "real").mkdir(), link(image / "etc", "real")),
    "passwd": lambda image, host: link(image / "etc/passwd", host / "etc/passwd"),
    "shadow": lambda image, host: link(image / "etc/shadow", f"{UP}{str(host)[1:]}/etc/shadow"),
    "gshadow to nowhere": lambda image, host: link(image / "etc/gshadow", "/nonexistent"),
    "a backup": lambda image, host: link(image / "etc/passwd-", host / "etc/passwd"),
    "the lock": lambda image, host: link(image / "etc/.pwd.lock", host / "victim"),
    "a second name": lambda image, host: ((image / "etc").mkdir(), os.link(host / "etc/passwd", image / "etc/passwd")),
    "a pipe": lambda image, host: ((image / "etc").mkdir(), os.mkfifo(image / "etc/group")),
    "etc that is a file": lambda image, host: (image / "etc").write_text(""),
}


@pytest.mark.parametrize("what", ACCOUNTS)
def test_accounts_are_not_made_where_they_could_land_outside(
    image: Path, host: Path, what: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("shutil.which", lambda name: f"/usr/bin/{name}")
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    ACCOUNTS[what](image, host)
    ran: list[object] = []
    (change,) = settle(image, dry_run=False, run=ran.append)
    assert (change.action, ran) == ("not run", [])
    assert "run it on the device" in change.detail


def test_accounts_of_a_sound_image_are_made(image: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shutil.which", lambda name: f"/usr/bin/{name}")
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    for _ in range(2):
        ran: list[list[str]] = []
        (change,) = settle(image, dry_run=False, run=ran.append)
        assert (change.action, ran) == ("run", [["systemd-sysusers", f"--root={image}", "shelfcam.conf"]])
        (image / "etc").mkdir(exist_ok=True)
        (image / "etc/passwd").write_text("root:x:0:0::/root:/bin/sh\n")


def test_the_board_is_told_by_the_image_and_not_by_this_machine(image: Path, host: Path) -> None:
    (host / "base").mkdir()
    (host / "base/model").write_bytes(b"Raspberry Pi 5\0")
    link(image / "proc/device-tree", host / "base")
    assert board_kind(image) == "other"
    inside = image / str(host)[1:] / "base"
    inside.mkdir(parents=True)
    (inside / "model").write_bytes(b"Raspberry Pi 5\0")
    assert board_kind(image) == "pi", "an absolute link means the image's own root"
    (inside / "model").unlink()
    os.mkfifo(inside / "model")
    assert board_kind(image) == "other", "nor is a pipe waited for"


def test_the_root_itself_may_be_a_link_and_upwards_ends_at_it(tmp_path: Path, image: Path) -> None:
    (tmp_path / "named").symlink_to(image)
    one = Image(tmp_path / "named")
    one.write("../../../x/../y", b"content")
    assert (image / "y").read_bytes() == b"content"
    assert one.read("y") == b"content"
    assert one.read("none/y") is None
    assert sorted(path.name for path in tmp_path.iterdir()) == ["image", "named"]
