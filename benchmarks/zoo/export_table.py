"""``shelfcam bench zoo``: every network that has a name, exported for a camera or refused with its size."""

from __future__ import annotations

import csv
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import msgspec

from benchmarks.measure.agreement import runtimes_cosine
from benchmarks.measure.exports import ExportRun, run_export
from benchmarks.record.schema import write_json
from benchmarks.zoo.resume import Resumable, read_resumable
from edge.bundle.limits import WORKSTATION
from edge.bundle.reader import Bundle, open_bundle
from edge.errors import BackendError, ExitCode, ShelfcamError
from edge.manifest import Precision
from edge.models import find_model
from edge.strict import Strict

SEED_TABLE = Path(__file__).parent / "seed_zoo.csv"
STRATEGY = "balanced"
"""Of an export, unless another is asked for; as in ``shelfcam export``."""
UNTRAINED_COSINE_MIN = 0.90
"""Gate of networks without trained weights. Their logits are nearly alike, so rounding turns them further than a trained network's:
static 8 bits keep .92 (MobileNetV3) to .9998 (SqueezeNet). They serve benchmarks alone."""
_TABLE = "table.json"
BYTES_PER_MB = 1_000_000
_REASON_MAX = 300
_OVER, _GATE = "over the budget", "answers like the float network"  # in the two errors that end an export with exit code 65

ExportStatus = Literal["exported", "over budget", "refused", "failed"]


class ExportedCandidate(Strict, frozen=True, kw_only=True):
    """One candidate of a network, from its manifest."""

    candidate: str
    bytes: int
    precision: Precision
    int8_mac_share: float
    logit_cosine: float


class NetworkExport(Strict, frozen=True, kw_only=True):
    """One network. ``seed_mb``: the weight that the seed table gives; ``weights_mb``: of its parameters at 4 bytes, ``int8_mb`` at 1.

    ``runtimes_cosine``: mean cosine of logits between the first ONNX and the first TFLite candidate, on golden pictures.
    ``reason``: why there is no bundle; of an exported one, why its runtimes were not compared, if so.
    """

    name: str
    network: str | None
    seed_mb: float | None
    parameters: int
    weights_mb: float
    int8_mb: float
    trained: bool
    status: ExportStatus
    reason: str = ""
    seconds: float = 0.0
    peak_mb: float = 0.0
    candidates: tuple[ExportedCandidate, ...] = ()
    runtimes_cosine: float | None = None


class ExportTable(Resumable, frozen=True, kw_only=True):
    """The rows so far."""

    rows: tuple[NetworkExport, ...] = ()


@dataclass(frozen=True, slots=True)
class ExportPlan:
    """``networks`` by name, NAME or NAME@SIDE for another input size; bundles go below ``out``, called the same; ``budget_bytes``
    for the lightest file of a network; ``strategy`` and ``held_out_count`` as of ``shelfcam export``."""

    networks: tuple[str, ...]
    out: Path
    candidates: str
    budget_bytes: int
    calibration_count: int
    timeout_s: float
    strategy: str = STRATEGY
    held_out_count: int | None = None

    def asked(self) -> dict[str, str]:
        """What a row depends on."""
        asked = {"candidates": self.candidates, "budget": str(self.budget_bytes), "calibration": str(self.calibration_count)}
        asked |= {} if self.strategy == STRATEGY else {"strategy": self.strategy}
        return asked if self.held_out_count is None else asked | {"held out": str(self.held_out_count)}


def export_all(
    plan: ExportPlan, table: ExportTable, started: Callable[[str], None], done: Callable[[NetworkExport], None]
) -> ExportTable:
    """Add the rows that ``table`` lacks; each is on disk before the next begins.

    Args:
        plan: what to do.
        table: what an earlier run has left, or an empty one.
        started: called with the name of each network.
        done: called with each row.
    """
    for name in plan.networks:
        if any(row.name == name and row.status != "failed" for row in table.rows):
            continue
        table = msgspec.structs.replace(
            table, rows=tuple(row for row in table.rows if row.name != name)
        )  # what failed is tried again
        started(name)
        row = export_network(name, plan)
        table = msgspec.structs.replace(table, rows=(*table.rows, row))
        write_table(plan, table)
        done(row)
    return table


