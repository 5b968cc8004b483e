"""A notice in the form of Slack: blocks with a fallback, or attachments for receivers that are like it. No I/O in here.

Text of tasks is inert: it stands in code spans or plain text, with `&`, `<` and `>` written as entities, so that no
mention, link or format of it counts; limits of Slack are kept by naming fewer incidents and cutting long errors.
"""

from __future__ import annotations

import re
from typing import Any, Final

from flowlord.alert.plain import (
    SIGNS,
    and_more,
    columns_of,
    counted,
    cut,
    details,
    shown,
    text_of,
    titled,
    words,
)
from flowlord.alert.port import Line, Notice, Severity
from flowlord.model.inert import printable

Json = dict[str, Any]
COLORS: Final = {Severity.ERROR: "#c0202c", Severity.WARNING: "#daa038", Severity.INFO: "#2e9e5b"}
BLOCKS: Final = "blocks"
ATTACHMENTS: Final = "attachments"
_HEADER: Final = 150
_SECTION: Final = 3_000
_ATTACHMENT: Final = 12_000
_NAME, _ERROR, _DATES, _COMMAND, _LINK = 120, 400, 300, 300, 1_000
NOTHING: Final = "-"
_FALLBACK: Final = 4_000
_ENTITIES: Final = {"&": "&amp;", "<": "&lt;", ">": "&gt;"}
_LINKS: Final = re.compile(r"https?://[^\s<>|\x00-\x20]+")


def blocks_of(notice: Notice, prefix: str = "", title: str = "") -> Json:
    """Return a message with a header, an attachment in the colour of its severity, and plain text for notifications."""
    head = f"{SIGNS[notice.severity]} {titled(notice, prefix, title)}"
    blocks = _body(notice)
    fallback = escaped(f"{head}\n{text_of(notice, _FALLBACK // 2)}", _FALLBACK)
    message: Json = {
        "text": fallback,
        "blocks": [
            {"type": "header", "text": {"type": "plain_text", "text": escaped(head, _HEADER), "emoji": False}}
        ],
        "unfurl_links": False,
        "unfurl_media": False,
    }
    if blocks:
        message["attachments"] = [{"color": COLORS[notice.severity], "fallback": fallback, "blocks": blocks}]
    return message


def attachments_of(notice: Notice, prefix: str = "", title: str = "") -> Json:
    """Return what the Go program sent, and what receivers that are like Slack take: one attachment of plain fields."""
    head = _unmentioned(escaped(titled(notice, prefix, title), 1_000))
    shown = columns_of(notice, _ATTACHMENT // 2)
    if len(escaped(shown, 2 * _ATTACHMENT)) > _ATTACHMENT - 10:  # as many entities as a hostile text has
        shown = columns_of(notice, _ATTACHMENT // 6)
    text = _unmentioned(_fenced(shown, _ATTACHMENT))
    return {
        "attachments": [{
            "title": head,
            "text": text,
            "color": COLORS[notice.severity],
            "pretext": "flowlord",
            "author_name": "",
            "fallback": head,
        }]
    }  # fmt: skip


def only_text(notice: Notice, prefix: str = "", title: str = "") -> Json:
    """Return the barest message, for when a richer one was refused."""
    text = escaped(f"{titled(notice, prefix, title)}\n{text_of(notice, _FALLBACK // 2)}", _FALLBACK)
    return {"text": text, "mrkdwn": False}


def _body(notice: Notice) -> list[Json]:
    blocks: list[Json] = []
    if told := words(notice):
        blocks.append(_section(_fenced(told)))
    lines, more = shown(notice)
    for line in lines:
        blocks.append(_section(_line(line)))
        if about := details(line, notice.at_us):
            blocks.append(_context(escaped(about, _DATES)))
    last = []
    if more:
        last.append(and_more(more))
    if notice.command and not any(line.command == notice.command for line in lines):
        last.append(code(notice.command, _COMMAND))
    if link := _link(notice.link):
        last.append(link)
    if last:
        blocks.append(_context("  ·  ".join(last)))
    return blocks


def _line(line: Line) -> str:
    parts = [f"*{code(line.name, _NAME)}*", escaped(counted(line), _NAME), escaped(line.dates, _DATES)]
    rows = ["  ·  ".join(filter(None, parts))]
    if line.error:
        rows.append(f">{code(line.error, _ERROR)}")
    if line.command:
        rows.append(code(line.command, _COMMAND))
    return "\n".join(rows)


def _section(text: str) -> Json:
    return {"type": "section", "text": {"type": "mrkdwn", "text": text, "verbatim": True}}


def _context(text: str) -> Json:
    return {"type": "context", "elements": [{"type": "mrkdwn", "text": text, "verbatim": True}]}


def escaped(text: str, most: int) -> str:
    """Return a text with what Slack acts on written as entities and control characters made visible.

    It has at most `most` characters, entities counted whole; line ends stay.
    """
    visible = "\n".join(map(printable, text.split("\n")))
    found: list[str] = []
    room = most - 1
    for character in visible:
        piece = _ENTITIES.get(character, character)
        if len(piece) > room:
            found.append("…")
            break
        found.append(piece)
        room -= len(piece)
    return "".join(found)


def code(text: str, most: int) -> str:
    """Return a text as a span of code on one line."""
    plain = " ".join(text.split()).replace("`", "'")
    return f"`{escaped(plain, most) or NOTHING}`"


def _fenced(text: str, most: int = _SECTION) -> str:
    """Return a text as a block of code."""
    return f"```\n{escaped(text.replace('`', chr(39)), most - 10) or NOTHING}\n```"


def _unmentioned(text: str) -> str:
    """Keep `@channel` from calling people where an `@` alone is enough for it."""
    return text.replace("@", "@\N{ZERO WIDTH SPACE}")


def _link(link: str) -> str:
    """Return a link of ours; nothing when it could not be one."""
    if not _LINKS.fullmatch(link) or len(link) > _LINK:
        return ""
    return f"<{cut(link, _LINK).replace('&', '&amp;')}|Open>"
