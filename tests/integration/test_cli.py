"""The command as a user calls it: a real process, real files, real exit codes."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import cv2
import pytest

pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")

from tests.conftest import ROOT
from tests.fakes import tiny
from tests.fakes.command import observations, shelfcam
from tests.fakes.events import lines_of
from tests.fakes.patience import patience_s, wait_until


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    folder = tmp_path / "photos"
    folder.mkdir()
    for colour in tiny.COLOURS:
        cv2.imwrite(str(folder / f"{colour}.png"), tiny.picture(colour, 48, 64)[:, :, ::-1])
    (folder / "broken.jpg").write_bytes(b"no picture")
    return folder


@pytest.fixture(scope="module")
def three(tmp_path_factory: pytest.TempPathFactory) -> Path:
    orders = {"onnx-a": (0, 1, 2), "onnx-b": (0, 1, 2), "wrong": (1, 2, 0)}
    return tiny.write_colour_bundle(tmp_path_factory.mktemp("three") / "b", orders).directory


def test_run_sees_what_is_there_and_skips_what_is_broken(colour_bundle: Path, photos: Path) -> None:
    done = shelfcam("run", "--bundle", colour_bundle, "--source", photos)
    seen = observations(done.stdout)
    assert [event["top"][0]["label"] for event in seen] == ["blue", "green", "red"], "in the order of their names"
    assert [event["seq"] for event in seen] == [0, 1, 2]
    assert "broken.jpg" in done.stderr
    assert "1 unreadable" in done.stderr
    kinds = [json.loads(line)["type"] for line in done.stdout.splitlines()]
    assert (kinds[0], kinds[-1]) == ("started", "stopped")


def test_run_reports_as_json_and_stops_after_the_frames_asked_for(colour_bundle: Path) -> None:
    report = json.loads(
        shelfcam("run", "--bundle", colour_bundle, "--source", "synthetic:fps=0", "--frames", 25, "--json").stdout
    )
    assert (report["frames"], report["simulated"], report["candidate"]) == (25, True, "onnx-a")
    assert set(report["stages"]) == {"capture", "preprocess", "inference", "decode", "sink"}
    assert report["stages"]["inference"]["laps"] == 25


def test_event_ids_go_on_after_a_restart(colour_bundle: Path, photos: Path, tmp_path: Path) -> None:
    out = tmp_path / "events.jsonl"
    for _ in range(2):
        shelfcam("run", "--bundle", colour_bundle, "--source", photos, "--events", out)
    ids = [json.loads(line)["id"] for line in out.read_text().splitlines()]
    assert len(ids) == 10
    assert ids == sorted(set(ids))


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_stops_cleanly_with_everything_written(colour_bundle: Path, tmp_path: Path, number: signal.Signals) -> None:
    out = tmp_path / "events.jsonl"
    command = [sys.executable, "-m", "edge.cli", "run", "--bundle", str(colour_bundle), "--source", "synthetic:fps=50"]
    process = subprocess.Popen(
        [*command, "--events", str(out), "--json"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    wait_until(lambda: process.poll() is not None or (out.exists() and out.read_text().count("\n") > 10), "ten events")
    process.send_signal(number)
    stdout, stderr = process.communicate(timeout=patience_s())
    assert process.returncode == 0, stderr
    lines = out.read_text().splitlines()
    last = json.loads(lines[-1])
    assert last["type"] == "stopped"
    report = json.loads(stdout)
    assert len(observations("\n".join(lines))) == report["frames"]


def test_choose_moves_to_a_candidate_that_passes_and_run_remembers_it(three: Path, photos: Path) -> None:
    choice = json.loads(shelfcam("choose", "--bundle", three, "--json").stdout)
    assert choice["candidate"] in {"onnx-a", "onnx-b"}
    rows = {row["candidate"]: row for row in choice["rows"]}
    assert rows["wrong"]["passes"] is False
    assert rows["wrong"]["logit_cosine"] < 0
    assert rows["onnx-a"]["logit_cosine"] == pytest.approx(1.0, abs=1e-4)
    report = json.loads(shelfcam("run", "--bundle", three, "--source", photos, "--json").stdout)
    assert report["candidate"] == choice["candidate"]
    assert report["reason"].startswith("remembered: fastest of 2")


IDLE = (
    "import sys; from edge.choice import idle; idle.busy_share = lambda sleep: 0.0; from edge.cli import main; sys.exit(main())"
)
"""The command on a machine that does nothing else: a busy one is waited for, a minute long."""


def test_run_starts_on_the_safe_candidate_and_chooses_beside_the_loop(tmp_path: Path) -> None:
    """The safe candidate by the export's figures is wrong on this machine: the loop has to leave it by itself."""
    bundle = tiny.write_colour_bundle(tmp_path / "b", {"wrong": (1, 2, 0), "right": (0, 1, 2)}).directory
    out = tmp_path / "events.jsonl"
    command = [sys.executable, "-c", IDLE, "run", "--bundle", str(bundle), "--source", "synthetic:fps=20", "--events", str(out)]

    def chosen() -> bool:
        return any(event["model"] == "colour/right" for event in lines_of(out) if event["kind"] == "observation")

    process = subprocess.Popen(command, stderr=subprocess.DEVNULL)
    try:
        wait_until(lambda: process.poll() is not None or chosen(), "the choice and an observation of the chosen one")
    finally:
        process.terminate()
    assert process.wait(timeout=patience_s()) == 0
    models = [event["model"] for event in observations(out.read_text())]
    assert models[0] == "colour/wrong"
    assert models[-1] == "colour/right"
    assert models == sorted(models, reverse=True), "one move, between two frames"


