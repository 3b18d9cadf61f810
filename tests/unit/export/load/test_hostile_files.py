"""Files that somebody else made to run code, write files or eat the memory: each is refused, and a canary tells that nothing ran."""

from __future__ import annotations

import copy
import io
import json
import pickle
import resource
import warnings
import zipfile
from pathlib import Path

import msgspec
import pytest

pytest.importorskip("torch")

import torch
from safetensors.torch import save_file

from edge import sandbox
from edge.errors import DataError, ShelfcamError
from export.load import confined
from export.load.archive import read_records
from export.load.checkpoint import METADATA_KEY, CheckpointFacts, read_checkpoint, read_facts
from export.load.description import build
from export.load.exported import read_exported
from export.load.spec import ModelSpec, load
from export.load.torchscript import written_anew
from export.load.weights import read_weights
from tests.fakes import networks
from tests.unit.export.tiny_net import SIZE

CANARY = b"a file of the user\n" * 300
FACTS = CheckpointFacts(
    spec="squeezenet", labels=("a", "b"), size_hw_px=(SIZE, SIZE), mean=(0, 0, 0), scale=(1, 1, 1), fit="stretch"
)


@pytest.fixture
def canary(tmp_path):
    path = tmp_path / "canary"
    path.write_bytes(CANARY)
    yield path
    assert path.read_bytes() == CANARY


def refused(path, match):
    """By the whole way, through the confined child."""
    with pytest.raises(DataError, match=match) as caught:
        load(ModelSpec(str(path), size_hw_px=(SIZE, SIZE)))
    assert path.name in str(caught.value)


def refused_as_data(path, match):
    """By what the child does first; it only parses, so it may be called here, in a fraction of the time."""
    content = path.read_bytes()
    read = _parsed_pt2 if path.suffix == ".pt2" else _parsed_script
    with pytest.raises(DataError, match=match):
        read(path, content)


def _parsed_pt2(path, content):
    build(*read_exported(path, content)[:2])


def _parsed_script(path, content):
    written_anew(path, read_records(path, content))


# ---- a file that names code ---------------------------------------------------------------------------------------------------

RUNNING = [
    "os:system('touch {canary}.ran')",
    "subprocess:run(['touch', '{canary}.ran'])",
    "pathlib:Path.touch",
    "tests.fakes.networks:sized",
    'builtins:exec(\'open("{canary}.ran", "w")\')',
    "other.pt2",
    "other.safetensors",
    "squeezenet\nos:system('touch {canary}.ran')",
    "\x1b]0;squeezenet\x07",
    "",
]


@pytest.mark.parametrize("named", RUNNING)
def test_a_checkpoint_that_names_code_runs_nothing(tmp_path, canary, named):
    spec = named.format(canary=canary)
    path = tmp_path / "c.safetensors"
    facts = {**msgspec.to_builtins(FACTS), "spec": spec}
    save_file(networks.sized(2).state_dict(), path, metadata={METADATA_KEY: json.dumps(facts)})
    with pytest.raises(DataError, match=r"c\.safetensors") as caught:
        load(ModelSpec(str(path)))
    assert not Path(f"{canary}.ran").exists()
    assert str(caught.value).isprintable()
    assert spec not in (caught.value.fix or "") or not spec
    with pytest.raises(ShelfcamError):
        load(ModelSpec("squeezenet", weights=path))
    assert not Path(f"{canary}.ran").exists()


def test_a_checkpoint_of_a_factory_is_used_with_the_factory_that_the_user_types(tmp_path):
    path = tmp_path / "c.safetensors"
    facts = {**msgspec.to_builtins(FACTS), "spec": "tests.fakes.networks:sized"}
    save_file(networks.sized(2).state_dict(), path, metadata={METADATA_KEY: json.dumps(facts)})
    with pytest.raises(DataError, match="zoo only") as caught:
        load(ModelSpec(str(path)))
    assert f"--weights {path}" in caught.value.fix
    assert load(ModelSpec("tests.fakes.networks:sized", weights=path)).labels == ("a", "b")


@pytest.mark.parametrize("field", ["labels", "notes", "licence"])
def test_facts_with_control_characters_are_refused(tmp_path, field):
    path = tmp_path / "c.safetensors"
    value = ["a", "\x1b[2J"] if field == "labels" else "\x1b]52;c;aGk=\x07"
    save_file({"w": torch.ones(2)}, path, metadata={METADATA_KEY: json.dumps({**msgspec.to_builtins(FACTS), field: value})})
    with pytest.raises(DataError, match="control characters"):
        read_facts(path)


