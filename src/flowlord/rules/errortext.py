"""What is the same about errors that differ in an id, a number, a time or a path: for lists and for alerts alike."""

from __future__ import annotations

import re

LONGEST = 300
"""Characters of a folded text; what lies behind seldom tells two errors apart."""
_LOOKED_AT = 2_000

_PATTERN = re.compile(
    r"""
    (?P<kept>\b[A-Z]{1,10}-?[0-9]{1,6}\b            # ORA-00942, E1234: names of errors
        |(?i:\b(?:http|status|code|errno|exit|signal)(?:\ code)?[ =:]{1,2}[0-9]{1,5}\b)
        |(?i:(?<![A-Za-z])(?:utf-?(?:8|16|32)|u?int(?:8|16|32|64|128)|float(?:16|32|64|128)|decimal(?:128|256)
            |sha-?(?:1|224|256|384|512)|base(?:32|64)|crc32c?|latin1|ipv[46]|x86|x64|amd64|arm64|win32|python[23])
            (?![0-9A-Za-z])))                       # utf8, int64: names of types, encodings, machines
    |(?P<PATH>(?<![A-Za-z0-9+.-])[A-Za-z][A-Za-z0-9+.-]{0,20}://[^\s'"<>|)\]}]+
        |(?<![\w/.#])\.{0,2}/[^\s'"<>|)\]}:,;]+)
    |(?P<TIME>\b[0-9]{4}-[0-9]{2}-[0-9]{2}
            (?:[T\ ][0-9]{2}(?::[0-9]{2}){0,2}(?:[.,][0-9]+)?(?:Z|[+-][0-9]{2}:?[0-9]{2})?)?
        |\b[0-9]{1,2}:[0-9]{2}:[0-9]{2}(?:[.,][0-9]+)?)
    |(?P<ID>\b[0-9A-Fa-f]{8}(?:-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}\b
        |\b0x[0-9A-Fa-f]+\b
        |\b(?=[a-fA-F]*[0-9])(?=[0-9]*[a-fA-F])[0-9A-Fa-f]{8,}\b
        |\b(?=[A-Za-z]*[0-9])(?=[0-9]*[A-Za-z])[0-9A-Za-z]{16,}\b)
    |(?P<number>(?:(?<![A-Za-z])[0-9]+
            |(?<=[A-Za-z])[0-9]{2,}                 # v12, users20260801
            |(?<=[a-z]{3})[0-9])                    # shard7, but s3, v2, db2 and HTTP2 stay
            (?:[.,][0-9]+)*)
    """,
    re.VERBOSE | re.ASCII,
)


def folded(text: str) -> str:
    """Return the first line of an error with what differs from case to case replaced: `row # of PATH`.

    Numbers become `#`, identifiers `ID`, times `TIME`, paths and addresses `PATH`. Digits right behind a letter are a
    number when they are two or more (`part00012`), or when three small letters stand before the only one (`shard7`,
    not `s3`, `v2`). Names of errors (capitals and digits: `ORA-00942`, `HTTP2`), of types and encodings (`int64`,
    `utf8`), and the codes of HTTP, of exits and signals stay. At most LONGEST characters.
    """
    line = next((line for line in text[:_LOOKED_AT].splitlines() if line.strip()), "")
    found = " ".join(_PATTERN.sub(_placeholder, line).split())
    if len(found) > LONGEST:  # what the cut leaves of a name may be a number: `int1` of `int16`
        found = _PATTERN.sub(_placeholder, found[:LONGEST])
    return found[:LONGEST].rstrip()


def _placeholder(found: re.Match[str]) -> str:
    match found.lastgroup:
        case "kept":
            return found[0]
        case "number":
            return "#"
        case name:
            return str(name)
