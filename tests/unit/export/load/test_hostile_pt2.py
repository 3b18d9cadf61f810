"""``.pt2`` programs that somebody else made to run code, write files or eat the memory: refused before any of it runs."""

from __future__ import annotations

import copy
import json
import pickle
import zipfile

import pytest

pytest.importorskip("torch")

import torch

from edge import sandbox
from edge.errors import DataError
from export.load.assemble import load
from export.load.exported import read_exported
from export.load.program_steps import ProgramDescription, ProgramStep, build
from export.load.spec import ModelSpec
from tests.fakes import networks
from tests.fakes.hostile_archives import refused
from tests.fakes.tiny_net import SIZE


def refused_as_data(path, match):
    """By what the child does first; it only parses, so it may be called here, in a fraction of the time."""
    content = path.read_bytes()
    with pytest.raises(DataError, match=match):
        build(*read_exported(path, content)[:2])


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
def test_arguments_that_no_network_needs_are_refused(tmp_path, program, value):
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
def test_operators_outside_the_list_are_refused(tmp_path, program, target):
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
def test_tree_specs_that_import_something_are_refused(tmp_path, monkeypatch, canary, program, where, tree):
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
def test_compiled_code_and_objects_are_refused(tmp_path, program, name):
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


@pytest.mark.parametrize("change", [_spread, _beyond, _negative, _huge, _elsewhere])
def test_weights_that_are_more_than_their_bytes_are_refused(tmp_path, program, change):
    refused_as_data(_program(tmp_path / "net.pt2", _config(change)(program)), "refused|longer than|cannot read this program")


@pytest.mark.parametrize("name", ["forward", "__class__", "_parameters.x", "a-b", "x\n", "training", "graph", ""])
def test_weights_that_would_replace_methods_are_refused(tmp_path, program, name):
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


@pytest.mark.parametrize("text", [b"[" * 100_000, b'{"a":' * 100_000, b"\xff\xfe", b"", b"null", b"[]", b'{"graph_module": 1}'])
def test_json_that_is_no_program(tmp_path, program, text):
    records = {name: text if name.endswith("models/model.json") else content for name, content in program.items()}
    refused_as_data(_program(tmp_path / "net.pt2", records), r"net\.pt2")


def _of_steps(*steps, **weights):
    """The network that a reader describes: step 0 is the picture, the weights follow."""
    first = (ProgramStep("picture"), *(ProgramStep("weight", name) for name in weights))
    return build(ProgramDescription((*first, *steps), len(first) + len(steps) - 1, frozenset()), weights)


def _call(target, *args):
    return ProgramStep("call", target, args)


PICTURE, FIRST, SECOND = {"step": 0}, {"step": 1}, {"step": 2}
COUNT = (_call("aten.eq.Scalar", PICTURE, 0), _call("aten.sum.default", FIRST))  # of a picture's black values


@pytest.mark.parametrize(
    "steps",
    [
        [_call("aten._reshape_alias.default", PICTURE, [1, 1 << 20], [1, 1])],
        [_call("aten.as_strided.default", PICTURE, [1, 1 << 20], [1, 1])],
        [_call("aten.as_strided_.default", PICTURE, [1, 1 << 20], [1, 1])],
        [_call("aten._unsafe_index.Tensor", PICTURE, [PICTURE])],
        [_call("aten.zeros.default", [1, 3, 8, 2]), _call("aten.grid_sampler_2d.default", PICTURE, FIRST, 7, 0, False)],
        [_call("aten.zeros.default", [1, 3, 8, 2]), _call("aten.grid_sampler.default", PICTURE, FIRST, 0, -1, False)],
        [_call("aten._upsample_bilinear2d_aa.default", PICTURE, [9, 9], False, 1.0, 1e-15)],
        [_call("aten._upsample_bilinear2d_aa.vec", PICTURE, [9, 9], False, [1.0, 1e-15])],
        [_call("aten._upsample_lanczos2d_aa.default", PICTURE, [9, 9], False, 1.0, {"float": "nan"})],
        [_call("aten.upsample_nearest2d.default", PICTURE, [9, 9], 1e-20, 1e20)],
        [_call("aten.sym_size.int", PICTURE, 2), _call("aten.upsample_nearest2d.default", PICTURE, [9, 9], FIRST)],
    ],
)
def test_operators_that_reach_beyond_their_tensors_are_refused(steps):
    """They run in our process too, where they would read, and written to in place overwrite, what lies behind the tensor."""
    with pytest.raises(DataError, match="refused"):
        _of_steps(*steps)


@pytest.mark.parametrize(
    "steps",
    [
        [_call("aten._native_batch_norm_legit_no_training.default", PICTURE, FIRST, FIRST, FIRST, FIRST, 0.1, 1e-5)],
        [_call("aten.native_batch_norm.default", PICTURE, FIRST, FIRST, FIRST, FIRST, False, 0.1, 1e-5)],
    ],
)
def test_statistics_that_are_too_short_are_not_read_beyond(steps):
    module = _of_steps(*steps, _call("_operator.getitem", SECOND, 0), weight=torch.ones(1))
    with pytest.raises(RuntimeError, match="should contain 64 elements"):
        module(torch.zeros(1, 64, 2, 2))


