"""Reading weights without running what a file may bring along, and putting them into a network."""

from __future__ import annotations

import io
import pickle
import re
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edge.errors import DataError
from export.load.archive import is_archive, read_records
from export.load.checkpoint import read_checkpoint
from export.load.model import import_extra

if TYPE_CHECKING:
    import torch

SAFETENSORS = ".safetensors"

# where training programs keep a state_dict within a checkpoint; averaged weights only if there are no plain ones
_HOLDERS = (
    *("state_dict", "model_state_dict", "model", "net", "network", "weights", "params"),
    *("state_dict_ema", "model_ema", "ema_state_dict", "ema", "module"),
)
# what DistributedDataParallel, torch.compile and common training frameworks put in front of every key
_PREFIXES = ("module.", "_orig_mod.", "model.", "net.", "network.")
_NOT_WEIGHTS = ("n_averaged",)  # torch.optim.swa_utils.AveragedModel counts in it
_SHOWN = 3
_SPREAD_BYTES = 64_000_000  # tensors may share the bytes of a file, but not make much more of them


def read_weights(path: Path) -> dict[str, torch.Tensor]:
    """The state_dict in a ``.safetensors`` file, in a file of ``torch.save``, or in a checkpoint that holds one.

    Pickles are read in a confined child process, by PyTorch's restricted reader, which makes tensors and containers and calls nothing
    else.

    Raises:
        InputMissingError: no such file.
        DataError: it wants to run code (names what), is damaged, or holds no state_dict.
    """
    if path.suffix == SAFETENSORS:
        return read_checkpoint(path)[0]
    from export.load.confined import read_file, state_dict

    return state_dict(path, read_file(path))


def unpickled_weights(path: Path, content: bytes) -> dict[str, torch.Tensor]:
    """As ``read_weights``, of what ``torch.save`` wrote; for the confined child. Raises DataError."""
    if is_archive(content) and any(name.startswith("code/") for name in read_records(path, content)):
        raise DataError(f"{path}: a TorchScript program, not weights", fix=f"give it as SPEC: shelfcam export {path}")
    weights = _state_dict(path, unpickle(path, content))
    for key, tensor in weights.items():
        if tensor.layout != import_extra("torch").strided or tensor.is_quantized or tensor.is_meta or tensor.is_complex():
            raise DataError(f"{path}: weight {key[:80]!r} is not a plain tensor", fix="save the float network's state_dict")
    check_spread(path, weights, len(content))
    return weights


def check_spread(path: Path, stored: Any, file_bytes: int) -> None:
    """Raises DataError if the tensors within ``stored``, each of which may be a view of a few bytes, would copy to much more than the
    file that they come from."""
    torch = import_extra("torch")
    total, pending, seen = 0, [stored], set[int]()
    while pending:
        item = pending.pop()
        if id(item) in seen:  # a pickle can put a list into itself
            continue
        seen.add(id(item))
        if isinstance(item, torch.Tensor):
            total += item.numel() * item.element_size()
        elif isinstance(item, Mapping):
            pending.extend(item.values())
        elif isinstance(item, (list, tuple)):
            pending.extend(item)
    if total > 2 * file_bytes + _SPREAD_BYTES:
        raise DataError(f"{path}: refused: its {file_bytes:,} bytes would become {total:,}")


def unpickle(path: Path, content: bytes) -> Any:
    """What ``torch.save`` wrote, by the restricted reader; only for the confined child, and for files of our own. Raises DataError."""
    torch = import_extra("torch")
    if is_archive(content):
        read_records(path, content)  # its sizes, before PyTorch believes them
    try:
        return torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise refused(path, error) from error
    except (RuntimeError, ValueError, EOFError, KeyError, AttributeError, TypeError, IndexError, OSError) as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise DataError(f"{path}: no weights that PyTorch can read: {reason}", fix="copy it again, or save it again") from error


def refused(path: Path, error: Exception) -> DataError:
    """The error for a pickle that asks for more than tensors, naming what it asks for."""
    asked = re.search(r"GLOBAL ([\w.]+)", str(error))
    if asked is None and "Unsupported operand" in str(error):
        return DataError(f"{path}: not a file of torch.save, or damaged", fix="copy it again from where it came")
    wanted = f"call {asked.group(1)}" if asked else "do more than hold tensors"
    return DataError(
        f"{path}: refused: it is a pickle that wants to {wanted} while it is read",
        fix="save the weights alone, where you trust the file: torch.save(model.state_dict(), 'weights.pth'), or as safetensors",
    )