def test_a_checkpoint_whose_header_is_huge_is_not_parsed(tmp_path):
    path = tmp_path / "c.safetensors"
    for length in (17_000_000, 1 << 40, (1 << 64) - 1):
        path.write_bytes(length.to_bytes(8, "little") + b"{" + b" " * 100)
        with pytest.raises(DataError, match=r"c\.safetensors: .*header has"):
            read_facts(path)


@pytest.mark.parametrize("shape", [[1 << 40], [1 << 32, 1 << 32], [(1 << 64) - 1, 2], [-1, 4]])
def test_a_checkpoint_whose_shapes_overflow_is_refused(tmp_path, shape):
    path = tmp_path / "c.safetensors"
    header = json.dumps({"w": {"dtype": "F32", "shape": shape, "data_offsets": [0, 8]}}).encode()
    path.write_bytes(len(header).to_bytes(8, "little") + header + bytes(8))
    with pytest.raises(DataError, match=r"c\.safetensors"):
        read_checkpoint(path)


# ---- TorchScript ----------------------------------------------------------------------------------------------------------------


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
    return _changed(path, change)


def _changed(path, change, compression=zipfile.ZIP_STORED):
    with zipfile.ZipFile(path) as archive:
        records = {name: archive.read(name) for name in archive.namelist()}
    with zipfile.ZipFile(path, "w", compression) as archive:
        for name, content in records.items():
            archive.writestr(name, change(name, content))
    return path


def _with_code(path, old, new):
    """A script in whose own class ``old`` is replaced by ``new``."""

    def change(name, content):
        if not name.endswith("test_hostile_files.py"):
            return content
        text = content.decode()
        assert old in text, text
        return text.replace(old, new, 1).encode()

    return _script(path, change)


FORWARD = "  def forward("
SETSTATE = """  def __setstate__(self: __torch__.tests.unit.export.load.test_hostile_files.Scripted,
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
        _changed(path, lambda name, content: content.replace(b"    self.training", f"{body}\n    self.training".encode()))
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
def test_torchscript_that_wants_more_than_a_network_is_refused_as_data(tmp_path, canary, old, new, match):
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
def test_torchscript_whose_pickle_names_more_is_refused_as_data(tmp_path, add, match):
    def change(name, content):
        return content[:2] + add + content[2:] if name.endswith("data.pkl") else content

    refused_as_data(_script(tmp_path / "net.pt", change), match)


def test_torchscript_with_a_tensor_beyond_its_record_is_refused_as_data(tmp_path):
    refused_as_data(
        _script(tmp_path / "net.pt", lambda name, content: content[:-8] if name.endswith("data/0") else content),
        "shorter than its tensor",
    )


def test_torchscript_that_never_ends_is_ended(tmp_path, monkeypatch):
    monkeypatch.setattr(confined, "SECONDS", 12)
    loop = "    _5 = x\n    for _6 in range(9223372036854775807):\n      _5 = torch.add_(_5, 1)\n    head = self.head"
    refused(_with_code(tmp_path / "net.pt", "    head = self.head", loop), r"took (longer|more) than|cannot be turned")


# ---- .pt2 -----------------------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def program(tmp_path_factory):
    """Records of a good program, by name."""
    path = tmp_path_factory.mktemp("program") / "net.pt2"
    shapes = ({0: torch.export.Dim("N")},)
    example = torch.zeros(2, 3, SIZE, SIZE)
    torch.export.save(torch.export.export(networks.Viewing().eval(), (example,), dynamic_shapes=shapes), path)
    with zipfile.ZipFile(path) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def _program(path, records, change=None, *, compression=zipfile.ZIP_STORED, **extra):
    """Write the records, the model's JSON after ``change(parsed)``."""
    with zipfile.ZipFile(path, "w", compression) as archive:
        for name, content in records.items():
            if change is not None and name.endswith("models/model.json"):
                parsed = json.loads(content)
                change(parsed)
                content = json.dumps(parsed).encode()
            archive.writestr(name, content)
        for name, content in extra.items():
            archive.writestr(name, content)
    return path


def _relu(parsed):
    return next(node for node in parsed["graph_module"]["graph"]["nodes"] if node["target"] == "torch.ops.aten.relu.default")


HOP = "torch.ops.higher_order.run_and_save_rng_state"
FROM_FILE = "torch.ops.aten.from_file.default"


def _as_argument(canary):
    def change(parsed):
        node = _relu(parsed)
        literals = [{"as_operator": FROM_FILE}, {"as_string": str(canary)}, {"as_bool": True}, {"as_int": 4}]
        node["target"], node["inputs"] = HOP, [{"name": "", "arg": value, "kind": 1} for value in literals]

    return change


