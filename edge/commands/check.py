"""``shelfcam check``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from edge import console
from edge.check import check as check_file
from edge.commands import options


def check(config: Annotated[Path, Parameter(help="Site configuration (TOML).")], /, *, json: options.JsonOption = False) -> int:
    """Check a configuration and everything it names, without starting anything.

    Bundle, model and candidate, the source, the sinks and the state directory are looked at; every problem is told, with its fix. The
    exit code is that of the first. What can be written is asked for the user who runs this.

    **Examples**

        shelfcam check /etc/shelfcam/shelf-1.toml
        runuser -u shelfcam -- shelfcam check /etc/shelfcam/shelf-1.toml --json
    """
    report = check_file(config)
    if json:
        console.print_json(report)
    elif report.ok:
        print(f"{config}: ok")
    else:
        out = console.stderr()
        for problem in report.problems:
            out.print(f"{problem.area}: {problem.message}", markup=False, soft_wrap=True)
            if problem.fix:
                out.print(f"  fix: {problem.fix}", markup=False, soft_wrap=True)
        out.print(f"{config}: {len(report.problems)} problem{'s' if len(report.problems) > 1 else ''}", soft_wrap=True)
    return report.exit_code
