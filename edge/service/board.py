"""Which machine this is, from what its firmware says: the device tree, or DMI on a PC."""

from __future__ import annotations

from pathlib import Path
from typing import Literal, get_args

from edge.errors import SinkError
from edge.service.image import Image

Board = Literal["pi", "jetson", "other"]
BOARDS: tuple[Board, ...] = get_args(Board)

_SLASH = Path("/")


def board_model(root: Path = _SLASH) -> str:
    """What the maker calls this machine ("Raspberry Pi 5 Model B Rev 1.0"), or "unknown". ``root`` holds proc and sys."""
    text = _text(root, "proc/device-tree/model") or _text(root, "sys/firmware/devicetree/base/model")
    if text:
        return text
    words = [_text(root, f"sys/class/dmi/id/{name}") for name in ("sys_vendor", "product_name")]
    return " ".join(filter(None, words)) or "unknown"


def board_kind(root: Path = _SLASH) -> Board:
    """Whose cameras this machine may have, by its device tree's ``compatible`` ("raspberrypi,5-model-b", "nvidia,tegra234")."""
    compatible = _text(root, "proc/device-tree/compatible") or _text(root, "sys/firmware/devicetree/base/compatible")
    model = board_model(root)
    if "raspberrypi," in compatible or model.startswith("Raspberry Pi"):
        return "pi"
    if "nvidia,tegra" in compatible or "Jetson" in model:
        return "jetson"
    return "other"


def _text(root: Path, path: str) -> str:
    """The file's words; device-tree strings end with NUL, and a list is joined by them. Links in an image do not lead out of it."""
    try:
        content = Image(root).read(path) or b""
    except SinkError:
        return ""
    return content.decode("utf-8", errors="replace").replace("\0", " ").strip()
