"""Who may import whom, and what a camera must never load."""

from __future__ import annotations

import ast
import graphlib
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import get_args

import pytest

from edge.manifest import TaskName
from tests.conftest import ROOT

HEAVY = ("torch", "onnx", "onnxruntime", "ai_edge_litert", "tflite_runtime", "cv2", "picamera2", "rich.progress")
TEST_FOLDERS = ("tests.contract", "tests.integration", "tests.unit")


def loaded_after(code: str) -> set[str]:
    done = subprocess.run(
        [sys.executable, "-c", f"{code}\nimport sys; print('\\n'.join(sys.modules))"],
        capture_output=True,
        text=True,
        check=True,
        cwd=ROOT,
    )
    return set(done.stdout.split())


def test_importing_edge_loads_nothing_heavy() -> None:
    assert not loaded_after("import edge") & set(HEAVY)


def test_the_command_line_starts_without_a_runtime_or_torch() -> None:
    modules = loaded_after("from edge.cli import build_app; build_app()")
    assert not modules & set(HEAVY)


@pytest.mark.parametrize(
    ("words", "shown", "not_shown"),
    [
        (["--version"], set(), {"edge.commands.run", "edge.commands.check", "benchmarks.loop.command"}),
        (["check", "--help"], {"edge.commands.check"}, {"edge.commands.run", "benchmarks.loop.command"}),
        (["bench"], {"benchmarks.loop.command"}, {"edge.commands.run", "edge.commands.check"}),
        (["--help"], {"edge.commands.run", "edge.commands.check", "benchmarks.loop.command"}, set()),
    ],
)
def test_an_overview_imports_the_commands_that_it_shows(words: list[str], shown: set[str], not_shown: set[str]) -> None:
    modules = loaded_after(f"from edge.cli import main; main({words})")
    assert shown <= modules
    assert not not_shown & modules


def test_the_tasks_of_an_export_load_nothing_heavy() -> None:
    assert not loaded_after("import export.tasks") & set(HEAVY)


@pytest.mark.parametrize(
    "module", ["edge.site", "edge.run", "edge.commands.run", "edge.loop", "edge.backends", "edge.choice.probe"]
)
def test_the_loop_loads_a_runtime_only_when_a_candidate_needs_it(module: str) -> None:
    assert not loaded_after(f"import {module}") & {"torch", "onnx", "onnxruntime", "ai_edge_litert", "picamera2", "export"}


def test_every_runtime_is_described_where_none_is_installed() -> None:
    block = "import sys\nfor m in ('onnxruntime', 'ai_edge_litert', 'tflite_runtime', 'onnx'): sys.modules[m] = None\n"
    ask = "from edge.backends import every_runtime; print([(r.install, r.available()) for r in every_runtime().values()])"
    done = subprocess.run([sys.executable, "-c", block + ask], capture_output=True, text=True, check=False, cwd=ROOT)
    assert done.stdout.startswith("[('onnxruntime>=1.20', ()), ('ai-edge-litert>=2.0', "), done.stderr


def test_the_help_works_without_the_extras() -> None:
    """On a camera neither torch, onnx nor psutil is installed, and every command still explains itself."""
    block = (
        "import sys\nfor m in ('torch', 'onnx', 'psutil', 'skimage', 'ai_edge_litert', 'onnxruntime'): sys.modules[m] = None\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", block + "from edge.cli import main; raise SystemExit(main(['--help']))"],
        capture_output=True,
        text=True,
        check=False,
        cwd=ROOT,
    )
    assert done.returncode == 0, done.stderr


def test_import_walls() -> None:
    pytest.importorskip("importlinter")
    lint = Path(sys.executable).with_name("lint-imports")
    done = subprocess.run([str(lint), "--no-cache"], capture_output=True, text=True, check=False, cwd=ROOT)
    assert done.returncode == 0, done.stdout + done.stderr


def imports_of(path: Path, modules: set[str]) -> set[str]:
    """The modules of ours that a file imports anywhere in it: for types and inside functions as well."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.module:
            whole = {f"{node.module}.{name.name}" for name in node.names}
            found |= whole & modules or {node.module} & modules
        elif isinstance(node, ast.Import):
            found |= {name.name for name in node.names} & modules
    return found


@pytest.mark.parametrize("package", ["edge", "export", "benchmarks"])
def test_no_modules_import_each_other_in_a_circle(package: str) -> None:
    files = {".".join(path.relative_to(ROOT).with_suffix("").parts): path for path in (ROOT / package).rglob("*.py")}
    files = {name.removesuffix(".__init__"): path for name, path in files.items()}
    order = graphlib.TopologicalSorter({name: imports_of(path, set(files)) - {name} for name, path in files.items()})
    assert len(files) > 50
    order.prepare()  # raises CycleError with the circle


def test_what_tests_share_stands_in_the_fakes() -> None:
    """A test that imports from a folder of tests runs the other file's skips and moves with it."""
    files = sorted((ROOT / "tests").rglob("*.py"))
    assert len(files) > 100
    wrong = []
    for path in files:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            names = [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            names += [name.name for name in node.names] if isinstance(node, ast.Import) else []
            wrong += [f"{path.relative_to(ROOT)}: {name}" for name in names if name.startswith(TEST_FOLDERS)]
    assert not wrong


def branches_on_a_task(code: str) -> Iterator[int]:
    """Lines that ask which task it is: comparisons with a task's name, alone or among others, its case of a match, its key of a dict."""
    names = set(get_args(TaskName))

    def named(node: ast.expr | None) -> bool:
        if isinstance(node, ast.Tuple | ast.List | ast.Set):
            return any(map(named, node.elts))
        return isinstance(node, ast.Constant) and node.value in names

    for node in ast.walk(ast.parse(code)):
        asks = (
            (isinstance(node, ast.Compare) and any(map(named, [node.left, *node.comparators])))
            or (isinstance(node, ast.MatchValue) and named(node.value))
            or (isinstance(node, ast.Dict) and any(map(named, node.keys)))
        )
        if asks:
            yield node.value.lineno if isinstance(node, ast.MatchValue) else node.lineno


@pytest.mark.parametrize(
    "code",
    [
        'x = 1 if task == "embed" else 2',
        'x = "classify" != model.task',
        'x = task in ("detect", "embed")',
        'match task:\n    case "classify":\n        x = 1',
        'x = {"embed": 1, "classify": 2}[task]',
    ],
)
def test_a_branch_on_a_task_is_seen(code: str) -> None:
    assert list(branches_on_a_task(code))


def test_a_tasks_name_alone_is_no_branch() -> None:
    assert not list(branches_on_a_task('task: str = "embed"\nx = name == "embedding"\ny = Model(task="classify")'))


@pytest.mark.parametrize("package", ["edge", "export", "benchmarks"])
def test_a_tasks_name_is_compared_in_its_own_module_only(package: str) -> None:
    files = [path for path in (ROOT / package).rglob("*.py") if ROOT / package / "tasks" not in path.parents]
    assert len(files) > 50
    found = [f"{path.relative_to(ROOT)}:{line}" for path in files for line in branches_on_a_task(path.read_text("utf-8"))]
    assert not found, "ask the task instead: edge/tasks and export/tasks have a module for each"
