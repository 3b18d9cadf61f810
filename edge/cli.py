"""The ``shelfcam`` command. Commands are imported when called, so that ``--help`` and a camera's start stay quick.

Subcommands of ``export`` and ``benchmarks`` plug in through the entry-point group ``shelfcam.commands``: each entry is a
function that takes the App and adds its commands by their import path.
"""

from __future__ import annotations

import sys
from importlib import metadata

from cyclopts import App, CycloptsError

from edge import __version__, console
from edge.errors import ExitCode, ShelfcamError
from edge.stdio import StandardStreams

COMMAND_GROUP = "shelfcam.commands"
_HELP = {"-h", "--help"}


def build_app() -> App:
    """All commands that are installed."""
    app = App(
        name="shelfcam",
        help="Vision models on shelf cameras: export, run, judge and measure them.",
        version=__version__,
        help_format="markdown",
        default_parameter=None,
    )
    app.command("edge.commands.run:run", name="run")
    app.command("edge.commands.check:check", name="check")
    app.command("edge.commands.cameras:cameras", name="cameras")
    app.command("edge.commands.choose:choose", name="choose")
    app.command("edge.commands.install:install", name="install")
    app.command("edge.commands.doctor:doctor", name="doctor")
    app.command("edge.commands.reference:reference", name="reference")
    app.command("edge.commands.evaluate:evaluate", name="evaluate")
    app.command("edge.commands.sort:sort", name="sort")
    bundle = App(name="bundle", help="Look into, check, pack, unpack and join bundles.")
    bundle.command("edge.commands.bundle:inspect", name="inspect")
    bundle.command("edge.commands.bundle:verify", name="verify")
    bundle.command("edge.commands.bundle:pack", name="pack")
    bundle.command("edge.commands.bundle:unpack", name="unpack")
    bundle.command("edge.commands.bundle:join", name="join")
    app.command(bundle)
    for entry in metadata.entry_points(group=COMMAND_GROUP):
        entry.load()(app)
    return app


def main(argv: list[str] | None = None) -> int:
    """Run one command; returns its exit code (``edge.errors.ExitCode``). Without ``argv`` it is the process's command: then an output
    that was not taken whole ends in ``OUTPUT`` as well, and nothing is left for Python to flush at its exit."""
    if argv is not None:
        return _run(argv)
    streams = StandardStreams()
    code = _run(sys.argv[1:])
    fault = streams.end()
    if fault is None:
        return code
    if not isinstance(fault, BrokenPipeError):  # else the reader went away: nothing left to say to it
        _complain(f"standard output: {fault.strerror or fault}", None)
    return code or ExitCode.OUTPUT


def _run(argv: list[str]) -> int:
    console.log_to_stderr()
    app = build_app()
    try:
        _resolve_for_help(app, argv)
        result = app(argv, exit_on_error=False, print_error=False, result_action="return_value")
        return int(result) if isinstance(result, int) else ExitCode.OK
    except CycloptsError as error:
        _complain(str(error), "shelfcam --help, or shelfcam COMMAND --help")
        return ExitCode.USAGE
    except ShelfcamError as error:
        _complain(str(error), error.fix)
        return error.exit_code
    except KeyboardInterrupt:
        _complain("interrupted", None)
        return ExitCode.INTERRUPTED
    except BrokenPipeError:
        return ExitCode.OUTPUT
    except OSError as error:
        _complain(f"{error.filename}: {error.strerror or error}" if error.filename else str(error), None)
        return ExitCode.OUTPUT


def _resolve_for_help(app: App, argv: list[str]) -> None:
    """Where an overview is asked for, import what it shows, and nothing else."""
    words, apps, rest = app.parse_commands(argv)
    if not rest or _HELP & set(argv):
        _resolve(apps[sum(word not in _HELP for word in words)])


def _resolve(app: App) -> None:
    """Import every command of it, so that its overview can say what each is for."""
    for command in app.resolved_commands().values():
        _resolve(command)


def _complain(message: str, fix: str | None) -> None:
    console.print_error(f"shelfcam: {message}")
    if fix:
        console.print_error(f"  fix: {fix}")


if __name__ == "__main__":
    raise SystemExit(main())
