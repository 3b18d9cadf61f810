"""Which places are tried, measured in real child processes whose ONNX Runtime has providers that this machine does not."""

from __future__ import annotations

import logging
from pathlib import Path

import msgspec
import pytest

pytest.importorskip("onnx", reason="the bundle is made with onnx")
pytest.importorskip("onnxruntime", reason="it runs the bundle")

from edge import models, sandbox
from edge.bundle.reader import Bundle
from edge.choice.loader import ChoosingModels, ModelLoader, choose
from edge.choice.measure import Prober
from edge.choice.pick import Choice, ProbeResult, Row, make_row, missing_places, pick
from edge.choice.places import Wanted, accelerators, on_cpu
from edge.choice.store import ChoiceStore
from edge.config import ModelConfig, StateConfig, default_config
from edge.errors import BackendError, GateError, ProviderError
from edge.gate import Measured
from tests.fakes import accelerators as fake
from tests.fakes.candidates import onnx_candidate, vww_candidate
from tests.fakes.patience import wait_until
from tests.fakes.tiny import write_colour_bundle

EVERYTHING = ("cpu", "tensorrt-fp16", "tensorrt", "cuda", "xnnpack")


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    return write_colour_bundle(tmp_path_factory.mktemp("m") / "b", {"first": (0, 1, 2), "second": (0, 1, 2)})


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Children have these providers; returns the sessions that they made so far."""

    monkeypatch.setattr(sandbox, "_KEPT_PREFIXES", (fake.PREFIX,))

    def build(behaviour: dict[str, str]):
        for key, value in fake.for_children(tmp_path / "site", behaviour).items():
            monkeypatch.setenv(key, value)
        return lambda: fake.sessions(tmp_path / "site")

    return build


def measured(bundle: Bundle, wanted: Wanted) -> list[Row]:
    rows = Prober(bundle, bundle.manifest.models[0], 1, wanted).measure(lambda *_: None, rounds=1, runs=2)
    return list(rows)


def test_what_is_tried_for_which_file() -> None:
    float_, auto = onnx_candidate(), Wanted(provider="auto")
    assert accelerators(float_, auto, EVERYTHING) == ("tensorrt-fp16", "tensorrt", "cuda", "xnnpack")
    assert accelerators(msgspec.structs.replace(float_, precision="int8"), auto, EVERYTHING)[0] == "tensorrt"
    half = msgspec.structs.replace(float_, precision="fp16")
    assert accelerators(half, auto, EVERYTHING) == ("tensorrt-fp16", "cuda", "xnnpack")
    assert accelerators(float_, auto, ("cpu",)) == ()
    assert accelerators(float_, Wanted(provider="cpu"), EVERYTHING) == ()
    assert accelerators(float_, Wanted(provider="auto", order=("xnnpack",)), EVERYTHING) == ("xnnpack",)
    assert accelerators(float_, Wanted(provider="tensorrt"), ()) == ("tensorrt-fp16", "tensorrt"), "named: tried in any case"
    assert accelerators(float_, Wanted(provider="auto", delegate="x.so"), ("cpu",)) == ()
    assert not on_cpu(float_, Wanted(provider="xnnpack"))


def test_tflite_has_its_own_kernels_and_a_delegate() -> None:
    tflite = vww_candidate()
    assert accelerators(tflite, Wanted(provider="auto"), EVERYTHING) == ()
    assert accelerators(tflite, Wanted(provider="auto", delegate="x.so"), ()) == ("delegate",)
    assert on_cpu(tflite, Wanted(provider="xnnpack"))
    assert not on_cpu(tflite, Wanted(provider="delegate", delegate="x.so"))
    assert not on_cpu(tflite, Wanted(provider="cuda"))


def test_half_precision_that_misses_the_gate_is_followed_by_full(bundle: Bundle, machine, tmp_path: Path) -> None:
    machine({fake.TENSORRT: fake.WRONG_FP16, fake.CUDA: fake.WORKS})
    rows = measured(bundle, Wanted(provider="auto", candidate="first", engines=tmp_path / "engines"))
    assert [(row.place, row.passes) for row in rows] == [("cpu", True), ("tensorrt-fp16", False), ("tensorrt", True)]
    assert "logit cosine" in rows[1].reason
    assert len(list((tmp_path / "engines").glob("*/*.engine"))) == 2, "the child built them"
    choice = pick(rows)
    assert choice is not None
    assert "first on tensorrt-fp16: logit cosine" in choice.reason


def test_what_is_missing_is_tried_once_and_the_next_takes_over(bundle: Bundle, machine, tmp_path: Path) -> None:
    sessions = machine({fake.TENSORRT: fake.RAISES, fake.CUDA: fake.LEFT_OUT, fake.XNNPACK: fake.WORKS})
    rows = measured(bundle, Wanted(provider="auto", engines=tmp_path / "engines"))
    assert [(row.candidate, row.place, row.passes) for row in rows] == [
        ("first", "cpu", True),
        ("first", "tensorrt-fp16", False),
        ("first", "cuda", False),
        ("first", "xnnpack", True),
        ("second", "cpu", True),
        ("second", "xnnpack", True),
    ]
    assert sum(session["providers"][0] == fake.TENSORRT for session in sessions()) == 1
    assert missing_places(rows).keys() == {"tensorrt-fp16", "cuda"}
    assert "left out of the session" in missing_places(rows)["cuda"]


def test_a_named_provider_is_had_or_it_is_an_error(bundle: Bundle, machine) -> None:
    machine({fake.CUDA: fake.LEFT_OUT})
    wanted = Wanted(provider="cuda")
    rows = measured(bundle, wanted)
    assert {row.place for row in rows} == {"cuda"}
    with pytest.raises(ProviderError, match="provider 'cuda' cannot be had here: CUDAExecutionProvider was left out"):
        choose(bundle.manifest.models[0], rows, wanted)


def test_a_named_provider_must_pass_the_gate(bundle: Bundle, machine) -> None:
    machine({fake.CUDA: fake.WRONG})
    wanted = Wanted(provider="cuda")
    with pytest.raises(GateError, match="first on cuda: logit cosine"):
        choose(bundle.manifest.models[0], measured(bundle, wanted), wanted)


def test_a_provider_that_no_candidate_can_use(bundle: Bundle) -> None:
    with pytest.raises(BackendError, match="no candidate of model 'colour' can run on delegate"):
        measured(bundle, Wanted(provider="delegate", delegate="x.so"))


def test_the_loop_starts_on_the_cpu_and_moves(
    bundle: Bundle, machine, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    behaviour = {fake.TENSORRT: fake.RAISES, fake.CUDA: fake.WORKS}
    machine(behaviour)
    fake.install(behaviour, patch=monkeypatch.setattr)
    monkeypatch.setattr("edge.choice.loader.wait_until_idle", lambda _: True)
    monkeypatch.setattr("edge.choice.loader.pick", _prefer("cuda"))
    loader = ModelLoader(bundle, bundle.manifest.models[0], threads=1, top_k=1, wanted=Wanted(provider="auto"))
    made: list[Choice] = []
    caplog.set_level(logging.WARNING)
    models = ChoosingModels(loader, loader.safest(loader.load), lambda choice, _: made.append(choice))
    try:
        assert models.current().backend.info.provider == fake.CPU
        wait_until(lambda: models.current() and made, "the choice")
        assert models.current().backend.info.provider == fake.CUDA
    finally:
        models.close()
    assert made[0].place == "cuda"
    assert [r.getMessage() for r in caplog.records if "is not used" in r.getMessage()] == [
        "tensorrt-fp16 is not used: " + missing_places(made[0].rows)["tensorrt-fp16"]
    ], "said once"


def _prefer(place: str):
    """The choice without the clock: on this machine the fake is as fast as the CPU, because it is the CPU."""

    def chosen(rows: list[Row]) -> Choice | None:
        return pick([row for row in rows if row.place == place or row.missing])

    return chosen


def test_a_remembered_place_that_is_gone_is_measured_again(
    bundle: Bundle, machine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    config = msgspec.structs.replace(
        default_config(), model=ModelConfig(bundle=str(bundle.directory)), state=StateConfig(dir=str(tmp_path))
    )
    key = models.build_loader(config, bundle, bundle.manifest.models[0]).key
    models.choice_store(config).remember(key, Choice(candidate="second", place="cuda", reason="fastest", rows=()))
    assert models.load_model(config).candidate == "first", "the safe one, on the CPU"
    assert "what was chosen cannot run" in caplog.text
    behaviour = {fake.TENSORRT: fake.WORKS, fake.CUDA: fake.WORKS}
    machine(behaviour)
    fake.install(behaviour, patch=monkeypatch.setattr)
    active = models.load_model(config)
    assert (active.candidate, active.backend.info.provider) == ("second", fake.CUDA)
    models.choice_store(config).remember(key, Choice(candidate="second", place="tensorrt", reason="fastest", rows=()))
    assert models.load_model(config).candidate == "first", "no engine in the cache: no camera waits for one to be built"
    assert "is not in the cache" in caplog.text


def test_a_finite_job_goes_straight_to_the_named_provider(
    bundle: Bundle, machine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = ModelConfig(bundle=str(bundle.directory), provider="tensorrt")
    config = msgspec.structs.replace(default_config(), model=model, state=StateConfig(dir=str(tmp_path)))
    with pytest.raises(ProviderError, match="has no TensorrtExecutionProvider"):
        models.load_model(config)
    machine({fake.TENSORRT: fake.WORKS})
    fake.install({fake.TENSORRT: fake.WORKS}, patch=monkeypatch.setattr)
    assert models.load_model(config).backend.info.provider == fake.TENSORRT
    assert list(tmp_path.glob("camera/engines/*/*.engine"))


def test_choices_that_an_earlier_version_stored_are_read(bundle: Bundle, tmp_path: Path) -> None:
    probe = ProbeResult(
        candidate="first",
        latency_ms=(1.0,),
        judged={"classify": Measured(images=64, logit_cosine=0.99, top1_agreement=1.0)},
    )
    choice = pick([make_row(bundle.manifest.models[0].candidates[0], [probe], bundle.manifest.models[0])])
    assert choice is not None
    store = ChoiceStore(tmp_path / "choices.json")
    store.remember("key", choice)
    stored = msgspec.json.decode((tmp_path / "choices.json").read_bytes())
    older = stored["choices"][0]["choice"]
    del older["place"], older["rows"][0]["place"], older["rows"][0]["missing"]
    (tmp_path / "choices.json").write_bytes(msgspec.json.encode(stored))
    assert store.recall("key") == choice


def test_what_the_site_wants_is_part_of_the_key(bundle: Bundle, tmp_path: Path) -> None:
    def key(**model: object) -> str:
        changed = ModelConfig(bundle=str(bundle.directory), **model)
        config = msgspec.structs.replace(default_config(), model=changed, state=StateConfig(dir=str(tmp_path)))
        return models.build_loader(config, bundle, bundle.manifest.models[0]).key

    keys = [
        key(),
        key(provider="cpu"),
        key(threads=1, affinity=(0,)),
        key(threads=1),
        key(delegate="x.so"),
        key(delegate="x.so", delegate_options={"a": "1"}),
    ]
    assert len(set(keys)) == len(keys)
    assert key(threads=2, affinity=(1, 0)) == key(threads=2, affinity=(0, 1))