def put_weights(module: torch.nn.Module, weights: Mapping[str, torch.Tensor], source: str, head: str | None = None) -> None:
    """Load ``weights`` into ``module``, every one of them; ``head`` is the name of the layer that makes the logits, if known.

    Prefixes that training wrappers leave are taken off.

    Raises:
        DataError: keys are missing, left over, or of another shape (the first few are named); or the head has another number of
            classes (names the layer and both numbers).
    """
    expected = module.state_dict()
    weights = _unprefixed(weights, set(expected))
    missing = [key for key in expected if key not in weights and not key.endswith("num_batches_tracked")]
    extra = [key for key in weights if key not in expected]
    shapes = [key for key in expected if key in weights and weights[key].shape != expected[key].shape]
    if not missing and not extra and shapes:
        _check_head(shapes, expected, weights, source, head)
    if missing or extra or shapes:
        parts = [
            _some(missing, "missing", lambda key: key),
            _some(extra, "left over", lambda key: key),
            _some(shapes, "of another shape", lambda key: f"{key} {_shape(weights[key])} for {_shape(expected[key])}"),
        ]
        raise DataError(
            f"{source}: these weights belong to another network: {'; '.join(part for part in parts if part)}",
            fix="give the factory, width and number of classes that they were trained with",
        )
    module.load_state_dict({**expected, **weights})


def _check_head(
    shapes: list[str],
    expected: Mapping[str, torch.Tensor],
    weights: Mapping[str, torch.Tensor],
    source: str,
    head: str | None,
) -> None:
    """Raises DataError if the weights differ from the network in one layer's number of outputs, and that layer is the head."""
    layers = {key.rpartition(".")[0] for key in shapes}
    if len(layers) != 1 or (head is not None and layers != {head}):
        return
    key = shapes[0]
    if expected[key].shape[1:] != weights[key].shape[1:]:
        return
    theirs, ours = weights[key].shape[0], expected[key].shape[0]
    raise DataError(
        f"{source}: its head, layer {layers.pop()}, has {theirs} classes, and the network {ours}",
        fix=f"--num-classes {theirs}",
    )


def _state_dict(path: Path, stored: Any) -> dict[str, torch.Tensor]:
    torch = import_extra("torch")
    levels = 0
    while isinstance(stored, Mapping) and levels <= len(_HOLDERS):
        tensors = {key: value for key, value in stored.items() if isinstance(key, str) and isinstance(value, torch.Tensor)}
        holder = next((key for key in _HOLDERS if isinstance(stored.get(key), Mapping)), None)
        if holder is None:
            weights = {key: value for key, value in tensors.items() if key not in _NOT_WEIGHTS}
            if weights and len(tensors) == len(stored):
                return weights
            break
        stored, levels = stored[holder], levels + 1
    kind = f"a {type(stored).__name__}"
    if isinstance(stored, Mapping):
        kind = f"a dictionary with {', '.join(map(repr, list(stored)[:_SHOWN]))}…"
    raise DataError(
        f"{path}: holds no state_dict but {kind}",
        fix=f"save model.state_dict(), alone or under {', '.join(map(repr, _HOLDERS[:3]))}",
    )


def _unprefixed(weights: Mapping[str, torch.Tensor], expected: set[str]) -> dict[str, torch.Tensor]:
    """Take off the front what stands before every key and before none that the network has."""
    found = {key: value for key, value in weights.items() if key not in _NOT_WEIGHTS}
    again = True
    while again:
        again = False
        for prefix in _PREFIXES:
            if all(key.startswith(prefix) for key in found) and not any(key.startswith(prefix) for key in expected):
                found = {key[len(prefix) :]: value for key, value in found.items()}
                again = bool(found)
    return found


def _some(keys: list[str], what: str, show: Any) -> str:
    if not keys:
        return ""
    more = f" and {len(keys) - _SHOWN} more" if len(keys) > _SHOWN else ""
    return f"{len(keys)} {what} ({', '.join(show(key) for key in keys[:_SHOWN])}{more})"


def _shape(tensor: torch.Tensor) -> str:
    return "×".join(map(str, tensor.shape)) or "scalar"
