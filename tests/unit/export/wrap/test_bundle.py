"""Bundles of other people's models: what is read from the file, what is refused, and that they see what is there."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from edge.backends import load_backend
from edge.bundle.reader import open_bundle
from edge.data import Region
from edge.errors import BundleError, ExitCode, InputMissingError, SinkError, UsageError
from edge.images import read_rgb
from edge.manifest import Candidate, Manifest, Normalisation, Quantization
from edge.preprocess import preprocess
from edge.tasks.classify import Decoder
from export.wrap.bundle import wrap
from tests.fakes.runtimes import need_tflite

CATS = {"Egyptian cat", "tabby, tabby cat", "tiger cat"}


def see(bundle: Path, pixels: np.ndarray) -> list[tuple[str, float]]:
    """The two best classes through the camera's own reader, preprocessing, backend and decoder."""
    opened = open_bundle(bundle)
    opened.verify()
    model = opened.manifest.models[0]
    candidate = model.candidates[0]
    backend = load_backend(opened.model_file(candidate), candidate, 1)
    crop = Region("slot", pixels)
    decode = Decoder(model.first, candidate, opened.labels(model.first), 2).decode
    return [(s.label, s.score) for s in decode(backend.run(preprocess([crop], candidate.input)), [crop])[0].top]


def only(manifest: Manifest) -> Candidate:
    return manifest.models[0].candidates[0]


def write_labels(directory: Path, *names: str) -> Path:
    path = directory / "names.txt"
    path.write_text("".join(f"{name}\n" for name in names), encoding="utf-8")
    return path


@pytest.fixture
def rgb(tmp_path: Path) -> Path:
    return write_labels(tmp_path, "red", "green", "blue")


@pytest.fixture
def thirdparty(third_party: Path) -> Path:
    need_tflite()
    return third_party


class TestThirdParty:
    """Files from other people's converters, of three generations."""

    @pytest.mark.parametrize("fit", ["", "fit=stretch"])
    @pytest.mark.parametrize(
        ("file", "macs"), [("mobilenet_v2_1.0_224_quant.tflite", 300e6), ("mobilenet_v1_0.25_128_quant.tflite", 13.6e6)]
    )
    def test_mobilenets_see_a_cat_and_a_macaw(self, thirdparty: Path, tmp_path: Path, file: str, macs: float, fit: str) -> None:
        manifest = wrap(thirdparty / file, thirdparty / "imagenet_labels.txt", tmp_path / "b", input_text=fit)
        candidate = only(manifest)
        assert candidate.name == "tflite-int8"
        assert candidate.input.normalise == "folded"
        assert candidate.outputs[0].meaning == "softmax"
        assert candidate.outputs[0].quantization == Quantization(scale=1 / 256, zero_point=0)
        assert candidate.int8_mac_share == 1.0
        assert candidate.macs == pytest.approx(macs, rel=0.01)  # the papers' 300 and 14 million
        assert candidate.weights.tensors_8bit == candidate.weights.tensors > 20
        cat = see(tmp_path / "b", read_rgb(thirdparty / "cat.bmp"))
        assert {label for label, _ in cat} <= CATS, cat
        assert see(tmp_path / "b", read_rgb(thirdparty / "parrot.jpg"))[0][0] == "macaw"

    def test_int8_and_float_of_one_network_agree(self, thirdparty: Path, tmp_path: Path) -> None:
        labels = write_labels(tmp_path, "nobody", "person")
        int8 = wrap(thirdparty / "vww_96_int8.tflite", labels, tmp_path / "int8")
        real = wrap(thirdparty / "vww_96_float.tflite", labels, tmp_path / "float", input_text="unit")
        assert only(int8).input.quantization == Quantization(scale=pytest.approx(1 / 255), zero_point=-128)
        assert only(int8).input.normalise == Normalisation(
            mean=(0.0,) * 3, scale=(pytest.approx(255.0), pytest.approx(255.0), pytest.approx(255.0))
        )
        assert (only(int8).precision, only(real).precision) == ("int8", "fp32")
        assert only(real).weights.tensors_8bit == 0
        assert only(int8).macs == only(real).macs
        for picture in ("cat.bmp", "parrot.jpg"):
            pixels = read_rgb(thirdparty / picture)
            ours, theirs = dict(see(tmp_path / "int8", pixels)), dict(see(tmp_path / "float", pixels))
            assert ours["person"] == pytest.approx(theirs["person"], abs=0.05)

    def test_float_input_asks_for_its_normalisation(self, thirdparty: Path, tmp_path: Path) -> None:
        labels = write_labels(tmp_path, "nobody", "person")
        with pytest.raises(UsageError, match="does not say how pixels are normalised") as caught:
            wrap(thirdparty / "vww_96_float.tflite", labels, tmp_path / "b")
        assert "--input" in str(caught.value.fix)
        assert not (tmp_path / "b").exists()

    def test_label_count_is_held_against_the_output(self, thirdparty: Path, tmp_path: Path) -> None:
        with pytest.raises(BundleError, match="has 2 scores, but there are 1001 labels"):
            wrap(thirdparty / "vww_96_float.tflite", thirdparty / "imagenet_labels.txt", tmp_path / "b")
        assert not (tmp_path / "b").exists()

    @settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
    @given(data=st.data())
    @pytest.mark.parametrize("file", ["vww_96_int8.tflite", "mobilenet_v2_1.0_224_quant.tflite"])
    def test_cut_anywhere_is_refused(self, thirdparty: Path, tmp_path: Path, file: str, data: st.DataObject) -> None:
        """The second file has an archive of labels behind the model, which the runtime itself never looks at."""
        content = (thirdparty / file).read_bytes()
        tail = st.integers(len(content) - 40_000, len(content) - 1)
        cut = tmp_path / "cut.tflite"
        cut.write_bytes(content[: data.draw(st.integers(0, len(content) - 1) | tail | st.integers(0, 64))])
        refuse(cut, write_labels(tmp_path, *map(str, range(2 if "vww" in file else 1001))), tmp_path)

    def test_suffix_does_not_matter(self, thirdparty: Path, tmp_path: Path) -> None:
        model = tmp_path / "model.onnx"
        model.write_bytes((thirdparty / "vww_96_int8.tflite").read_bytes())
        assert only(wrap(model, write_labels(tmp_path, "a", "b"), tmp_path / "b")).format == "tflite"


