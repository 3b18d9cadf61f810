"""Programs: ``.pt2`` and TorchScript, loaded without running code of theirs, and converted like networks in Python."""

from __future__ import annotations

import contextlib
import io
import os
import warnings
import zipfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch")

import torch

from edge.errors import DataError, InputMissingError, UsageError
from export.convert.core import Core, to_grid
from export.load.assemble import load
from export.load.script_code import rewritten
from export.load.spec import ModelSpec
from tests.fakes import networks
from tests.fakes.runtimes import need
from tests.fakes.tiny_net import GRID, SIZE, pictures, tiny_model

pytestmark = pytest.mark.usefixtures("quick_reader")

BATCH_OF_ONE = torch.zeros(1, 3, SIZE, SIZE)


def _pt2(module, path, example=BATCH_OF_ONE, **more):
    torch.export.save(torch.export.export(module, (example,), **more), path)
    return path


def _script(module, path, *, traced):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        (torch.jit.trace(module, BATCH_OF_ONE) if traced else torch.jit.script(module)).save(path)
    return path


def _made(kind, module, folder):
    if kind == "pt2 batch 1":
        return _pt2(module, folder / "net.pt2")
    if kind == "pt2 batch 4":
        return _pt2(module, folder / "net.pt2", torch.zeros(4, 3, SIZE, SIZE))
    if kind == "pt2 open":
        shapes = ({0: torch.export.Dim("N")},)
        return _pt2(module, folder / "net.pt2", torch.zeros(2, 3, SIZE, SIZE), dynamic_shapes=shapes)
    return _script(module, folder / "net.pt", traced=kind == "traced")


KINDS = ("pt2 batch 1", "pt2 batch 4", "pt2 open", "traced", "scripted")


@pytest.mark.parametrize("kind", KINDS)
def test_a_program_answers_like_its_network_whatever_the_batch(tmp_path, kind):
    module = networks.Viewing().eval()
    path = _made(kind, module, tmp_path)
    model = load(ModelSpec(str(path), size_hw_px=(SIZE, SIZE), normalisation=GRID))
    assert (model.name, model.width, model.size_hw_px, model.checkpoint) == ("net", 5, (SIZE, SIZE), path.name)
    for count in (1, 3):
        x = torch.randn(count, 3, SIZE, SIZE)
        assert torch.allclose(model.module(x), module(x), atol=1e-5)


