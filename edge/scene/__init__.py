"""Pictures that the project draws itself, from a seed: no photos, so they may be passed on with anything.

``golden_scenes`` draws varied close-ups on which a quantized network can be compared with the float one. ``ShelfScene`` is a
shelf that lives: goods are taken, returned and replaced, and it knows the truth about every slot.
"""

from __future__ import annotations

from edge.scene.rendered import golden_scenes
from edge.scene.shelf import SceneSlot, ShelfScene, SlotTruth

__all__ = ["SceneSlot", "ShelfScene", "SlotTruth", "golden_scenes"]