def refuse(model: Path, labels: Path, tmp_path: Path) -> None:
    with pytest.raises(BundleError) as caught:
        wrap(model, labels, tmp_path / "never", input_text="tf")
    assert caught.value.exit_code == ExitCode.DATA == 65
    assert model.name in str(caught.value)
    assert not list(tmp_path.glob("*never*")), "something was left behind"


class TestOnnx:
    """Tiny models whose right answer is known: the brightest channel."""

    @pytest.fixture(autouse=True)
    def _packages(self) -> None:
        pytest.importorskip("onnx", reason="reads ONNX files")
        pytest.importorskip("onnxruntime", reason="runs ONNX files")

    def sees_colours(self, bundle: Path) -> None:
        for index, label in enumerate(("red", "green", "blue")):
            pixels = np.full((20, 30, 3), 40, dtype=np.uint8)
            pixels[..., index] = 220
            best, _ = see(bundle, pixels)
            assert best[0] == label
            assert best[1] > 0.9

    @pytest.mark.parametrize("layout", ["NCHW", "NHWC"])
    @pytest.mark.parametrize("final", ["Softmax", None])
    def test_float(self, tmp_path: Path, rgb: Path, layout: str, final: str | None) -> None:
        from tests.fakes import onnx_models

        model = tmp_path / "net.onnx"
        model.write_bytes(onnx_models.brightest(layout=layout, final=final))
        candidate = only(wrap(model, rgb, tmp_path / "b", input_text="tf"))
        assert candidate.name == "onnx-fp32"
        assert candidate.input.layout == layout
        assert candidate.input.batch == "dynamic"
        assert candidate.outputs[0].meaning == ("softmax" if final else "logits")
        assert candidate.requires.opset == 18
        assert candidate.macs == 8 * 8 * 3 * 3
        assert (candidate.weights.tensors, candidate.weights.elements) == (1, 9)
        self.sees_colours(tmp_path / "b")

    @pytest.mark.parametrize("layout", ["NCHW", "NHWC"])
    def test_quantized_by_onnxruntime(self, tmp_path: Path, rgb: Path, layout: str) -> None:
        from tests.fakes import onnx_models

        model = onnx_models.quantized_static(tmp_path, layout=layout)
        candidate = only(wrap(model, rgb, tmp_path / "b", input_text="tf"))
        assert candidate.name == "onnx-int8"
        assert candidate.int8_mac_share == 1.0
        assert (candidate.weights.tensors_8bit, candidate.weights.tensors) == (1, 1)
        self.sees_colours(tmp_path / "b")

    @pytest.mark.parametrize(("dtype", "zero"), [("UINT8", 128), ("INT8", 0)])
    def test_8_bit_input_and_output(self, tmp_path: Path, rgb: Path, dtype: str, zero: int) -> None:
        from onnx import TensorProto

        from tests.fakes import onnx_models

        model = tmp_path / "net.onnx"
        model.write_bytes(onnx_models.quantized_io(getattr(TensorProto, dtype), zero))
        candidate = only(wrap(model, rgb, tmp_path / "b"))
        assert candidate.outputs[0].quantization == Quantization(scale=1 / 16, zero_point=zero)
        if dtype == "UINT8":
            assert (candidate.input.normalise, candidate.input.quantization) == ("folded", None)
        else:
            assert candidate.input.normalise == Normalisation(mean=(128.0,) * 3, scale=(128.0,) * 3)
            assert candidate.input.quantization == Quantization(scale=1 / 128, zero_point=0)
        self.sees_colours(tmp_path / "b")

    def test_batch_and_size(self, tmp_path: Path, rgb: Path) -> None:
        from tests.fakes import onnx_models

        model = tmp_path / "net.onnx"
        model.write_bytes(onnx_models.brightest(batch=2))
        candidate = only(wrap(model, rgb, tmp_path / "two", input_text="tf"))
        assert (candidate.input.batch, candidate.macs) == (2, 576)
        self.sees_colours(tmp_path / "two")
        model.write_bytes(onnx_models.brightest(size="side"))
        with pytest.raises(UsageError, match="leaves its size open"):
            wrap(model, rgb, tmp_path / "open", input_text="tf")
        candidate = only(wrap(model, rgb, tmp_path / "open", input_text="tf size=16x4"))
        assert (candidate.input.size_hw_px, candidate.macs) == ((16, 4), 576)
        self.sees_colours(tmp_path / "open")

    def test_bgr_swaps_red_and_blue(self, tmp_path: Path, rgb: Path) -> None:
        from tests.fakes import onnx_models

        model = tmp_path / "net.onnx"
        model.write_bytes(onnx_models.brightest())
        wrap(model, rgb, tmp_path / "b", input_text="tf colour=BGR")
        red = np.zeros((8, 8, 3), dtype=np.uint8)
        red[..., 0] = 255
        assert see(tmp_path / "b", red)[0][0] == "blue"

    def test_output_option_overrides_and_is_checked(self, tmp_path: Path, rgb: Path) -> None:
        from tests.fakes import onnx_models

        model = tmp_path / "net.onnx"
        model.write_bytes(onnx_models.brightest(final=None))
        with pytest.raises(BundleError, match="are no probabilities"):
            wrap(model, rgb, tmp_path / "b", input_text="tf", output="softmax")
        model.write_bytes(onnx_models.brightest(final="Sigmoid"))
        with pytest.raises(UsageError, match="sigmoid"):
            wrap(model, rgb, tmp_path / "b", input_text="tf")
        manifest = wrap(model, rgb, tmp_path / "b", input_text="tf", output="softmax")
        assert only(manifest).outputs[0].meaning == "softmax"

    def test_two_outputs_are_no_classifier(self, tmp_path: Path, rgb: Path) -> None:
        from tests.fakes import onnx_models

        model = tmp_path / "net.onnx"
        model.write_bytes(onnx_models.brightest(outputs=4))
        with pytest.raises(BundleError, match="has 4 outputs"):
            wrap(model, rgb, tmp_path / "b")  # before it asks for --input
        refuse(model, rgb, tmp_path)

    def test_cut_anywhere_is_refused(self, tmp_path: Path, rgb: Path) -> None:
        from tests.fakes import onnx_models

        content = onnx_models.brightest()
        model = tmp_path / "cut.onnx"
        for length in range(0, len(content), 7):
            model.write_bytes(content[:length])
            refuse(model, rgb, tmp_path)

    def test_an_existing_bundle_stays_unless_replaced(self, tmp_path: Path, rgb: Path) -> None:
        from tests.fakes import onnx_models

        model = tmp_path / "net.onnx"
        model.write_bytes(onnx_models.brightest())
        wrap(model, rgb, tmp_path / "b", input_text="tf", name="first")
        with pytest.raises(SinkError, match="already exists"):
            wrap(model, rgb, tmp_path / "b", input_text="tf", name="second")
        assert open_bundle(tmp_path / "b").manifest.name == "first"
        wrap(model, rgb, tmp_path / "b", input_text="tf", name="second", replace=True)
        assert open_bundle(tmp_path / "b").manifest.name == "second"

    @pytest.mark.parametrize(
        ("text", "message"),
        [("", "no labels"), ("red\n\nblue\n", "line 2 is empty"), ("red\nblue\n", "3 scores, but there are 2 labels")],
    )
    def test_labels(self, tmp_path: Path, text: str, message: str) -> None:
        from tests.fakes import onnx_models

        model, labels = tmp_path / "net.onnx", tmp_path / "labels.txt"
        model.write_bytes(onnx_models.brightest())
        labels.write_text(text)
        with pytest.raises(BundleError, match=message):
            wrap(model, labels, tmp_path / "never", input_text="tf")
        assert not list(tmp_path.glob("*never*"))
        labels.write_bytes(b"\xef\xbb\xbfred\r\ngreen\r\nblue\r\n\r\n")  # as Windows' Notepad writes them
        wrap(model, labels, tmp_path / "b", input_text="tf")
        self.sees_colours(tmp_path / "b")

    def test_weights_in_another_file_are_refused(self, tmp_path: Path, rgb: Path) -> None:
        import onnx

        from tests.fakes import onnx_models

        model = tmp_path / "net.onnx"
        onnx.save(
            onnx.load_model_from_string(onnx_models.brightest()),
            model,
            save_as_external_data=True,
            location="net.data",
            size_threshold=0,
        )
        refuse(model, rgb, tmp_path)


