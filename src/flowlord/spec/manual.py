"""What each field of a phase and each option of a rule means: one record each, from which schema and pages are made.

Tests compare the names with those that the parser knows, read every default and every example with it, and look
for each option in docs/rules.md.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal, TypeAlias

from flowlord.rules.batch import STEPS
from flowlord.spec.kinds import ALERTS, PRIORITIES
from flowlord.spec.options import CATCHUPS, OVERLAPS, REWRITES

Kind: TypeAlias = Literal[
    "text", "duration", "signed duration", "number", "factor", "word", "priority", "time", "size", "switch",
]  # fmt: skip


@dataclass(frozen=True, slots=True)
class Option:
    """One option of a rule.

    `default` is what counts without it, as it would be written; empty when that is simply nothing. `words` are all
    that a `word` may be; `least` is the smallest `number`; `many` tells that it may be given several times.
    """

    name: str
    group: str
    kind: Kind
    meaning: str
    example: str  # a whole rule
    default: str = ""
    without: str = ""  # what counts without it, in words, where `default` cannot say it
    words: tuple[str, ...] = ()
    least: int = 0
    many: bool = False
    see: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Field:
    """One field of a phase; `kind` is in the words of people."""

    name: str
    kind: str
    meaning: str
    example: str  # a line of TOML
    default: str = ""
    required: bool = False
    see: tuple[str, ...] = ()


FIELDS: Final = (
    Field(
        "task", "text",
        "Topic and job, TOPIC or TOPIC:JOB. The topic is the queue and the type of the task; a:b:c has the job b:c. "
        "The topics done and quarantine are taken.",
        'task = "fetch:daily"', required=True, see=("rule.job",),
    ),
    Field(
        "dependsOn", "text",
        "The parent, TOPIC (any job of it) or TOPIC:JOB: the phase starts when a task of that name is complete, in the "
        "same file.",
        'dependsOn = "fetch:daily"', see=("rule.require", "rule.pass"),
    ),
    Field(
        "rule", "text or table",
        "Options, as a string key=value&key=value or as a table with the same keys.",
        'rule = "cron=0 6 * * *&offset=-24h"',
    ),
    Field(
        "retry", "integer from 0",
        "How many further tries a failed task gets; after them it is a dead letter.",
        "retry = 3", default="0", see=("rule.retry_delay", "rule.backoff", "rule.max_delay"),
    ),
    Field(
        "template", "text",
        "The text that becomes the task's info; tokens such as {yyyy} and {meta:name} are filled in.",
        'template = "s3://lake/{yyyy}/{mm}/{dd}.csv"', see=("rule.offset", "rule.meta"),
    ),
)  # fmt: skip

OPTIONS: Final = (
    Option(
        "cron", "When", "text",
        "When it starts: 5 fields (minute hour day month weekday) or 6 with seconds in front, @daily and its like, or "
        "@every 10m.",
        "cron=0 0 6 * * MON-FRI", see=("tz", "catchup", "from"),
    ),
    Option(
        "tz", "When", "text",
        "The time zone of cron, from and until. CRON_TZ=Europe/Berlin in front of the fields does the same for cron.",
        "cron=30 2 * * *&tz=Europe/Berlin", without="the configured zone, which is UTC unless set", see=("cron",),
    ),
    Option(
        "from", "When", "time",
        "No start that is planned before; a day counts from its beginning.",
        "cron=@daily&from=2026-08-01", see=("until",),
    ),
    Option(
        "until", "When", "time",
        "No start that is planned after; a day counts to its end.",
        "cron=@daily&until=2026-12-31", see=("from",),
    ),
    Option(
        "jitter", "When", "duration",
        "The start comes up to that much after its planned time, always the same for one phase; the data time stays as "
        "planned.",
        "cron=0 * * * *&jitter=5m", default="0",
    ),
    Option(
        "catchup", "When", "word",
        "What to do about starts that were missed while nothing ran: all of them, the newest, none. Up to ten seconds "
        "late is on time.",
        "cron=0 * * * *&catchup=last", without="all, but none for rules that start more often than each minute",
        words=CATCHUPS, see=("catchup_window",),
    ),
    Option(
        "catchup_window", "When", "duration",
        "How far back missed starts are caught up; what lies beyond is recorded as missed, and alerted.",
        "cron=0 * * * *&catchup_window=6h", default="1h", see=("catchup",),
    ),
    Option(
        "overlap", "When", "word",
        "When tasks of an earlier start are still open: start all the same, leave this start out and record it, or "
        "wait for them.",
        "cron=*/5 * * * *&overlap=skip", default="allow", words=OVERLAPS,
    ),
    Option(
        "offset", "When", "signed duration",
        "Moves the data time: what {yyyy} means, not when it starts.",
        "cron=0 6 * * *&offset=-24h", default="0", see=("for",),
    ),
    Option(
        "files", "Which files", "text",
        "Starts for each file whose whole path fits: * and ? stop at a slash, ** does not, [a-z] and [^a-z] are "
        "classes. Several are alternatives. With cron, what has arrived is looked at on the schedule.",
        "files=/in/*/*.csv", many=True, see=("ignore", "settle", "count"),
    ),
    Option(
        "settle", "Which files", "duration",
        "A file must have stayed as it is for so long.",
        "files=/in/*.csv&settle=10s", see=("files", "marker"),
    ),
    Option(
        "count", "Which files", "number",
        "One start for so many files of a group.",
        "files=/in/*.csv&count=24", default="0", see=("group",),
    ),
    Option(
        "group", "Which files", "text",
        "A group is the files whose paths fill these time tokens alike.",
        "files=/in/*/*/*/*.csv&count=24&group={yyyy}/{mm}/{dd}", without="the files of one folder", see=("count",),
    ),
    Option(
        "marker", "Which files", "text",
        "Only when the marker is there: a suffix behind the name of the file, or, without a dot in front, a file of "
        "that name beside it.",
        "files=/in/*.csv&marker=.done", see=("files", "settle"),
    ),
    Option(
        "ignore", "Which files", "text",
        "Names that do not count; with a slash, whole paths. Several are alternatives.",
        "files=/in/*&ignore=*.tmp", many=True, see=("files",),
    ),
    Option(
        "min_size", "Which files", "size",
        "Smaller files wait until they have grown.",
        "files=/in/*.csv&min_size=1kB", default="0", see=("files",),
    ),
    Option(
        "on_rewrite", "Which files", "word",
        "Whether a further version of a file starts the phase again.",
        "files=/in/*.csv&on_rewrite=ignore", default="run", words=REWRITES, see=("files",),
    ),
    Option(
        "late", "Which files", "text",
        "Tell when no file came in time: by 06:00 each day, by a schedule such as 0 6 * * MON-FRI, 2h after each "
        "instant of cron, or, without cron, 2h after the file before. -24h behind it means the file of the day before.",
        "files=/in/*/*/*/*.csv&late=06:00-24h", see=("files", "cron", "no_alert"),
    ),
    Option(
        "for", "How many", "signed duration",
        "One task for each step from the data time over that length, forwards or backwards; both ends count.",
        "cron=0 2 * * MON&for=-144h&by=day", default="0", see=("by", "batch_limit"),
    ),
    Option(
        "by", "How many", "word",
        "The step of for.",
        "cron=@daily&for=-23h&by=hour", without="day", words=tuple(filter(None, STEPS)), see=("for",),
    ),
    Option(
        "meta", "How many", "text",
        "One task for each place in the lists, key:a,b,c with | between keys; they have equal lengths.",
        "cron=@daily&meta=name:a,b,c|size:1,2,3", many=True, see=("meta-file",),
    ),
    Option(
        "meta-file", "How many", "text",
        "One task for each row of a file: CSV with a header line, else JSON lines; .gz too; a pattern reads several.",
        "cron=@daily&meta-file=rows.csv", see=("meta", "batch_limit"),
    ),
    Option(
        "batch_limit", "How many", "number",
        "More tasks than this from one start are refused.",
        "cron=@daily&for=-1000d&batch_limit=2000", default="100000", least=1, see=("for", "meta-file"),
    ),
    Option(
        "require", "Chains", "text",
        "Start only when the parent's task came back with a value for these keys, written as tokens.",
        "require={meta:file}", many=True, see=("pass",),
    ),
    Option(
        "pass", "Chains", "text",
        "Hand these keys of the parent's meta on to the tasks of this phase; several with commas.",
        "pass=rows,region", many=True, see=("require",),
    ),
    Option(
        "job", "Chains", "text",
        "The job, where task names none.",
        "cron=@daily&job=daily",
    ),
    Option(
        "retry_delay", "Retries", "duration",
        "The wait before each further try, plus up to 40 % by chance.",
        "retry_delay=20s", without="1s, 2s, 4s and so on, up to 5m", see=("backoff", "max_delay"),
    ),
    Option(
        "backoff", "Retries", "factor",
        "Each wait is that many times the one before.",
        "retry_delay=20s&backoff=2", see=("retry_delay", "max_delay"),
    ),
    Option(
        "max_delay", "Retries", "duration",
        "No wait is longer.",
        "retry_delay=20s&backoff=2&max_delay=15m", see=("retry_delay", "backoff"),
    ),
    Option(
        "alert", "Alerts", "word",
        "How people are told of what fails: edge tells the first at once and what goes on in digests, every tells each "
        "one at once, digest waits for the next digest, none tells nobody and is the same as no_alert.",
        "cron=@daily&alert=every", default="edge", words=ALERTS, see=("alert_to", "no_alert"),
    ),
    Option(
        "alert_to", "Alerts", "text",
        "The channel of the configuration that is told; one that is not there is said once, and the default is told.",
        "cron=@daily&alert_to=oncall", without="the first of alerts.routes that fits, else the default channel",
        see=("alert",),
    ),
    Option(
        "no_alert", "Alerts", "switch",
        "Tell nobody when a task fails for good or is late, when a start was missed or a file did not come.",
        "no_alert", default="false", see=("alert",),
    ),
    Option(
        "timeout", "Limits", "duration",
        "One try may take this long; then its whole process group is ended, and it is an error.",
        "timeout=10m", without="no limit", default="0", see=("ttl",),
    ),
    Option(
        "ttl", "Limits", "duration",
        "A task that has not come to its end so long after it arrived on its topic is late: you hear of it once.",
        "cron=@daily&ttl=36h", without="the setting cache.task_ttl: 4h", see=("timeout", "no_alert"),
    ),
    Option(
        "priority", "Limits", "priority",
        "Higher ones first: low, normal, high, critical, or 0 to 10.",
        "priority=low", default="5", words=tuple(PRIORITIES),
    ),
)  # fmt: skip
