"""What a ``.pt2`` file may hold: its parsed JSON is searched for everything that no network needs, in whatever position it stands."""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from edge.errors import DataError
from export.load import operators

FIX = "where you trust it, save it again: torch.export.save(torch.export.export(model.eval(), (example,)), 'model.pt2')"
_COMPILED = ("data/aotinductor/", "data/executorch/", "mtia/", "data/mtia/")
_OBJECTS = ("custom_obj_", "opaque_obj_")
_REFUSED_KEYS = {
    "as_operator": "an operator as an argument",
    "as_graph": "a graph as an argument",
    "as_custom_obj": "an object as an argument",
    "as_string_to_argument": "a dictionary as an argument",
    "custom_obj": "an object as an input",
    "custom_obj_values": "objects",
    "token": "a token",
    "class_fqn": "an object",
}
_TREES = frozenset({"builtins.tuple", "builtins.list", "builtins.dict", "collections.OrderedDict"})
_TREE_DEPTH = 16
_PATH_NAME = re.compile(r"[A-Za-z]+_\d+", re.ASCII)


def check_records(path: Path, records: Mapping[str, bytes], parsed: Mapping[str, Any]) -> None:
    """Refuse what a network does not need, wherever it stands, even where nothing here would read it."""
    for name in records:
        if name.startswith(_COMPILED) or name.endswith((".so", ".o", ".cubin")):
            raise DataError(f"{path}: refused: {name} is compiled code", fix=FIX)
        if name.rpartition("/")[2].startswith(_OBJECTS):
            raise DataError(f"{path}: refused: {name} is an object that only running its code restores", fix=FIX)
    for name, value in parsed.items():
        if name.startswith("extra/"):
            continue
        for key, item in _items(value):
            if key in _REFUSED_KEYS and item not in (None, {}, []):
                raise DataError(
                    f"{path}: refused: {name} has {_REFUSED_KEYS[key]} ({item!r:.80}), which no network needs", fix=FIX
                )
            if isinstance(item, str) and not _harmless(key, item):
                raise DataError(f"{path}: refused: {name} has {key} {item[:80]!r}, which no network needs", fix=FIX)


def _items(value: Any) -> Iterator[tuple[str, Any]]:
    """Every value within parsed JSON, with the key that it stands under; those of a list have the list's."""
    pending = [("", value)]
    while pending:
        key, item = pending.pop()
        yield key, item
        if isinstance(item, dict):
            pending.extend(item.items())
        elif isinstance(item, list):
            pending.extend((key, inner) for inner in item)


def _harmless(key: str, text: str) -> bool:
    if key == "target":
        return operator_name(text) in operators.ASSERTIONS or operators.resolve(operator_name(text)) is not None
    if key == "path_name":
        return _PATH_NAME.fullmatch(text) is not None
    if key == "expr_str":
        return _is_size(text)
    if key in ("in_spec", "out_spec"):
        return is_tree(text)
    return True


def operator_name(target: str) -> str:
    """As ``operators.resolve`` has it."""
    return target.removeprefix("torch.ops.") if target.startswith("torch.ops.aten.") else target


def is_tree(text: str) -> bool:
    """Whether a tree spec names nothing but tuples, lists and dictionaries with texts as keys."""
    try:
        version, tree = json.loads(text) if text else (1, None)
        pending = [] if tree is None else [(tree, 0)]
        while pending:
            node, depth = pending.pop()
            context = None if node["context"] is None else json.loads(node["context"])
            keys = context if isinstance(context, list) else []
            if (node["type"] is not None and node["type"] not in _TREES) or depth > _TREE_DEPTH:
                return False
            if context is not None and not (isinstance(context, list) and all(isinstance(key, (str, int)) for key in keys)):
                return False
            pending.extend((child, depth + 1) for child in node["children_spec"])
    except (ValueError, KeyError, TypeError, RecursionError):
        return False
    return bool(version == 1)


_SIZE_FUNCTIONS = frozenset(
    [
        *(
            "Symbol",
            "Integer",
            "Rational",
            "Add",
            "Mul",
            "Pow",
            "Max",
            "Min",
            "Mod",
            "PythonMod",
            "FloorDiv",
            "CeilDiv",
            "CleanDiv",
        ),
        *(
            "ModularIndexing",
            "Identity",
            "IntTrueDiv",
            "TruncToInt",
            "FloorToInt",
            "CeilToInt",
            "Eq",
            "Ne",
            "Ge",
            "Gt",
            "Le",
            "Lt",
        ),
        *("Equality", "Unequality", "GreaterThan", "LessThan", "StrictGreaterThan", "StrictLessThan", "And", "Or", "Not"),
    ]
)
"""What a size may be computed with: sympy's and PyTorch's own functions of integers."""
_SIZE_NAME = re.compile(r"[suz]f?\d+|oo|int_oo|true|false")
_NAME = re.compile(r"\w[\w.]*|")
_SYNTAX = (
    *(ast.Expression, ast.Call, ast.keyword, ast.Name, ast.Load, ast.Constant, ast.UnaryOp, ast.BinOp, ast.BoolOp, ast.Compare),
    *(ast.operator, ast.unaryop, ast.boolop, ast.cmpop),
)


def _is_size(text: str) -> bool:
    """Whether it is arithmetic on sizes and nothing else."""
    try:
        tree = ast.parse(text, mode="eval")
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return False
    return all(_is_arithmetic(node) for node in ast.walk(tree))


def _is_arithmetic(node: ast.AST) -> bool:
    if isinstance(node, ast.Call):
        named = isinstance(node.func, ast.Name) and node.func.id in _SIZE_FUNCTIONS
        texts = [arg for arg in node.args if isinstance(arg, ast.Constant) and isinstance(arg.value, str)]
        return named and (not texts or (isinstance(node.func, ast.Name) and node.func.id == "Symbol"))
    if isinstance(node, ast.Name):
        return node.id in _SIZE_FUNCTIONS or _SIZE_NAME.fullmatch(node.id) is not None
    if isinstance(node, ast.Constant):
        return isinstance(node.value, (int, float)) or (isinstance(node.value, str) and _NAME.fullmatch(node.value) is not None)
    return isinstance(node, _SYNTAX)
