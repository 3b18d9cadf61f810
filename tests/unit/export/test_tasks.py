"""A new task needs its module and a line in the registry: a made-up one goes through a whole conversion."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch")
pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")

import onnxruntime

from edge.errors import UsageError
from export import progress
from export.candidates import choose
from export.convert.all import convert
from export.convert.core import float_logits
from export.convert.onnx_metadata import describe
from export.load.options import ModelOptions
from export.load.spec import ModelSpec
from export.request import Request
from export.tasks import TASKS, task_of
from export.tasks.base import OutputText
from tests.fakes.runtimes import need
from tests.fakes.tiny_net import CLASSES, pictures, tiny_model

JUDGED = pictures(8, seed=2)


class Tag:
    """Any number of C labels for each picture: a sigmoid a label."""

    name = "tag"
    noun = "a tagger"
    output_name = "chances"
    meaning = "sigmoid"
    has_labels = True
    picks_class = False

    def from_classifier(self, module, size_hw_px):
        return module

    def float_answers(self, model, images):
        return float_logits(model, images)

    def onnx_end(self, core_output):
        from onnx import helper

        return [helper.make_node("Sigmoid", [core_output], [self.output_name], name="sigmoid")]

    def tflite_end(self, editor, core_output, given):
        logits = core_output
        if not editor.is_float(logits):
            logits = editor.tensor("logits", "float32", editor.graph.tensors[core_output].shape)
            editor.operator("DEQUANTIZE", core_output, logits)
        chances = editor.tensor(self.output_name, given, editor.graph.tensors[core_output].shape)
        editor.operator("LOGISTIC", logits, chances)
        return chances

    def purpose(self, width):
        return f"says which of {width} labels fit"

    def output_text(self, model):
        return OutputText(f"Chances of {model.width} labels", (0.0, 1.0), model.labels)


@pytest.fixture
def tagger(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(TASKS, "tag", Tag())
    return replace(tiny_model(), task="tag")


def chances(model) -> np.ndarray:
    return 1 / (1 + np.exp(-float_logits(model, JUDGED)))


def test_a_new_task_is_exported_to_onnx(tagger, tmp_path: Path) -> None:
    exact, eight_bit = convert(tagger, pictures(16, seed=1), choose(["onnx-fp32", "onnx-int8"]), tmp_path, progress.silent)
    for draft, tolerance in ((exact, 1e-5), (eight_bit, 0.2)):
        (output,) = draft.candidate.outputs
        assert (output.name, output.meaning, output.width) == ("chances", "sigmoid", len(CLASSES))
        session = onnxruntime.InferenceSession(draft.path, providers=["CPUExecutionProvider"])
        (answers,) = session.run(["chances"], {"image": JUDGED})
        np.testing.assert_allclose(answers, chances(tagger), atol=tolerance, err_msg=draft.plan.name)
        props = session.get_modelmeta().custom_metadata_map
        assert (props["task"], json.loads(props["labels"])) == ("tag", list(CLASSES))
        assert "says which of 5 labels fit" in props["description"]


def test_a_new_task_is_exported_to_tflite(tagger, tmp_path: Path) -> None:
    need("litert_torch")
    from export.convert.tflite_graph import run_tflite

    (draft,) = convert(tagger, pictures(16, seed=1), choose(["tflite-fp32"]), tmp_path, progress.silent)
    assert draft.candidate.outputs[0].name == "chances"
    content = draft.path.read_bytes()
    np.testing.assert_allclose(run_tflite(content, JUDGED), chances(tagger), atol=1e-4)
    assert b"Chances of 5 labels" in content
    assert b"Class names in the order of the chances" in content
    assert "\n".join(CLASSES).encode() in content


def test_a_new_task_decides_what_may_be_asked(tagger, tmp_path: Path) -> None:
    assert ModelOptions(task="tag").spec("net").task == "tag"
    asked = Request(
        ModelSpec("net", task="tag"), tmp_path / "out", "photos", held_out=tmp_path, held_out_labels=tmp_path / "l.csv"
    )
    with pytest.raises(UsageError, match="a tagger has none"):
        asked.check()
    replace(asked, held_out_labels=None).check()


def test_only_a_classifier_may_be_judged_by_labelled_photos(tmp_path: Path) -> None:
    asked = Request(ModelSpec("net"), tmp_path / "out", "photos", held_out=tmp_path, held_out_labels=tmp_path / "l.csv")
    asked.check()
    with pytest.raises(UsageError, match="an embedder has none"):
        replace(asked, model=ModelSpec("net", task="embed")).check()


@pytest.mark.parametrize("name", ["detect", "tag", ""])
def test_a_task_that_nothing_is_exported_for_is_refused_with_those_that_are(name: str) -> None:
    for ask in (task_of, lambda name: ModelOptions(task=name).spec("net")):
        with pytest.raises(UsageError, match="classify, embed"):
            ask(name)


def test_every_task_is_registered_by_its_name_and_says_what_its_network_does() -> None:
    assert {name: task.name for name, task in TASKS.items()} == {name: name for name in TASKS}
    said = {describe(replace(tiny_model(), task=name)) for name in TASKS}
    assert len(said) == len(TASKS)
