"""The digest of docs/alerts.md in its forms: `python tests/docs/alert_forms.py` writes them into the page."""

import json
import sys
from datetime import UTC, datetime
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))
sys.path.insert(0, str(Path(__file__).parents[2] / "src"))

from flowlord.alert.plain import SIGNS, text_of, titled
from flowlord.alert.policy import Policy
from flowlord.alert.port import Notice, NoticeKind
from flowlord.alert.slack_message import blocks_of
from flowlord.alert.state import Event, EventKind, State
from flowlord.alert.take import take
from flowlord.alert.words import notice_of

PAGE = Path(__file__).parents[2] / "docs" / "alerts.md"
BEGIN, END = "<!-- made by tests/docs/alert_forms.py -->", "<!-- end -->"
NOW = datetime(2026, 8, 7, 14, 30, tzinfo=UTC)
HOUR_US = 3_600_000_000
PREFIX = "PROD"


def digest() -> Notice:
    """A night in which a bank was slow for six hours and a column was renamed."""
    now_us = int(NOW.timestamp()) * 1_000_000
    first = int(NOW.timestamp()) // 3_600
    found = [
        Event(
            EventKind.TASK, now_us - (6 - n // 7) * HOUR_US, f"timeout talking to bank.example after {20 + n} s",
            "daily.toml:load:rates", "load:rates", "daily.toml", "daily.toml:load:rates", first - 48 + n,
        )
        for n in range(42)
    ]  # fmt: skip
    found.append(
        Event(
            EventKind.TASK, now_us - HOUR_US // 2, "users.csv has no column <zip>",
            "geo.toml:transform:geo", "transform:geo", "geo.toml", "geo.toml:transform:geo", first - 24,
        )
    )  # fmt: skip
    policy = Policy(channels=("slack",), default="slack", link="https://flowlord.example/alerts")
    incidents = list(take(State(), found, policy).incidents.values())
    return notice_of("digest-1", NoticeKind.STILL, incidents, policy, "slack", now_us)


def written() -> str:
    """Return the part of the page that is made here."""
    notice = digest()
    shown = f"{SIGNS[notice.severity]} {titled(notice, PREFIX)}\n{text_of(notice)}"
    message = json.dumps(blocks_of(notice, PREFIX), indent=2, ensure_ascii=False)
    return (
        f"{BEGIN}\n\nIn the terminal:\n\n```text\n{shown}\n```\n\n"
        f"The same for Slack (`-o slack`):\n\n```json\n{message}\n```\n\n{END}"
    )


def of_page(text: str) -> str:
    """Return that part as it stands in the page."""
    _, begun, rest = text.partition(BEGIN)
    inside, ended, _ = rest.partition(END)
    return f"{BEGIN}{inside}{END}" if begun and ended else ""


if __name__ == "__main__":
    page = PAGE.read_text("utf-8")
    PAGE.write_text(page.replace(of_page(page), written()), "utf-8")
