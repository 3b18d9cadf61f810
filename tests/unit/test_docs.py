"""What the documentation names is there: files, and the tests that stand beside a claim."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path

import pytest

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


@pytest.mark.parametrize(("page", "files_over", "tests_over"), [("docs/security.md", 20, 0), ("docs/testing.md", 8, -1)])
def test_a_page_names_only_files_and_tests_that_are_there(page: str, files_over: int, tests_over: int) -> None:
    quoted = QUOTED.findall((ROOT / page).read_text(encoding="utf-8"))
    files = [text for text in quoted if re.fullmatch(r"[\w@.-]+(/[\w@.-]+)+", text) and Path(text).suffix]
    assert len(files) > files_over
    assert [text for text in files if not (ROOT / text).exists()] == []
    tests = [text for text in quoted if re.fullmatch(r"test_\w+", text)]
    assert len(tests) > tests_over
    assert [text for text in tests if text not in known_tests()] == []
    assert [text for text in quoted if re.fullmatch(r"[\w-]+\.py", text)] == [], "a file is named by its whole path"
