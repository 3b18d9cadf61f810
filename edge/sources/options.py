"""Options as people write them after a kind of source: ``fps=10,size=640x480``, read strictly."""

from __future__ import annotations

import difflib
import math
import re
from collections.abc import Callable, Mapping
from typing import Any

from edge.errors import ConfigError
from edge.sources.shown import show_source, word

Option = tuple[str, Callable[[str], Any], str]
"""(argument that gets the value, parser that returns None for a bad value, what is expected)."""

MAX_FPS = 1000.0
MAX_SIDE_PX = 7680


def parse_options(text: str, allowed: Mapping[str, Option], uri: str) -> dict[str, Any]:
    """``fps=3,seed=1`` as keyword arguments.

    Raises:
        ConfigError: an unknown option (with the nearest allowed one), one that is given twice, or a value out of range.
    """
    found: dict[str, Any] = {}
    for item in filter(None, text.split(",")):
        name, equals, value = (part.strip() for part in item.partition("="))
        if name not in allowed:
            near = difflib.get_close_matches(name, allowed, n=1, cutoff=0.5)
            hint = f"did you mean {near[0]!r}? " if near else ""
            raise ConfigError(f"{show_source(uri)}: unknown option {word(name)!r}", fix=f"{hint}allowed: {', '.join(allowed)}")
        argument, parse, expected = allowed[name]
        if argument in found:
            raise ConfigError(f"{show_source(uri)}: option {name!r} is given twice")
        parsed = parse(value) if equals else None
        if parsed is None:
            raise ConfigError(f"{show_source(uri)}: option {name!r} must be {expected}")
        found[argument] = parsed
    return found


def whole(least: int, most: int = 999_999_999) -> Callable[[str], int | None]:
    """A parser of whole numbers from ``least`` to ``most``."""

    def parse(text: str) -> int | None:
        return int(text) if re.fullmatch(r"[0-9]{1,9}", text) and least <= int(text) <= most else None

    return parse


def rate(text: str) -> float | None:
    """Frames a second, 0.001 to 1000."""
    try:
        fps = float(text)
    except ValueError:
        return None
    return fps if math.isfinite(fps) and 0.001 <= fps <= MAX_FPS else None


def rate_or_zero(text: str) -> float | None:
    """Frames a second, or 0."""
    return 0.0 if re.fullmatch(r"0+(\.0*)?", text) else rate(text)


def size_hw_px(least_px: int, multiple_px: int = 1) -> Callable[[str], tuple[int, int] | None]:
    """A parser of WIDTHxHEIGHT, each from ``least_px`` and a multiple of ``multiple_px``; gives (height, width)."""

    def parse(text: str) -> tuple[int, int] | None:
        match = re.fullmatch(r"([0-9]{1,5})x([0-9]{1,5})", text)
        if match is None:
            return None
        w, h = int(match[1]), int(match[2])
        fits = min(h, w) >= least_px and max(h, w) <= MAX_SIDE_PX and h % multiple_px == 0 and w % multiple_px == 0
        return (h, w) if fits else None

    return parse


def one_of(*words: str) -> Callable[[str], str | None]:
    """A parser that takes one of ``words``."""
    return lambda text: text if text in words else None
