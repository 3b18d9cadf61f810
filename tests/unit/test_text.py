"""Text of strangers on terminals, in logs, in JSON and in spreadsheets."""

from __future__ import annotations

import csv
import io
import json
import logging
import sys
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge import console
from edge.text import csv_cell, csv_line, from_csv_cell, has_control, json_text, printable, remember_secret, safe_text

HOSTILE = [
    "\x1b]52;c;ZXZpbA==\x07",
    "\x1b[2J\x1b[1;1H",
    "\x9b31m",
    "\x90q\x9c",
    "\x07\x08\x0b\x0c",
    "a\rb",
    "a\nb",
    "a\tb",
    "\x00",
    "\x7f",
    "\x85",
    "\u202eevil\u202c",
    "\u2066x\u2069",
    "\u200e\u200f\u061c",
    "\u200bx\ufeff",
    "\u2028\u2029",
    "\u2060\u2064",
    "\ufff9\ufffb",
    "\U000e0041\U000e007f",
    "\ud800",
    "\udc80",
    "\u034f\u3164\u115f\uffa0",
    "\U000e0100",
]


@pytest.mark.parametrize("text", HOSTILE)
def test_control_characters_are_escaped_and_found(text: str) -> None:
    shown = printable(text)
    assert has_control(text)
    assert shown.isascii() or not any(unicodedata.category(c).startswith("C") for c in shown)
    assert "\\" in shown
    assert "\x1b" not in shown


@pytest.mark.parametrize(
    "text",
    ["", "Tomato Paste", "Bœuf : 5\u202f% d’ail", "日本語", "می", "🙂", "❤\ufe0f", "C:\\x", "100\xa0g", "[/x] :smile: %s {0}"],
)
def test_what_people_write_stays(text: str) -> None:
    assert printable(text) == text
    assert not has_control(text)


def test_joiners_that_scripts_need_are_no_control_characters() -> None:
    assert not has_control("می\u200cخواهم 👩\u200d🍳")


@given(st.text(st.characters()))
def test_nothing_printed_can_be_obeyed(text: str) -> None:
    shown = printable(text)
    assert not any(unicodedata.category(c) in ("Cc", "Cf", "Cs", "Zl", "Zp") for c in shown)
    assert printable(shown) == shown
    shown.encode("utf-8")


def test_a_limit_cuts_and_says_so() -> None:
    assert safe_text("x" * 500, limit=10) == "xxxxxxxxx…"


@given(st.dictionaries(st.text(), st.text()))
def test_json_says_the_same_and_a_terminal_obeys_none_of_it(data: dict[str, str]) -> None:
    encoded = json.dumps(data, ensure_ascii=False).encode("utf-8", "surrogatepass")
    if any("\ud800" <= c <= "\udfff" for c in json.dumps(data, ensure_ascii=False)):
        return  # no UTF-8, so no encoder of ours makes it
    safe = json_text(encoded)
    assert json.loads(safe) == data
    assert printable(safe.decode()) == safe.decode()


FORMULAS = [
    '=HYPERLINK("http://x","y")',
    "+1+cmd|' /C calc'!A0",
    "-2+3",
    "@SUM(A1)",
    "\t=1",
    "\r=1",
    "\n=1",
    "\t",
    "  =1+1",
    "\xa0=1",
    "\u3000=1",
    '"=1',
    "'=1",
    "''=1",
    "\u200b=1",
    "\ufeff=1",
    "＝1",
    "＋1+1",
    "－1+1",
    "＠x",
    "\ufe66=1",
    "\u2212x",
    "-",
    "=",
    "+",
    "@",
    "-1e",
]


@pytest.mark.parametrize("text", FORMULAS)
def test_a_cell_that_begins_like_a_formula_is_marked_as_text(text: str) -> None:
    cell = csv_cell(text)
    assert cell == f"'{text}"
    assert from_csv_cell(cell) == text


@pytest.mark.parametrize("value", [3, -2.5, 1e-9, "-0.5", "+3", "-1e-5", "12%", "-.5", True])
def test_numbers_stay_numbers(value: object) -> None:
    assert csv_cell(value) == str(value)


def test_other_text_stays_and_nothing_is_an_empty_cell() -> None:
    assert [csv_cell(cell) for cell in ("milk", "a=b", "x-y", "'tis", "", None)] == ["milk", "a=b", "x-y", "'tis", "", ""]


def test_separators_of_other_countries_split_no_cell() -> None:
    assert csv_line(["a;=1+1", "b\t=2", "c|=3", 4]) == '"a;=1+1","b\t=2","c|=3",4\n'


@given(st.lists(st.text(st.characters(exclude_characters="\0", exclude_categories=("Cs",))), min_size=2))
def test_a_line_is_read_back_as_it_was(cells: list[str]) -> None:
    (row,) = csv.reader(io.StringIO(csv_line(cells), newline=""))
    assert list(map(from_csv_cell, row)) == cells


def test_a_log_line_is_one_line_and_holds_no_secret() -> None:
    remember_secret("hush-hush-77")
    formatter = console.LogFormatter("%(levelname)s %(name)s: %(message)s")
    try:
        raise ValueError("no\x1b[31m hush-hush-77")
    except ValueError:
        record = logging.LogRecord(
            "a", logging.WARNING, "f", 1, "%s", ("x\nERROR root: forged \u202e hush-hush-77",), sys.exc_info()
        )
    said = formatter.format(record).splitlines()
    assert said[0] == r"WARNING a: x\nERROR root: forged \u202e ***"
    assert said[1] == "Traceback (most recent call last):"
    assert said[-1] == r"ValueError: no\x1b[31m ***"


MARKUP = "[/x] [link=http://x]y[/link] [red] :smile: 100% {0} {name} %s \x1b]52;c;x\x07"


def test_consoles_show_text_as_it_is(capsys: pytest.CaptureFixture[str]) -> None:
    shown = printable(MARKUP)
    console.stdout().print(MARKUP, soft_wrap=True)
    console.stderr().print(MARKUP, style="bold", soft_wrap=True, markup=True, emoji=True)
    console.stdout().print(console.styled(MARKUP, "bold"), MARKUP, soft_wrap=True)
    console.print_line(MARKUP)
    console.print_error(MARKUP)
    said = capsys.readouterr()
    assert said.out == f"{shown}\n{shown} {shown}\n{shown}\n"
    assert said.err == f"{shown}\n{shown}\n"


def test_tables_and_json_show_text_as_it_is(capsys: pytest.CaptureFixture[str]) -> None:
    console.print_table(MARKUP, [MARKUP[:3], ">n"], [(MARKUP, 1)], console=console.wide(200))
    out = capsys.readouterr().out
    assert out.count(printable(MARKUP)) == 2
    assert "\x1b" not in out
    console.print_json({"a": MARKUP + "\x9b\u202e", "b": ["\udce9"]})
    out = capsys.readouterr().out
    assert json.loads(out) == {"a": MARKUP + "\x9b\u202e", "b": ["\udce9"]}
    assert printable(out, keep="\n") == out