def test_probes_import_nothing_from_where_the_user_stands(three: Path, tmp_path: Path) -> None:
    (tmp_path / "msgspec.py").write_text("raise SystemExit(7)")
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    code = "import sys; sys.path.pop(0); from edge.cli import main; raise SystemExit(main())"
    command = [sys.executable, "-c", code, "choose", "--bundle", str(three), "--json"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=tmp_path, env=env)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["candidate"] in {"onnx-a", "onnx-b"}


def test_a_file_name_that_is_not_utf8_is_escaped_in_the_event(colour_bundle: Path, photos: Path) -> None:
    (photos / "red.png").rename(os.fsdecode(os.fsencode(photos) + b"/\xff.png"))
    seen = observations(shelfcam("run", "--bundle", colour_bundle, "--source", photos).stdout)
    assert seen[-1]["flags"][-1].endswith("\\xff.png")


def test_a_full_standard_output_is_exit_74(colour_bundle: Path) -> None:
    command = [sys.executable, "-m", "edge.cli", "bundle", "inspect", str(colour_bundle), "--json"]
    with open("/dev/full", "w") as full:
        done = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, text=True, check=False)
    assert (done.returncode, "Traceback" in done.stderr) == (74, False), done.stderr


def test_no_candidate_passes_is_exit_65_with_the_table(tmp_path: Path) -> None:
    bundle = tiny.write_colour_bundle(tmp_path / "b", {"wrong": (1, 2, 0), "worse": (2, 0, 1)}).directory
    done = shelfcam("choose", "--bundle", bundle, expect=65)
    assert "no candidate" in done.stderr
    assert "worse: logit cosine" in done.stderr


def test_evaluate(three: Path, photos: Path, tmp_path: Path) -> None:
    rows = ("red.png,red", "green.png,green", "blue.png,red", "broken.jpg,red", "none.png,red", "a\0b.png,red")
    (tmp_path / "list.csv").write_text("\n".join(("path,label", *rows)) + "\n")
    args = ("evaluate", "--bundle", three, "--images", photos, "--list", tmp_path / "list.csv")
    result = json.loads(shelfcam(*args, "--json").stdout)
    by_name = {c["candidate"]: c for c in result["candidates"]}
    assert by_name["onnx-a"]["scores"]["top1"] == pytest.approx(2 / 3)
    assert by_name["onnx-a"]["scores"]["top5"] == 1.0
    assert by_name["wrong"]["scores"]["top1"] == 0.0
    assert result["agreement"] == {"onnx-a vs onnx-b": 1.0, "onnx-a vs wrong": 0.0, "onnx-b vs wrong": 0.0}
    assert [u["path"] for u in result["unreadable"]] == ["broken.jpg", "none.png", "a\0b.png"]
    red = next(c for c in by_name["onnx-a"]["per_class"] if c["label"] == "red")
    assert (red["images"], red["recall"]) == (2, 0.5)
    assert {"label": "red", "predicted": "blue", "count": 1} in by_name["onnx-a"]["confusion"]
    table = shelfcam(*args, "--candidate", "onnx-a")
    assert "66.67%" in table.stdout
    assert "broken.jpg" in table.stderr


