"""The code within a TorchScript file: what of it a network needs, and the same printed anew from its syntax tree.

TorchScript's own parser sees only what is printed here, so that there is nothing that the two parsers could understand differently:
comments, escapes and odd line breaks are gone.
"""

from __future__ import annotations

import ast
import re
from pathlib import Path

from edge.errors import DataError
from export.load import operators
from export.load.model import import_extra

_WORD = re.compile(r"[A-Za-z_][A-Za-z0-9_]*", re.ASCII)
_UNUSUAL = re.compile(r"[^A-Za-z0-9 _.,:;()\[\]{}%/+*=<>!?|>@#&^~-]")
_OWN_LISTS = ("__parameters__", "__buffers__", "__annotations__")
_DEPTH_MAX = 60  # of syntax; PyTorch prints one operator a line, or a few within each other
_SYNTAX = (
    *(
        ast.Module,
        ast.ClassDef,
        ast.FunctionDef,
        ast.arguments,
        ast.arg,
        ast.Return,
        ast.Assign,
        ast.AnnAssign,
        ast.Expr,
        ast.Pass,
    ),
    *(ast.If, ast.While, ast.For, ast.Call, ast.keyword, ast.Attribute, ast.Name, ast.Constant, ast.List, ast.Tuple, ast.Dict),
    *(ast.Subscript, ast.UnaryOp, ast.BinOp, ast.BoolOp, ast.Compare, ast.IfExp),
    *(ast.expr_context, ast.operator, ast.unaryop, ast.boolop, ast.cmpop),
)
_BASES = ("Module", "NamedTuple")
_OWN_METHODS = ("__len__", "__contains__")
"""What scripted containers bring along, and nothing calls by itself; PyTorch calls ``__setstate__`` while it loads a file."""
_NAMED = """
annotate unchecked_cast uninitialized int float bool str getattr isinstance range len list dict tuple min max
"""
_NAMED_CALLS = frozenset(_NAMED.split())
"""Functions without a module in front. What else is called by its name alone is a variable that holds a function of the file."""

_PRIM = """
Constant GetAttr SetAttr If Loop Return Param ListConstruct ListUnpack TupleConstruct TupleUnpack TupleIndex TupleSlice DictConstruct
NumToTensor Uninitialized unchecked_cast RaiseException CallMethod CallFunction CreateObject isinstance min max abs
unchecked_unwrap_optional ConstantChunk AutogradZero dtype device data is_cuda requires_grad shape layout type unsqueeze tolist
"""
_BUILTIN = """
len size dim numel Int Float Bool IntImplicit FloatImplicit ScalarImplicit Scalar item __is__ __isnot__ __not__ __getitem__ __contains__
__range_length __derive_index __and__ __or__ __xor__ list append extend insert pop copy dict keys values items get
format warn str add sub mul floordiv mod neg eq ne lt le gt ge
is_floating_point is_complex device tensor _infer_size get_device is_scripting is_grad_enabled feature_alpha_dropout
percentFormat ceil floor sqrt log exp round rstrip lstrip strip lower upper startswith endswith join replace split
"""
_OPERATORS = frozenset(f"prim::{name}" for name in _PRIM.split()) | frozenset(f"aten::{name}" for name in _BUILTIN.split())


def is_allowed(kind: str) -> bool:
    """Whether an operator, as ``aten::relu_``, is one that a network may need."""
    room, _, name = kind.partition("::")
    return kind in _OPERATORS or (room == "aten" and name.removesuffix("_") in operators.NAMES)


def rewritten(path: Path, name: str, record: bytes) -> bytes:
    """The code of one record, printed from what was understood of it. Raises DataError, naming what no network needs."""
    try:
        tree = ast.parse(record.decode("ascii"))
        _check_depth(tree)
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        raise DataError(f"{path}: refused: {name} is no code that PyTorch writes: {type(error).__name__}: {error}") from error
    whole = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Attribute)}  # what an attribute is taken of
    for node in ast.walk(tree):
        problem = _problem(node)
        if problem is None and isinstance(node, (ast.Name, ast.Attribute)) and id(node) not in whole:
            problem = _reach(node)
        if problem is None and isinstance(node, ast.Call):
            problem = _call(node)
        if problem is not None:
            raise DataError(f"{path}: refused: {name} {problem}, which no network needs")
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            node.value = _UNUSUAL.sub("?", node.value)
    return (ast.unparse(tree) + "\n").encode("ascii")


def _problem(node: ast.AST) -> str | None:
    """What is wrong with one node of the syntax tree."""
    found: str | None = None
    if not isinstance(node, _SYNTAX):
        found = f"has a {type(node).__name__}"
    elif isinstance(node, ast.Module) and not all(_is_declaration(item, node) for item in node.body):
        found = "has more than declarations outside its functions"
    elif isinstance(node, ast.FunctionDef):
        found = _problem_of_function(node)
    elif isinstance(node, ast.ClassDef):
        found = _problem_of_class(node)
    elif isinstance(node, ast.Attribute) and _dotted(node).startswith("__torch__.torch.classes"):
        found = "names a class that is compiled into PyTorch"
    elif isinstance(node, ast.Name) and node.id.startswith("__") and node.id not in (*_OWN_LISTS, "__torch__"):
        found = f"names {node.id[:80]}"
    elif isinstance(node, ast.Constant) and isinstance(node.value, (bytes, complex)):
        found = f"has {str(node.value)[:80]}"
    return found


