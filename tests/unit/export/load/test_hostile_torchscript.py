"""TorchScript that somebody else made to run code, write files or never end: refused before any of it runs."""

from __future__ import annotations

import warnings
import zipfile

import pytest

pytest.importorskip("torch")

import torch

from edge.errors import DataError
from export.load import confined
from export.load.archive import read_records
from export.load.torchscript import written_anew
from tests.fakes.hostile_archives import changed, refused


def refused_as_data(path, match):
    """By what the child does first; it only parses, so it may be called here, in a fraction of the time."""
    content = path.read_bytes()
    with pytest.raises(DataError, match=match):
        written_anew(path, read_records(path, content))


class Scripted(torch.nn.Module):
    """Its code has a place for every attack."""

    def __init__(self):
        super().__init__()
        self.head = torch.nn.Linear(3, 5)
        self.extra = 1

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(x.mean(dim=[2, 3]))


def _script(path, change=lambda name, content: content):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.jit.script(Scripted().eval()).save(str(path))
    return changed(path, change)


def _with_code(path, old, new):
    """A script in whose own class ``old`` is replaced by ``new``."""

    def change(name, content):
        if not name.endswith("test_hostile_torchscript.py"):
            return content
        text = content.decode()
        assert old in text, text
        return text.replace(old, new, 1).encode()

    return _script(path, change)


FORWARD = "  def forward("
SETSTATE = """  def __setstate__(self: __torch__.tests.unit.export.load.test_hostile_torchscript.Scripted,
    state: Tuple[Tensor, bool]) -> NoneType:
{body}
    return None
"""


@pytest.mark.parametrize(
    "body",
    [
        '    _1 = torch.from_file("CANARY", True, 4, dtype=6)',
        '    _1 = torch. # (\n      from_file("CANARY", True, 4, dtype=6)',
        '    _1 = torch.from_file  # nothing\n    _2 = _1("CANARY", True, 4, dtype=6)',
        '    _1 = ops.aten.from_file("CANARY", True, 4)',
        "    while True:\n      pass",
        "    for i in range(9223372036854775807):\n      pass",
        "    pass",
    ],
)
def test_torchscript_with_a_setstate_is_refused_before_it_is_loaded(tmp_path, canary, body):
    code = SETSTATE.format(body=body.replace("CANARY", str(canary)))
    path = _with_code(tmp_path / "net.pt", FORWARD, code + FORWARD)
    refused_as_data(
        path, "refused: code/.* __setstate__|refused: code/.* wants to run aten::from_file|refused: code/.* no code that"
    )


@pytest.mark.parametrize("body", ['_1 = torch. # (\n      from_file("CANARY", True, 4, dtype=6)', "while True:\n      pass"])
def test_a_setstate_is_refused_by_the_whole_way(tmp_path, canary, body):
    code = SETSTATE.format(body=f"    {body.replace('CANARY', str(canary))}")
    refused(_with_code(tmp_path / "net.pt", FORWARD, code + FORWARD), "refused: code/")


def test_the_setstate_of_torch_would_have_run(tmp_path):
    """What is refused above is not refused by PyTorch: it opens the file for writing while it loads."""
    target = tmp_path / "made"
    body = f'    self.training = torch.gt(torch.len(torch. # (\n      from_file("{target}", True, 4, dtype=6)), 9)'
    path = tmp_path / "net.pt"

    class Stateful(torch.nn.Module):
        @torch.jit.export
        def __getstate__(self):
            return (1, self.training)

        @torch.jit.export
        def __setstate__(self, state: tuple[int, bool]):
            self.training = state[1]

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return x.mean(dim=[2, 3])

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.jit.script(Stateful()).save(str(path))
        changed(path, lambda name, content: content.replace(b"    self.training", f"{body}\n    self.training".encode()))
        assert body.encode() in _code(path)
        torch.jit.load(str(path))
    assert target.exists()
    target.unlink()
    refused(path, "refused: code/")
    assert not target.exists()


def _code(path):
    with zipfile.ZipFile(path) as archive:
        return b"".join(archive.read(name) for name in archive.namelist() if name.endswith(".py"))


@pytest.mark.parametrize(
    ("old", "new", "match"),
    [
        (FORWARD, "  def __getstate__(self: __torch__.x.Y) -> int:\n    return 1\n" + FORWARD, "__getstate__"),
        (FORWARD, "  def __init__(self: __torch__.x.Y) -> NoneType:\n    return None\n" + FORWARD, "__init__"),
        ("extra : int", 'extra : Final[Tensor] = torch.from_file("CANARY", True, 4)', "declarations"),
        ("extra : int", "extra : __torch__.torch.classes.quantized.LinearPackedParamsBase", "compiled into PyTorch"),
        (
            "    head = self.head",
            '    _9 = torch\n    _8 = _9.from_file("CANARY", True, 4)\n    head = self.head',
            "names torch",
        ),
        ("    head = self.head", "    _9 = ops.aten\n    head = self.head", "names ops"),
        ("    head = self.head", '    (x).save("CANARY")\n    head = self.head', "save"),
        ("    head = self.head", '    print("hello")\n    head = self.head', "print"),
        ("    head = self.head", "    _9 = fork(self, x)\n    head = self.head", "fork"),
        ("    head = self.head", "    import os\n    head = self.head", "Import"),
        ("    head = self.head", "    torch.manual_seed(3)\n    head = self.head", "manual_seed"),
        ("    head = self.head", "    _9 = torch.rand([2])\n    head = self.head", "rand"),
        ("    head = self.head", "    _9 = torch.set_num_threads(1)\n    head = self.head", "set_num_threads"),
        ("    head = self.head", "    ſave = 1\n    head = self.head", "no code that PyTorch writes"),
        ("class Scripted(Module)", "class Scripted(Interface)", "class of Interface"),
    ],
)
def test_torchscript_that_wants_more_than_a_network_is_refused(tmp_path, canary, old, new, match):
    refused_as_data(_with_code(tmp_path / "net.pt", old, new.replace("CANARY", str(canary))), match)


@pytest.mark.parametrize(
    ("add", "match"),
    [
        (b"c__torch__.torch.classes.xnnpack\nConv2dOpContext\n", "names __torch__.torch.classes"),
        (b"c__torch__.torch\nclasses.xnnpack.Conv2dOpContext\n", "names __torch__.torch.classes"),
        (b"cos\nsystem\n", "names os.system"),
        (b"ctorch.jit._pickle\nbuild_tensor_from_id\n", "names torch.jit._pickle.build_tensor_from_id"),
        (b"\x8c\x02os\x8c\x06system\x930", "uses SHORT_BINUNICODE"),
    ],
)
def test_torchscript_whose_pickle_names_more_is_refused(tmp_path, add, match):
    def change(name, content):
        return content[:2] + add + content[2:] if name.endswith("data.pkl") else content

    refused_as_data(_script(tmp_path / "net.pt", change), match)


def test_torchscript_with_a_tensor_beyond_its_record_is_refused(tmp_path):
    refused_as_data(
        _script(tmp_path / "net.pt", lambda name, content: content[:-8] if name.endswith("data/0") else content),
        "shorter than its tensor",
    )


def test_torchscript_that_never_ends_is_ended(tmp_path, monkeypatch):
    monkeypatch.setattr(confined, "SECONDS", 12)
    loop = "    _5 = x\n    for _6 in range(9223372036854775807):\n      _5 = torch.add_(_5, 1)\n    head = self.head"
    refused(_with_code(tmp_path / "net.pt", "    head = self.head", loop), r"took (longer|more) than|cannot be turned")
