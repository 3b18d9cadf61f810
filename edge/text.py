"""Text that strangers wrote (labels, file names, what servers answer), made fit for terminals, logs, JSON and spreadsheets.

Whatever is shown to people or said in an error passes ``safe_text``: it hides every secret that this process knows, and escapes every
character that a terminal could obey or that would show a text other than it is.
"""

from __future__ import annotations

import re
import threading
import unicodedata
from collections.abc import Iterable

HIDDEN = "***"
"""What stands in the place of a secret."""

_MOST_SECRETS = 2_000  # that are remembered at once; the oldest go first
_FEWEST_LETTERS = 4  # shorter ones would blank out half of every text, and hide nothing that can be guessed in seconds
_WORDS = frozenset(("camera", "password", "passwd", "secret", "service", "shelfcam", "stream", "token"))
"""Of our own messages: as passwords they are what everybody tries first."""
# Shown as nothing at all, though Unicode calls them letters, marks or symbols.
_BLANK = re.compile("[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u2800\u3164\ufe00-\ufe0d\uffa0\U000e0100-\U000e01ef]")
_JOINERS = "\u00ad\u200c\u200d"  # soft hyphen; what Persian and Hindi words and families of emoji are written with
_FORMULA = frozenset("=+-@\u2212")  # and what becomes one of them: full-width and small forms
_QUOTES = frozenset("'\"`\u2018\u2019\u201c\u201d\u00ab\u00bb")
_NUMBER = re.compile(r"[+-]?([0-9]+(\.[0-9]*)?|\.[0-9]+)([eE][+-]?[0-9]+)?%?")
_PLAIN_CELL = re.compile(r"[^\s,;|\"']([^,;|\"'\t\r\n\v\f]*[^\s,;|\"'])?")


def printable(text: str, *, keep: str = "") -> str:
    """``text`` with each character that is not simply seen written as an escape, ``\\x1b`` or ``\\u202e``.

    Escaped are control characters (C0, DEL, C1, so every escape sequence), what turns the direction of writing, zero-width and invisible
    characters, line and paragraph separators, lone surrogates, private and unassigned code points. Spaces of every width stay.

    Args:
        text: anything.
        keep: characters that stay all the same, such as the line breaks of one's own text.
    """
    if text.isascii() and text.isprintable():
        return text
    return "".join(c if c in keep or _is_seen(c) else c.encode("unicode_escape").decode("ascii") for c in text)


def has_control(text: str) -> bool:
    """Whether ``text`` holds what no name or label needs: control characters, invisible ones, line separators, lone surrogates, or what
    turns the direction of writing. Joiners, which some scripts and emoji need, are none."""
    if text.isascii():
        return not text.isprintable()
    return any(
        c not in _JOINERS and (unicodedata.category(c) in ("Cc", "Cf", "Cs", "Zl", "Zp") or bool(_BLANK.match(c))) for c in text
    )


def safe_text(text: object, *, keep: str = "", limit: int | None = None) -> str:
    """What a library, a server or a file says, fit to be shown: ``scrub``, then ``printable``; cut to ``limit`` characters."""
    shown = printable(scrub(str(text)), keep=keep)
    return shown if limit is None or len(shown) <= limit else f"{shown[: limit - 1]}…"


def json_text(encoded: bytes) -> bytes:
    """UTF-8 JSON in which each character that ``printable`` would escape is a JSON escape; it says the same."""
    if encoded.isascii() and b"\x7f" not in encoded:
        return encoded
    text = encoded.decode("utf-8")
    return "".join(c if c == "\n" or _is_seen(c) else _json_escape(c) for c in text).encode("utf-8")


def csv_line(cells: Iterable[object], end: str = "\n") -> str:
    """One line of a CSV (RFC 4180): strings through ``csv_cell``, and quoted where any spreadsheet would split them."""
    return ",".join(map(_quoted, map(csv_cell, cells))) + end


def csv_cell(value: object) -> str:
    """A value as a cell that no spreadsheet takes for a formula: a string that could be one gets an apostrophe in front, as spreadsheets
    themselves mark text. Numbers stay numbers. ``from_csv_cell`` takes the apostrophe away."""
    text = "" if value is None else str(value)
    return f"'{text}" if isinstance(value, str) and _could_be_formula(text) else text


def from_csv_cell(cell: str) -> str:
    """What ``csv_cell`` made ``cell`` of."""
    return cell[1:] if cell.startswith("'") and _could_be_formula(cell[1:]) else cell


def remember_secret(*pieces: str) -> None:
    """Have ``scrub`` hide these from now on, also in the forms in which they travel; but not pieces under 4 characters or a few words that
    our own messages are made of."""
    with _LOCK:
        for piece in pieces:
            for form in _forms(piece):
                if len(form) >= _FEWEST_LETTERS and form not in _WORDS:
                    _SECRETS.pop(form, None)
                    _SECRETS[form] = None
        while len(_SECRETS) > _MOST_SECRETS:
            del _SECRETS[next(iter(_SECRETS))]
        _PATTERN[0] = None


def scrub(text: str) -> str:
    """``text`` with every secret that the process knows replaced by ``***``; one of letters alone only where it is a word of its own."""
    with _LOCK:
        if not _SECRETS:
            return text
        pattern = _PATTERN[0]
        if pattern is None:
            longest_first = sorted(_SECRETS, key=len, reverse=True)
            pattern = _PATTERN[0] = re.compile("|".join(map(_expression, longest_first)))
    return pattern.sub(HIDDEN, text)


_SECRETS: dict[str, None] = {}
_PATTERN: list[re.Pattern[str] | None] = [None]
_LOCK = threading.Lock()


def _forms(secret: str) -> set[str]:
    """A secret as it is, percent-encoded or decoded, and as Python and JSON write it in quotes."""
    from urllib.parse import quote, quote_plus, unquote

    forms = {secret, quote(secret, safe="", errors="replace"), quote(secret, errors="replace"), unquote(secret)}
    return forms | {quote_plus(secret, errors="replace"), repr(secret)[1:-1], secret.replace("\\", "\\\\").replace('"', '\\"')}


def _expression(secret: str) -> str:
    return rf"(?<![^\W\d]){secret}(?![^\W\d])" if secret.isalpha() else re.escape(secret)


def _is_seen(character: str) -> bool:
    if character.isprintable():
        return character < "\u034f" or not _BLANK.match(character)
    return unicodedata.category(character) == "Zs"


def _json_escape(character: str) -> str:
    units = character.encode("utf-16-be", "surrogatepass")
    return "".join(f"\\u{units[i]:02x}{units[i + 1]:02x}" for i in range(0, len(units), 2))


def _could_be_formula(text: str) -> bool:
    """Whether it begins like one, perhaps after what spreadsheets or people strip: spaces, quotes, invisible characters. Tabs and line
    breaks at the start count as formulas themselves: some programs begin a new cell there."""
    if _NUMBER.fullmatch(text):
        return False
    if text[:1] in ("\t", "\r", "\n", "\0"):
        return True
    for character in text:
        if character in _QUOTES or character.isspace() or not _is_seen(character):
            continue
        return any(c in _FORMULA for c in unicodedata.normalize("NFKC", character))
    return False


def _quoted(cell: str) -> str:
    return cell if not cell or _PLAIN_CELL.fullmatch(cell) else '"{}"'.format(cell.replace('"', '""'))
