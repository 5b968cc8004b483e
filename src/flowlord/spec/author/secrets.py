"""Secrets, which should not stand in a file: everybody reads it, and logs and tasks repeat it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from flowlord.spec.author.advice import Advice
from flowlord.spec.document import Finding, Path

_DEEPEST: Final = 8
# What a secret looks like; each alternative names what it found.
_ADDRESS: Final = re.compile(
    r"(?<![a-z0-9+.-])[a-z][a-z0-9+.-]*+://[^\s/?#@:{}\"'<>$]*:(?P<password>[^\s/?#@{}\"'<>$*]{3,})@",
    re.ASCII,
)
_ISSUED: Final = re.compile(
    r"(?P<key>\b(?:AKIA|ASIA)[0-9A-Z]{16}\b)"
    r"|(?P<token>\bgh[pousr]_[0-9A-Za-z]{30,}|\bglpat-[0-9A-Za-z_-]{20,}|\bxox[abprs]-[0-9A-Za-z-]{10,}"
    r"|\bAIza[0-9A-Za-z_-]{35}|\bsk_live_[0-9A-Za-z]{16,}"
    r"|(?<![0-9A-Za-z_-])eyJ[0-9A-Za-z_-]{10,}+\.eyJ[0-9A-Za-z_-]{10,}\.[0-9A-Za-z_-]{10,})"
    r"|hooks\.slack\.com/services/(?P<hook>T[0-9A-Z]+/B[0-9A-Z]+/[0-9A-Za-z]+)"
    r"|(?P<private>-----BEGIN [A-Z ]*PRIVATE KEY-----)",
    re.ASCII,
)
# Names behind which a secret stands, whatever it looks like, when they are a whole word and = follows.
_GIVEN_AS: Final = frozenset((
    "password", "passwd", "pwd", "secret", "client_secret", "secret_key", "secret_access_key", "aws_secret_key",
    "aws_secret_access_key", "api_key", "apikey", "access_token", "accesstoken", "auth_token", "authtoken",
    "sig", "signature",
))  # fmt: skip
# And those whose values are often something else: what stands there must look like a secret, as behind longer names.
_PERHAPS_AS: Final = frozenset(
    ("token", "access_key", "account_key", "accountkey", "private_key", "bearer", "api-key", "access-key")
)
# Looked for in small letters. It begins with a letter that can be looked for: what stands in front is looked at later.
_NAMED: Final = re.compile(
    f"({'|'.join(sorted(_GIVEN_AS | _PERHAPS_AS))})"
    r"(?:\\?[\"']?[ ]{0,3}([=:])[ ]{0,3}\\?[\"']?|(?<=bearer)[ ]+)",
    re.ASCII,
)
_KEY: Final = re.compile(
    rf"(?i)(?:.*[_-])?(?:{'|'.join(sorted(_GIVEN_AS | _PERHAPS_AS - {'bearer'}))})|\w*passw(?:or)?d"
)
_LONGEST_KEY: Final = 64
_ENDS_ANY: Final = ("password", "passwd")  # these end a name of one word, too, as in PGPASSWORD
_LETTERS: Final = frozenset("abcdefghijklmnopqrstuvwxyz0123456789")
_OF_WORDS: Final = _LETTERS | frozenset("_.-")
# Looked for behind such a name alone: of what stands behind others, a part may be a secret again.
_VALUE: Final = re.compile(r"[^&#\s{}<>$*\"'\\]{6,}")
_VALUE_BEGINS: Final = re.compile(r"[^&#\s{}<>$*\"'\\]{6,64}")
_ITEM: Final = re.compile(r"[^&#\s{}<>$*\"'\\,|;]{6,}")  # in lists, as those of meta are
_ITEM_BEGINS: Final = re.compile(r"[^&#\s{}<>$*\"'\\,|;]{6,64}")
# env:PW, vault:x/y, arn:aws:…: where the secret is, and not what it is.
_REFERENCE: Final = re.compile(r"[a-z]{1,16}:")
# Where a word of six and more begins in which letters and digits are mixed.
_MIXED: Final = re.compile(
    r"(?<![0-9A-Za-z])(?=[0-9A-Za-z]{6})(?=[A-Za-z]*[0-9])(?=[0-9]*[A-Za-z])", re.ASCII
)
# One of these is in every text that holds a secret: asked first, for nearly no file has one.
_SIGNS: Final = (
    "akia", "asia", "ghp_", "gho_", "ghu_", "ghs_", "ghr_", "glpat-", "xox", "aiza", "sk_live_", "eyj",
    "hooks.slack.com", "private", "pass", "pwd", "secret", "key", "token", "sig", "bearer",
)  # fmt: skip
# With what the alternatives above begin, behind what they only look back at, and a rare letter of each: that one of
# them is not in a text is known in a tenth of the time.
_OF_ISSUED: Final = (
    ("AKIA", "K"), ("ASIA", "I"), ("ghp_", "_"), ("gho_", "_"), ("ghu_", "_"), ("ghs_", "_"), ("ghr_", "_"),
    ("glpat-", "-"), ("xox", "x"), ("AIza", "I"), ("sk_live_", "_"), ("eyJ", "J"), ("hooks.slack.com/services/", "."),
    ("-----BEGIN ", "B"),
)  # fmt: skip
_OF_GIVEN: Final = ("passw", "pwd", "secret", "key", "token", "sig", "bearer")
_CREDENTIALS: Final = re.compile(r"://[^\s/]*@")
# What stands behind the scheme of such an address: looked for first, for it begins with a text and not with any letter.
_AUTHORITY: Final = re.compile(r"://[^\s/?#@:{}\"'<>$]*:[^\s/?#@{}\"'<>$*]{3,}@")
_NAMES: Final = {
    "password": "a password",
    "key": "an access key",
    "token": "a token",
    "hook": "the address of a web hook",
    "private": "a private key",
    "value": "a secret",
}


def check(advice: Advice) -> None:
    """Tell the secrets of a file."""
    source = advice.document.source.text
    if _may_hold_secrets(source):
        # An escape may stand for a letter of a sign.
        issued = "\\" in source or any(sign in source for sign, _ in _OF_ISSUED)
        for item in advice.document.items:
            for path, value in _texts(item.path, item.value, 0):
                for kind, start, end in _secrets(value, issued=issued, key=str(path[-1])):
                    text = f"{_NAMES[kind]} stands here for everybody who reads this file, a log or a task"
                    hint = "let the worker take it from its environment"
                    advice.examined.findings.add(Finding("FL080", path, text, hint, False, start, end))


def _may_hold_secrets(text: str) -> bool:
    """Tell whether one of the values of a file may hold a secret, by a look at the text as a whole.

    A value stands in it as it is unless it has escapes, for no secret goes over a line's end.
    """
    low = text.lower()
    if "\\" in text:
        return any(sign in low for sign in _SIGNS) or _CREDENTIALS.search(text) is not None
    return (
        any(True for _ in _issued(text))
        or _AUTHORITY.search(text) is not None
        or (any(sign in low for sign in _OF_GIVEN) and any(True for _ in _given(text)))
    )


def _secrets(text: str, *, issued: bool = True, key: str = "") -> list[tuple[str, int, int]]:
    """Return kind and place of each secret in a text, in their order; what lies in another one is left out.

    Args:
        issued: whether the file holds the sign of a secret that somebody issued: for nearly none does.
        key: of the text, where it has one in a table.
    """
    found: list[tuple[int, int, str]] = []
    if "://" in text:
        found += [(*each.span("password"), "password") for each in _ADDRESS.finditer(text)]
    if issued:
        found += _issued(text)
    if len(key) <= _LONGEST_KEY and _KEY.fullmatch(key):
        found += [(*span, "value") for span in _value(text, 0, surely=False)]
    found += [(*span, "value") for span in _given(text)]
    found.sort()
    told: list[tuple[str, int, int]] = []
    reached = 0
    for start, end, kind in found:
        if start >= reached:
            told.append((kind, start, end))
            reached = end
    return told


def _issued(text: str) -> Iterator[tuple[int, int, str]]:
    """Yield where something that somebody issued stands, and its kind; looks only where one begins."""
    for sign, rare in _OF_ISSUED:
        at = text.find(sign) if rare in text else -1
        while at >= 0:
            each = _ISSUED.match(text, at)
            if each:
                kind = each.lastgroup or "token"
                yield *each.span(kind), kind
            at = text.find(sign, each.end() if each else at + 1)


def _given(text: str) -> Iterator[tuple[int, int]]:
    """Yield where the values of parameters stand that are named as secrets are, also within that of another one."""
    low = text.lower()
    if len(low) != len(text):  # a letter of which the small one is two
        low = text
    reached = 0
    for each in _NAMED.finditer(low):
        start, name = each.start(), each[1]
        before = low[start - 1] if start else ""
        if each.end() < reached or (before in _LETTERS and name not in _ENDS_ANY):
            continue
        surely = each[2] == "=" and before not in _OF_WORDS and name in _GIVEN_AS
        for span in _value(text, each.end(), surely=surely, in_list=each[2] == ":"):
            reached = span[1]
            yield span


def _value(text: str, at: int, *, surely: bool, in_list: bool = False) -> Iterator[tuple[int, int]]:
    """Yield where the value stands that begins at a place, if it is a secret.

    Args:
        surely: whatever it looks like; else letters and digits are mixed in it.
        in_list: whether a comma ends it.
    """
    if _REFERENCE.match(text, at):
        return
    if not surely:  # what is none may hold the next name, so that not all of it may be looked at
        begins = (_ITEM_BEGINS if in_list else _VALUE_BEGINS).match(text, at)
        if not begins or not _MIXED.search(begins[0]):
            return
    if value := (_ITEM if in_list else _VALUE).match(text, at):
        yield value.span()


def _texts(path: Path, value: object, depth: int) -> Iterator[tuple[Path, str]]:
    if isinstance(value, str):
        yield path, value
    elif isinstance(value, dict) and depth < _DEEPEST:
        for key, each in value.items():
            yield from _texts((*path, key), each, depth + 1)
    elif isinstance(value, list) and depth < _DEEPEST:
        for number, each in enumerate(value):
            yield from _texts((*path, number), each, depth + 1)
