"""``shelfcam bench soak``: the real service, and everything that goes wrong in a shop, at random; what was lost, invented or leaked."""

from __future__ import annotations

import tempfile
import threading
import time
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter, validators

from benchmarks.record.draft import ProgressBar, ReportDraft
from benchmarks.record.facts import Subject, record_of
from benchmarks.record.schema import Report, Round
from benchmarks.record.show import show_report
from benchmarks.soak.checks import (
    BACK_WITHIN_S,
    DoneFault,
    Gathered,
    Growth,
    SinkTally,
    Truth,
    compare,
    deliver,
    grow,
    skipped_numbers,
    soak_checks,
)
from benchmarks.soak.plan import RECEIVER_FAULTS, Fault, plan_faults
from benchmarks.soak.service import FOR_GOOD, Supervised, wait_for
from benchmarks.soak.setup import SHELF, SoakSetup, gather, set_up
from edge import console, models
from edge.commands import options
from edge.config import ShelfConfig
from edge.errors import BackendError

_BROKEN_OFF_S = 60.0


class SoakReport(Report, frozen=True, kw_only=True):
    """The report of a soak: a report, and what was done and found. ``ended``: exit codes of processes that ended by themselves."""

    seed: int
    minutes: float
    faults: tuple[DoneFault, ...]
    deliveries: tuple[SinkTally, ...]
    truth: Truth
    growths: tuple[Growth, ...]
    starts: dict[str, int]
    ended: dict[str, tuple[int, ...]]
    statuses: dict[str, int]


def soak_command(
    *,
    minutes: Annotated[
        float, Parameter(help="How long; a leak can be seen from about 5 on.", validator=validators.Number(gte=1))
    ] = 10.0,
    seed: Annotated[int, Parameter(help="Of the faults and of what happens at the shelf.")] = 1,
    bundle: options.BundleOption = None,
    json: options.JsonOption = False,
) -> None:
    """Run two cameras on loopback (a shelf over MJPEG, a room over RTSP) with every sink, and let things go wrong at random: streams that
    stall, change their size or die, kill -9, a broker that is down, receivers that hang, a full disk, a broken config, a clock that jumps.

    Then every stored event must be at every sink, in order, under its own id; what changed at the shelf while the camera saw must have been
    reported, and nothing else; memory, threads and descriptors must be what they were. What cannot be done here is named and left out
    (mosquitto, gst-rtsp-server and libfaketime are asked for; a full disk needs root). Exit code 69 unless all of it holds.

    **Examples**

        shelfcam bench soak --minutes 10
        shelfcam bench soak --minutes 60 --seed 7 --json
    """
    report = soak(minutes, seed, bundle)
    if json:
        console.print_json(report)
    else:
        show_soak(report)
    failed = [check.name for check in report.checks if check.holds is False]
    if failed:
        raise BackendError(f"the soak does not hold: {'; '.join(failed)}")


def soak(minutes: float, seed: int, bundle: Path | None) -> SoakReport:
    """Set up, let things go wrong, gather, judge. Raises ShelfcamError."""
    site = options.site(None, bundle=bundle)
    opened = models.find_bundle(site)
    model = models.find_model(opened, site.model.name)
    active = models.load_model(site)
    active.backend.close()
    subject = Subject(opened, model, models.find_candidate(model, active.candidate), 1)
    draft = ReportDraft()
    with (
        tempfile.TemporaryDirectory(prefix="shelfcam-soak-") as folder,
        ProgressBar("starting", total=round(minutes * 60)) as progress,
        set_up(Path(folder), seed, minutes * 60, active.candidate, str(opened.directory.resolve())) as setup,
    ):
        for one in setup.skipped:
            progress.line(f"left out: {one.name}: {one.reason}")
        faults = _go_wrong(setup, plan_faults(seed, minutes * 60, setup.targets.actions()), minutes * 60, progress)
        seen = gather(setup, progress.now)
    deliveries = [one for camera in seen for one in deliver(camera)]
    truth = compare(setup.script, seen[0], faults, ShelfConfig().dwell_ms / 1000)
    growths = {camera.camera: grow(camera.camera, camera.samples) for camera in seen}
    gone = sum(code in FOR_GOOD for camera in seen for code in camera.ended)
    answered = [sample for sample in seen[0].samples if sample.frames is not None]
    counts = [(sample.pid, sample.frames or 0) for sample in answered]
    frames = max(1, sum(max(0, after - before) for (one, before), (other, after) in pairwise(counts) if one == other))
    memory = {"resident_at_end": answered[-1].resident_bytes} if answered else {}
    draft.records.append(
        record_of("soak", subject, [Round(queries=frames, seconds=minutes * 60)], memory=memory, notes=("a query is a frame",))
    )
    skipped = sum(skipped_numbers(one.stored) for one in seen)
    draft.checks += soak_checks(deliveries, truth, growths, faults, skipped=skipped, ended_for_good=gone)
    draft.missing += setup.skipped
    return draft.finish(
        SoakReport,
        "soak",
        quick=minutes < 5,
        seed=seed,
        minutes=minutes,
        faults=tuple(faults),
        deliveries=tuple(deliveries),
        truth=truth,
        growths=tuple(growth for growth in growths.values() if growth is not None),
        starts={camera.camera: camera.starts for camera in seen},
        ended={camera.camera: tuple(camera.ended) for camera in seen},
        statuses=_statuses(seen),
    )