def test_an_embedder_runs_and_is_evaluated_by_its_neighbours(photos: Path, tmp_path: Path) -> None:
    bundle = tiny.write_embed_bundle(tmp_path / "embed").directory
    for colour in ("red", "blue"):
        cv2.imwrite(str(photos / f"{colour}2.png"), tiny.picture(colour, 9, 9)[:, :, ::-1])
    rows = ("red.png,tomato", "red2.png,tomato", "blue.png,plum", "blue2.png,plum", "green.png,pear")
    (tmp_path / "list.csv").write_text("\n".join(("path,label", *rows)) + "\n")
    args = ("evaluate", "--bundle", bundle, "--images", photos, "--list", tmp_path / "list.csv")
    (result,) = json.loads(shelfcam(*args, "--json").stdout)["candidates"]
    assert result["scores"] == {"recall_at_1": 0.8}, "a pear has no other"
    assert [(c["label"], c["recall"]) for c in result["per_class"]] == [("pear", 0), ("plum", 1), ("tomato", 1)]
    assert "recall@1" in shelfcam(*args).stdout
    assert shelfcam("bundle", "verify", bundle).returncode == 0
    run = shelfcam("run", "--bundle", bundle, "--source", photos / "red.png", "--events", "-")
    assert [json.loads(line)["top"] for line in run.stdout.splitlines() if '"observation"' in line] == [[]]
    chosen = shelfcam("choose", "--bundle", bundle, "--json")
    assert json.loads(chosen.stdout)["candidate"] == "onnx-a"
    sort = shelfcam("sort", "--bundle", bundle, "--images", photos, "--out", tmp_path / "sorted", expect=64)
    assert "names no classes to sort by" in sort.stderr


@pytest.mark.parametrize(
    ("content", "named"),
    [
        ("path,label\nred.png,rde\n", "did you mean 'red'"),
        ("file,label\nred.png,red\n", "no column 'path'"),
        ("path,label\n", "no rows"),
        ("path,label\nbroken.jpg,red\n", "none of the 1 pictures"),
    ],
)
def test_evaluate_refuses_a_bad_list(colour_bundle: Path, photos: Path, tmp_path: Path, content: str, named: str) -> None:
    (tmp_path / "list.csv").write_text(content)
    done = shelfcam("evaluate", "--bundle", colour_bundle, "--images", photos, "--list", tmp_path / "list.csv", expect=65)
    assert named in done.stderr


def test_sort_never_overwrites_and_adds_only_what_is_new(colour_bundle: Path, photos: Path, tmp_path: Path) -> None:
    out = tmp_path / "sorted"
    first = json.loads(shelfcam("sort", "--bundle", colour_bundle, "--images", photos, "--out", out, "--json").stdout)
    assert sorted(p.relative_to(out).as_posix() for p in out.rglob("*.png")) == [
        "blue/blue.png",
        "green/green.png",
        "red/red.png",
    ]
    assert first["already_there"] == 0
    assert "broken.jpg" in first["unreadable"][0]
    before = (out / "red/red.png").read_bytes()
    cv2.imwrite(str(photos / "red.png"), tiny.picture("red", 20, 20)[:, :, ::-1])
    again = json.loads(shelfcam("sort", "--bundle", colour_bundle, "--images", photos, "--out", out, "--json").stdout)
    assert again["already_there"] == 2
    assert (out / "red/red.png").read_bytes() == before, "another picture of the same name does not replace it"
    assert (out / "red/red-1.png").exists()
    rows = (out / "sorted.csv").read_text().splitlines()
    assert len(rows) == 1 + 4
    shelfcam("evaluate", "--bundle", colour_bundle, "--images", out, "--list", out / "sorted.csv")


def test_sort_puts_unsure_ones_apart_and_links(colour_bundle: Path, photos: Path, tmp_path: Path) -> None:
    out = tmp_path / "sorted"
    shelfcam("sort", "--bundle", colour_bundle, "--images", photos, "--out", out, "--min-score", "0.999", "--link")
    assert sorted(p.relative_to(out).as_posix() for p in out.rglob("*.png")) == [
        "_unsure/blue.png",
        "_unsure/green.png",
        "_unsure/red.png",
    ]
    assert (out / "_unsure/red.png").stat().st_ino == (photos / "red.png").stat().st_ino


def test_bundle_commands(colour_bundle: Path, tmp_path: Path) -> None:
    shelfcam("bundle", "verify", colour_bundle)
    facts = json.loads(shelfcam("bundle", "inspect", colour_bundle, "--json").stdout)
    assert facts["manifest"]["models"][0]["name"] == "colour"
    assert "onnx-a" in shelfcam("bundle", "inspect", colour_bundle).stdout
    assert "efficientnet_lite0" in shelfcam("bundle", "inspect", "builtin:imagenet").stdout
    assert "builtin:imagenet: intact" in shelfcam("bundle", "verify", "builtin:imagenet").stdout
    shelfcam("bundle", "pack", colour_bundle, "--out", tmp_path / "b.zip")
    shelfcam("bundle", "pack", colour_bundle, "--out", tmp_path / "b.zip", expect=74)
    shelfcam("bundle", "unpack", tmp_path / "b.zip", "--out", tmp_path / "b")
    (tmp_path / "b" / "labels.txt").write_text("red\ngreen\nblus\n")
    assert "labels.txt" in shelfcam("bundle", "verify", tmp_path / "b", expect=65).stderr
    assert (
        "labels.txt" in shelfcam("run", "--bundle", tmp_path / "b", "--source", "synthetic:", "--frames", 1, expect=65).stderr
    )


