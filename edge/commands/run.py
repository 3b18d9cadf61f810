"""``shelfcam run``."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import msgspec
from cyclopts import Parameter, validators

from edge import console
from edge.check import checked
from edge.commands import options
from edge.config import SIMULATED_SHELF, DeviceConfig
from edge.data import ShelfEvent
from edge.run import RunReport
from edge.run import run as run_camera
from edge.sink_config import JsonLinesConfig, SinkConfig
from edge.sinks import sink_key

_SIMULATED = (
    "A simulated shelf: no camera is read, events say simulated. Its goods are drawn, so what the model calls them means nothing.\n"
    "A camera: `shelfcam cameras` lists them, `shelfcam run --source v4l2:0` watches one. Ctrl-C ends it."
)
_NOT_KNOWN = "a product not known"
_BECAME = {
    "taken": "{before}",
    "returned": "{after}",
    "replaced": "now {after}",
    "empty": "was {before}",
    "unknown": "now {after}",
}


def run(
    *,
    bundle: options.BundleOption = None,
    source: Annotated[
        str | None,
        Parameter(
            help="Image, directory of images, video file, synthetic:fps=10,seed=1, or a camera: v4l2:0, picamera2:0, rtsp://…, "
            "http://…, gstreamer:PIPELINE."
        ),
    ] = None,
    config: options.ConfigOption = None,
    model: options.ModelOption = None,
    candidate: options.CandidateOption = None,
    threads: options.ThreadsOption = None,
    frames: Annotated[int | None, Parameter(help="Stop after so many frames.", validator=validators.Number(gte=1))] = None,
    events: Annotated[
        Path | None,
        Parameter(help="Append events to this file as JSON lines; - is standard output.", allow_leading_hyphen=True),
    ] = None,
    show: Annotated[
        bool, Parameter(negative="", help="Show on standard error, for people, what each frame shows or what became of slots.")
    ] = False,
    json: options.JsonOption = False,
) -> None:
    """Run the camera loop: source → model → events. Without a source a simulated shelf is watched.

    Events are JSON lines on standard output unless `--events` or the config says otherwise; with `--json` the report of the run
    goes there instead. Where standard output is a terminal, what would be printed there is shown for people.
    SIGTERM and Ctrl-C stop cleanly, with everything written. With `--config`, SIGHUP reads it again; one that is wrong is refused and
    the old one runs on. Where only the model is another, it takes the place of the one that runs between two frames: camera and outbox stay
    open. A bundle that was never tried here first answers its golden pictures in a confined process. If the one of the
    config fails or is damaged, the last good one runs instead and says so; one that is named by `--bundle` is refused.

    **Examples**

        shelfcam run
        shelfcam run --frames 300 > events.jsonl
        shelfcam run --source photos/ --show
        shelfcam run --source synthetic:slots=1,fps=10,seed=3 --frames 600 --events events.jsonl
        shelfcam run --bundle my-bundle --source shelf.mp4 --json
    """

    def configured() -> DeviceConfig:
        site = options.site(config, bundle=bundle, candidate=candidate, model=model, threads=threads)
        if config is None:  # tried out by somebody who looks on: a camera that fails is told at once
            site = msgspec.structs.replace(site, recovery=None)
        if source is not None:
            site = msgspec.structs.replace(site, camera=site.camera.of(source))
        return site if events is None else msgspec.structs.replace(site, sink=(JsonLinesConfig(path=str(events)),))

    def without_prints(site: DeviceConfig) -> DeviceConfig:
        return msgspec.structs.replace(site, sink=tuple(s for s in site.sink if not _prints(s))) if silent else site

    terminal = events is None and not json and sys.stdout.isatty()
    silent = events is None and (json or terminal)
    reload = (lambda: checked(without_prints(configured()))) if config is not None else None
    given = configured()
    site, people = without_prints(given), terminal and any(map(_prints, given.sink))
    if site.camera.source == SIMULATED_SHELF:
        console.print_error(_SIMULATED)
    if terminal and site.sink:
        console.print_error(f"Events go to {', '.join(map(sink_key, site.sink))}")
    shown = show_event if show or people else None
    last_good = config is not None and bundle is None
    report = run_camera(site, frames=frames, watch=shown, reload=reload, last_good=last_good)
    if json:
        console.print_json(report)
    else:
        _print_report(report)


def _prints(sink: SinkConfig) -> bool:
    return isinstance(sink, JsonLinesConfig) and sink.path == "-"


def show_event(event: ShelfEvent) -> None:
    """One line on standard error."""
    console.stderr().print(line_of(event), markup=False, soft_wrap=True)


def line_of(event: ShelfEvent) -> str:
    """What an event says, for people: the frame's number and the best classes of an observation; else the local time and what became of a
    slot, or of the service."""
    if event.kind == "observation":
        best = ", ".join(f"{score.label} {score.score:.2f}" for score in event.top[:3])
        file = next((flag.removeprefix("file=") for flag in event.flags if flag.startswith("file=")), "")
        return f"{event.seq:>6} {Path(file).name:<16} {best}"
    at = event.captured_utc.astimezone().strftime("%H:%M:%S")
    flags = [flag for flag in event.flags if flag != "clock_unsynced"]
    if event.kind == "status":
        return " ".join([f"{at} {'':<8} {event.type}", *flags]).rstrip()
    became = _BECAME[event.type or ""].format(before=event.before or _NOT_KNOWN, after=event.after or _NOT_KNOWN)
    marks = [*flags, *(["simulated"] if event.simulated else [])]
    return f"{at} {event.slot:<8} {event.type:<8} {became}" + (f" ({', '.join(marks)})" if marks else "")


def _print_report(report: RunReport) -> None:
    out = console.stderr()
    stages = [(name, *(f"{v:.3f}" for v in (s.p50_ms, s.p90_ms, s.p99_ms)), s.laps) for name, s in report.stages.items()]
    console.print_table("Latency per stage, ms", ["stage", ">p50", ">p90", ">p99", ">count"], stages, console=out)
    simulated = " (simulated)" if report.simulated else ""
    out.print(
        f"{report.frames} frames from {report.source}{simulated} in {report.seconds:.2f} s:",
        console.styled(f"{report.fps:.1f} frames/s,", "bold"),
        f"{report.dropped} dropped, {report.skipped} unreadable",
        soft_wrap=True,
    )
    out.print(f"{report.name}, {report.threads} threads: {report.reason}", soft_wrap=True)
