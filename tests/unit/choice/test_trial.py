"""A candidate that nobody has tried here is tried in another process, and what came of it is remembered."""

from __future__ import annotations

import dataclasses
import subprocess
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

pytest.importorskip("onnx", reason="the models are made with onnx")
pytest.importorskip("onnxruntime", reason="it runs them")

from edge import models, sandbox
from edge.bundle.reader import Bundle, open_bundle
from edge.choice import measure, trial
from edge.choice.loader import ModelLoader, choose, prober_of
from edge.choice.measure import CancelledError, limits_of
from edge.choice.pick import ProbeResult
from edge.choice.places import CPU_ONLY
from edge.choice.store import TrialStore
from edge.choice.trial import DEATHS_MAX, Trials
from edge.errors import BackendError, BundleError, GateError, ProviderError
from tests.fakes import hostile_models as hostile
from tests.fakes.tiny import write_colour_bundle

SOON_S = 3
"""For models that would never end: nothing depends on how far they get."""


@pytest.fixture
def trials(tmp_path: Path) -> Trials:
    return Trials(store=TrialStore(tmp_path / "state" / "trials.json"))


@pytest.fixture
def no_child(monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """Call it, and from then on no child may be started."""

    def forbid() -> None:
        def started(*_: object, **__: object) -> None:
            raise AssertionError("a child was started")

        monkeypatch.setattr(sandbox.subprocess, "Popen", started)

    return forbid


def child_runs(script: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A shell script in the place of Python, from now on."""
    program = tmp_path / "python"
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o755)
    monkeypatch.setattr(sandbox.sys, "executable", str(program))


def bundle_of(tmp_path: Path, content: bytes, **more: object) -> Bundle:
    return write_colour_bundle(tmp_path / "bundle", files={"onnx-a": content}, **more)  # type: ignore[arg-type]


def loader_of(bundle: Bundle, trials: Trials | None) -> ModelLoader:
    return ModelLoader(bundle, bundle.manifest.models[0], threads=1, top_k=1, trials=trials)


def first(bundle: Bundle):
    return bundle.manifest.models[0].candidates[0]


def refused(bundle: Bundle, trials: Trials) -> str:
    with pytest.raises(BundleError) as caught:
        loader_of(bundle, trials).load(first(bundle))
    assert "shelfcam choose" in str(caught.value.fix)
    return str(caught.value)


@pytest.mark.parametrize("make", hostile.ENDLESS, ids=lambda make: make.__name__)
def test_one_that_never_answers_is_ended_and_not_tried_again(
    make, tmp_path: Path, trials: Trials, no_child, monkeypatch
) -> None:
    monkeypatch.setattr(measure, "START_S", SOON_S)
    bundle = bundle_of(tmp_path, make())
    assert f"took longer than {SOON_S} s" in refused(bundle, trials)
    no_child()
    again = Trials(store=TrialStore(tmp_path / "state" / "trials.json"))
    assert f"took longer than {SOON_S} s" in refused(bundle, again), "the next start knows it"


@pytest.mark.parametrize("make", hostile.WRONG, ids=lambda make: make.__name__)
def test_one_that_wants_too_much_or_answers_nonsense_is_refused(make, tmp_path: Path, trials: Trials, no_child) -> None:
    bundle = bundle_of(tmp_path, make())
    reason = refused(bundle, trials)
    said = {"endless_scan": "memory", "greedy": "memory", "greedy_at_work": "memory", "rows_once": "the shape 2×3"}
    assert said.get(make.__name__, "not finite") in reason
    if make.__name__.endswith("_once"):
        assert f"picture {hostile.NUMBER} of 64" in reason
    no_child()
    assert refused(bundle, trials) == reason


def test_a_tflite_file_that_never_answers_is_ended(tmp_path: Path, trials: Trials, monkeypatch) -> None:
    pytest.importorskip("ai_edge_litert")
    monkeypatch.setattr(measure, "START_S", SOON_S)
    assert "took longer" in refused(hostile.write_endless_tflite(tmp_path / "bundle"), trials)


def test_without_a_golden_set_a_few_pictures_are_answered_all_the_same(tmp_path: Path, trials: Trials, monkeypatch) -> None:
    assert "picture 1 of 3" in refused(bundle_of(tmp_path, hostile.not_a_number(), judged=False), trials)
    monkeypatch.setattr(measure, "START_S", SOON_S)
    endless = write_colour_bundle(tmp_path / "endless", files={"onnx-a": hostile.endless()}, judged=False)
    assert "took longer" in refused(endless, trials)


def test_a_good_one_is_tried_once(tmp_path: Path, trials: Trials, colour_bundle: Path, no_child) -> None:
    bundle = open_bundle(colour_bundle)
    told: list[float] = []
    loader_of(bundle, dataclasses.replace(trials, announce=told.append)).load(first(bundle)).backend.close()
    assert len(told) == 1, "somebody may be waiting for the service: a watchdog"
    no_child()
    again = Trials(store=TrialStore(tmp_path / "state" / "trials.json"), announce=told.append)
    loader_of(bundle, again).load(first(bundle)).backend.close()
    assert len(told) == 1


def test_the_bundles_of_the_package_are_not_tried(trials: Trials, no_child) -> None:
    no_child()
    bundle = open_bundle(models.bundle_directory("builtin:grocery"))
    loader = loader_of(bundle, trials)
    assert loader.safest(loader.load).backend.info
    assert not trials.store.path.exists()


def test_a_copy_of_one_beside_the_package_is(tmp_path: Path, trials: Trials) -> None:
    (tmp_path / "assets").symlink_to(models.bundle_directory("builtin:grocery").parent)
    assert trial.in_package(open_bundle(tmp_path / "assets" / "grocery")), "a link to it is it"
    bundle = open_bundle(write_colour_bundle(tmp_path / "grocery").directory)
    assert not trial.in_package(bundle), "a name is not"


def test_each_candidate_is_tried_by_itself(tmp_path: Path, trials: Trials, monkeypatch) -> None:
    files = {"bad": hostile.not_a_number()}
    bundle = write_colour_bundle(tmp_path / "b", {"good": (0, 1, 2), "bad": (0, 1, 2)}, files=files)
    loader = loader_of(bundle, trials)
    assert loader.safest(loader.load).candidate == "good"
    with pytest.raises(BundleError, match="colour/bad failed its trial"):
        loader.load(bundle.manifest.models[0].candidates[1])
    assert loader.safest(loader.load).candidate == "good", "the other goes on"


def test_a_crash_of_the_runtime_ends_the_child_only(tmp_path: Path, trials: Trials, colour_bundle: Path, monkeypatch) -> None:
    site = tmp_path / "site"
    site.mkdir()
    (site / "sitecustomize.py").write_text(
        "import os, signal, onnxruntime\n"
        "class Session(onnxruntime.InferenceSession):\n"
        "    def run(self, *_):\n        os.kill(os.getpid(), signal.SIGSEGV)\n"
        "onnxruntime.InferenceSession = Session\n"
    )
    monkeypatch.setenv("PYTHONPATH", str(site))
    assert "its process was ended by SIGSEGV" in refused(open_bundle(colour_bundle), trials)


@pytest.mark.parametrize(
    "damage",
    [
        lambda path: path.write_text("{"),
        lambda path: path.write_bytes(b"\xff\xfe"),
        lambda path: path.write_text('{"schema": 2, "trials": []}'),
        lambda path: path.write_text('{"schema": 1, "trials": [{"key": "../..", "bundle": 1}]}'),
        lambda path: path.write_text("[" * 100_000),
        lambda path: path.write_text(" " * 5_000_000),
        lambda path: path.mkdir(),
        lambda path: path.symlink_to("nowhere"),
    ],
)
def test_a_damaged_or_exchanged_memory_costs_another_trial_and_nothing_else(
    damage, tmp_path: Path, colour_bundle: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "state" / "trials.json"
    path.parent.mkdir()
    damage(path)
    bundle = open_bundle(colour_bundle)
    for _ in range(2):
        trials = Trials(store=TrialStore(path))
        loader_of(bundle, trials).load(first(bundle)).backend.close()
        if path.is_dir():
            assert "not remembered" in caplog.text
        else:
            assert trials.known(bundle, bundle.manifest.models[0], first(bundle)) is not None


def test_a_memory_full_of_others_forgets_the_oldest(tmp_path: Path, trials: Trials, colour_bundle: Path) -> None:
    bundle = open_bundle(colour_bundle)
    assert loader_of(bundle, trials).admit(first(bundle)) is not None
    known = trials.known(bundle, bundle.manifest.models[0], first(bundle))
    assert known is not None
    for number in range(70):
        trials.store.remember(msgspec.structs.replace(known, key=f"{number:064x}"))
    assert trials.known(bundle, bundle.manifest.models[0], first(bundle)) is None
    assert trials.store.recall(f"{69:064x}") is not None


def answering(monkeypatch: pytest.MonkeyPatch, result: ProbeResult) -> None:
    monkeypatch.setattr(measure.Prober, "attempt", lambda *_: result)


def test_a_missing_runtime_is_not_the_bundles_fault(trials: Trials, colour_bundle: Path, monkeypatch) -> None:
    bundle = open_bundle(colour_bundle)
    result = ProbeResult(candidate="onnx-a", failure="no runtime", fix="install it", unavailable=True, bundle=bundle.sha256)
    answering(monkeypatch, result)
    with pytest.raises(BackendError, match="no runtime") as caught:
        loader_of(bundle, trials).admit(first(bundle))
    assert caught.value.fix == "install it"
    answering(monkeypatch, msgspec.structs.replace(result, missing=True))
    with pytest.raises(ProviderError):
        loader_of(bundle, trials).admit(first(bundle))
    assert not trials.store.path.exists(), "it is tried again when the runtime is there"


def test_a_bundle_that_was_exchanged_meanwhile_is_neither_passed_nor_failed(
    trials: Trials, colour_bundle: Path, monkeypatch
) -> None:
    bundle = open_bundle(colour_bundle)
    answering(monkeypatch, ProbeResult(candidate="onnx-a", bundle="0" * 64))
    with pytest.raises(BundleError, match="changed while it was tried"):
        loader_of(bundle, trials).admit(first(bundle))
    assert not trials.store.path.exists()


def test_a_child_that_cannot_be_confined_is_the_machines_fault(
    trials: Trials, colour_bundle: Path, tmp_path: Path, monkeypatch
) -> None:
    bundle = open_bundle(colour_bundle)
    child_runs("echo 'it cannot be confined here' >&2; exit 71", tmp_path, monkeypatch)
    with pytest.raises(BackendError, match="it cannot be confined here"):
        loader_of(bundle, trials).admit(first(bundle))
    monkeypatch.setattr(sandbox.sys, "executable", "/nowhere/python")
    with pytest.raises(BackendError, match="no process can be started"):
        loader_of(bundle, trials).admit(first(bundle))
    assert not trials.store.path.exists()


@pytest.mark.parametrize(
    "script", ["echo", "echo '{}'", "echo '{\"candidate\": 1}'", "head -c 5000000 /dev/zero", "printf '\\377'"]
)
def test_what_a_child_prints_is_not_believed(
    script: str, trials: Trials, colour_bundle: Path, tmp_path: Path, monkeypatch
) -> None:
    """Code that took it over could print anything; it speaks only of the candidate that it was given."""
    bundle = open_bundle(colour_bundle)
    child_runs(script, tmp_path, monkeypatch)
    assert "failed its trial" in refused(bundle, trials)


def test_its_words_cannot_steer_a_terminal(trials: Trials, colour_bundle: Path, tmp_path: Path, monkeypatch) -> None:
    bundle = open_bundle(colour_bundle)
    told = {"candidate": "other", "failure": "\x1b]52;c;AAAA\x07\n" + "x" * 5_000, "bundle": bundle.sha256}
    (tmp_path / "told.json").write_bytes(msgspec.json.encode(told))
    child_runs(f"cat {tmp_path}/told.json", tmp_path, monkeypatch)
    reason = refused(bundle, trials)
    assert reason.isprintable()
    assert len(reason) < 1_000


def test_one_who_waits_can_stop_it(tmp_path: Path, trials: Trials, monkeypatch) -> None:
    bundle = bundle_of(tmp_path, hostile.endless())
    asked: list[bool] = []

    def stopped() -> bool:
        asked.append(True)
        return len(asked) > 3

    with pytest.raises(CancelledError):
        loader_of(bundle, dataclasses.replace(trials, stopped=stopped)).admit(first(bundle))
    assert not trials.store.path.exists(), "nothing is known of it"


def test_a_process_that_died_inside_it_several_times_in_a_row_condemns_it(trials: Trials, colour_bundle: Path) -> None:
    bundle = open_bundle(colour_bundle)
    key = loader_of(bundle, trials).admit(first(bundle))
    assert key is not None
    for _ in range(DEATHS_MAX - 1):
        trials.died(key)
    trials.lived(key)
    for _ in range(DEATHS_MAX - 1):
        trials.died(key)
    assert loader_of(bundle, trials).admit(first(bundle)) == key, "not in a row"
    trials.died(key)
    assert f"died inside it {DEATHS_MAX} times in a row" in refused(bundle, trials)
    trials.lived(key)
    assert "died inside it" in refused(bundle, trials), "only a person takes that back"


def test_choose_tries_again_and_a_measurement_beside_the_loop_does_not(
    trials: Trials, colour_bundle: Path, monkeypatch
) -> None:
    bundle = open_bundle(colour_bundle)
    loader = loader_of(bundle, trials)
    failed = ProbeResult(candidate="onnx-a", failure="took longer than 60 s", killed=True)
    trials.learn(bundle, loader.model, first(bundle), failed)
    prober_of(loader).measure(lambda *_: None, rounds=1, runs=1)
    assert "took longer" in refused(bundle, trials)
    prober_of(loader, again=True).measure(lambda *_: None, rounds=1, runs=1)
    loader.load(first(bundle)).backend.close()
    monkeypatch.setattr(measure.Prober, "_probe", lambda *_: failed)
    with pytest.raises(GateError):
        choose(loader.model, prober_of(loader).measure(lambda *_: None, rounds=1, runs=1))
    loader.load(first(bundle)).backend.close()


def test_limits_follow_the_work_within_bounds(colour_bundle: Path) -> None:
    candidate = first(open_bundle(colour_bundle))
    assert limits_of(candidate, 64, 1).seconds == measure.START_S
    boast = msgspec.structs.replace(candidate, macs=2**53)
    assert limits_of(boast, 64, 1).seconds == measure.LONGEST_S
    lite0 = msgspec.structs.replace(candidate, macs=400_000_000)
    assert measure.START_S < limits_of(lite0, 64, 4).seconds < measure.LONGEST_S
    assert limits_of(lite0, 64, 4).cpu_seconds == 5 * limits_of(lite0, 64, 4).seconds
    memory = limits_of(candidate, 64, 1).memory_bytes
    assert memory is not None
    assert measure.LEAST_MEMORY_BYTES <= memory <= measure.MEMORY_BYTES
    assert limits_of(candidate, 64, 1, "cuda").memory_bytes is None


def test_one_that_went_beyond_its_limits_is_not_let_near_an_accelerator(
    colour_bundle: Path, monkeypatch, trials: Trials
) -> None:
    bundle, tried = open_bundle(colour_bundle), []

    def probe(_self, candidate, place, *_) -> ProbeResult:
        tried.append(place)
        return ProbeResult(candidate=candidate.name, place=place, failure="took longer", killed=True, available=("cuda",))

    monkeypatch.setattr(measure.Prober, "_probe", probe)
    wanted = dataclasses.replace(CPU_ONLY, provider="auto")
    measure.Prober(bundle, bundle.manifest.models[0], 1, wanted).measure(lambda *_: None, rounds=1, runs=1)
    assert tried == ["cpu"]


def test_a_trial_leaves_no_child_behind(tmp_path: Path, trials: Trials, monkeypatch) -> None:
    children: list[subprocess.Popen[bytes]] = []
    real = subprocess.Popen

    def started(*args: object, **more: object) -> subprocess.Popen[bytes]:
        children.append(real(*args, **more))  # type: ignore[call-overload]
        return children[-1]

    monkeypatch.setattr(sandbox.subprocess, "Popen", started)
    monkeypatch.setattr(measure, "START_S", SOON_S)
    refused(bundle_of(tmp_path, hostile.endless()), trials)
    assert [child.returncode for child in children] == [-9]


def test_one_that_failed_is_not_run_again_to_be_judged(tmp_path: Path, trials: Trials, no_child) -> None:
    bundle = write_colour_bundle(tmp_path / "b", files={"onnx-a": hostile.not_a_number()})
    loader = loader_of(bundle, trials)
    with pytest.raises(BundleError, match="failed its trial"):
        loader.load_judged(first(bundle))
    no_child()
    with pytest.raises(BundleError, match="failed its trial"):
        loader.load_judged(first(bundle))
