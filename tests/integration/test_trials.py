"""Bundles that nobody has tried yet, with the real command: what is hostile is refused once, and the last good one runs."""

from __future__ import annotations

import functools
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import cv2
import pytest

pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")

from edge import models
from edge.bundle.reader import open_bundle
from edge.choice.trial import DEATHS_MAX
from edge.config import load_config
from edge.errors import ExitCode
from tests.fakes import command
from tests.fakes import hostile_models as hostile
from tests.fakes.events import lines_of
from tests.fakes.live_shelf import LiveShelf
from tests.fakes.other_trials import NO_CHILD, PATIENT, SOON
from tests.fakes.patience import slowness
from tests.fakes.service_process import Service
from tests.fakes.tiny import picture, write_colour_bundle

shelfcam = functools.partial(command.shelfcam, expect=None, module="tests.fakes.other_trials")


class Site:
    """A config whose bundle is the folder ``bundle`` beside it."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.bundle = folder, folder / "bundle"
        self.config, self.state = folder / "site.toml", folder / "state" / "shelf-1"
        self.config.write_text(
            "config_version = 1\n[camera]\nname = 'shelf-1'\nsource = 'synthetic:fps=50'\n[model]\nbundle = 'bundle'\n"
            "[state]\ndir = 'state'\n[[sink]]\nkind = 'jsonl'\npath = 'events.jsonl'\n"
        )

    def put(self, content: bytes | None = None, name: str = "onnx-a") -> str:
        """A bundle in place of the one before; its hash."""
        files = {} if content is None else {name: content}
        return write_colour_bundle(self.bundle, {name: (0, 1, 2)}, files=files, replace=True).sha256

    def run(self, how: str = PATIENT, *more: str, code: int = 0) -> subprocess.CompletedProcess[str]:
        done = shelfcam(how, "run", "--config", self.config, "--frames", "3", "--json", *more)
        assert done.returncode == code, done.stderr
        return done

    def events(self) -> list[dict]:
        return lines_of(self.folder / "events.jsonl")

    def ran(self) -> str:
        """The bundle of the last event."""
        return self.events()[-1]["bundle"].partition("@")[2]

    def statuses(self) -> list[str]:
        return [event["type"] for event in self.events() if event["kind"] == "status"]


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return Site(tmp_path)


@pytest.mark.parametrize(
    ("make", "how", "reason"),
    [
        (hostile.endless, SOON, "took longer than 3 s"),
        (hostile.greedy_at_work, PATIENT, "Failed to allocate memory"),
        (hostile.not_a_number, PATIENT, "not finite"),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_a_hostile_bundle_is_exit_65_once_and_for_all(site: Site, make, how: str, reason: str) -> None:
    site.put(make())
    first = site.run(how, code=ExitCode.DATA)
    assert f"{site.bundle}: colour/onnx-a failed its trial" in first.stderr
    assert reason in first.stderr
    assert "Traceback" not in first.stderr
    second = site.run(NO_CHILD, code=ExitCode.DATA)
    assert second.stderr == first.stderr, "nothing was tried, and the reason is the same"
    assert site.events() == []
    site.put()
    site.run()
    assert site.statuses() == ["started", "stopped"], "a mended one runs without another word"


@pytest.mark.parametrize("command", ["sort", "evaluate"])
def test_other_commands_refuse_it_too(tmp_path: Path, command: str) -> None:
    bundle = write_colour_bundle(tmp_path / "b", files={"onnx-a": hostile.endless()}).directory
    (tmp_path / "photos").mkdir()
    cv2.imwrite(str(tmp_path / "photos" / "x.png"), picture("red"))
    (tmp_path / "photos.csv").write_text("path,label\nx.png,red\n")
    more = ["--out", tmp_path / "out"] if command == "sort" else ["--list", tmp_path / "photos.csv"]
    done = shelfcam(SOON, command, "--bundle", bundle, "--images", tmp_path / "photos", *more)
    assert done.returncode == ExitCode.DATA, done.stderr
    assert "took longer than 3 s" in done.stderr


def test_a_known_bundle_starts_without_another_process(site: Site) -> None:
    site.put()
    site.run()
    site.run(NO_CHILD)
    (site.state / "trials.json").write_text("{")
    assert site.run(NO_CHILD, code=1).stderr.count("TypeError"), "this one would be tried"


def test_the_bundles_of_the_package_start_without_another_process(tmp_path: Path) -> None:
    done = shelfcam(NO_CHILD, "run", "--source", "synthetic:fps=50", "--frames", "2", "--candidate", "onnx-int8")
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("damage", ["endless", "nonsense", "file", "manifest", "directory", "not a directory"])
def test_the_last_good_bundle_runs_in_the_place_of_a_bad_one(site: Site, damage: str) -> None:
    good = site.put()
    site.run()
    if damage == "endless":
        site.put(hostile.endless(), "onnx-b")
    elif damage == "nonsense":
        site.put(hostile.not_a_number(), "onnx-b")
    elif damage == "file":
        (site.bundle / "onnx-a.onnx").write_bytes(b"other")
    elif damage == "manifest":
        (site.bundle / "manifest.json").write_text('{"schema": 1')
    else:
        site.bundle.rename(site.folder / "elsewhere")
        if damage == "not a directory":
            site.bundle.write_text("a file")
    for how in (SOON, NO_CHILD):
        done = site.run(how)
        report = json.loads(done.stdout)
        assert site.ran() == good[:12]
        assert "last good bundle, because" in report["reason"]
        assert "the last good one does" in done.stderr
        started, refused = [event for event in site.events() if event["kind"] == "status"][-3:-1]
        assert (started["type"], refused["type"]) == ("started", "bundle_refused")
        assert refused["flags"][0] == f"runs=colours@{good[:12]}"
        assert str(site.bundle) in refused["flags"][1]
    if site.bundle.is_file():
        site.bundle.unlink()
    mended = site.put(None, "onnx-c")
    site.run()
    assert site.ran() == mended[:12]


def test_nobody_is_given_another_bundle_at_a_terminal(site: Site) -> None:
    site.put()
    site.run()
    bad = write_colour_bundle(site.folder / "bad", files={"onnx-a": hostile.not_a_number()}).directory
    done = site.run(PATIENT, "--bundle", str(bad), code=ExitCode.DATA)
    assert "failed its trial" in done.stderr
    done = shelfcam(PATIENT, "run", "--bundle", bad, "--source", "synthetic:fps=50", "--frames", "2")
    assert done.returncode == ExitCode.DATA
    assert "failed its trial" in done.stderr


def test_a_last_good_bundle_that_was_tampered_with_is_not_run(site: Site) -> None:
    good = site.put()
    site.run()
    site.put(hostile.not_a_number(), "onnx-b")
    copy = site.state / "bundles" / good
    (copy / "onnx-a.onnx").write_bytes(hostile.endless())
    done = site.run(code=ExitCode.DATA)
    assert "altered" in done.stderr
    assert "onnx-b failed its trial" in done.stderr.splitlines()[-2]


def test_one_of_the_package_can_be_the_last_good_one(site: Site) -> None:
    own = site.config.read_text()
    site.config.write_text(own.replace("bundle = 'bundle'", "bundle = 'builtin:grocery'\ncandidate = 'onnx-int8'"))
    site.run(NO_CHILD)
    site.config.write_text(own)
    site.put(hostile.not_a_number())
    site.run()
    assert site.ran() == open_bundle(models.bundle_directory("builtin:grocery")).sha256[:12]
    assert not list((site.state / "bundles").glob("*/")), "not copied"


def test_choose_ends_tells_and_tries_again(site: Site) -> None:
    site.put(hostile.endless())
    done = shelfcam(SOON, "choose", "--config", site.config)
    assert done.returncode == ExitCode.DATA
    assert "onnx-a: took longer than 3 s" in done.stderr
    site.run(NO_CHILD, code=ExitCode.DATA)
    done = shelfcam(NO_CHILD, "check", site.config)
    assert done.returncode == ExitCode.DATA
    assert "failed its trial" in done.stderr
    site.put()
    site.run()
    path = site.state / "trials.json"
    told = json.loads(path.read_text())
    told["trials"][-1]["reason"] = "took longer than 60 s"
    path.write_text(json.dumps(told))
    site.run(NO_CHILD, code=ExitCode.DATA)  # its own copy is no better
    assert shelfcam(PATIENT, "choose", "--config", site.config).returncode == 0
    site.run(NO_CHILD)


def test_doctor_says_what_would_run(site: Site) -> None:
    good = site.put()

    def lines(how: str) -> list[dict]:
        done = shelfcam(how, "doctor", "--config", site.config, "--json")
        return [line for line in json.loads(done.stdout)["lines"] if line["area"] == "bundle"]

    assert [line["found"].rpartition("; ")[2] for line in lines(PATIENT)] == ["passed its trial"]
    assert not (site.state / "trials.json").exists(), "it writes nothing"
    site.run()
    site.put(hostile.endless(), "onnx-b")
    failed, instead = lines(SOON)
    assert (failed["status"], failed["exit_code"]) == ("fail", ExitCode.DATA)
    assert "took longer than 3 s" in failed["found"]
    assert (instead["status"], good[:12] in instead["found"]) == ("warn", True)


def start(service: Service) -> None:
    """With more than enough patience for its trials."""
    service.start(lambda line: [sys.executable, "-m", "tests.fakes.other_trials", PATIENT, *line[3:]])


def test_a_stop_during_a_trial_is_obeyed_at_once(service: Service, tmp_path: Path) -> None:
    bundle = write_colour_bundle(tmp_path / "b", files={"onnx-a": hostile.endless()}).directory
    service.write(
        f"[camera]\nname = 'shelf-1'\nsource = 'synthetic:fps=20'\n[model]\nbundle = '{bundle}'\n[state]\ndir = 'state'"
    )
    start(service)
    process = service.process
    assert process is not None
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children")
    service.wait("the trial", lambda: children.read_text().split())
    process.send_signal(signal.SIGHUP)
    assert service.stop() == 0, service.log.read_text()
    assert not (tmp_path / "state" / "shelf-1" / "trials.json").exists()


def test_a_reload_of_a_hostile_bundle_is_refused_while_the_old_one_goes_on(service: Service, tmp_path: Path) -> None:
    bundle = write_colour_bundle(tmp_path / "b").directory

    def observed() -> int:
        return sum(event["kind"] == "observation" for event in service.events())

    def config(name: str) -> str:
        return f"[camera]\nname = 'shelf-1'\nsource = 'synthetic:fps=20'\n[model]\nbundle = '{name}'\n[state]\ndir = 'state'"

    service.write(config(str(bundle)))
    start(service)
    service.wait("frames", lambda: observed() > 3)
    write_colour_bundle(tmp_path / "bad", files={"onnx-a": hostile.endless()})
    service.write(config(str(tmp_path / "bad")))
    process = service.process
    assert process is not None
    process.send_signal(signal.SIGHUP)

    def tried() -> list[str]:
        paths = Path(f"/proc/{process.pid}/task").glob("*/children")
        return [child for path in paths for child in path.read_text().split()]

    service.wait("the trial", tried)
    before = observed()
    service.wait("frames beside it", lambda: observed() > before + 10)
    assert tried(), "it is still being tried"
    os.kill(int(tried()[0]), signal.SIGKILL)
    service.wait("the refusal", lambda: "reload_refused" in service.types())
    before = observed()
    service.wait("more frames", lambda: observed() > before + 3)
    assert service.stop() == 0
    refusal = next(event for event in service.events() if event["type"] == "reload_refused")
    assert "failed its trial" in refusal["flags"][0]
    assert service.types() == ["started", "reload_refused", "stopped"]


def inside_for_a_while(mark: Path) -> bool:
    """Whether the process has been inside one call of a model all the time."""
    for _ in range(30):
        if not mark.exists() or mark.read_bytes()[1:2] != b"1":
            return False
        time.sleep(0.05)
    return True


def test_a_model_that_hangs_on_what_the_camera_shows_is_given_up(service: Service, tmp_path: Path) -> None:
    good = write_colour_bundle(tmp_path / "good")
    bad = write_colour_bundle(tmp_path / "bad", {"onnx-b": (0, 1, 2)}, files={"onnx-b": hostile.endless_if_white()})
    mark = tmp_path / "state" / "c" / "runtime.mark"
    shelf = LiveShelf()
    shelf.photograph(tmp_path)
    shelf.put("A", "green")
    with shelf.serve() as server:
        service.write(shelf.site(good.directory, server.url))
        start(service)
        service.wait("what is there", lambda: any(event["kind"] == "event" for event in service.events()))
        assert service.stop() == 0
        service.write(shelf.site(bad.directory, server.url))
        start(service)
        service.wait("the other", lambda: service.events()[-1]["bundle"].endswith(bad.sha256[:12]))
        shelf.put("A", "white")  # what it hangs of
        for _ in range(DEATHS_MAX):
            service.wait("it to hang", lambda: inside_for_a_while(mark))
            starts = service.types().count("started")
            service.process.send_signal(signal.SIGKILL)  # as the watchdog does
            service.process.wait()
            start(service)
            # until then the mark is the one that the last process left
            service.wait("the next start", lambda starts=starts: service.types().count("started") > starts)
        service.wait("the refusal", lambda: "bundle_refused" in service.types())

        def told() -> bool:
            """The first good is learned in silence, as after any other bundle; of one after that there is an event."""
            shelf.put("A", ("red", "blue")[int(time.monotonic() / (5 * slowness())) % 2])
            return any(e["kind"] == "event" and e["bundle"].endswith(good.sha256[:12]) for e in service.events()[before:])

        before = service.events().index(next(event for event in service.events() if event["type"] == "bundle_refused"))
        service.wait("the good one's answer", told)
        assert service.stop() == 0
    refusal = next(event for event in service.events() if event["type"] == "bundle_refused")
    assert refusal["flags"][0] == f"runs=colours@{good.sha256[:12]}"
    assert f"died inside it {DEATHS_MAX} times in a row" in refusal["flags"][1]
    assert service.log.read_text().count("the process died inside") >= DEATHS_MAX


def test_the_state_of_a_config_is_where_the_trials_are(site: Site) -> None:
    assert models.trials_of(load_config(site.config)).store.path == site.state / "trials.json"