@pytest.mark.parametrize("content", [b"", b"#!/bin/sh\n", b"\x1c\0\0\0TFL3", b"PK\x03\x04" + b"\0" * 100, b"\x08\x08"])
def test_no_model_at_all(tmp_path: Path, rgb: Path, content: bytes) -> None:
    pytest.importorskip("onnx", reason="decides that it is no ONNX model either")
    need_tflite()
    model = tmp_path / "thing.bin"
    model.write_bytes(content)
    refuse(model, rgb, tmp_path)


def test_a_picture_is_no_model(tmp_path: Path, rgb: Path) -> None:
    pytest.importorskip("onnx", reason="decides that it is no ONNX model either")
    model = tmp_path / "thing.tflite"
    model.write_bytes(cv2.imencode(".png", np.zeros((8, 8, 3), dtype=np.uint8))[1].tobytes())
    refuse(model, rgb, tmp_path)


def test_missing_files(tmp_path: Path, rgb: Path) -> None:
    with pytest.raises(InputMissingError, match="absent"):
        wrap(tmp_path / "absent.onnx", rgb, tmp_path / "b")


@pytest.mark.parametrize("options", [{"task": "detect"}, {"name": "../up"}, {"name": "-x"}, {"input_text": "colour=CMYK"}])
def test_wrong_options_are_usage_errors(tmp_path: Path, rgb: Path, options: dict) -> None:
    with pytest.raises(UsageError):
        wrap(tmp_path / "absent.onnx", rgb, tmp_path / "b", **options)