def _go_wrong(setup: SoakSetup, plan: list[Fault], duration_s: float, progress: ProgressBar) -> list[DoneFault]:
    """Two lanes of faults beside each other, until the time is over. A fault that cannot be done ends the soak (BackendError)."""
    actions, now_s = setup.targets.actions(), setup.targets.camera.now_s
    done: list[DoneFault] = []
    errors: list[Exception] = []
    if not wait_for(setup.targets.shelf.sees, _BROKEN_OFF_S):
        log = (setup.place / f"{SHELF}.log").read_text(errors="replace").strip().splitlines()
        raise BackendError(f"the service sees nothing: {' / '.join(log[-3:])}")

    def lane(faults: list[Fault]) -> None:
        try:
            for fault in faults:
                while now_s() < fault.at_s:
                    time.sleep(0.1)
                done.append(_do(fault, actions[fault.kind], setup, progress))
        except (OSError, BackendError) as error:
            errors.append(error)

    of_receivers = [fault for fault in plan if fault.kind in RECEIVER_FAULTS]
    lanes = [
        threading.Thread(target=lane, args=[faults], daemon=True)
        for faults in (of_receivers, [fault for fault in plan if fault not in of_receivers])
    ]
    for thread in lanes:
        thread.start()
    while now_s() < duration_s or any(thread.is_alive() for thread in lanes):
        progress.at(round(min(duration_s, now_s())))
        time.sleep(0.5)
    if errors:
        raise BackendError(f"a fault could not be done: {errors[0]}")
    return sorted(done, key=lambda fault: fault.begun_s)


def _do(
    fault: Fault, actions: tuple[Callable[[], None], Callable[[], None]], setup: SoakSetup, progress: ProgressBar
) -> DoneFault:
    """One fault, from its beginning until frames go through the loop again."""
    now_s = setup.targets.camera.now_s
    begin, take_back = actions
    begun_s = now_s()
    progress.now(fault.kind)
    begin()
    time.sleep(fault.last_s)
    take_back()
    ended_s = now_s()
    watched = setup.services[-1] if fault.kind == "rtsp_killed" else setup.targets.shelf
    back = wait_for(lambda: _sees_since(watched, ended_s), BACK_WITHIN_S)
    done = DoneFault(kind=fault.kind, begun_s=begun_s, ended_s=ended_s, back_s=now_s() - ended_s if back else None)
    how = f"frames again {done.back_s:.1f} s after it" if done.back_s is not None else "no frames since"
    progress.line(f"{begun_s:7.1f} s  {fault.kind} for {ended_s - begun_s:.1f} s: {how}")
    return done


def _sees_since(service: Supervised, since_s: float) -> bool:
    samples = service.samples[-2:]
    return len(samples) == 2 and samples[0].time_s > since_s and service.sees()


def _statuses(seen: list[Gathered]) -> dict[str, int]:
    """How often the services said what of themselves."""
    counts: dict[str, int] = {}
    for camera in seen:
        for event in camera.stored:
            if event["kind"] == "status":
                counts[event["type"]] = counts.get(event["type"], 0) + 1
    return dict(sorted(counts.items()))


def show_soak(report: SoakReport) -> None:
    """Tables on standard output."""
    kinds = sorted({fault.kind for fault in report.faults})
    rows = []
    for kind in kinds:
        backs = [fault.back_s for fault in report.faults if fault.kind == kind]
        longest = max((back for back in backs if back is not None), default=None)
        rows.append((kind, len(backs), sum(b is not None for b in backs), "–" if longest is None else f"{longest:.1f}"))
    console.print_table(f"Faults, seed {report.seed}, {report.minutes:g} min", ["fault", ">done", ">back", ">longest, s"], rows)
    lines = [(d.camera, d.sink, d.events, d.lost, d.invented, d.doubled, d.changed, d.out_of_order) for d in report.deliveries]
    columns = ["camera", "sink", ">events", ">lost", ">invented", ">came twice", ">two contents", ">out of order"]
    console.print_table("Deliveries, by id", columns, lines)
    out = console.stdout()
    for what in (
        *(f"not reported: {one}" for one in report.truth.missed),
        *(f"not so: {one}" for one in report.truth.invented),
    ):
        out.print(what, soft_wrap=True, markup=False)
    for camera, starts in report.starts.items():
        ended = ", ".join(map(str, report.ended[camera])) or "none"
        out.print(f"{camera}: started {starts} times; ended by itself with: {ended}", soft_wrap=True)
    out.print("said of themselves: " + ", ".join(f"{name} {count}" for name, count in report.statuses.items()), soft_wrap=True)
    show_report(report)
