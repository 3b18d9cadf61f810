"""``shelfcam cameras``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import msgspec
from cyclopts import Parameter

from edge import console, exposure
from edge.cameras import try_source
from edge.clock import Clock
from edge.commands import options
from edge.config import CameraConfig
from edge.errors import ShelfcamError, SinkError, SourceError
from edge.site import open_camera
from edge.sources import show_source
from edge.sources.attached import Attached, Attachments, attached


class CameraRow(msgspec.Struct, frozen=True, kw_only=True):
    """A camera, and what trying it gave (null where it was not tried)."""

    source: str
    name: str
    size_hw_px: tuple[int, int] | None = None
    still: str | None = None
    problem: str | None = None


class Listing(msgspec.Struct, frozen=True, kw_only=True):
    """``unavailable``: kind of camera → why it could not be looked for."""

    cameras: list[CameraRow]
    unavailable: dict[str, str]


def cameras(
    *,
    source: Annotated[str | None, Parameter(help="Try just this one, written as for `shelfcam run`.")] = None,
    still: Annotated[Path | None, Parameter(help="Save a still of each camera in this directory.")] = None,
    config: options.ConfigOption = None,
    json: options.JsonOption = False,
) -> None:
    """List the cameras that are attached, and what to write for `--source`.

    Cameras are opened only with `--still` or `--source`: one that the service has open cannot be opened a second time. Network cameras
    are not looked for; try one with `--source`. `--config` brings the time-outs and, for its own source, the password and certificate
    files. Exit code 69 if one that was tried gives no picture, 78 if its options are wrong.

    **Examples**

        shelfcam cameras
        shelfcam cameras --still stills
        shelfcam cameras --source rtsp://user:password@192.168.1.20/stream --still stills
    """
    whole = options.site(config)
    exposure.warn(whole)
    site = whole.camera
    given = Attachments(cameras=(Attached(source=source, name="–"),), unavailable={}) if source is not None else None
    found = given or attached()
    errors: list[ShelfcamError] = []
    rows: list[CameraRow] = []
    for camera in found.cameras:
        row = CameraRow(source=show_source(camera.source), name=camera.name, problem=camera.problem)
        if given is not None or still is not None:
            try:
                row = _tried(row, camera, site, still)
            except SinkError:
                raise
            except ShelfcamError as error:
                errors.append(error)
                row = msgspec.structs.replace(row, problem=str(error))
        rows.append(row)
    if json:
        console.print_json(Listing(cameras=rows, unavailable=found.unavailable))
    else:
        _print(rows, found.unavailable)
    if errors:
        raise errors[0] if len(errors) == 1 else SourceError("; ".join(map(str, errors)), fix=errors[0].fix)


def _tried(row: CameraRow, camera: Attached, site: CameraConfig, still: Path | None) -> CameraRow:
    if camera.problem is not None:
        raise SourceError(f"{row.source}: {camera.problem}", fix="add the user to the group video")
    tried = try_source(open_camera(site.of(camera.source), Clock()), shown=row.source, directory=still)
    return msgspec.structs.replace(row, size_hw_px=tried.size_hw_px, still=tried.still)


def _print(rows: list[CameraRow], unavailable: dict[str, str]) -> None:
    lines = [
        (
            row.source,
            row.name,
            "–" if row.size_hw_px is None else f"{row.size_hw_px[1]}×{row.size_hw_px[0]}",
            row.still or "–",
            row.problem or "",
        )
        for row in rows
    ]
    if lines:
        console.print_table("Cameras", ["source", "name", "size", "still", "problem"], lines)
    else:
        console.print_line("no camera is attached")
    for kind, reason in unavailable.items():
        console.stderr().print(f"{kind} cameras were not looked for: {reason}", soft_wrap=True, markup=False)
