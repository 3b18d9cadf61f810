"""``python -m tests.mutants [--sample N] [--seed N] [--goal SHARE] [--only FILE …]``: would the tests notice a fault?

Makes one small fault at a time in a copy of the project (a mutant), with the operators of Cosmic Ray and three of our own, and runs the
tests of the faulty module. A mutant that they pass has survived, and is shown as a diff. Exit status 1 if more survive than the goal
allows. ``make mutants`` runs it; docs/testing.md has the figures, and says of each survivor why.
"""

from __future__ import annotations

import argparse
import contextlib
import difflib
import hashlib
import importlib
import multiprocessing
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent

AREAS = ("edge/loop.py", "edge/shelf", "edge/sinks/outbox.py", "edge/tasks", "export/judge/verdict.py")
"""What is made faulty."""

TESTS: dict[str, tuple[str, ...]] = {
    "edge/loop.py": ("tests/unit/test_loop.py",),
    "edge/shelf/geometry.py": ("tests/unit/shelf/test_geometry.py",),
    "edge/shelf/glance.py": ("tests/unit/shelf/test_glance.py",),
    "edge/shelf/layout.py": ("tests/unit/shelf/test_layout.py",),
    "edge/shelf/likeness.py": ("tests/unit/shelf/test_likeness.py",),
    "edge/shelf/reference.py": ("tests/unit/shelf/test_reference.py",),
    "edge/shelf/rest.py": ("tests/unit/shelf/test_rest.py",),
    "edge/shelf/slot.py": ("tests/unit/shelf/test_slot.py",),
    "edge/shelf/slots.py": (
        "tests/unit/shelf/test_slots_thresholds.py",
        "tests/unit/shelf/test_slots.py",
        "tests/unit/shelf/test_slots_pictures.py",
    ),
    "edge/shelf/transitions.py": ("tests/unit/shelf/test_transitions.py",),
    "edge/shelf/view.py": ("tests/unit/shelf/test_view.py",),
    "edge/shelf/whole_frame.py": ("tests/unit/shelf/test_whole_frame.py",),
    "edge/sinks/outbox.py": ("tests/unit/sinks/test_outbox.py",),
    "edge/tasks/__init__.py": ("tests/unit/tasks/test_registry.py",),
    "edge/tasks/base.py": ("tests/unit/tasks/test_base.py", "tests/unit/tasks/test_classify.py"),
    "edge/tasks/classify.py": ("tests/unit/tasks/test_classify.py",),
    "edge/tasks/detect.py": ("tests/unit/tasks/test_detect.py",),
    "edge/tasks/embed.py": ("tests/unit/tasks/test_embed.py",),
    "export/judge/verdict.py": ("tests/unit/export/judge/test_verdict.py",),
}
"""Module → the tests that concern it, the quickest first. No other test is run on its mutants."""

PROTOCOLS = ("edge/shelf/base.py",)
"""Nothing in them runs."""

SAMPLE, SEED, GOAL = 320, 1, 0.9
PATIENCE, PATIENCE_LEAST_S = 3.0, 20.0
"""A mutant whose tests take so many times as long as without it hangs: it is noticed."""
PRELOADED = ("numpy", "cv2", "msgspec", "hypothesis", "sqlite3", "onnxruntime", "torch")
"""What the tests import of others: once, not once a mutant."""


@dataclass(frozen=True)
class Mutant:
    """``line``: of the fault; ``operator``: that made it; ``code``: the whole module with it."""

    module: str
    line: int
    operator: str
    code: str
    original: str

    def diff(self) -> str:
        """Against the module."""
        lines = difflib.unified_diff(
            self.original.splitlines(), self.code.splitlines(), self.module, self.module, lineterm="", n=1
        )
        return "\n".join(lines)


def modules() -> list[str]:
    """All in the areas that hold code."""
    found = [path for area in AREAS for path in ([ROOT / area] if area.endswith(".py") else sorted((ROOT / area).glob("*.py")))]
    names = [path.relative_to(ROOT).as_posix() for path in found]
    return [name for name in names if name not in PROTOCOLS and "\n" in (ROOT / name).read_text().strip()]


@dataclass(frozen=True)
class Fault:
    """That could be made. ``place``: like no other, and the same as long as its line is; ``kind``: like no other there; ``occurrence``: of
    what ``operator`` can change in the module."""

    place: str
    kind: str
    module: str
    line: int
    operator: Any
    occurrence: int

    def made(self) -> Mutant | None:
        """None where it is no Python, or no change."""
        from cosmic_ray.mutating import mutate_code

        source = (ROOT / self.module).read_text()
        code = mutate_code(source, self.operator, self.occurrence)
        try:
            compile(code, self.module, "exec")
        except SyntaxError:
            return None
        return None if code == source else Mutant(self.module, self.line, type(self.operator).__name__, code, source)


