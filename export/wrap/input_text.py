"""The text of ``--input``: how pixels become what somebody else's model was trained on, where its file does not say.

    --input "imagenet"
    --input "mean=127.5 scale=127.5 colour=BGR fit=stretch"
    --input "mean=123.675,116.28,103.53 scale=58.395,57.12,57.375, size=224"

Words are separated by spaces or commas; a number without a key goes on with the list before it. Nothing is guessed: an unknown
key, a key given twice or a value that is no number is refused.
"""

from __future__ import annotations

import difflib
import math
import re
from dataclasses import dataclass
from typing import Literal, get_args

from edge.errors import UsageError
from edge.manifest import ColourOrder, Fit, Layout, Normalisation

PRESETS: dict[str, Normalisation | Literal["folded"]] = {
    # torchvision's mean and standard deviation, ×255: https://pytorch.org/vision/stable/models.html
    "imagenet": Normalisation(mean=(123.675, 116.28, 103.53), scale=(58.395, 57.12, 57.375)),
    "tf": Normalisation(mean=(127.5, 127.5, 127.5), scale=(127.5, 127.5, 127.5)),  # Keras "tf" mode: −1…1
    "unit": Normalisation(mean=(0.0, 0.0, 0.0), scale=(255.0, 255.0, 255.0)),  # 0…1
    "raw": "folded",  # the graph takes 0…255 itself
}
KEYS = ("mean", "scale", "colour", "fit", "layout", "size")

_CHOICES = {"colour": get_args(ColourOrder), "fit": get_args(Fit), "layout": get_args(Layout)}


@dataclass(frozen=True, slots=True)
class InputHints:
    """What the caller said; None where the file or the default shall decide. ``normalise`` is on pixels 0…255."""

    normalise: Normalisation | Literal["folded"] | None = None
    colour: ColourOrder = "RGB"
    fit: Fit = "centre_crop"
    layout: Layout | None = None
    size_hw_px: tuple[int, int] | None = None


def parse_input(text: str | None) -> InputHints:
    """The hints in ``text``; none at all for None or an empty text.

    Raises:
        UsageError: naming the word that cannot be understood and what is allowed.
    """
    presets, values = _split(text or "")
    return InputHints(
        normalise=_normalise(presets, values),
        colour=_choice(values, "colour") or "RGB",  # type: ignore[arg-type]
        fit=_choice(values, "fit") or "centre_crop",  # type: ignore[arg-type]
        layout=_choice(values, "layout"),  # type: ignore[arg-type]
        size_hw_px=_size(values),
    )


def _split(text: str) -> tuple[list[str], dict[str, list[str]]]:
    presets: list[str] = []
    values: dict[str, list[str]] = {}
    last: list[str] | None = None
    for word in re.split(r"[\s,]+", text.strip(" \t\n,")):
        key, equals, value = word.partition("=")
        if equals:
            if key not in KEYS:
                raise _unknown(key, KEYS, "key")
            if key in values:
                raise UsageError(f"--input: {key} is given twice")
            last = values[key] = [value]
        elif last is not None and _is_number(word):
            last.append(word)
        elif word in PRESETS:
            presets.append(word)
        elif word:
            raise _unknown(word, (*PRESETS, *KEYS), "word")
    return presets, values


def _normalise(presets: list[str], values: dict[str, list[str]]) -> Normalisation | Literal["folded"] | None:
    given = [key for key in ("mean", "scale") if key in values]
    if len(presets) + bool(given) > 1:
        raise UsageError(f"--input: {' and '.join([*presets, *given])} exclude each other")
    if presets:
        return PRESETS[presets[0]]
    if not given:
        return None
    if len(given) == 1:
        raise UsageError(f"--input: {given[0]} alone is half a normalisation", fix="give mean=… and scale=…, on pixels 0…255")
    scale = _three(values, "scale")
    if min(scale) <= 0:
        raise UsageError(f"--input: scale must be above 0, not {min(scale):g}")
    return Normalisation(mean=_three(values, "mean"), scale=scale)


def _three(values: dict[str, list[str]], key: str) -> tuple[float, float, float]:
    numbers = [float(word) if _is_number(word) else math.nan for word in values[key]]
    if len(numbers) not in (1, 3) or not all(map(math.isfinite, numbers)):
        raise UsageError(f"--input: {key} takes one number or three, not {','.join(values[key])!r}")
    red, green, blue = numbers * 3 if len(numbers) == 1 else numbers
    return red, green, blue


def _choice(values: dict[str, list[str]], key: str) -> str | None:
    if key not in values:
        return None
    value = ",".join(values[key])
    if value not in _CHOICES[key]:
        raise _unknown(value, _CHOICES[key], key)
    return value


def _size(values: dict[str, list[str]]) -> tuple[int, int] | None:
    if "size" not in values:
        return None
    match = re.fullmatch(r"([1-9]\d{0,3})(?:x([1-9]\d{0,3}))?", ",".join(values["size"]))
    if match is None:
        raise UsageError(f"--input: size takes SIDE or HEIGHTxWIDTH in pixels, not {','.join(values['size'])!r}")
    height = int(match[1])
    return height, int(match[2] or height)


def _is_number(word: str) -> bool:
    try:
        float(word)
    except ValueError:
        return False
    return True


def _unknown(word: str, allowed: tuple[str, ...], what: str) -> UsageError:
    folded = {item.lower(): item for item in allowed}
    near = [folded[item] for item in difflib.get_close_matches(word.lower(), folded, n=1, cutoff=0.5)]
    if word.lower() in ("std", "sigma", "stddev"):
        near = ["scale"]
    hint = f"did you mean {near[0]!r}? " if near else ""
    return UsageError(f"--input: unknown {what} {word!r}", fix=f"{hint}allowed: {', '.join(allowed)}")