def _in_a_good_operator(value):
    def change(parsed):
        _relu(parsed)["inputs"].append({"name": "more", "arg": value, "kind": 2})

    return change


def _target(name):
    return lambda parsed: _relu(parsed).update(target=name)


GRAPH = {"name": "body", "graph": {"inputs": [], "outputs": [], "nodes": [], "tensor_values": {}}}


def test_an_operator_as_an_argument_overwrites_nothing(tmp_path, canary, program):
    refused(
        _program(tmp_path / "net.pt2", program, _as_argument(canary)), r"refused: models/model\.json has (target|an operator)"
    )


@pytest.mark.parametrize(
    "value",
    [
        {"as_operator": FROM_FILE},
        {"as_operator": "torch.ops.aten.relu.default"},
        {"as_string_to_argument": {"k": {"as_operator": FROM_FILE}}},
        {"as_string_to_argument": {"k": {"as_int": 1}}},
        {"as_graph": GRAPH},
        {"as_custom_obj": {"name": "x", "class_fqn": "os.system"}},
        {"as_nested_tensors": [[{"name": "x"}]]},
        {"as_complex": {"real": 1.0, "imag": 1.0}},
        {"as_device": {"type": "cuda", "index": 0}},
    ],
)
def test_arguments_that_no_network_needs_are_refused_as_data(tmp_path, program, value):
    refused_as_data(
        _program(tmp_path / "net.pt2", program, _in_a_good_operator(value)), "refused|cannot read this program|exported for"
    )


@pytest.mark.parametrize(
    "target",
    [
        *(HOP, "torch.ops.higher_order.cond", "torch.ops.higher_order.while_loop", "torch.ops.higher_order.run_with_rng_state"),
        *(FROM_FILE, "torch.ops.aten.save.default", "torch.ops.aten.rand.default", "torch.ops.aten.bernoulli_.float"),
        *("torch.ops.aten.set_.source_Storage", "torch.ops.aten.resize_.default", "torch.ops.aten.add.out"),
        *("torch.ops.aten.nonzero.default", "torch.ops.aten.empty.memory_format", "torch.ops.aten.relu", "torch.ops.aten"),
        *("torch.ops.aten.relu.default.__class__", "torch.ops.aten.relu.__init__", "torch.ops.aten._relu.default"),
        *("torch.ops.prims.relu.default", "torch.ops.profiler._record_function_enter_new.default", "torch.ops.load_library"),
        *("torch.ops.inductor.accumulate_grad_.default", "torch.ops.c10d.send.default", "torch.ops.mkldnn.data_ptr.default"),
        *("torch.os.system", "torch.hub.load", "_operator.attrgetter", "_operator.pow", "_operator.lshift", "_operator.call"),
        *("builtins.eval", "math.factorial", "torch.load", "torch.sym_int.__globals__", "torch.utils._pytree.tree_map"),
    ],
)
def test_operators_outside_the_list_are_refused_as_data(tmp_path, program, target):
    refused_as_data(_program(tmp_path / "net.pt2", program, _target(target)), r"refused: models/model\.json has target")


def _spec(where, tree):
    def change(parsed):
        signature = parsed["graph_module"]["module_call_graph"][0]["signature"]
        signature[where] = json.dumps([1, tree])

    return change


LEAF = {"type": None, "context": None, "children_spec": []}


