"""What Slack refuses, as far as it is known from its documentation and from what others ran into."""

from __future__ import annotations

import re
from typing import Any

BLOCKS, SECTION, HEADER, FIELDS, FIELD, ELEMENTS, TEXT, ATTACHMENTS = (
    50,
    3_000,
    150,
    10,
    2_000,
    10,
    40_000,
    100,
)
KINDS = {"section", "header", "context", "divider", "actions", "image"}
BESIDE_BLOCKS = {"blocks", "color", "fallback"}
"""All that an attachment with blocks may hold; legacy fields beside them are `invalid_attachments`."""
COLOR = re.compile(r"#[0-9A-Fa-f]{6}")


def refusal(payload: Any) -> str:
    """Return Slack's word for what is wrong with a message; empty when it is taken."""
    if not isinstance(payload, dict):
        return "invalid_payload"
    text = payload.get("text", "")
    if not isinstance(text, str):
        return "invalid_payload"
    if len(text) > TEXT:  # Slack cuts it and says nothing; what is cut is lost, so a test must hear of it
        return "msg_too_long"
    if _wrong_blocks(payload.get("blocks", [])):
        return "invalid_blocks"
    attachments = payload.get("attachments", [])
    if not isinstance(attachments, list) or len(attachments) > ATTACHMENTS:
        return "too_many_attachments"
    for each in attachments:
        if not isinstance(each, dict) or not {"blocks", "text", "title", "fallback"} & set(each):
            return "invalid_attachments"
        if "blocks" in each:
            if set(each) - BESIDE_BLOCKS or _wrong_blocks(each["blocks"]):
                return "invalid_attachments"
            if "color" in each and not COLOR.fullmatch(each["color"]):
                return "invalid_attachments"
    if not text and not payload.get("blocks") and not attachments:
        return "no_text"
    return ""


def _wrong_blocks(blocks: Any) -> bool:
    if not isinstance(blocks, list) or len(blocks) > BLOCKS:
        return True
    return any(_wrong_block(block) for block in blocks)


def _wrong_block(block: Any) -> bool:
    if not isinstance(block, dict) or block.get("type") not in KINDS:
        return True
    match block["type"]:
        case "section":
            fields = block.get("fields", [])
            if "text" not in block and not fields:
                return True
            if "text" in block and _wrong_text(block["text"], SECTION):
                return True
            return len(fields) > FIELDS or any(_wrong_text(field, FIELD) for field in fields)
        case "header":
            text = block.get("text", {})
            return text.get("type") != "plain_text" or _wrong_text(text, HEADER)
        case "context":
            elements = block.get("elements", [])
            return not 1 <= len(elements) <= ELEMENTS or any(
                _wrong_text(each, SECTION) for each in elements if each.get("type") != "image"
            )
        case _:
            return False


def _wrong_text(text: Any, most: int) -> bool:
    if not isinstance(text, dict) or text.get("type") not in ("mrkdwn", "plain_text"):
        return True
    return not isinstance(text.get("text"), str) or not 1 <= len(text["text"]) <= most


def calls_somebody(payload: Any) -> list[str]:
    """Return what in a message would call people or be a link that we did not make: `<!channel>`, `<@U1>`, `<http…|x>`.

    Links to `https://flowlord.test` are ours.
    """
    found: list[str] = []
    for text in _texts(payload):
        found += re.findall(r"<(?!https://flowlord\.test)[^>]*>", text)
        found += re.findall(r"[\x00-\x09\x0b-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069]", text)
    return found


def _texts(value: Any) -> list[str]:
    match value:
        case str():
            return [value]
        case dict():
            return [text for each in value.values() for text in _texts(each)]
        case list():
            return [text for each in value for text in _texts(each)]
        case _:
            return []