def sampled(count: int, seed: int) -> list[Mutant]:
    """``count`` mutants, at most one a place in the code, in the order of the modules.

    A fault's place in the draw hangs on the seed and its own line only: what changes elsewhere does not change the sample around it.
    """
    at_place: dict[str, list[Fault]] = {}
    for module in modules():
        for fault in _faults_of(module):
            at_place.setdefault(_rank(seed, fault.place), []).append(fault)
    drawn: list[Mutant] = []
    for _, faults in sorted(at_place.items()):
        faults.sort(key=lambda fault: _rank(seed, fault.place, fault.kind))
        mutant = next((made for fault in faults if (made := fault.made()) is not None), None)
        if mutant is not None:
            drawn.append(mutant)
        if len(drawn) == count:
            break
    order = {module: i for i, module in enumerate(modules())}
    return sorted(drawn, key=lambda mutant: (order[mutant.module], mutant.line, mutant.operator))


def _rank(seed: int, *what: str) -> str:
    return hashlib.sha256("\n".join((str(seed), *what)).encode()).hexdigest()


def _faults_of(module: str) -> Iterator[Fault]:
    from cosmic_ray.ast import ast_nodes, get_ast

    source = (ROOT / module).read_text()
    lines, tree = [line.strip() for line in source.splitlines()], get_ast(source)
    for operator in _operators():
        name = type(operator).__name__
        places = [(node, at) for node in ast_nodes(tree) for at, _ in operator.mutation_positions(node)]
        for occurrence, (node, (line, column)) in enumerate(places):
            if not _is_declared(node):
                like_it = lines[: line - 1].count(lines[line - 1])  # lines above that read the same
                changes = sum(at == (line, column) for _, at in places[:occurrence])  # of this operator, before, at this place
                place = f"{module} {lines[line - 1]} {column} {like_it}"
                yield Fault(place, f"{name} {changes}", module, line, operator, occurrence)


def _is_declared(node: Any) -> bool:
    """In an annotation, a decorator, the head of a class or a list of parameters: what type checker and dataclass say, no test has to say
    again."""
    if node.type == "operator" and node.parent.type == "parameters":
        return True
    while node.parent is not None:
        parent = node.parent
        if parent.type in ("decorator", "tfpdef", "import_from"):
            return True
        if parent.type == "annassign" and parent.children[1] is node:
            return True
        if parent.type == "funcdef" and parent.annotation is node:
            return True
        if parent.type == "classdef" and node.type != "suite":
            return True
        node = parent
    return False


_EXCHANGED = (
    {"Add", "Sub", "Mul", "Div", "FloorDiv", "Mod", "Pow"},
    {"BitOr", "BitAnd", "BitXor"},
    {"Eq", "NotEq", "Lt", "LtE", "Gt", "GtE"},
    {"Is", "IsNot"},
)
"""Operators that are exchanged for one another. Across these groups nearly every change is a TypeError, or none at all."""


def _operators() -> list[Any]:
    from cosmic_ray.operators import provider

    names = provider.OperatorProvider()
    return [names[name]() for name in names if _is_taken(name)] + [operator() for operator in _own_operators()]


def _is_taken(name: str) -> bool:
    """Not: ``NumberReplacer``, for a threshold of .14 is never taken for 1.14 (ours doubles and halves it); what changes decorators, or
    wants names."""
    kind, *exchanged = name.split("_")
    if exchanged and not kind.startswith("ReplaceUnary"):
        return any(set(exchanged) <= group for group in _EXCHANGED)
    return name not in ("NumberReplacer", "RemoveDecorator", "VariableInserter", "VariableReplacer")


def _own_operators() -> list[type]:
    import parso
    from cosmic_ray.operators.operator import Operator

    class ChangeNumber(Operator):
        """A small whole number by one; any other by a factor of two."""

        def mutation_positions(self, node):
            if node.type == "number":
                yield from [(node.start_pos, node.end_pos)] * 2

        def mutate(self, node, index):
            value = int(node.value, 0) if node.value.isdigit() else float(node.value.replace("_", ""))
            if isinstance(value, int) and value <= 16:
                changed: float = value + (1, -1)[index]
            else:
                changed = value * (2, 0.5)[index]
            text = repr(int(changed) if "." not in node.value and "e" not in node.value else changed)
            return parso.python.tree.Number(text, node.start_pos, node.prefix)

        @classmethod
        def examples(cls):
            return ()

    class LeaveOutCall(Operator):
        """A statement that only calls something."""

        def mutation_positions(self, node):
            if node.type == "simple_stmt" and node.children[0].type == "atom_expr":
                yield (node.start_pos, node.end_pos)

        def mutate(self, node, index):
            call = node.children[0]
            node.children[0] = parso.python.tree.Keyword("pass", node.start_pos, call.get_first_leaf().prefix)
            return node

        @classmethod
        def examples(cls):
            return ()

    class ReturnNothing(Operator):
        """None in place of what is returned."""

        def mutation_positions(self, node):
            if node.type == "return_stmt" and node.children[1].get_code().strip() != "None":
                yield (node.start_pos, node.end_pos)

        def mutate(self, node, index):
            node.children[1] = parso.python.tree.Keyword("None", node.children[1].start_pos, " ")
            return node

        @classmethod
        def examples(cls):
            return ()

    return [ChangeNumber, LeaveOutCall, ReturnNothing]