class Shuffling(torch.nn.Module):
    """Computes with channels and sizes, in place and in parts, as networks for phones do."""

    def __init__(self):
        super().__init__()
        self.stem = torch.nn.Sequential(torch.nn.Conv2d(3, 16, 3, 2, 1), torch.nn.BatchNorm2d(16), torch.nn.ReLU6(inplace=True))
        self.gate = torch.nn.Sequential(torch.nn.AdaptiveAvgPool2d(1), torch.nn.Conv2d(16, 16, 1), torch.nn.Hardsigmoid())
        self.drop = torch.nn.Dropout(0.2)
        self.head = torch.nn.Linear(16, 5)

    def forward(self, x):
        x = self.stem(x)
        x = x * self.gate(x)
        count, channels, height, width = x.shape
        x = x.view(count, 4, channels // 4, height, width).transpose(1, 2).reshape(count, channels, height, width)
        left, right = x.chunk(2, dim=1)
        x = torch.nn.functional.max_pool2d(torch.cat([right, left], 1), 2, ceil_mode=True)
        return self.head(self.drop(torch.flatten(torch.nn.functional.adaptive_avg_pool2d(x, 1), 1)))


def test_methods_that_scripted_containers_bring_along_are_read():
    code = b"class Sequential(Module):\n  def __len__(self: __torch__.x.Sequential) -> int:\n    return 2\n"
    assert b"__len__" in rewritten(Path("net.pt"), "code/x.py", code)
    with pytest.raises(DataError, match="__setstate__"):
        rewritten(Path("net.pt"), "code/x.py", code.replace(b"__len__", b"__setstate__"))


class Normalising(torch.nn.Module):
    """Its trace makes tensors on a device, its decomposition has the native forms."""

    def __init__(self, norm):
        super().__init__()
        self.stem = torch.nn.Sequential(torch.nn.Conv2d(3, 8, 3, 2, 1), norm(8, affine=True), torch.nn.GELU())
        self.blocks = torch.nn.ModuleList([torch.nn.Sequential(torch.nn.GroupNorm(2, 8), torch.nn.Conv2d(8, 8, 1))])
        self.head = torch.nn.Linear(8, 5)

    def forward(self, x):
        x = self.stem(x)
        for block in self.blocks:
            x = x + block(x)
        x = torch.nn.functional.max_pool2d(x, 2)
        x = x + torch.linspace(0.0, 1.0, 8).view(1, 8, 1, 1)
        return self.head(x.mean([2, 3]))


@pytest.mark.parametrize("kind", ["pt2 decomposed", "traced"])
def test_a_program_is_read_whatever_it_normalises_by(tmp_path, kind):
    module = Normalising(torch.nn.InstanceNorm2d if kind == "traced" else torch.nn.BatchNorm2d).eval()
    if kind == "pt2 decomposed":
        path = tmp_path / "net.pt2"
        shapes = ({0: torch.export.Dim("N")},)
        exported = torch.export.export(module, (torch.zeros(2, 3, SIZE, SIZE),), dynamic_shapes=shapes)
        torch.export.save(exported.run_decompositions(), path)
    else:
        path = _made(kind, module, tmp_path)
    model = load(ModelSpec(str(path), size_hw_px=(SIZE, SIZE)))
    x = torch.randn(3, 3, SIZE, SIZE)
    assert torch.allclose(model.module(x), module(x), atol=1e-5)


@pytest.mark.parametrize("kind", ["pt2 batch 4", "pt2 open", "traced"])
def test_a_program_that_computes_with_its_shapes_is_read(tmp_path, kind):
    module = Shuffling().eval()
    model = load(ModelSpec(str(_made(kind, module, tmp_path)), size_hw_px=(SIZE, SIZE)))
    x = torch.randn(3, 3, SIZE, SIZE)
    assert torch.allclose(model.module(x), module(x), atol=1e-5)
    assert dict(module.named_parameters()).keys() <= model.module.state_dict().keys()


@pytest.mark.parametrize("kind", ["pt2 batch 1", "scripted"])
def test_a_program_becomes_onnx_like_its_network(tmp_path, kind):
    onnxruntime = pytest.importorskip("onnxruntime")
    from export.convert.to_onnx import core_to_onnx

    tiny = tiny_model()
    model = load(ModelSpec(str(_made(kind, tiny.module, tmp_path)), size_hw_px=(SIZE, SIZE), normalisation=GRID))
    session = onnxruntime.InferenceSession(core_to_onnx(model).SerializeToString(), providers=["CPUExecutionProvider"])
    grid = np.ascontiguousarray(to_grid(pictures(5, seed=1)).transpose(0, 3, 1, 2))
    with torch.no_grad():
        expected = Core(tiny)(torch.from_numpy(grid)).numpy()
    np.testing.assert_allclose(session.run(None, {"grid": grid})[0], expected, atol=1e-4)


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["pt2 batch 1", "traced"])
def test_a_program_becomes_tflite_like_its_network(tmp_path, kind):
    interpreter = pytest.importorskip("ai_edge_litert.interpreter")
    need("litert_torch")
    from export.convert.to_tflite import core_to_tflite

    tiny = tiny_model()
    model = load(ModelSpec(str(_made(kind, tiny.module, tmp_path)), size_hw_px=(SIZE, SIZE), normalisation=GRID))
    runner = interpreter.Interpreter(model_content=core_to_tflite(model))
    runner.allocate_tensors()
    grid = to_grid(pictures(1, seed=1))
    runner.set_tensor(runner.get_input_details()[0]["index"], grid)
    runner.invoke()
    answer = runner.get_tensor(runner.get_output_details()[0]["index"])
    with torch.no_grad():
        expected = Core(tiny)(torch.from_numpy(grid.transpose(0, 3, 1, 2).copy())).numpy()
    np.testing.assert_allclose(answer, expected, atol=1e-3)


def test_the_size_comes_from_the_program_and_no_other_fits(tmp_path):
    path = _pt2(networks.Viewing().eval(), tmp_path / "net.pt2")
    assert load(ModelSpec(str(path))).size_hw_px == (SIZE, SIZE)
    with pytest.raises(DataError, match=f"exported for {SIZE}×{SIZE}, not 64×64"):
        load(ModelSpec(str(path), size_hw_px=(64, 64)))


def test_a_program_that_mixes_the_pictures_of_a_batch_is_refused(tmp_path):
    class Mixing(networks.Viewing):
        def forward(self, x):
            return super().forward(x - x.mean(dim=0, keepdim=True))

    with pytest.raises(DataError, match="otherwise than one by one") as caught:
        load(ModelSpec(str(_pt2(Mixing().eval(), tmp_path / "net.pt2"))))
    assert "dynamic_shapes" in caught.value.fix


def test_a_batch_that_is_part_of_the_network_is_refused(tmp_path):
    class Fixed(networks.Viewing):
        def forward(self, x):
            return super().forward(x) + torch.ones(x.size(0) * 2, 5)[: x.size(0) * 2].view(2, -1, 5).sum(0)

    with pytest.raises(DataError, match="batches of other sizes") as caught:
        load(ModelSpec(str(_pt2(Fixed().eval(), tmp_path / "net.pt2", torch.zeros(4, 3, SIZE, SIZE)))))
    assert "dynamic_shapes" in caught.value.fix


def test_a_program_in_training_mode_is_refused(tmp_path):
    with pytest.raises(DataError, match=r"batch_norm.* training mode") as caught:
        load(ModelSpec(str(_pt2(tiny_model().module.train(), tmp_path / "net.pt2", torch.zeros(2, 3, SIZE, SIZE)))))
    assert "eval" in caught.value.fix