@pytest.mark.parametrize(
    ("args", "code", "named"),
    [
        (("run", "--sauce", "x"), 64, "--source"),
        (("run", "--frames", "0"), 64, "--frames"),
        (("run", "--threads", "-1"), 64, "--threads"),
        (("run", "--threads", "999"), 64, "--threads"),
        (("nonsense",), 64, "nonsense"),
        (("run", "--source", "none.jpg"), 66, "none.jpg"),
        (("run", "--source", "synthetic:fbs=3"), 78, "fps"),
        (("run", "--source", "v4l3:0"), 78, "synthetic"),
        (("run", "--config", "none.toml"), 66, "none.toml"),
        (("run", "--candidate", "none", "--source", "synthetic:"), 78, "onnx-a"),
        (("run", "--model", "none", "--source", "synthetic:"), 78, "colour"),
    ],
)
def test_what_is_wrong_is_said_with_its_exit_code(colour_bundle: Path, args: tuple[str, ...], code: int, named: str) -> None:
    bundle = ("--bundle", colour_bundle) if args[0] == "run" else ()
    done = shelfcam(*args, *bundle, expect=code)
    assert named in done.stderr
    assert "Traceback" not in done.stderr


def test_a_directory_of_broken_pictures_is_bad_data(colour_bundle: Path, tmp_path: Path) -> None:
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "a.jpg").write_bytes(b"")
    assert "none of its 1" in shelfcam("run", "--bundle", colour_bundle, "--source", tmp_path / "photos", expect=65).stderr


def test_events_that_cannot_be_written_are_exit_74(colour_bundle: Path, photos: Path) -> None:
    done = shelfcam("run", "--bundle", colour_bundle, "--source", photos, "--events", "/dev/full", expect=74)
    assert "/dev/full" in done.stderr
    assert "No space left" in done.stderr


def test_a_missing_runtime_names_the_library(colour_bundle: Path, tmp_path: Path) -> None:
    (tmp_path / "onnxruntime.py").write_text("raise ImportError('not here')")
    env = {**os.environ, "PYTHONPATH": f"{tmp_path}:{os.environ.get('PYTHONPATH', '')}"}
    done = shelfcam("run", "--bundle", colour_bundle, "--source", "synthetic:", "--frames", 1, expect=69, env=env)
    assert "onnxruntime>=1.20" in done.stderr


def test_a_read_only_state_directory_is_said(colour_bundle: Path, tmp_path: Path) -> None:
    (tmp_path / "state").write_text("a file where a directory should be")
    env = {**os.environ, "XDG_STATE_HOME": str(tmp_path / "state")}
    done = shelfcam("run", "--bundle", colour_bundle, "--source", "synthetic:", "--frames", 1, expect=74, env=env)
    assert "next_event" in done.stderr


def test_help_shows_every_command_with_an_example() -> None:
    overview = shelfcam("--help").stdout
    for name in ("run", "choose", "evaluate", "sort", "bundle"):
        assert name in overview
    for args in (("run",), ("choose",), ("evaluate",), ("sort",), ("bundle", "verify")):
        assert "shelfcam " + " ".join(args) in shelfcam(*args, "--help").stdout.replace("Usage: shelfcam", "", 1)


def test_the_config_file_runs_as_written(colour_bundle: Path, tmp_path: Path) -> None:
    shutil.copytree(colour_bundle, tmp_path / "b")
    (tmp_path / "site.toml").write_text(
        'config_version = 1\n[camera]\nname = "aisle"\nsource = "synthetic:fps=0"\n[model]\nbundle = "b"\ntop_k = 1\n'
        '[[sink]]\nkind = "jsonl"\npath = "e.jsonl"\n'
    )
    shelfcam("run", "--config", tmp_path / "site.toml", "--frames", 3)
    seen = observations((tmp_path / "e.jsonl").read_text())
    assert len(seen) == 3
    assert {(e["camera"], len(e["top"]), e["simulated"]) for e in seen} == {("aisle", 1, True)}
