"""From results to records, ratios and what is missing. Pure but for the description of this machine."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import msgspec

from benchmarks.peers.contest import ContestSettings, EntryResult
from benchmarks.peers.contestants import OURS, Kind
from benchmarks.record.facts import Subject, describe_model
from benchmarks.record.host import describe_host
from benchmarks.record.schema import MeasuredRuntime, Missing, Ratio, Record, percentiles_of, ratio_of
from benchmarks.record.stats import median

AGREE_MIN = 0.8
"""Share of pictures with the same best class as our backend gives with the same candidate: what the embedded bundles' own gate asks of 8
bits. EfficientNet-Lite0 in 8 bits gave 0.92 (OpenVINO) to 1 (ONNX Runtime, LiteRT) of 64 pictures; a wrong file gives next to none."""

_BUSY_IDLE = 0.02


@dataclass(frozen=True, slots=True)
class JudgedEntry:
    """A contestant that took part to the end. ``agreement``: on the judged pictures, with our backend on the same candidate."""

    result: EntryResult
    record: Record
    agreement: float

    @property
    def agrees(self) -> bool:
        """Whether its speed counts."""
        return self.agreement >= AGREE_MIN


def agreement(ours: Sequence[int], theirs: Sequence[int]) -> float:
    """Share of equal answers. Raises ValueError for none, or unequal numbers of them."""
    if not ours or len(ours) != len(theirs):
        raise ValueError(f"no agreement of {len(ours)} answers with {len(theirs)}")
    return sum(a == b for a, b in zip(ours, theirs, strict=True)) / len(ours)


def judge(results: Sequence[EntryResult], settings: ContestSettings) -> tuple[list[JudgedEntry], list[Missing]]:
    """Everyone who finished, in order; and the others with the reason."""
    judged, missing = [], []
    ours = {_key(o): o for o in results if o.entry.peer is None and o.failure is None}
    for result in results:
        reference = ours.get(_key(result))
        if result.failure is not None:
            missing.append(Missing(name=result.entry.title, reason=result.failure))
        elif reference is None:
            missing.append(Missing(name=result.entry.title, reason="our own side failed: nothing to hold its answers against"))
        else:
            share = agreement(reference.judged_top, result.judged_top)
            frames = agreement(reference.timed_top, result.timed_top)
            one = JudgedEntry(result, _record(result, settings, share, frames), share)
            judged.append(one)
            if not one.agrees:
                missing.append(Missing(name=f"ratio to {result.entry.title}", reason=_wrong(share)))
    return judged, missing


def ratios(judged: Sequence[JudgedEntry], chosen: str) -> list[Ratio]:
    """Ours ÷ each peer of the same kind that agrees: with the same candidate, and, where that is another, with the chosen one."""
    found = []
    for peer in judged:
        if peer.result.entry.peer is None or not peer.agrees:
            continue
        candidate, kind = peer.result.entry.placed.candidate.name, peer.result.entry.kind
        for name in dict.fromkeys((candidate, chosen)):
            ours = find(judged, OURS, kind, name)
            if ours is not None:
                found.append(speed_ratio(ours, peer))
    return found


def speed_ratio(ours: JudgedEntry, peer: JudgedEntry) -> Ratio:
    """Throughput of ours ÷ the peer's, paired by rounds. The name tells both candidates where they differ."""
    mine, its = ours.result.entry, peer.result.entry
    where = mine.placed.candidate.name
    also = "" if its.placed.candidate.name == where else f" {its.placed.candidate.name}"
    name = f"{mine.kind}, {where}: {mine.name} ÷ {its.name}{also}"
    return ratio_of(name, ours.record, peer.record, (ours.result.rates(), peer.result.rates()))


def find(judged: Sequence[JudgedEntry], name: str, kind: Kind, candidate: str) -> JudgedEntry | None:
    """The contestant of that name, kind and candidate, if it took part to the end."""
    entries = ((one, one.result.entry) for one in judged)
    return next((one for one, e in entries if (e.name, e.kind, e.placed.candidate.name) == (name, kind, candidate)), None)


def cpu_ms(record: Record) -> float | None:
    """CPU milliseconds of a query, the median of the rounds: what waiting for a busy machine does not change. None if not read."""
    spent = [one.cpu_s / one.queries * 1e3 for one in record.rounds if one.cpu_s is not None]
    return median(spent) if spent else None


def _key(result: EntryResult) -> tuple[str, str]:
    return result.entry.kind, result.entry.placed.candidate.name


def _wrong(share: float) -> str:
    return f"it gives the same best class as our backend on {share:.0%} of the pictures, below {AGREE_MIN:.0%}: not the same network"


def _record(result: EntryResult, settings: ContestSettings, agreed: float, agreed_frames: float) -> Record:
    entry, loaded = result.entry, result.loaded
    assert loaded is not None
    placed = entry.placed
    facts = describe_model(Subject(placed.bundle, placed.model, placed.candidate, settings.threads))
    given = entry.input or facts.input
    model = msgspec.structs.replace(facts, bytes=entry.model_bytes, input=given, precision=placed.candidate.precision)
    whole = percentiles_of(result.times_ms)
    memory = {"resident": result.resident_bytes, "peak": result.peak_bytes, "disk_runtime": entry.disk.runtime_bytes}
    if entry.disk.environment_bytes is not None:
        memory["disk_environment"] = entry.disk.environment_bytes
    options = {"python": loaded.python, "cores": ",".join(map(str, settings.cores))}
    if loaded.runtime != entry.name:
        options["runtime"] = loaded.runtime
    return Record(
        bench=entry.kind,
        host=describe_host(),
        runtime=MeasuredRuntime(name=entry.name, version=loaded.version, options=options, threads=settings.threads),
        model=model,
        rounds=tuple(result.rounds),
        queries=len(result.times_ms),
        p50_ms=whole.p50_ms,
        p90_ms=whole.p90_ms,
        p99_ms=whole.p99_ms,
        max_ms=max(result.times_ms),
        throughput=median(result.rates()),
        stages={"start": percentiles_of(result.starts_ms)},
        memory=memory,
        notes=_notes(result, agreed, agreed_frames),
    )


def _notes(result: EntryResult, agreed: float, agreed_frames: float) -> tuple[str, ...]:
    entry = result.entry
    notes = []
    if entry.peer is not None:
        notes.append(
            f"same best class as shelfcam with the same candidate: {agreed:.1%} of {len(result.judged_top)} pictures at the model's "
            f"size, {agreed_frames:.1%} of {len(result.timed_top)} frames"
        )
        if entry.peer.note:
            notes.append(entry.peer.note)
        if not entry.own_environment:
            notes.append("ran in shelfcam's own environment, for want of one of its own")
    else:
        notes.append("disk_runtime: shelfcam with its packages and both runtimes, of which a camera needs one")
        if entry.kind == "loop":
            notes.append("a query also writes its event through the stored outbox, which no peer does")
    if result.idle_share > _BUSY_IDLE:
        notes.append(f"took {result.idle_share:.1%} of a CPU while others had their rounds")
    return tuple(notes)