def test_weights_of_a_normalisation_that_are_views_are_read_as_such():
    module = _of_steps(
        _call("aten.expand.default", FIRST, [64]),
        _call("aten.native_group_norm.default", PICTURE, SECOND, SECOND, 1, 64, 4, 2, 1e-5),
        _call("_operator.getitem", {"step": 3}, 0),
        weight=torch.ones(1),
    )
    picture = torch.randn(1, 64, 2, 2)
    expected = torch.nn.functional.group_norm(picture, 2, torch.ones(64), torch.ones(64))
    torch.testing.assert_close(module(picture), expected)


def test_statistics_of_a_normalisation_stand_in_a_decomposed_program_and_are_not_read():
    steps = [
        _call("aten._native_batch_norm_legit_no_training.default", PICTURE, FIRST, FIRST, FIRST, FIRST, 0.1, 0.0),
        *(_call("_operator.getitem", SECOND, index) for index in (1, 2, 0)),
    ]
    assert _of_steps(*steps, weight=torch.ones(3))(torch.ones(1, 3, 2, 2)).eq(1).all()
    with pytest.raises(DataError, match="refused"):
        _of_steps(*steps, _call("aten.relu.default", {"step": 3}), weight=torch.ones(3))


@pytest.mark.parametrize(
    "steps",
    [
        [COUNT[0], _call("aten.index.Tensor", PICTURE, [FIRST]), _call("aten.outer.default", SECOND, SECOND)],
        [_call("aten.where.default", PICTURE)],
        [*COUNT, _call("aten.zeros.default", [SECOND, SECOND])],  # PyTorch makes a number of it
        [*COUNT, _call("aten.eye.default", SECOND)],
        [*COUNT, _call("aten.expand.default", PICTURE, [SECOND, -1, -1, -1])],
        [*COUNT, _call("torch.sym_int", SECOND)],
        [*COUNT, _call("math.floor", SECOND)],
        [COUNT[0], _call("_operator.getitem", PICTURE, FIRST)],
        [*COUNT, _call("aten.tensor_split.tensor_indices_or_sections", PICTURE, SECOND)],
    ],
)
def test_what_a_picture_shows_decides_on_no_size(steps):
    """A reader tries a network with pictures of its own, and another one, white or black, would take all the memory."""
    with pytest.raises(DataError, match="refused: it wants to compute with"):
        _of_steps(*steps)


def test_sizes_of_a_picture_are_computed_with():
    steps = (_call("aten.dim.default", PICTURE), _call("_operator.mul", FIRST, 2), _call("aten.zeros.default", [SECOND]))
    assert _of_steps(*steps)(torch.zeros(1, 3, 2, 2)).shape == (8,)


def test_functions_of_texts_and_lists_are_no_operators():
    for target in ("aten.mul.left_t", "aten.add.str", "aten.pow.int_to_int", "aten.sort.any"):
        with pytest.raises(DataError, match="refused: it wants to run"):
            _of_steps(_call(target, [1], 2))


def test_a_weight_may_be_named_like_a_word_of_python():
    module = _of_steps(ProgramStep("weight", "heads.class"), **{"heads.class": torch.ones(2)})
    assert module(torch.zeros(1)).tolist() == [1, 1]


def test_a_reader_that_lies_is_not_believed(tmp_path, monkeypatch):
    """The child may be in a stranger's hands: what it says is data, and checked as such."""
    from safetensors.torch import save

    from export.load.confined import ReadReply, framed

    (tmp_path / "net.pt2").write_bytes(b"x")
    picture = ProgramStep("picture")
    steps = [
        ProgramStep("call", "torch.os.system", ("true",)),
        ProgramStep("call", "aten.from_file.default", ("/etc/passwd",)),
        ProgramStep("call", "aten.relu.default", ({"step": 7},)),
        ProgramStep("call", "aten.relu.default", ({"module": "os"},)),
        ProgramStep("weight", "forward"),
        ProgramStep("call", "aten.item.default", ({"step": 0},)),
        ProgramStep("call", "_operator.mul", ("a", 1 << 40)),
    ]
    for step in steps:
        program = ProgramDescription((picture, step), 1, frozenset())
        said = framed(ReadReply(names=("forward",), program=program, size_hw_px=(8, 8)), save({"0": torch.ones(1)}))
        monkeypatch.setattr(sandbox, "run_module", lambda *_, said=said, **__: said)
        with pytest.raises(DataError, match="refused"):
            load(ModelSpec(str(tmp_path / "net.pt2")))
    for said in (b"", b"\0" * 8, b"\xff" * 20, framed(ReadReply(names=("w",)), b"{}"), framed(ReadReply(), save({}))):
        monkeypatch.setattr(sandbox, "run_module", lambda *_, said=said, **__: said)
        with pytest.raises(DataError, match=r"net\.pt2: cannot be read"):
            load(ModelSpec(str(tmp_path / "net.pt2")))
