"""The messages of docs/alerts.md in their forms: `python tests/docs/alert_forms.py` writes them into the page."""

import json
import sys
from datetime import UTC, datetime
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))
sys.path.insert(0, str(Path(__file__).parents[2] / "src"))

from flowlord.alert.plain import SIGNS, text_of, titled
from flowlord.alert.policy import Policy
from flowlord.alert.port import Notice, NoticeKind
from flowlord.alert.slack_message import attachments_of, blocks_of
from flowlord.alert.state import Ending, Event, EventKind, State
from flowlord.alert.take import take
from flowlord.alert.webhook import body_of
from flowlord.alert.words import notice_of
from support.alerts import Desk

PAGE = Path(__file__).parents[2] / "docs" / "alerts.md"
BEGIN, END = "<!-- made by tests/docs/alert_forms.py -->", "<!-- end -->"
NOW = datetime(2026, 8, 7, 14, 30, tzinfo=UTC)
NOW_US = int(NOW.timestamp()) * 1_000_000
HOUR_US = 3_600_000_000
PREFIX = "PROD"
POLICY = Policy(channels=("slack",), default="slack", link="https://flowlord.example/alerts")


def slow_bank(number: int, at_us: int) -> Event:
    """The nth load of a night in which a bank was slow."""
    return Event(
        EventKind.TASK, at_us, f"timeout talking to bank.example after {20 + number} s",
        "daily.toml:load:rates", "load:rates", "daily.toml", "daily.toml:load:rates",
        int(NOW.timestamp()) // 3_600 - 48 + number,
    )  # fmt: skip


def digest() -> Notice:
    """A night in which a bank was slow for six hours, a column was renamed, and a machine slept through its starts."""
    found = [slow_bank(n, NOW_US - (6 - n // 7) * HOUR_US) for n in range(42)]
    found.append(
        Event(
            EventKind.TASK, NOW_US - HOUR_US // 2, "users.csv has no column <zip>",
            "geo.toml:transform:geo", "transform:geo", "geo.toml", "geo.toml:transform:geo",
            int(NOW.timestamp()) // 3_600 - 24,
        )
    )  # fmt: skip
    text = "report did not start at 2026-08-07T12:00:00Z: it lies outside of catchup_window"
    found.append(
        Event(
            EventKind.MISSED, NOW_US - HOUR_US, text, "daily.toml:report", "report", "daily.toml", "daily.toml:report",
            int(NOW.timestamp()) // 3_600 - 2,
        )
    )  # fmt: skip
    incidents = list(take(State(), found, POLICY).incidents.values())
    return notice_of("digest-1", NoticeKind.STILL, incidents, POLICY, "slack", NOW_US)


def story() -> list[Notice]:
    """What a bot tells of one incident, in its thread: that it is new, goes on, goes on, and is over."""
    desk = Desk(POLICY, lambda notice: "C0OPS:1.2")
    desk.now = NOW_US - 6 * HOUR_US
    for number in range(12):
        at_us = NOW_US - 6 * HOUR_US + number * HOUR_US // 12
        desk.until(at_us)
        desk.hear(slow_bank(number, at_us))
    desk.until(NOW_US - 4 * HOUR_US)
    desk.hear(Ending("daily.toml:load:rates", NOW_US - 4 * HOUR_US))
    desk.until(NOW_US)
    return desk.sent


def written() -> str:
    """Return the part of the page that is made here."""
    notice = digest()
    shown = f"{SIGNS[notice.severity]} {titled(notice, PREFIX)}\n{text_of(notice)}"
    [compatible] = attachments_of(notice, PREFIX)["attachments"]
    message = json.dumps(blocks_of(notice, PREFIX), indent=2, ensure_ascii=False)
    body = json.dumps(json.loads(body_of(notice)), indent=2, ensure_ascii=False)
    thread = [
        f"{each.at_us // 60_000_000 % 1_440 // 60:02}:{each.at_us // 60_000_000 % 60:02}Z  "
        f"{SIGNS[each.severity]} {titled(each, PREFIX)}"
        for each in story()
    ]
    return (
        f"{BEGIN}\n\nIn the terminal, in mail, and wherever only text goes:\n\n```text\n{shown}\n```\n\n"
        "Receivers that are like Slack get the columns that the Go program sent, and below them the reasons:\n\n"
        f"```text\n{compatible['title']}\n{plain(compatible['text'])}\n```\n\n"
        "What a bot tells of one incident, each in the thread of a message that changes along with it:\n\n"
        "```text\n" + "\n".join(thread) + "\n```\n\n"
        f"A webhook of your own (`-o json`):\n\n```json\n{body}\n```\n\n"
        f"Slack (`-o slack`):\n\n```json\n{message}\n```\n\n{END}"
    )


def plain(text: str) -> str:
    """Return a fenced text as Slack shows it."""
    inside = text.removeprefix("```\n").removesuffix("\n```")
    return inside.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&")


def of_page(text: str) -> str:
    """Return that part as it stands in the page."""
    _, begun, rest = text.partition(BEGIN)
    inside, ended, _ = rest.partition(END)
    return f"{BEGIN}{inside}{END}" if begun and ended else ""


if __name__ == "__main__":
    page = PAGE.read_text("utf-8")
    PAGE.write_text(page.replace(of_page(page), written()), "utf-8")