def export_network(name: str, plan: ExportPlan) -> NetworkExport:
    """Export one network, or say why not; a network is never a reason to stop."""
    from export.load import zoo

    network, side_px = split_name(name)
    entry, parameters = zoo.find(network), zoo.parameters(network)
    row = NetworkExport(
        name=name,
        network=entry.seed_name,
        seed_mb=seed_weights().get(entry.seed_name or ""),
        parameters=parameters,
        weights_mb=round(4 * parameters / BYTES_PER_MB, 2),
        int8_mb=round(parameters / BYTES_PER_MB, 2),
        trained=entry.weights is not None,
        status="failed",
    )
    if parameters > plan.budget_bytes:  # one byte a weight is the least: no need to convert it
        over = f"{parameters / BYTES_PER_MB:.2f} MB of 8-bit weights, budget {plan.budget_bytes / BYTES_PER_MB:g} MB"
        return msgspec.structs.replace(row, status="over budget", reason=over)
    if side_px is not None and entry.fixed_size:
        height, width = entry.size_hw_px
        return msgspec.structs.replace(row, status="refused", reason=f"its dense layers take {height}×{width} pixels only")
    try:
        exported = run_export(_arguments(name, plan, trained=row.trained), timeout_s=plan.timeout_s)
    except BackendError as error:
        return msgspec.structs.replace(row, reason=str(error))
    row = msgspec.structs.replace(row, seconds=round(exported.seconds, 1), peak_mb=round(exported.peak_bytes / BYTES_PER_MB, 1))
    if exported.exit_code != ExitCode.OK:
        return msgspec.structs.replace(row, status=_status(exported), reason=exported.error[:_REASON_MAX])
    try:
        return _described(row, open_bundle(plan.out / name, WORKSTATION), plan.timeout_s)
    except ShelfcamError as error:  # it ended well, and what it left cannot be used
        return msgspec.structs.replace(row, reason=str(error)[:_REASON_MAX])


def read_table(plan: ExportPlan) -> ExportTable:
    """What an earlier run left at ``plan.out``; an empty table where there was none.

    Raises:
        DataError: what is there is no table.
        SinkError: it was made with other options.
    """
    return read_resumable(plan.out / _TABLE, ExportTable, plan.asked())


def write_table(plan: ExportPlan, table: ExportTable) -> None:
    """Replace the one at ``plan.out`` in one step. Raises SinkError."""
    write_json(plan.out / _TABLE, table)


def split_name(name: str) -> tuple[str, int | None]:
    """NAME or NAME@SIDE → (network, side of its square input in pixels; None: its own size)."""
    network, _, side = name.partition("@")
    return network, int(side) if side else None


def seed_weights() -> dict[str, float]:
    """Network → MB, as the table that this project started from gives them."""
    with SEED_TABLE.open(encoding="utf-8", newline="") as file:
        return {row["network"]: float(row["weight_mb_in_seed"]) for row in csv.DictReader(file) if row["weight_mb_in_seed"]}


def seed_networks() -> list[str]:
    """Every network of that table, in its order."""
    with SEED_TABLE.open(encoding="utf-8", newline="") as file:
        return [row["network"] for row in csv.DictReader(file)]


def _arguments(name: str, plan: ExportPlan, *, trained: bool) -> list[str]:
    weights = "--pretrained" if trained else "--random-weights"
    network, side_px = split_name(name)
    words = [network, weights, "--strategy", plan.strategy, "--calibration", "skimage", "--golden", "rendered"]
    words += ["--candidates", plan.candidates, "--calibration-count", str(plan.calibration_count)]
    words += ["--budget-mb", str(plan.budget_bytes / BYTES_PER_MB)]
    words += [] if trained else ["--min-cosine", str(UNTRAINED_COSINE_MIN)]
    words += [] if plan.held_out_count is None else ["--held-out-count", str(plan.held_out_count)]
    words += [] if side_px is None else ["--input-size", str(side_px)]
    return [*words, "--out", str((plan.out / name).absolute()), "--force"]


def _status(exported: ExportRun) -> ExportStatus:
    if exported.exit_code != ExitCode.DATA:
        return "failed"
    return "over budget" if _OVER in exported.error and _GATE not in exported.error else "refused"


def _described(row: NetworkExport, bundle: Bundle, timeout_s: float) -> NetworkExport:
    """Raises BundleError."""
    exported = tuple(
        ExportedCandidate(
            candidate=candidate.name,
            bytes=candidate.model_file.bytes,
            precision=candidate.precision,
            int8_mac_share=candidate.int8_mac_share,
            logit_cosine=candidate.quality[0].logit_cosine,
        )
        for candidate in find_model(bundle, None).candidates
    )
    row = msgspec.structs.replace(row, status="exported", candidates=exported)
    try:
        return msgspec.structs.replace(row, runtimes_cosine=runtimes_cosine(bundle, timeout_s))
    except BackendError as error:  # the bundle is there all the same
        return msgspec.structs.replace(row, reason=f"its runtimes were not compared: {error}"[:_REASON_MAX])
