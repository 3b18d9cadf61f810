"""What the documentation names is there: files, commands, and the tests that stand beside a claim. `make docs` checks its links."""

from __future__ import annotations

import re
import shlex
from functools import cache
from pathlib import Path

import msgspec
import pytest

from edge.cli import build_app
from edge.config import DeviceConfig
from edge.data import ShelfEvent

ROOT = Path(__file__).resolve().parents[2]
QUOTED = re.compile(r"`([^`\n]+)`")


@cache
def known_tests() -> set[str]:
    """Of every test function."""
    return {
        name
        for path in (ROOT / "tests").rglob("test_*.py")
        for name in re.findall(r"^\s*(?:async )?def (test_\w+)", path.read_text(encoding="utf-8"), flags=re.MULTILINE)
    }


@pytest.mark.parametrize(
    ("page", "files_over", "tests_over"), [("docs/explanation/security.md", 20, 0), ("docs/testing.md", 8, -1)]
)
def test_a_page_names_only_files_and_tests_that_are_there(page: str, files_over: int, tests_over: int) -> None:
    quoted = QUOTED.findall((ROOT / page).read_text(encoding="utf-8"))
    files = [text for text in quoted if re.fullmatch(r"[\w@.-]+(/[\w@.-]+)+", text) and Path(text).suffix]
    assert len(files) > files_over
    assert [text for text in files if not (ROOT / text).exists()] == []
    tests = [text for text in quoted if re.fullmatch(r"test_\w+", text)]
    assert len(tests) > tests_over
    assert [text for text in tests if text not in known_tests()] == []
    assert [text for text in quoted if re.fullmatch(r"[\w-]+\.py", text)] == [], "a file is named by its whole path"


PAGES = ["README.md", "CONTRIBUTING.md", *(str(path.relative_to(ROOT)) for path in sorted((ROOT / "docs").rglob("*.md")))]
BLOCK = re.compile(r"^```sh\n(.*?)^```$", re.DOTALL | re.MULTILINE)
LEFT_OUT = "…"
"""Stands for words that the reader adds."""


def commands_of(page: str) -> list[list[str]]:
    """The lines of its shell blocks, as words."""
    text = "\n".join(BLOCK.findall((ROOT / page).read_text(encoding="utf-8"))).replace("\\\n", " ")
    lines = [part for line in text.splitlines() for part in re.split(r" && | \| ", line)]
    return [words for line in lines if LEFT_OUT not in line and (words := shlex.split(line, comments=True))]


def without_what_runs_it(words: list[str]) -> list[str]:
    """``sudo``, variables and the folder of an environment are the shell's."""
    while words and (words[0] == "sudo" or re.fullmatch(r"[A-Z_]+=.*", words[0])):
        words = words[1:]
    return [words[0].rpartition("/")[2], *words[1:]] if words else []


@pytest.mark.parametrize("page", PAGES)
def test_every_command_of_a_page_is_understood(page: str) -> None:
    app = build_app()
    targets = set(re.findall(r"^([\w-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), flags=re.MULTILINE))
    for words in map(without_what_runs_it, commands_of(page)):
        if words[:1] == ["shelfcam"]:
            app.parse_args(words[1:], exit_on_error=False, print_error=False)
        elif words[:1] == ["make"]:
            assert {word for word in words[1:] if "=" not in word and not word.startswith("-")} <= targets, words


def test_the_commands_are_found_and_a_wrong_one_would_be_noticed() -> None:
    found = [words for page in PAGES for words in map(without_what_runs_it, commands_of(page))]
    assert sum(words[0] == "shelfcam" for words in found) > 50
    with pytest.raises(Exception, match="--nonsense"):
        build_app().parse_args(["run", "--nonsense"], exit_on_error=False, print_error=False)


def test_the_readme_fits_on_two_screens() -> None:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    assert len(text.encode()) <= 6_000
    links = [link for link in re.findall(r"\]\(([^)#]+)\)", text) if "://" not in link]
    assert len(links) > 10
    assert [link for link in links if not (ROOT / link).exists()] == []


def test_what_an_error_says_to_install_is_what_the_project_asks_for() -> None:
    """The libraries themselves: the project's own name is on no index."""
    project = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    said = {
        requirement
        for folder in ("edge", "export", "benchmarks", "systemd")
        for path in (ROOT / folder).rglob("*")
        if path.suffix in (".py", ".toml", ".service")
        for requirement in re.findall(r"pip install '([\w-]+[><=\[][^']*)'", path.read_text(encoding="utf-8"))
    }
    assert len(said) > 5
    assert {requirement for requirement in said if f'"{requirement}"' not in project} == set()


def keys_of(kind: object, found: dict[str, set[str]] | None = None) -> dict[str, set[str]]:
    """Struct by name → its keys, of a struct and of all that its fields hold."""
    found = {} if found is None else found
    info = msgspec.inspect.type_info(kind)
    todo = [info]
    while todo:
        at = todo.pop()
        if isinstance(at, msgspec.inspect.StructType):
            if at.cls.__name__ not in found:
                found[at.cls.__name__] = {field.encode_name for field in at.fields}
                todo += [field.type for field in at.fields]
        else:
            todo += [*getattr(at, "types", ()), *getattr(at, "item_types", ())]
            todo += [inner for name in ("item_type", "type") if (inner := getattr(at, name, None)) is not None]
    return found


@pytest.mark.parametrize(("page", "kind"), [("configuration", DeviceConfig), ("events", ShelfEvent)])
def test_the_reference_has_every_key(page: str, kind: type) -> None:
    text = (ROOT / f"docs/reference/{page}.md").read_text(encoding="utf-8")
    found = keys_of(kind)
    if kind is DeviceConfig:
        assert {"SlotConfig", "MqttConfig", "WebhookConfig"} <= set(found)
    keys = set().union(*found.values())
    assert len(keys) > 12
    assert (
        sorted(key for key in keys if f"`{key}`" not in text and f"`[{key}]`" not in text and f"`[[{key}]]`" not in text) == []
    )
