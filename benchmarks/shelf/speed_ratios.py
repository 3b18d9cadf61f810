"""The loop's speed beside MediaPipe's classifier and beside the loop that a usual user writes, held against their targets."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from benchmarks.peers.candidates import pick_candidates
from benchmarks.peers.command import Comparison, compare, find_environments
from benchmarks.peers.contest import ContestSettings
from benchmarks.peers.contestants import OURS, Kind, find_peers
from benchmarks.peers.entries import Entry, Maker
from benchmarks.peers.judge import JudgedEntry, cpu_ms, find, speed_ratio
from benchmarks.record import targets
from benchmarks.record.draft import Say
from benchmarks.record.facts import Placed
from benchmarks.record.schema import Check, Missing, Ratio, Record
from edge import console
from edge.bundle.reader import Bundle
from edge.config import AUTO
from edge.manifest import Model

PEERS = "mediapipe,opencv-onnxruntime,litert"
VS_MEDIAPIPE = "loop ÷ MediaPipe"
VS_PLAIN = "loop ÷ plain OpenCV + ONNX Runtime loop"


def speed_ratios(
    bundle: Bundle,
    model: Model,
    settings: ContestSettings,
    envs: Path,
    say: Say,
    *,
    candidates: str = AUTO,
) -> tuple[list[Record], list[Ratio], list[Check]]:
    """Measure them in one alternation: our loop with the chosen candidate, with the TFLite one and with an ONNX one; MediaPipe on that
    TFLite file; the plain loop on that ONNX file; LiteRT alone and our bare backend on that TFLite file.

    Args:
        bundle, model: of a classifier.
        settings: rounds and cores.
        envs: folder of the peers' environments; an absent peer's check is "not measured" with the pip line.
        say: progress.
        candidates: as of ``shelfcam bench compare``: the chosen one first.

    Returns:
        Records; ratios (those of the checks and, beside them, ours with the same TFLite file ÷ MediaPipe and ÷ LiteRT); two checks.

    Raises:
        ShelfcamError: no candidate can be chosen, or our own side failed.
    """
    environments, absent = find_environments(find_peers(PEERS), envs, make=False, say=say)
    places = pick_candidates(bundle, model, candidates, settings.threads, say)
    compared = compare(lambda maker: _entries(maker, places), settings, environments, say)
    same, onnx = _of_format(places, "tflite"), _of_format(places, "onnx")
    checks, found = [], []
    for name, limit, sides in (
        (VS_MEDIAPIPE, targets.MEDIAPIPE_MIN, (places[0], "mediapipe", same)),
        (VS_PLAIN, targets.PLAIN_MIN, (onnx, "opencv-onnxruntime", onnx)),
    ):
        pair = _pair(compared, "loop", *sides)
        if pair is None:
            checks.append(targets.unmeasured(name, "≥", limit, unit="×", why=_why(*sides[1:], [*absent, *compared.missing])))
        else:
            found.append(speed_ratio(*pair))
            checks.append(_check(name, found[-1], limit, pair))
    beside = (_pair(compared, "loop", same, "mediapipe", same), _pair(compared, "bare", same, "litert", same))
    known = {ratio.name for ratio in found}
    found += [ratio for pair in beside if pair is not None and (ratio := speed_ratio(*pair)).name not in known]
    return [one.record for one in compared.judged], found, checks


def _entries(maker: Maker, places: Sequence[Placed]) -> list[Entry]:
    chosen, tflite, onnx = places[0], _of_format(places, "tflite"), _of_format(places, "onnx")
    loops = {place.candidate.name: place for place in (chosen, tflite, onnx) if place is not None}
    entries: list[Entry | None] = [maker.ours(place, "loop") for place in loops.values()]
    by_name = {peer.name: peer for peer in find_peers(PEERS)}
    if tflite is not None:
        entries += [maker.ours(tflite, "bare"), maker.peer(tflite, by_name["mediapipe"]), maker.peer(tflite, by_name["litert"])]
    if onnx is not None:
        entries.append(maker.peer(onnx, by_name["opencv-onnxruntime"]))
    return [entry for entry in entries if entry is not None]


def _of_format(places: Sequence[Placed], form: str) -> Placed | None:
    return next((place for place in places if place.candidate.format == form), None)


def _pair(
    compared: Comparison, kind: Kind, ours: Placed | None, peer: str, fed: Placed | None
) -> tuple[JudgedEntry, JudgedEntry] | None:
    """(Ours, the peer); None where one side did not take part, or the peer's answers differ."""
    if ours is None or fed is None:
        return None
    mine = find(compared.judged, OURS, kind, ours.candidate.name)
    its = find(compared.judged, peer, kind, fed.candidate.name)
    return (mine, its) if mine is not None and its is not None and its.agrees else None


def _check(name: str, ratio: Ratio, limit: float, pair: tuple[JudgedEntry, JudgedEntry]) -> Check:
    """The ratio under the check's name; the note says what ran on either side, and what a frame took of the CPU."""
    took = " against ".join(console.milliseconds(cpu_ms(one.record)) for one in pair)
    settled = targets.check_ratio(ratio, "≥", limit).note
    note = f"{ratio.name}; {settled}; CPU ms a frame {took}; same best class on {pair[1].agreement:.0%} of the pictures"
    return targets.check(name, ratio.value, "≥", limit, unit="×", note=note)


def _why(peer: str, fed: Placed | None, missing: Sequence[Missing]) -> str:
    if fed is None:
        return "the model has no candidate that this peer reads"
    reason = next((one.reason for one in missing if peer in one.name), None)
    return reason or "our own side failed"