def test_wrapping_imports_no_training_framework_and_no_converter() -> None:
    code = (
        "import sys, export.wrap.cli, export.wrap.onnx_facts, export.wrap.tflite_facts; "
        "sys.exit(any(m.split('.')[0] in ('torch', 'litert_torch', 'ai_edge_quantizer', 'onnxruntime') for m in sys.modules))"
    )
    assert subprocess.run([sys.executable, "-c", code], cwd=Path(__file__).parents[3], check=False).returncode == 0


def test_a_file_that_no_camera_would_load_is_not_wrapped(rgb: Path, tmp_path: Path) -> None:
    onnx = pytest.importorskip("onnx")
    from tests.fakes import onnx_models

    model = onnx.load_from_string(onnx_models.brightest())
    model.graph.initializer[0].ClearField("raw_data")
    model.graph.initializer[0].data_location = onnx.TensorProto.EXTERNAL
    model.graph.initializer[0].external_data.add(key="location", value="/etc/passwd")
    (tmp_path / "outside.onnx").write_bytes(model.SerializeToString())
    with pytest.raises(BundleError, match=r"outside\.onnx: no usable model: a tensor lies in another file"):
        wrap(tmp_path / "outside.onnx", labels=rgb, out=tmp_path / "out")
    model = onnx.load_from_string(onnx_models.brightest())
    model.graph.node[0].domain = "my.domain"
    (tmp_path / "own.onnx").write_bytes(model.SerializeToString())
    with pytest.raises(BundleError, match=r"own\.onnx: no usable model: the operator 'Conv' of the domain 'my\.domain'"):
        wrap(tmp_path / "own.onnx", labels=rgb, out=tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_labels_that_a_terminal_would_obey_are_not_wrapped(tmp_path: Path) -> None:
    pytest.importorskip("onnx")
    from tests.fakes import onnx_models

    (tmp_path / "model.onnx").write_bytes(onnx_models.brightest())
    labels = write_labels(tmp_path, "red", "\x1b]52;c;aGk=\x07", "blue")
    with pytest.raises(BundleError, match=r"names\.txt: line 2"):
        wrap(tmp_path / "model.onnx", labels=labels, out=tmp_path / "out")