def test_weights_that_are_no_numbers_and_options_that_do_not_apply(tmp_path):
    module = networks.Viewing().eval()
    with torch.no_grad():
        module.head.weight[0, 0] = float("inf")
    path = str(_pt2(module, tmp_path / "net.pt2"))
    with pytest.raises(DataError, match=r"head\.weight has 1 values"):
        load(ModelSpec(path))
    with pytest.raises(UsageError, match="brings its own weights"):
        load(ModelSpec(path, random_weights=True))


def test_files_that_are_no_programs(tmp_path):
    torch.save(networks.fixed().state_dict(), tmp_path / "w.pth")
    with pytest.raises(DataError, match="do not say which network") as caught:
        load(ModelSpec(str(tmp_path / "w.pth")))
    assert "--weights" in caught.value.fix
    with pytest.raises(InputMissingError):
        load(ModelSpec(str(tmp_path / "none.pt2")))
    (tmp_path / "net.pt2").write_bytes(b"PK hello")
    with pytest.raises(DataError, match=r"net\.pt2: not a \.pt2 program"):
        load(ModelSpec(str(tmp_path / "net.pt2")))


class Touch:
    """A pickle of this makes a directory when it is read by a reader that trusts it."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return (os.mkdir, (str(self.path),))


def _changed(path, change):
    """The same archive with ``change(name, content)`` in the place of each record's content."""
    with zipfile.ZipFile(path) as archive:
        records = {name: archive.read(name) for name in archive.namelist()}
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as archive:
        for name, content in records.items():
            archive.writestr(name, change(name, content))
    return path


def test_a_pt2_with_a_pickle_that_wants_to_run_code_is_refused_and_does_not_run(tmp_path):
    touched = tmp_path / "touched"
    evil = io.BytesIO()
    torch.save(((Touch(touched),), {}), evil)
    path = _pt2(networks.Viewing().eval(), tmp_path / "net.pt2")
    _changed(path, lambda name, content: evil.getvalue() if name.endswith("sample_inputs/model.pt") else content)
    with contextlib.suppress(TypeError):  # its warning about what it has just done has a mistake, which pytest does not forgive
        torch.export.load(path)
    assert touched.exists(), "the fixture is harmless and proves nothing"
    touched.rmdir()
    with pytest.raises(DataError, match=r"net\.pt2: refused: .* wants to call posix\.mkdir"):
        load(ModelSpec(str(path)))
    assert not touched.exists()


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("torch.ops.aten.relu.default", "torch.os.system"),
        ("torch.ops.aten.relu.default", "torch.ops.aten.from_file.default"),
        ("torch.ops.aten.relu.default", "_operator.attrgetter"),
        ("Symbol('s", "open('s"),
        ("positive=True", "positive=exit()"),
        ("positive=True", "positive=().__class__"),
        ("positive=True", "positive=(exit)()"),
        ("positive=True", "positive=(exec)('x')"),
        ("positive=True", "positive=[exit for s0 in s1]"),
        ("positive=True", "positive=Integer('exit')"),
    ],
)
def test_a_pt2_that_names_more_than_a_network_needs_is_refused(tmp_path, old, new):
    shapes = ({0: torch.export.Dim("N")},)
    path = _pt2(networks.Viewing().eval(), tmp_path / "net.pt2", torch.zeros(2, 3, SIZE, SIZE), dynamic_shapes=shapes)
    with zipfile.ZipFile(path) as archive:
        graph = archive.read(next(name for name in archive.namelist() if name.endswith("models/model.json"))).decode()
    assert old in graph
    _changed(
        path, lambda name, content: content.replace(old.encode(), new.encode()) if name.endswith("model.json") else content
    )
    with pytest.raises(DataError, match=r"refused: models/model\.json has"):
        load(ModelSpec(str(path)))


def test_torchscript_that_reaches_files_is_refused(tmp_path):
    class Saving(torch.nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            torch.save(x, "stolen")
            return x.mean(dim=(2, 3))

    with pytest.raises(DataError, match=r"refused: .*\.py wants to run .*save"):
        load(ModelSpec(str(_script(Saving(), tmp_path / "net.pt", traced=False))))


def test_torchscript_that_hides_a_file_behind_spaces_is_refused(tmp_path):
    class Reading(torch.nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            torch.save(x, "stolen")
            return x.mean(dim=(2, 3))

    path = _script(Reading(), tmp_path / "net.pt", traced=False)
    _changed(
        path, lambda name, content: content.replace(b"torch.save(", b"torch . save (") if name.endswith(".py") else content
    )
    with pytest.raises(DataError, match="refused"):
        load(ModelSpec(str(path)))
    from export.load.torchscript import check_operators

    with pytest.raises(DataError, match=r"refused: it wants to run aten::save"):
        check_operators(path, torch.jit.load(path))


def test_torchscript_of_the_wrong_size_says_so(tmp_path):
    path = _script(
        torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(3 * SIZE * SIZE, 4)).eval(), tmp_path / "n.pt", traced=True
    )
    with pytest.raises(DataError, match="at 224×224") as caught:
        load(ModelSpec(str(path)))
    assert "--input-size" in caught.value.fix
    assert replace(load(ModelSpec(str(path), size_hw_px=(SIZE, SIZE)))).width == 4
