"""From a document to a draft: every comment finds the key that it stands over or beside."""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, NamedTuple

from flowlord.spec.document import TABLES, Document, Node, Path
from flowlord.spec.draft import Draft, DraftPhase, Entry

# A string or a comment of TOML; strings of valid text are closed.
_TOML: Final = re.compile(
    r'''"""(?:[^"\\]++|\\.|"{1,2}(?!"))*+"{3,5}'''
    r"|'''(?:[^']++|'{1,2}(?!'))*+'{3,5}"
    r'''|"(?:[^"\\\n]++|\\.)*+"'''
    r"|'[^'\n]*+'|(#[^\n]*+)",
    re.DOTALL,
)
_BREAKS: Final = "\n\r\x85\u2028\u2029"  # what ends a line of YAML
_YAML: Final = re.compile(f"(?:^|(?<=[ \t{_BREAKS}]))#[^{_BREAKS}]*")


class _Comment(NamedTuple):
    text: str  # without its `#`
    start: int
    alone: bool  # nothing but blanks stands in front of it


@dataclass(slots=True)
class _Anchor:
    """A key, or the head of a phase: what a comment may belong to. `end` is that of its value."""

    start: int
    end: int
    above: list[str]
    entry: Entry | None


def draft_of(document: Document, *, yaml: bool) -> Draft:
    """Return what a document says, in the order of the file, with its comments."""
    draft = Draft()
    anchors: list[_Anchor] = []
    for key, value in document.data.items():
        if key.lower() in TABLES and isinstance(value, list):
            if yaml:  # the line `phases:` itself
                node = document.node((key,))
                anchors.append(_Anchor(node.key, node.key_end, draft.head, None))
            continue
        draft.others.append(_entry(document, key, value, (key,), anchors, deep=False))
    for item in document.items:
        phase = DraftPhase()
        draft.phases.append(phase)
        node = document.node(item.path)
        anchors.append(_Anchor(node.start, node.start if yaml else node.end, phase.above, None))
        assert isinstance(item.value, dict)  # a file with anything else is broken
        for key, value in item.value.items():
            phase.entries.append(_entry(document, key, value, (*item.path, key), anchors, deep=True))
    anchors.sort(key=lambda anchor: anchor.start)  # stable: the head of a phase comes before its first key
    comments = _yaml_comments(document) if yaml else _toml_comments(document.source.text)
    _attach(list(comments), anchors, draft, document.source.text)
    return draft


def _entry(
    document: Document, key: str, value: object, path: Path, anchors: list[_Anchor], *, deep: bool
) -> Entry:
    node = document.node(path)
    entry = Entry(key, value)
    anchors.append(_Anchor(node.key, _end(node), entry.above, entry))
    if deep and isinstance(value, dict):
        entry.inside = [
            _entry(document, name, each, (*path, name), anchors, deep=False) for name, each in value.items()
        ]
    return entry


def _end(node: Node) -> int:
    """Where the value of a key ends; a table made by a header ends with its header."""
    return max(node.end, node.key_end)


def _attach(comments: list[_Comment], anchors: list[_Anchor], draft: Draft, text: str) -> None:
    """Give each comment to a key: beside it, inside its value or over it; over the first phase a blank line parts."""
    starts = [anchor.start for anchor in anchors]
    head_ends = _last_blank(text, starts[0]) if starts else len(text)
    for comment in comments:
        at = bisect_right(starts, comment.start)
        before = anchors[at - 1] if at else None
        if before is not None and before.start <= comment.start < before.end:
            before.above.append(comment.text)  # inside of a list or a table
        elif not comment.alone and before is not None:
            _beside(before, comment)
        elif at < len(anchors):
            (draft.head if comment.start < head_ends else anchors[at].above).append(comment.text)
        else:
            draft.tail.append(comment.text)


def _beside(anchor: _Anchor, comment: _Comment) -> None:
    if anchor.entry is None or anchor.entry.beside:
        anchor.above.append(comment.text)
    else:
        anchor.entry.beside = comment.text


def _last_blank(text: str, until: int) -> int:
    """Return where the last empty line in front of `until` stands; 0 when there is none."""
    lines = text[:until].split("\n")
    at = until
    for line in reversed(lines[:-1]):
        at -= len(line) + 1
        if not line.strip():
            return at
    return 0


def _toml_comments(text: str) -> Iterator[_Comment]:
    for found in _TOML.finditer(text):
        if found[1]:
            yield _comment(text, found.start(1), found.end(1))


def _yaml_comments(document: Document) -> Iterator[_Comment]:
    """Yield what begins with `#` after a blank and is no part of a key or a value."""
    text = document.source.text
    spans = sorted(_spans(document.root))
    starts = [start for start, _ in spans]
    found = _YAML.search(text)
    while found is not None:
        at = bisect_right(starts, found.start())
        end = spans[at - 1][1] if at else 0
        if end > found.start():  # it is a part of words; what stands behind them may be a comment
            found = _YAML.search(text, end)
        else:
            yield _comment(text, found.start(), found.end())
            found = _YAML.search(text, found.end())


def _spans(node: Node) -> Iterator[tuple[int, int]]:
    """Yield where the words of a document stand: keys, and values that hold nothing further."""
    open_ = [node]
    while open_:
        each = open_.pop()
        if each.key_end > each.key:
            yield each.key, each.key_end
        if isinstance(each.inside, dict):
            open_ += each.inside.values()
        elif isinstance(each.inside, list):
            open_ += each.inside
        else:
            yield each.start, each.end


def _comment(text: str, start: int, end: int) -> _Comment:
    line = text.rfind("\n", 0, start) + 1
    return _Comment(text[start + 1 : end].rstrip(), start, not text[line:start].strip())