class Laboratory:
    """A copy of the project in which one module at a time is faulty. The tests run in a child that is forked for each mutant."""

    def __init__(self, directory: Path) -> None:
        self.root = directory / "project"
        files = subprocess.run(
            ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"], cwd=ROOT, capture_output=True, check=True
        )
        for name in files.stdout.decode().split("\0"):
            if name and (ROOT / name).is_file():
                (self.root / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(ROOT / name, self.root / name)
        self._output = directory / "output"
        self._usual_s: dict[str, float] = {}
        sys.dont_write_bytecode = True
        os.environ["PYTHONDONTWRITEBYTECODE"] = "1"
        for name in PRELOADED:
            try:
                importlib.import_module(name)
            except ImportError:
                print(f"– without {name}")

    def sound(self, module: str) -> None:
        """Run the module's tests without any fault: they must pass, and show how long they take."""
        start_s = time.monotonic()
        if self._run(module, None) != "passed":
            sys.exit(f"{self._output.read_text(errors='replace')[-4_000:]}\n✗ {module}: its tests fail without a fault")
        self._usual_s[module] = time.monotonic() - start_s
        print(f"· {module}: {self._usual_s[module]:.1f} s of tests", flush=True)

    def outcome(self, mutant: Mutant) -> str:
        """ "killed", "hangs" or "survived"."""
        path = self.root / mutant.module
        path.write_text(mutant.code)
        try:
            ended = self._run(mutant.module, PATIENCE_LEAST_S + PATIENCE * self._usual_s[mutant.module])
        finally:
            path.write_text(mutant.original)
        return {"passed": "survived", "failed": "killed"}.get(ended, ended)

    def _run(self, module: str, limit_s: float | None) -> str:
        shutil.rmtree(self.root / ".hypothesis", ignore_errors=True)
        child = multiprocessing.get_context("fork").Process(target=self._child, args=(TESTS[module],))
        child.start()
        child.join(limit_s)
        hangs = child.is_alive()
        with contextlib.suppress(ProcessLookupError):
            os.killpg(child.pid, signal.SIGKILL)  # and what it may have left behind
        child.join()
        return "hangs" if hangs else "passed" if child.exitcode == 0 else "failed"

    def _child(self, tests: Sequence[str]) -> None:
        os.setsid()
        with self._output.open("wb") as output:
            os.dup2(output.fileno(), 1)
            os.dup2(output.fileno(), 2)
        os.chdir(self.root)
        os.environ["PYTHONPATH"] = str(self.root)
        sys.path[:] = [str(self.root), *(path for path in sys.path if path not in ("", str(ROOT)))]
        for name in [name for name in sys.modules if name.partition(".")[0] in ("tests", "edge", "export", "benchmarks")]:
            del sys.modules[name]
        import pytest

        options = ["-x", "-q", "-p", "no:cacheprovider", "--hypothesis-seed=0", f"--basetemp={self.root.parent / 't'}"]
        code = pytest.main([*options, "-m", "not slow and not device", *tests])
        sys.stdout.flush()
        os._exit(int(code))


def main() -> int:
    """Draw, run, tell."""
    parser = argparse.ArgumentParser(prog="python -m tests.mutants", description=__doc__)
    parser.add_argument("--sample", type=int, default=SAMPLE, help=f"how many mutants ({SAMPLE})")
    parser.add_argument("--seed", type=int, default=SEED, help=f"of the draw ({SEED})")
    parser.add_argument("--goal", type=float, default=GOAL, help=f"the share that must be killed ({GOAL})")
    parser.add_argument("--only", nargs="*", default=AREAS, help="of the sample those in these files or folders")
    parser.add_argument("--list", action="store_true", help="show the sample, run nothing")
    asked = parser.parse_args()
    mutants = [mutant for mutant in sampled(asked.sample, asked.seed) if mutant.module.startswith(tuple(asked.only))]
    if asked.list:
        print(*(f"{mutant.operator}\n{mutant.diff()}\n" for mutant in mutants), sep="\n")
        return 0
    survivors = []
    with tempfile.TemporaryDirectory(prefix="mutants-") as directory:
        laboratory = Laboratory(Path(directory))
        for module in dict.fromkeys(mutant.module for mutant in mutants):
            laboratory.sound(module)
        for number, mutant in enumerate(mutants, 1):
            start_s = time.monotonic()
            outcome = laboratory.outcome(mutant)
            took_s = time.monotonic() - start_s
            print(
                f"{number}/{len(mutants)} {outcome} {mutant.module}:{mutant.line} {mutant.operator} {took_s:.1f} s", flush=True
            )
            if outcome == "survived":
                survivors.append(mutant)
                print(mutant.diff(), flush=True)
    for mutant in survivors:
        print(f"\nsurvived: {mutant.operator}\n{mutant.diff()}")
    share = 1 - len(survivors) / len(mutants)
    print(f"\n{len(mutants) - len(survivors)} of {len(mutants)} mutants killed: {share:.1%}, at least {asked.goal:.0%} must be")
    return 0 if share >= asked.goal else 1


if __name__ == "__main__":
    sys.exit(main())