def _problem_of_function(node: ast.FunctionDef) -> str | None:
    own = node.name not in _OWN_METHODS and node.name.startswith("__")
    if own or node.decorator_list or not _WORD.fullmatch(node.name):
        return f"wants to run {node.name[:80]}, which PyTorch would call by itself"
    arguments = node.args
    if arguments.vararg or arguments.kwarg or arguments.kwonlyargs or arguments.posonlyargs:
        return f"has a function {node.name[:80]} with other arguments"
    if not all(map(_is_literal, arguments.defaults)):  # PyTorch evaluates them when it loads the file
        return f"has a function {node.name[:80]} with a default that is computed"
    return None


def _problem_of_class(node: ast.ClassDef) -> str | None:
    bases = [base.id if isinstance(base, ast.Name) else "?" for base in node.bases]
    if len(bases) > 1 or not set(bases) <= set(_BASES) or node.keywords or node.decorator_list:
        return f"has a class of {', '.join(bases)[:80]}"
    return (
        None if all(_is_declaration(item, node) for item in node.body) else "has more than declarations outside its functions"
    )


def _is_declaration(item: ast.stmt, owner: ast.Module | ast.ClassDef) -> bool:
    """Classes and functions; in a class also the types of attributes, with constants, which PyTorch evaluates when it loads them."""
    if isinstance(item, (ast.FunctionDef, ast.Pass)):
        return True
    if isinstance(owner, ast.Module):
        return isinstance(item, ast.ClassDef)
    if isinstance(item, ast.AnnAssign):
        return isinstance(item.target, ast.Name) and (item.value is None or _is_literal(item.value))
    if not isinstance(item, ast.Assign) or len(item.targets) != 1:
        return False
    target = item.targets[0]
    if isinstance(target, ast.Subscript):  # of an attribute whose name is no identifier: its type
        return _dotted(target.value) == "__annotations__" and isinstance(target.slice, ast.Constant)
    return _dotted(target) in _OWN_LISTS and _is_literal(item.value)


def _is_literal(node: ast.expr) -> bool:
    if isinstance(node, (ast.Tuple, ast.List)):
        return all(map(_is_literal, node.elts))
    if isinstance(node, ast.UnaryOp):
        return _is_literal(node.operand)
    return isinstance(node, ast.Constant) or (isinstance(node, ast.Name) and node.id in ("inf", "nan", "None", "True", "False"))


def _reach(node: ast.Name | ast.Attribute) -> str | None:
    """What is wrong with a name that may lead out of the file: ``torch.relu`` and ``ops.prim.data`` must be whole and known."""
    words = _dotted(node).split(".")
    if words[0] in ("torch", "ops"):
        if len(words) != (2 if words[0] == "torch" else 3):
            return f"names {'.'.join(words)[:80]}"
        kind = f"aten::{words[1]}" if words[0] == "torch" else f"{words[1]}::{words[2]}"
        return None if is_allowed(kind) else f"wants to run {kind[:80]}"
    return None


def _call(call: ast.Call) -> str | None:
    function = call.func
    if isinstance(function, ast.Name):
        own = function.id in _NAMED_CALLS or re.fullmatch(r"_\d+", function.id)  # as PyTorch names variables
        return None if own else f"wants to run {function.id[:80]}"
    if isinstance(function, ast.Attribute):
        if _dotted(function).partition(".")[0] in ("torch", "ops", "__torch__"):
            return None
        # a method: of a tensor, where PyTorch has an operator of that name
        reaches = _has_operator(function.attr) and not is_allowed(f"aten::{function.attr}")
        return f"wants to run {function.attr[:80]}" if reaches else None
    return "calls what has no name"


def _has_operator(name: str) -> bool:
    return bool(import_extra("torch")._C._jit_get_schemas_for_operator(f"aten::{name}"))


def _dotted(node: ast.expr) -> str:
    """``a.b.c`` of attributes of a name; empty for everything else."""
    words: list[str] = []
    while isinstance(node, ast.Attribute):
        words.append(node.attr)
        node = node.value
    return ".".join([node.id, *reversed(words)]) if isinstance(node, ast.Name) else ""


def _check_depth(tree: ast.Module) -> None:
    pending: list[tuple[ast.AST, int]] = [(tree, 0)]
    while pending:
        node, depth = pending.pop()
        if depth > _DEPTH_MAX:
            raise ValueError("it is nested too deeply")
        pending.extend((child, depth + 1) for child in ast.iter_child_nodes(node))
