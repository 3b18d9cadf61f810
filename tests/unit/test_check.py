"""Every problem of a configuration is told, and a right one has none."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest

from edge.check import check, unwritable_reason
from edge.errors import ExitCode
from tests.conftest import ROOT
from tests.fakes.several import write_two_headed_bundle

pytest.importorskip("onnx")


def write(folder: Path, text: str) -> Path:
    path = folder / "shelf.toml"
    path.write_text(f"config_version = 1\n{text}\n")
    return path


def areas(path: Path) -> list[str]:
    return [problem.area for problem in check(path).problems]


def test_a_right_configuration_has_no_problem_and_nothing_is_made(tmp_path: Path, colour_bundle: Path) -> None:
    model = f"[model]\nbundle = '{colour_bundle}'\ncandidate = 'onnx-a'"
    text = f"{model}\n[state]\ndir = 'state'\n[[sink]]\nkind = 'jsonl'\npath = 'log/e.jsonl'"
    path = write(tmp_path, text)
    report = check(path)
    assert (report.ok, report.exit_code, report.problems) == (True, ExitCode.OK, ())
    assert sorted(tmp_path.iterdir()) == [path]


def test_a_slot_may_ask_for_the_answers_that_the_bundle_gives(tmp_path: Path) -> None:
    bundle = write_two_headed_bundle(tmp_path / "b").directory

    def with_answers(names: str) -> Path:
        slot = f"[[slot]]\nname = 'A1'\nbox = [0.1, 0.1, 0.9, 0.9]\nanswers = {names}"
        return write(tmp_path, f"[model]\nbundle = '{bundle}'\n[state]\ndir = 'state'\n{slot}")

    assert check(with_answers("['look', 'classify']")).ok
    (problem,) = check(with_answers("['identify']")).problems
    assert "gives no 'identify'" in problem.message
    assert problem.fix == "name some of: classify, look"


def test_every_fault_of_the_file_is_told(tmp_path: Path) -> None:
    tables = "[camera]\nname = 'a/b'\ntimeout = 3\n[modle]\nx = 1\n[model]\nthreads = -1\n"
    text = tables + "[[sink]]\nkind = 'jsonl'\n[[sink]]\nkind = 'jsonl'\npaht = 'x'"
    report = check(write(tmp_path, text))
    messages = "\n".join(f"{p.message} {p.fix}" for p in report.problems)
    for named in ("camera.name", "'camera.timeout'", "'modle'", "model.threads", "'sink[1].paht'", "did you mean 'path'"):
        assert named in messages
    assert len(report.problems) == 5
    assert report.exit_code == ExitCode.CONFIG


def test_everything_that_is_named_and_not_there_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    (tmp_path / "folder").mkdir()
    text = (
        "[camera]\nsource = 'none.mp4'\n[model]\nbundle = 'none'\n[state]\ndir = 'file/state'\n"
        "[[sink]]\nkind = 'jsonl'\npath = 'folder'\n[[sink]]\nkind = 'jsonl'\npath = 'file/x'"
    )
    report = check(write(tmp_path, text))
    assert [p.area for p in report.problems] == ["bundle", "source", "sink", "sink", "state"]
    assert report.exit_code == ExitCode.NO_INPUT
    assert [p.message.split(":")[0] for p in report.problems[2:]] == ["sink[0].path", "sink[1].path", "state.dir"]


def test_the_pictures_directory_must_be_one(tmp_path: Path, colour_bundle: Path) -> None:
    (tmp_path / "file").write_text("")
    text = (
        f"[model]\nbundle = '{colour_bundle}'\n[state]\ndir = 'state'\n[[slot]]\nname = 'A'\nbox = [0, 0, 9, 9]\n[pictures]\n"
    )
    assert check(write(tmp_path, text)).ok
    assert check(write(tmp_path, text + "dir = 'new/album'")).ok
    report = check(write(tmp_path, text + "dir = 'file'"))
    assert [(p.area, p.message.split(":")[0], p.exit_code) for p in report.problems] == [
        ("pictures", "pictures.dir", ExitCode.OUTPUT)
    ]


@pytest.mark.parametrize(("text", "area"), [("name = 'none'", "model"), ("candidate = 'none'", "candidate")])
def test_a_name_that_the_bundle_lacks(tmp_path: Path, colour_bundle: Path, text: str, area: str) -> None:
    path = write(tmp_path, f"[model]\nbundle = '{colour_bundle}'\n{text}\n[state]\ndir = 'state'")
    assert areas(path) == [area]
    assert check(path).exit_code == ExitCode.CONFIG


def test_an_altered_bundle_is_bad_data(tmp_path: Path, colour_bundle: Path) -> None:
    copy = tmp_path / "bundle"
    shutil.copytree(colour_bundle, copy)
    (copy / "labels.txt").write_text("one\ntwo\nsix\n")
    path = write(tmp_path, "[model]\nbundle = 'bundle'\n[state]\ndir = 'state'")
    assert areas(path) == ["bundle"]
    assert check(path).exit_code == ExitCode.DATA


@pytest.mark.parametrize(
    ("content", "code"), [(None, ExitCode.NO_INPUT), ("config_version = [", ExitCode.CONFIG), ("", ExitCode.CONFIG)]
)
def test_no_file_or_no_toml(tmp_path: Path, content: str | None, code: ExitCode) -> None:
    path = tmp_path / "c.toml"
    if content is not None:
        path.write_text(content)
    report = check(path)
    assert [p.area for p in report.problems] == ["config"]
    assert report.exit_code == code


def test_a_place_without_permission(tmp_path: Path) -> None:
    def denied(path: Path, mode: int) -> bool:
        return False

    assert unwritable_reason(tmp_path / "new" / "deep", directory=True) is None
    assert "no permission to make it in" in (unwritable_reason(tmp_path / "new", directory=True, access=denied) or "")
    assert "no permission to write" in (unwritable_reason(tmp_path, directory=True, access=denied) or "")


class Tls(msgspec.Struct):
    key_file: str


class Broker(msgspec.Struct):
    host: str
    password_file: str | None = None
    ca_file: str | None = None
    tls: Tls | None = None


def test_secrets_of_any_sink_must_be_readable(tmp_path: Path) -> None:
    from edge.check import _file_problems

    (tmp_path / "ca").write_text("x")
    none, there = str(tmp_path / "none"), str(tmp_path / "ca")
    found = list(_file_problems(Broker("h", password_file=none, ca_file=there, tls=Tls(none)), "sink[0]"))
    assert [(p.area, p.message.split(":")[0]) for p in found] == [
        ("secret", "sink[0].password_file"),
        ("secret", "sink[0].tls.key_file"),
    ]
    assert list(_file_problems(Broker("h"), "sink[0]")) == []


def test_the_command(tmp_path: Path, colour_bundle: Path) -> None:
    def shelfcam(*args: object) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "edge.cli", "check", *map(str, args)]
        env = {**os.environ, "PYTHONPATH": str(ROOT)}
        return subprocess.run(command, capture_output=True, text=True, check=False, cwd=tmp_path, env=env)

    good = write(tmp_path, f"[model]\nbundle = '{colour_bundle}'\n[state]\ndir = 'state'")
    done = shelfcam(good)
    assert (done.returncode, done.stdout) == (0, f"{good}: ok\n"), done.stderr
    bad = write(
        tmp_path, f"[camera]\nsource = 'cam:0'\n[model]\nbundle = '{colour_bundle}'\ncandidate = 'x'\n[state]\ndir = 'state'"
    )
    done = shelfcam(bad)
    assert done.returncode == ExitCode.CONFIG
    assert "candidate: " in done.stderr
    assert "source: " in done.stderr
    report = json.loads(shelfcam(bad, "--json").stdout)
    assert [p["area"] for p in report["problems"]] == ["candidate", "source"]


def test_cpus_providers_and_delegates_that_are_not_there(tmp_path: Path, colour_bundle: Path) -> None:
    pytest.importorskip("onnxruntime")
    start = f"[model]\nbundle = '{colour_bundle}'\n"
    report = check(write(tmp_path, f"{start}provider = 'acl'\naffinity = [0, 1023]\n[state]\ndir = 'state'"))
    assert [(p.area, p.exit_code) for p in report.problems] == [("model", ExitCode.UNAVAILABLE), ("config", ExitCode.CONFIG)]
    assert "'acl' cannot be had: there is" in report.problems[0].message
    assert "no CPU 1023" in report.problems[1].message
    report = check(write(tmp_path, f"{start}delegate = 'libgone.so'\n[state]\ndir = 'state'"))
    assert report.ok, "a bare name is the loader's to find"
    report = check(write(tmp_path, f"{start}delegate = './libgone.so'\n[state]\ndir = 'state'"))
    assert [(p.area, p.exit_code) for p in report.problems] == [("model", ExitCode.NO_INPUT)]
