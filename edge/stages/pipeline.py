"""Several models one after the other: what one finds in a region is cut out and handed to the next."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from edge.data import Boxes, Region
from edge.stages.base import Stage


class Pipeline:
    """Stages in order, as one stage."""

    def __init__(self, stages: Sequence[Stage]) -> None:
        self._stages = tuple(stages)

    def see(self, regions: Sequence[Region]) -> list[Region]:
        """What the last stage says of what the ones before it left."""
        seen = list(regions)
        for stage in self._stages:
            seen = stage.see(seen)
        return seen


class CutStage:
    """Cuts what an answer found in each region out of it; a region in which nothing was found ends here.

    Args:
        answer: name of the answer whose boxes these are.
        padding: added on each side, as a share of the box's width and height.
    """

    def __init__(self, answer: str, padding: float = 0.0) -> None:
        self._answer, self._padding = answer, padding

    def see(self, regions: Sequence[Region]) -> list[Region]:
        """Parts of the regions, in their order, the surest of a region first. Each is a view into its region's pixels."""
        return [
            part
            for region in regions
            for answer in region.answers
            if isinstance(answer, Boxes) and answer.answer == self._answer
            for part in self._cut(region, answer)
        ]

    def _cut(self, region: Region, found: Boxes) -> list[Region]:
        height, width = region.pixels.shape[:2]
        parts = []
        for left, top, right, bottom in found.boxes_xyxy_px:
            more_x, more_y = self._padding * (right - left), self._padding * (bottom - top)
            x0, y0 = max(0, int(np.floor(left - more_x))), max(0, int(np.floor(top - more_y)))
            x1, y1 = min(width, int(np.ceil(right + more_x))), min(height, int(np.ceil(bottom + more_y)))
            if x1 > x0 and y1 > y0:
                parts.append(region.part((x0, y0, x1, y1)))
        return parts
