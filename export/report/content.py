"""What a report is made of: plain pieces, so that it can be written of a failed export too."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

import numpy as np
import numpy.typing as npt

from edge.data import F32, U8Image
from edge.manifest import Manifest

if TYPE_CHECKING:
    from export.candidates import Draft


class LayerErrorLike(Protocol):
    """A layer's share in the damage of quantization: ``sqnr_db`` of the network's answer when this layer alone is quantized,
    ``own_sqnr_db`` of the layer's own output, both in dB, the higher the better."""

    @property
    def layer(self) -> str:
        """Its name."""
        ...

    @property
    def sqnr_db(self) -> float:
        """In dB."""
        ...

    @property
    def own_sqnr_db(self) -> float:
        """In dB."""
        ...

    @property
    def macs(self) -> int:
        """Multiply-accumulates of one picture."""
        ...

    @property
    def weight_elements(self) -> int:
        """How many weights it has."""
        ...


@dataclass(frozen=True, slots=True)
class Latency:
    """Of one picture on this machine, in milliseconds; None, and ``failure`` says why, for a candidate that cannot run here."""

    p50_ms: float | None
    p90_ms: float | None
    failure: str | None = None


@dataclass(frozen=True, slots=True)
class ReportContent:
    """Everything that the page shows.

    Args:
        model: the network's name.
        command: the export's command line.
        outcome: one sentence, or a table: what became of the export.
        drafts: every candidate that was tried, in order; their files must still be there. Names must be unique.
        too_heavy: candidates that were not made, because their weights alone are over the budget, with the reason.
        labels: of the classes, C of them; none where the outputs have no names.
        images: the evaluation set's pictures, N×H×W×3 uint8 RGB at the model's size.
        float_logits: N×C, the float network's.
        candidate_logits: of each candidate by its plan's name, N×C; a candidate may be absent.
        source: where the pictures come from: "held_out" photos, or "rendered" scenes.
        truth: N class indices, where labels are known.
        sensitivity: in any order; none if it was not measured.
        latency: by plan's name; none if it was not measured.
        repairs: by plan's name, what was tried before this candidate came out; the candidate's own recipe where absent.
        manifest: as written; None if nothing was.
        tools: package → version; taken from the manifest where there is one.
        bundle: the directory's last name; None if nothing was written.
    """

    model: str
    command: str
    outcome: str
    drafts: Sequence[Draft]
    labels: Sequence[str]
    images: U8Image
    float_logits: F32
    candidate_logits: Mapping[str, F32]
    source: str = "held_out"
    truth: npt.NDArray[np.int64] | None = None
    sensitivity: Sequence[LayerErrorLike] = ()
    latency: Mapping[str, Latency] = field(default_factory=dict)
    repairs: Mapping[str, Sequence[str]] = field(default_factory=dict)
    too_heavy: Mapping[str, str] = field(default_factory=dict)
    manifest: Manifest | None = None
    tools: Mapping[str, str] = field(default_factory=dict)
    bundle: str | None = None
