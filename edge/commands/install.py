"""``shelfcam install``."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Annotated, Literal

from cyclopts import Parameter

from edge import console
from edge.board.boards import Board, board_kind
from edge.commands import options
from edge.errors import UsageError
from edge.service import install as parts

_WOULD = {"made": "would make", "replaced": "would replace", "removed": "would remove", "run": "would run"}


def install(
    *,
    root: Annotated[
        Path, Parameter(help="Directory that holds the device's file system, for an image; / is this machine.")
    ] = Path("/"),
    prefix: Annotated[
        str | None, Parameter(help="The virtual environment on the device; this one, or /opt/shelfcam with --root.")
    ] = None,
    board: Annotated[
        Literal["auto", "pi", "jetson", "other"], Parameter(help="Whose camera devices the service may open besides USB ones.")
    ] = "auto",
    dry_run: Annotated[bool, Parameter(negative="", help="Only say what would be done.")] = False,
    json: options.JsonOption = False,
) -> None:
    """Put the systemd units, the service's user and its directories in place. Needs root; safe to run again.

    It starts no camera: `systemctl enable --now shelfcam@NAME` does, for /etc/shelfcam/NAME.toml. An existing
    configuration is never touched.

    **Examples**

        sudo /opt/shelfcam/bin/shelfcam install
        shelfcam install --dry-run
        sudo shelfcam install --root /mnt/image --board pi
    """
    here = root.resolve() == Path("/")
    if here and os.geteuid() != 0 and not dry_run:
        raise UsageError(
            "installing the service needs root",
            fix=f"sudo {Path(sys.prefix) / 'bin' / 'shelfcam'} install; --dry-run shows what it would do",
        )
    chosen: Board = board_kind(Path("/") if here else root) if board == "auto" else board
    planned = parts.plan(prefix or (sys.prefix if here else parts.DEFAULT_PREFIX), chosen)
    target = Path("/") if here else root
    changes = [*parts.apply(planned, target, dry_run=dry_run), *parts.settle(target, dry_run=dry_run)]
    steps = next_steps(chosen)
    if json:
        console.print_json({"board": chosen, "dry_run": dry_run, "changes": changes, "next": steps})
        return
    for change in changes:
        action = _WOULD.get(change.action, change.action) if dry_run else change.action
        console.print_line(f"{action:<13} {change.what}{f' ({change.detail})' if change.detail else ''}")
    console.print_line(f"{'would be so' if dry_run else 'done'} for board {chosen}; next:")
    for step in steps:
        console.print_line(f"    {step}")


def next_steps(board: Board) -> list[str]:
    """What a person does after the installation."""
    steps = [f"cp /{parts.EXAMPLE} /etc/shelfcam/shelf-1.toml, and edit it", "shelfcam check /etc/shelfcam/shelf-1.toml"]
    if board == "jetson":
        steps.append("systemctl enable --now shelfcam-restart@nvargus-daemon.socket")
    return [*steps, "systemctl enable --now shelfcam@shelf-1", "shelfcam doctor --config /etc/shelfcam/shelf-1.toml"]
