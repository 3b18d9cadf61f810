"""Class names, in the order of a network's outputs."""

from __future__ import annotations

from pathlib import Path

from edge.errors import DataError, InputMissingError
from edge.text import has_control

# The 1,000 ImageNet class names in the order of the networks' outputs: imagenet_labels.txt of google-coral/test_data (Apache-2.0)
# without its first line, "background".
IMAGENET_LABELS = Path(__file__).parent.parent / "labels" / "imagenet1k.txt"
IMAGENET_CLASSES = 1000


def read_labels(path: Path) -> tuple[str, ...]:
    """One class name a line, UTF-8; empty lines at the end do not count.

    Raises:
        InputMissingError: no such file, or it cannot be read.
        DataError: not UTF-8, no name in it, an empty line between names, or a control character in one.
    """
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except OSError as error:
        raise InputMissingError(f"{path}: cannot be read: {error.strerror or error}") from error
    except UnicodeDecodeError as error:
        raise DataError(f"{path}: not UTF-8: {error}", fix="save it as UTF-8 text, one class name a line") from error
    names = [line.strip() for line in lines]
    while names and not names[-1]:
        names.pop()
    if not names:
        raise DataError(f"{path}: no class name in it", fix="one class name a line, in the order of the network's outputs")
    if "" in names:
        raise DataError(f"{path}: line {names.index('') + 1} is empty", fix="one class name a line")
    return _showable(tuple(names), str(path))


def labels_for(width: int, given: tuple[str, ...] | None, origin: str) -> tuple[str, ...]:
    """``given``, checked against the head's width; without any, ImageNet's for 1,000 outputs, else ``class_0``, ``class_1``…

    Raises DataError with both numbers, or with a name that holds a control character.
    """
    if given is None:
        return read_labels(IMAGENET_LABELS) if width == IMAGENET_CLASSES else numbered(width)
    if len(given) != width:
        raise DataError(
            f"{origin}: {len(given)} labels, but the network has {width} outputs",
            fix=f"give --labels with {width} lines in the order of its outputs, or weights whose head has {len(given)} outputs",
        )
    return _showable(given, origin)


def _showable(names: tuple[str, ...], origin: str) -> tuple[str, ...]:
    """``names``, if each can be shown on a terminal as it is: no bundle holds others. Raises DataError."""
    number = next((number for number, name in enumerate(names, 1) if has_control(name)), None)
    if number is not None:
        raise DataError(f"{origin}: class name {number} ({names[number - 1]!r}) holds a control character", fix="leave it out")
    return names


def numbered(width: int) -> tuple[str, ...]:
    """``class_0``, ``class_1``…"""
    return tuple(f"class_{number}" for number in range(width))
