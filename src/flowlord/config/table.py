"""The table of settings: where each stands, how it is read, what it is when nobody says."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import msgspec

from flowlord.config import values as v


class Setting(msgspec.Struct, frozen=True):
    """`name` is `section.name` in the file, `keys` where else it may stand.

    `also` are other variables that mean the same; `aliases` are such of the Go program, whose use is noted.
    The value of a `secret` one is shown nowhere.
    """

    name: str
    places: tuple[tuple[str, str], ...]  # room, field
    read: Callable[[object], object]
    default: str
    variable: str
    keys: tuple[str, ...]
    flag: str
    also: tuple[str, ...]
    aliases: tuple[str, ...]
    help: str
    secret: bool

    @property
    def variables(self) -> tuple[str, ...]:
        """Every variable that may give it; the first that does wins."""
        return (self.variable, *self.also, *self.aliases)


def _setting(
    name: str,
    places: str,
    read: Callable[[object], object],
    default: str,
    *,
    variable: str,
    keys: str,
    told: str,
    flag: str = "",
    also: str = "",
    aliases: str = "",
    secret: bool = False,
) -> Setting:
    rooms = tuple((room, field) for room, _, field in (place.partition(".") for place in places.split()))
    names = (name, *keys.split())
    return Setting(
        name,
        rooms,
        read,
        default,
        variable,
        names,
        flag,
        tuple(also.split()),
        tuple(aliases.split()),
        told,
        secret,
    )


SETTINGS: Final = (
    _setting(
        "taskmaster.workflows", "taskmaster.workflows", v.read_text, "workflows",
        variable="FLOWLORD_WORKFLOWS", keys="workflows workflow",
        flag="workflows",
        aliases="FLOWLORD_WORKFLOW WORKFLOW",
        told="file or folder of workflows",
    ),
    _setting(
        "bus.address", "bus.address", v.read_address, "sqlite:///.flowlord/bus.db",
        variable="FLOWLORD_BUS", keys="bus bus.url",
        flag="bus",
        also="FLOWLORD_REDIS_URL REDIS_URL",
        told="address of the bus",
    ),
    _setting(
        "bus.namespace", "bus.namespace", v.read_namespace, "flowlord",
        variable="FLOWLORD_NAMESPACE", keys="namespace",
        flag="namespace",
        told="which of several buses on one server",
    ),
    _setting(
        "bus.accept_loss", "bus.accept_loss", v.read_switch, "false",
        variable="FLOWLORD_ACCEPT_LOSS", keys="accept_loss",
        flag="accept_loss",
        told="use a server that is set up to lose tasks",
    ),
    _setting(
        "bus.lease", "bus.lease_ns", v.read_duration, "60s",
        variable="FLOWLORD_LEASE", keys="lease",
        flag="lease",
        aliases="TASKFLOW_LOCK_TTL",
        told="a dead worker's task is offered again after this",
    ),
    _setting(
        "bus.max_deliveries", "bus.max_deliveries", v.read_number, "3",
        variable="FLOWLORD_MAX_DELIVERIES", keys="max_deliveries",
        told="a task that crashed so often is a dead letter",
    ),
    _setting(
        "cache.path", "cache.path", v.read_path, ".flowlord/tasks.db",
        variable="FLOWLORD_CACHE", keys="cache cache.local_path",
        flag="cache",
        told="the history file",
    ),
    _setting(
        "cache.enabled", "cache.enabled", v.read_switch, "true",
        variable="FLOWLORD_CACHE_ENABLED", keys="cache_enabled",
        told="whether there is a history",
    ),
    _setting(
        "cache.retention", "cache.retention_ns", v.read_duration, "90d",
        variable="FLOWLORD_RETENTION", keys="retention",
        told="how long history is kept",
    ),
    _setting(
        "cache.max_size", "cache.max_bytes", v.read_size, "20GB",
        variable="FLOWLORD_CACHE_MAX_SIZE", keys="",
        told="the history grows no larger: its oldest attempts go before their time",
    ),
    _setting(
        "cache.backup_path", "cache.backup_path", v.read_backup_path, "-",
        variable="FLOWLORD_BACKUP_PATH", keys="backup_path",
        flag="backup_path",
        told="where backups of the history go: a folder, s3://… or gs://…; - for nowhere",
    ),
    _setting(
        "cache.backup_every", "cache.backup_every_ns", v.read_duration, "6h",
        variable="FLOWLORD_BACKUP_EVERY", keys="backup_every",
        told="how often the history is backed up; at the end of a daemon too",
    ),
    _setting(
        "cache.backup_keep", "cache.backup_keep", v.read_number, "7",
        variable="FLOWLORD_BACKUP_KEEP", keys="backup_keep",
        told="how many backups are kept",
    ),
    _setting(
        "cache.task_ttl", "taskmaster.task_ttl_ns", v.read_duration, "4h",
        variable="FLOWLORD_CACHE_TASK_TTL", keys="task_ttl",
        told="a task not done after this is late; at least 1h",
    ),
    _setting(
        "taskmaster.done_topic", "taskmaster.done_topic", v.read_done_topic, "done",
        variable="FLOWLORD_DONE_TOPIC", keys="done_topic",
        flag="done_topic",
        aliases="DONE_TOPIC",
        told="where workers report",
    ),
    _setting(
        "taskmaster.failed_topic", "taskmaster.failed_topic", v.read_failed_topic, "retry-failed",
        variable="FLOWLORD_FAILED_TOPIC", keys="failed_topic",
        flag="failed_topic",
        aliases="FAILED_TOPIC",
        told="where dead letters go, - for nowhere",
    ),
    _setting(
        "taskmaster.reload", "taskmaster.reload_ns", v.read_refresh, "auto",
        variable="FLOWLORD_RELOAD", keys="reload refresh",
        flag="reload",
        told="how often workflows are looked at; auto is 10s, and 60s in buckets",
    ),
    _setting(
        "taskmaster.grace", "taskmaster.grace_ns worker.grace_ns", v.read_grace, "25s",
        variable="FLOWLORD_GRACE", keys="grace",
        flag="grace",
        told="how long running tasks may finish",
    ),
    _setting(
        "taskmaster.zone", "taskmaster.zone", v.read_zone, "UTC",
        variable="FLOWLORD_ZONE", keys="zone tz timezone",
        flag="zone",
        aliases="FLOWLORD_TZ",
        told="time zone of schedules that name none",
    ),
    _setting(
        "storage.endpoint", "storage.endpoint", v.read_endpoint, "",
        variable="FLOWLORD_STORAGE_ENDPOINT", keys="",
        also="AWS_ENDPOINT_URL_S3 AWS_ENDPOINT_URL",
        told="address of what speaks like S3; empty is S3 itself",
    ),
    _setting(
        "storage.region", "storage.region", v.read_text, "",
        variable="FLOWLORD_STORAGE_REGION", keys="",
        also="AWS_REGION AWS_DEFAULT_REGION",
        told="region of S3",
    ),
    _setting(
        "storage.access_key", "storage.access_key", v.read_text, "",
        variable="FLOWLORD_STORAGE_ACCESS_KEY", keys="file.access_key",
        told="key of S3; empty leaves it to AWS_ACCESS_KEY_ID and the machine",
    ),
    _setting(
        "storage.secret_key", "storage.secret_key", v.read_text, "",
        variable="FLOWLORD_STORAGE_SECRET_KEY", keys="file.secret_key",
        told="secret of that key",
        secret=True,
    ),
    _setting(
        "storage.gcs_endpoint", "storage.gcs_endpoint", v.read_endpoint, "",
        variable="FLOWLORD_GCS_ENDPOINT", keys="",
        also="STORAGE_EMULATOR_HOST",
        told="address of what speaks like Google's storage; empty is Google's",
    ),
    _setting(
        "storage.gcs_credentials", "storage.gcs_credentials", v.read_text, "",
        variable="FLOWLORD_GCS_CREDENTIALS", keys="",
        told="file of a service account; empty leaves it to GOOGLE_APPLICATION_CREDENTIALS",
    ),
    _setting(
        "watch.file_topic", "watch.file_topic", v.read_file_topic, "-",
        variable="FLOWLORD_FILE_TOPIC", keys="file_topic",
        aliases="FILE_TOPIC",
        told="where notices about files come in, - for nowhere",
    ),
    _setting(
        "watch.initial", "watch.initial", v.one_of("ignore", "run"), "ignore",
        variable="FLOWLORD_WATCH_INITIAL", keys="watch_initial",
        told="files that are there before they are watched: ignore or run",
    ),
    _setting(
        "watch.poll", "watch.poll_ns", v.read_duration, "30s",
        variable="FLOWLORD_WATCH_POLL", keys="watch_poll",
        told="how often buckets and network folders are listed",
    ),
    _setting(
        "watch.buckets", "watch.buckets", v.one_of("auto", "poll", "topic"), "auto",
        variable="FLOWLORD_WATCH_BUCKETS", keys="watch_buckets",
        told="auto lists buckets unless there is a file_topic; poll always; topic never",
    ),
    _setting(
        "slack.url", "slack.url", v.read_optional_address, "",
        variable="FLOWLORD_SLACK_URL", keys="",
        told="an incoming webhook of Slack, or of what takes the same",
        secret=True,
    ),
    _setting(
        "slack.url_file", "slack.url_file", v.read_path, "",
        variable="FLOWLORD_SLACK_URL_FILE", keys="",
        told="file that holds it",
    ),
    _setting(
        "slack.url_command", "slack.url_command", v.read_command, "",
        variable="FLOWLORD_SLACK_URL_COMMAND", keys="",
        told="command that prints it, run without a shell",
    ),
    _setting(
        "slack.token", "slack.token", v.read_words, "",
        variable="FLOWLORD_SLACK_TOKEN", keys="",
        told="token of a bot, instead of a webhook",
        secret=True,
    ),
    _setting(
        "slack.token_file", "slack.token_file", v.read_path, "",
        variable="FLOWLORD_SLACK_TOKEN_FILE", keys="",
        told="file that holds it",
    ),
    _setting(
        "slack.token_command", "slack.token_command", v.read_command, "",
        variable="FLOWLORD_SLACK_TOKEN_COMMAND", keys="",
        told="command that prints it, run without a shell",
    ),
    _setting(
        "slack.channel", "slack.channel", v.read_words, "",
        variable="FLOWLORD_SLACK_CHANNEL", keys="",
        told="channel in Slack; a webhook has one of its own",
    ),
    _setting(
        "slack.prefix", "slack.prefix", v.read_words, "",
        variable="FLOWLORD_SLACK_PREFIX", keys="",
        told="[PREFIX] before each title, such as the name of this installation",
    ),
    _setting(
        "slack.title", "slack.title", v.read_words, "",
        variable="FLOWLORD_SLACK_TITLE", keys="",
        told="words before each title",
    ),
    _setting(
        "slack.format", "slack.form", v.one_of("auto", "blocks", "attachments"), "auto",
        variable="FLOWLORD_SLACK_FORMAT", keys="",
        told="blocks for Slack, attachments for what is like it; auto goes by the address",
    ),
    _setting(
        "slack.api", "slack.api", v.read_web_address, "https://slack.com/api",
        variable="FLOWLORD_SLACK_API", keys="",
        told="where the methods of Slack are",
    ),
    _setting(
        "slack.timeout", "slack.limit_ns", v.read_duration, "10s",
        variable="FLOWLORD_SLACK_TIMEOUT", keys="",
        told="how long one message may take",
    ),
    _setting(
        "alerts.default", "alerts.default", v.read_words, "",
        variable="FLOWLORD_ALERTS_DEFAULT", keys="",
        told="channel of what names none; empty is the first one, [slack] before others",
    ),
    _setting(
        "alerts.min_frequency", "alerts.min_frequency_ns", v.read_frequency, "5m",
        variable="FLOWLORD_ALERTS_MIN_FREQUENCY", keys="slack.min_frequency",
        told="least time between two digests",
    ),
    _setting(
        "alerts.max_frequency", "alerts.max_frequency_ns", v.read_frequency, "",
        variable="FLOWLORD_ALERTS_MAX_FREQUENCY", keys="slack.max_frequency",
        told="longest time between two digests while failures go on; empty is 16 times the least",
    ),
    _setting(
        "alerts.routes", "alerts.routes", v.read_routes, "",
        variable="FLOWLORD_ALERTS_ROUTES", keys="",
        told="PATTERN = CHANNEL, for workflows, topics, tasks and phases",
    ),
    _setting(
        "alerts.quiet_hours", "alerts.quiet", v.read_hours, "",
        variable="FLOWLORD_ALERTS_QUIET_HOURS", keys="",
        told="hours in which only `alert` results are told: 22:00-07:00 Europe/Berlin",
    ),
    _setting(
        "alerts.link", "alerts.link", v.read_optional_address, "",
        variable="FLOWLORD_ALERTS_LINK", keys="",
        told="address of a dashboard that messages link to",
    ),
    _setting(
        "alerts.heartbeat_url", "alerts.heartbeat_value", v.read_optional_address, "",
        variable="FLOWLORD_HEARTBEAT_URL", keys="",
        told="address that is called while all is well",
        secret=True,
    ),
    _setting(
        "alerts.heartbeat_url_file", "alerts.heartbeat_file", v.read_path, "",
        variable="FLOWLORD_HEARTBEAT_URL_FILE", keys="",
        told="file that holds it",
    ),
    _setting(
        "alerts.heartbeat_url_command", "alerts.heartbeat_command", v.read_command, "",
        variable="FLOWLORD_HEARTBEAT_URL_COMMAND", keys="",
        told="command that prints it, run without a shell",
    ),
    _setting(
        "alerts.heartbeat_every", "alerts.heartbeat_every_ns", v.read_duration, "60s",
        variable="FLOWLORD_HEARTBEAT_EVERY", keys="",
        told="how often",
    ),
    _setting(
        "log.level", "log.level", v.one_of("debug", "info", "warning", "error"), "info",
        variable="FLOWLORD_LOG_LEVEL", keys="log_level",
        flag="log_level",
        told="least important lines that are logged",
    ),
    _setting(
        "log.format", "log.format", v.one_of("text", "json"), "text",
        variable="FLOWLORD_LOG_FORMAT", keys="log_format",
        flag="log_format",
        told="text or json",
    ),
)  # fmt: skip

# Read by the Go program or by a later version: accepted with a note, so that nobody need take a configuration apart.
LATER: Final = frozenset((
    "status_port", "port", "host", "file", "http", "server",
    "bus.bus", "bus.in_bus", "bus.out_bus", "bus.in_topic", "bus.in_channel", "bus.nsqd_hosts",
    "bus.lookupd_hosts", "bus.pubsub_host", "bus.project_id", "bus.json_auth", "dedupe_retention",
    "bus.dedupe_retention",
))  # fmt: skip
SECTIONS: Final = {"sqlite": "cache"}  # old names of sections
VARIABLES_OF_OTHERS: Final = ("FLOWLORD_CONFIG", "FLOWLORD_TASK_", "FLOWLORD_TEST_")
