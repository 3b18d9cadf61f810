"""``python -m tests.fuzz [TARGET …] [--seconds N] [--seed N] [--out DIR]``: coverage-guided fuzzing with Atheris, one process a target.

Starts from the seeds and from what an earlier run found interesting (DIR/TARGET/corpus). An input that ends a target is kept as
DIR/TARGET/crash-…; exit status 1. ``python -m tests.fuzz TARGET --replay FILE`` runs one input.
"""

from __future__ import annotations

import argparse
import resource
import subprocess
import sys
from pathlib import Path

from tests.fuzz.targets import GROWTH_MAX_BYTES, TARGETS

TIMEOUT_S = 60
"""For one input, with room for a busy machine: what hangs, hangs for ever."""


def main() -> int:
    """Fuzz, or replay."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("targets", nargs="*", help=f"of {', '.join(TARGETS)}; all by default")
    parser.add_argument("--seconds", type=int, default=60, help="for each target (60)")
    parser.add_argument("--seed", type=int, default=1, help="of the mutations (1)")
    parser.add_argument("--out", type=Path, default=Path("out/fuzz"), help="where corpus and crashes are kept (out/fuzz)")
    parser.add_argument("--replay", type=Path, help="run this one input instead")
    parser.add_argument("--child", action="store_true", help=argparse.SUPPRESS)
    asked = parser.parse_args()
    names = asked.targets or list(TARGETS)
    unknown = [name for name in names if name not in TARGETS]
    if unknown:
        parser.error(f"no target {unknown[0]!r}; there are {', '.join(TARGETS)}")
    if asked.replay is not None:
        TARGETS[names[0]].run(asked.replay.read_bytes())
        print(f"{names[0]}: {asked.replay} is accepted or refused in words")
        return 0
    if asked.child:
        return fuzz(names[0], asked.out / names[0], asked.seconds, asked.seed)
    failed = [name for name in names if not _run_child(name, asked)]
    for name in failed:
        kept = sorted((asked.out / name).glob("crash-*")) + sorted((asked.out / name).glob("timeout-*"))
        print(f"✗ {name}: {', '.join(map(str, kept)) or 'see above'}; python -m tests.fuzz {name} --replay FILE")
    print(f"{len(names) - len(failed)} passed, {len(failed)} failed")
    return 1 if failed else 0


def _run_child(name: str, asked: argparse.Namespace) -> bool:
    command = [sys.executable, "-m", "tests.fuzz", name, "--child", "--out", str(asked.out)]
    done = subprocess.run(
        [*command, "--seconds", str(asked.seconds), "--seed", str(asked.seed)], check=False, capture_output=True
    )
    text = done.stderr.decode(errors="replace")
    runs = next((line for line in reversed(text.splitlines()) if line.startswith(("Done ", "#"))), "no runs")
    print(f"{'✓' if done.returncode == 0 else '✗'} {name}: {runs.strip()}", flush=True)
    if done.returncode != 0:
        print(done.stdout.decode(errors="replace")[-4_000:], text[-2_000:], flush=True)
    return done.returncode == 0


def fuzz(name: str, out: Path, seconds: int, seed: int) -> int:
    """In this process, which ends with it: exit status 0 only if nothing was found."""
    import atheris

    target = TARGETS[name]
    corpus = out / "corpus"
    corpus.mkdir(parents=True, exist_ok=True)
    with atheris.instrument_imports(include=["edge"]):
        seeds = target.seeds()  # imports what it parses with
        for content in seeds:
            target.run(content)
    for number, content in enumerate(seeds):
        (corpus / f"seed-{number}").write_bytes(content)
    size = max(len(content) for content in seeds)
    now = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    options = [f"-max_total_time={seconds}", f"-seed={seed}", f"-timeout={TIMEOUT_S}", f"-max_len={2 * size + 1024}"]
    options += [f"-rss_limit_mb={(now + GROWTH_MAX_BYTES) // 1_000_000}", f"-artifact_prefix={out}/", "-print_final_stats=0"]
    atheris.Setup([sys.argv[0], *options, str(corpus)], target.run)
    atheris.Fuzz()
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
