"""``package.module:factory`` → a network from the user's own code, torchvision or timm."""

from __future__ import annotations

import ast
import importlib
import inspect
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edge.errors import BackendError, DataError, UsageError
from export.load.model import import_extra

if TYPE_CHECKING:
    import torch

_FORM = "package.module:factory or package.module:factory('literal', key=1)"


@dataclass(frozen=True, slots=True)
class Call:
    """A parsed factory: ``module`` to import, ``attribute`` (dotted) within it, and literal arguments."""

    module: str
    attribute: str
    args: tuple[Any, ...] = ()
    kwargs: dict[str, Any] = field(default_factory=dict)


def parse(spec: str) -> Call:
    """``timm:create_model('resnet18', num_classes=10)`` and the like. Raises UsageError that says what is not understood."""
    module, _, text = spec.partition(":")
    if not all(part.isidentifier() for part in module.split(".")):
        raise UsageError(f"{spec}: {module!r} is no module's name", fix=f"write {_FORM}")
    try:
        node = ast.parse(text.strip(), mode="eval").body
        if isinstance(node, ast.Call):
            if any(keyword.arg is None for keyword in node.keywords):
                raise UsageError(f"{spec}: ** is not understood", fix=f"write {_FORM}")
            args = tuple(ast.literal_eval(argument) for argument in node.args)
            kwargs = {str(keyword.arg): ast.literal_eval(keyword.value) for keyword in node.keywords}
            return Call(module, _dotted(node.func, spec), args, kwargs)
        return Call(module, _dotted(node, spec))
    except (SyntaxError, ValueError, TypeError, MemoryError, RecursionError) as error:
        raise UsageError(
            f"{spec}: {text!r} is not understood: {error}", fix=f"write {_FORM}, with literal arguments"
        ) from error


def build(spec: str, num_classes: int | None) -> torch.nn.Module:
    """Import the module, from the current directory too, and call its factory.

    ``num_classes`` is passed on if the factory takes an argument of that name and was not given one.

    Raises:
        UsageError: ``spec`` is not understood, or its module has no such factory.
        BackendError: the module cannot be imported.
        DataError: the factory fails, or makes something other than a network.
    """
    call = parse(spec)
    with _current_directory():
        factory = _find(spec, call)
        kwargs = dict(call.kwargs)
        if num_classes is not None and "num_classes" not in kwargs and _takes(factory, "num_classes"):
            kwargs["num_classes"] = num_classes
        try:
            made = factory(*call.args, **kwargs)
        except (
            TypeError,
            ValueError,
            RuntimeError,
            LookupError,
            AttributeError,
            ImportError,
            OSError,
            AssertionError,
        ) as error:
            raise DataError(
                f"{spec}: the factory failed: {type(error).__name__}: {error}", fix="call it in Python first"
            ) from error
    if not isinstance(made, import_extra("torch").nn.Module):
        raise DataError(f"{spec}: made {type(made).__name__}, not a torch.nn.Module")
    return made


def _find(spec: str, call: Call) -> Any:
    try:
        found = importlib.import_module(call.module)
    except ImportError as error:
        raise BackendError(
            f"{spec}: {call.module} cannot be imported: {error}",
            fix=f"install it, or run this where {call.module.partition('.')[0]} lies",
        ) from error
    except (SyntaxError, NameError, AttributeError, TypeError, ValueError, RuntimeError, LookupError, OSError) as error:
        raise DataError(f"{spec}: {call.module} fails while it is imported: {type(error).__name__}: {error}") from error
    for name in call.attribute.split("."):
        if not hasattr(found, name):
            raise UsageError(f"{spec}: {call.module} has no {call.attribute}", fix=f"write {_FORM}")
        found = getattr(found, name)
    if not callable(found) or isinstance(found, import_extra("torch").nn.Module):
        raise UsageError(f"{spec}: {call.attribute} is {type(found).__name__}, not a factory", fix="name a function or a class")
    return found


def _takes(factory: Any, name: str) -> bool:
    try:
        parameters = inspect.signature(factory).parameters.values()
    except (TypeError, ValueError):  # written in C
        return False
    return any(parameter.name == name or parameter.kind is parameter.VAR_KEYWORD for parameter in parameters)


def _dotted(node: ast.expr, spec: str) -> str:
    if isinstance(node, ast.Name):
        return node.id
    if isinstance(node, ast.Attribute):
        return f"{_dotted(node.value, spec)}.{node.attr}"
    raise UsageError(f"{spec}: what stands after the colon names no factory", fix=f"write {_FORM}")


@contextmanager
def _current_directory() -> Iterator[None]:
    """A console script does not search the current directory; and a factory may import more from it when it is called."""
    here = str(Path.cwd())
    sys.path.insert(0, here)
    try:
        yield
    finally:
        sys.path.remove(here)