@pytest.mark.parametrize("where", ["in_spec", "out_spec"])
@pytest.mark.parametrize(
    "tree",
    [
        {"type": "collections.defaultdict", "context": '{"default_factory_module": "hostile_module", "default_factory_name": "x"}',
         "children_spec": []},
        {"type": "collections.namedtuple", "context": '"hostile_module.Thing"', "children_spec": [LEAF]},
        {"type": "transformers.modeling_outputs.BaseModelOutput", "context": "null", "children_spec": [LEAF]},
        {"type": "builtins.tuple", "context": "null", "children_spec": [
            {"type": "torch.export.dynamic_shapes._Dim", "context": '"hostile_module"', "children_spec": []}]},
        {"type": "builtins.dict", "context": '{"a": "hostile_module.Thing"}', "children_spec": [LEAF]},
        {"type": "builtins.dict", "context": "hostile_module", "children_spec": []},
    ],
)  # fmt: skip
def test_tree_specs_that_import_something_are_refused_as_data(tmp_path, monkeypatch, canary, program, where, tree):
    (tmp_path / "hostile_module.py").write_text(f"open({str(canary)!r}, 'w').write('imported')\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    refused_as_data(_program(tmp_path / "net.pt2", program, _spec(where, tree)), rf"refused: models/model\.json has {where}")


def test_a_tree_spec_is_refused_by_the_whole_way(tmp_path, canary, program):
    tree = {"type": "collections.namedtuple", "context": '"hostile_module.Thing"', "children_spec": [LEAF]}
    refused(_program(tmp_path / "net.pt2", program, _spec("in_spec", tree)), "refused: .*in_spec")


def test_sizes_and_guards_are_never_evaluated(tmp_path, canary, program):
    def guards(parsed):
        parsed["guards_code"] = [f"__import__('os').system('echo > {canary}')"]
        _relu(parsed)["metadata"]["torch_fn"] = "torch.os.system;x"

    assert load(ModelSpec(str(_program(tmp_path / "net.pt2", program, guards)))).width == 5

    def size(parsed):
        for meta in parsed["graph_module"]["graph"]["tensor_values"].values():
            for side in meta["sizes"]:
                if "as_expr" in side:
                    side["as_expr"]["expr_str"] = f"open('{canary}', 'w')"

    refused(_program(tmp_path / "other.pt2", program, size), "refused: .*expr_str")


@pytest.mark.parametrize(
    "name",
    ["net/data/aotinductor/model/a.so", "net/data/constants/custom_obj_0", "net/data/constants/opaque_obj_0", "net/x.so"],
)
def test_compiled_code_and_objects_are_refused_as_data(tmp_path, program, name):
    records = {f"net/{key.partition('/')[2]}": content for key, content in program.items()}
    refused_as_data(_program(tmp_path / "net.pt2", records, **{name: b"\x7fELF"}), "refused: ")


def test_weights_that_are_pickles_are_refused(tmp_path, canary, program):
    class Evil:
        def __reduce__(self):
            return open, (str(canary), "w")

    records = {}
    for name, content in program.items():
        if name.endswith("weights_config.json"):
            config = json.loads(content)
            config["config"]["stem.bias"].update(use_pickle=True)
            content = json.dumps(config).encode()
        records[name] = pickle.dumps(Evil()) if name.endswith("weight_1") else content
    refused(_program(tmp_path / "net.pt2", records), "refused: 'stem.bias' is an object")


def test_a_program_that_inflates_is_refused_before_it_does(tmp_path, program):
    path = _program(tmp_path / "net.pt2", program, compression=zipfile.ZIP_DEFLATED)
    with zipfile.ZipFile(path, "a", zipfile.ZIP_DEFLATED) as archive, archive.open("v/big", "w") as record:
        for _ in range(200):
            record.write(bytes(1 << 20))
    refused(path, "refused: .* would become")
    assert _child_peak_bytes() < 1_000_000_000


def _child_peak_bytes():
    return resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * 1024


def _config(change):
    def of(program):
        records = dict(program)
        name = next(name for name in records if name.endswith("weights_config.json"))
        config = json.loads(records[name])
        change(config["config"])
        records[name] = json.dumps(config).encode()
        return records

    return of


def _spread(config):
    meta = config["stem.weight"]["tensor_meta"]
    meta["sizes"] = [{"as_int": 1 << 16}, {"as_int": 1 << 16}]
    meta["strides"] = [{"as_int": 0}, {"as_int": 0}]


def _beyond(config):
    config["stem.weight"]["tensor_meta"]["storage_offset"] = {"as_int": 1 << 20}


def _negative(config):
    config["stem.weight"]["tensor_meta"]["strides"] = [{"as_int": -1}] * 4


def _huge(config):
    config["stem.weight"]["tensor_meta"]["sizes"] = [{"as_int": 1 << 62}] * 4


def _elsewhere(config):
    config["stem.weight"]["path_name"] = "../../../../etc/passwd"


def _over_a_method(config):
    config["forward"] = copy.deepcopy(config["stem.bias"])


@pytest.mark.parametrize("change", [_spread, _beyond, _negative, _huge, _elsewhere])
def test_weights_that_are_more_than_their_bytes_are_refused_as_data(tmp_path, program, change):
    refused_as_data(_program(tmp_path / "net.pt2", _config(change)(program)), "refused|longer than|cannot read this program")


@pytest.mark.parametrize("name", ["forward", "__class__", "_parameters.x", "a-b", "x\n", "training", "graph", ""])
def test_weights_that_would_replace_methods_are_refused_as_data(tmp_path, program, name):
    def change(parsed):
        spec = next(spec for spec in parsed["graph_module"]["signature"]["input_specs"] if "parameter" in spec)
        spec["parameter"]["parameter_name"] = name

    records = _config(lambda config: config.update({name: copy.deepcopy(config["stem.weight"])}))(program)
    refused_as_data(_program(tmp_path / "net.pt2", records, change), "refused|damaged")


def test_a_program_that_asks_for_endless_memory_ends_with_words(tmp_path, program):
    def change(parsed):
        node = _relu(parsed)
        source = node["inputs"][0]["arg"]
        node["target"] = "torch.ops.aten.repeat.default"
        node["inputs"] = [
            {"name": "self", "arg": source, "kind": 1},
            {"name": "repeats", "arg": {"as_ints": [1, 4096, 64, 64]}, "kind": 1},
        ]

    refused(_program(tmp_path / "net.pt2", program, change), "memory|batches of other sizes")
    assert _child_peak_bytes() < 3_000_000_000


@pytest.mark.parametrize("text", [b"[" * 100_000, b'{"a":' * 100_000, b"\xff\xfe", b"", b"null", b"[]", b'{"graph_module": 1}'])
def test_json_that_is_no_program(tmp_path, program, text):
    records = {name: text if name.endswith("models/model.json") else content for name, content in program.items()}
    refused_as_data(_program(tmp_path / "net.pt2", records), r"net\.pt2")


# ---- weights --------------------------------------------------------------------------------------------------------------------


def test_weights_that_inflate_are_refused(tmp_path):
    path = tmp_path / "c.pth"
    torch.save({"w": torch.zeros(100_000_000 // 4 * 2)}, path)
    _changed(path, lambda _, content: content, zipfile.ZIP_DEFLATED)
    assert path.stat().st_size < 2_000_000
    with pytest.raises(DataError, match=r"c\.pth: refused: .* would become"):
        read_weights(path)


def test_weights_that_are_views_of_a_few_bytes_are_refused(tmp_path):
    torch.save({"w": torch.zeros(1).expand(1 << 20, 1 << 20)}, tmp_path / "c.pth")
    with pytest.raises(DataError, match=r"c\.pth: refused: .* would become"):
        read_weights(tmp_path / "c.pth")


def test_a_list_that_holds_itself_ends(tmp_path):
    endless: list[object] = [torch.ones(1)]
    endless.append(endless)
    torch.save({"epoch": endless}, tmp_path / "c.pth")
    with pytest.raises(DataError, match="holds no state_dict"):
        read_weights(tmp_path / "c.pth")


def test_an_old_file_that_announces_a_terabyte_does_not_get_it(tmp_path):
    """Before ZIP archives, a storage was allocated as its pickle said."""
    file = io.BytesIO()
    torch.save({"w": torch.zeros(1000)}, file, _use_new_zipfile_serialization=False)
    content = file.getvalue()
    assert content.count(b"M\xe8\x03") >= 1
    (tmp_path / "c.pth").write_bytes(content.replace(b"M\xe8\x03", b"\x8a\x06" + (1 << 40).to_bytes(6, "little")))
    with pytest.raises(DataError, match=r"c\.pth"):
        read_weights(tmp_path / "c.pth")


def test_a_reader_that_lies_is_not_believed(tmp_path, monkeypatch):
    """The child may be in a stranger's hands: what it says is data, and checked as such."""
    from safetensors.torch import save

    from export.load.confined import Answer, framed
    from export.load.description import Description, Step

    (tmp_path / "net.pt2").write_bytes(b"x")
    picture = Step("picture")
    steps = [
        Step("call", "torch.os.system", ("true",)),
        Step("call", "aten.from_file.default", ("/etc/passwd",)),
        Step("call", "aten.relu.default", ({"step": 7},)),
        Step("call", "aten.relu.default", ({"module": "os"},)),
        Step("weight", "forward"),
        Step("call", "aten.item.default", ({"step": 0},)),
        Step("call", "_operator.mul", ("a", 1 << 40)),
    ]
    for step in steps:
        program = Description((picture, step), 1, frozenset())
        said = framed(Answer(names=("forward",), program=program, size_hw_px=(8, 8)), save({"0": torch.ones(1)}))
        monkeypatch.setattr(sandbox, "run_module", lambda *_, said=said, **__: said)
        with pytest.raises(DataError, match="refused"):
            load(ModelSpec(str(tmp_path / "net.pt2")))
    for said in (b"", b"\0" * 8, b"\xff" * 20, framed(Answer(names=("w",)), b"{}"), framed(Answer(), save({}))):
        monkeypatch.setattr(sandbox, "run_module", lambda *_, said=said, **__: said)
        with pytest.raises(DataError, match=r"net\.pt2: cannot be read"):
            load(ModelSpec(str(tmp_path / "net.pt2")))
