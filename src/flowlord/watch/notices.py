"""Notices about files as others write them: our own stat, Google Cloud Storage, S3; bare and in their envelopes."""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from urllib.parse import unquote_plus

from flowlord.model.errors import FlowlordError
from flowlord.storage.remote import md5_of

DEEPEST = 6
"""Envelopes within envelopes: S3 in SNS in SQS are three."""
_ZERO = "0001-01-01T00:00:00Z"
_NO_BUCKET = ("s3:///", "gs:///")
_GONE = ("OBJECT_DELETE", "OBJECT_ARCHIVE")
_NEW_IN_GCS = "OBJECT_FINALIZE"
_METADATA = "OBJECT_METADATA_UPDATE"
_GONE_FROM_S3 = ("ObjectRemoved", "LifecycleExpiration")
_NEW_IN_S3 = "ObjectCreated"
"""What services call the writing of an object; they also tell of tags, rights, restores and, some, of each reading."""


class NoNotice(FlowlordError):
    """A message that tells of no file; the text says why."""


@dataclass(frozen=True, slots=True)
class Notice:
    """What a message tells of one file. `version` is empty when the sender does not know it.

    `listed` is the version by which a listing of its bucket tells the same file, when that is another one and known.
    `deleted` when it is no longer there; `other` names what happened when its content is not new, as with a tag or a
    right. `created` is the text that the message has; for buckets whole seconds in UTC.
    """

    path: str
    size: int = 0
    version: str = ""
    checksum: str = ""
    created: str = ""
    lines: int = 0
    bytes_: int = 0
    files: int = 0
    is_folder: bool = False
    deleted: bool = False
    listed: str = ""
    other: str = ""


def read_notices(payload: bytes) -> list[Notice]:
    """Return what a message tells: one file, several records of S3, or none for the test message of a service.

    Raises:
        NoNotice: not JSON, no object, or nothing in it names a file.
    """
    return list(_of(_json(payload), 0))


def _json(payload: bytes | str) -> Mapping[str, Any]:
    try:
        found = json.loads(payload)
    except (ValueError, RecursionError) as error:
        raise NoNotice(f"the message is not JSON: {error}") from None
    if not isinstance(found, dict):
        raise NoNotice(f"the message is a JSON {type(found).__name__}, not an object")
    return found


def _of(found: Mapping[str, Any], depth: int) -> Iterator[Notice]:
    if depth > DEEPEST:
        raise NoNotice("the message has envelopes within envelopes without end")
    message = found.get("message")
    if isinstance(message, dict) and ("data" in message or "attributes" in message):
        yield from _pubsub(message, depth)
    elif isinstance(found.get("Message"), str) and (
        "TopicArn" in found or found.get("Type") == "Notification"
    ):
        yield from _of(_json(found["Message"]), depth + 1)
    elif isinstance(found.get("Records"), list):
        for record in found["Records"]:
            if not isinstance(record, dict):
                raise NoNotice("a record of the message is no object")
            yield from _record(record, depth)
    elif found.get("Event") == "s3:TestEvent":
        return
    elif isinstance(found.get("detail"), dict) and isinstance(found["detail"].get("object"), dict):
        yield _event_bridge(found, found["detail"])
    elif isinstance(body := found.get("Body", found.get("body")), str) and "path" not in found:
        yield from _of(_json(body), depth + 1)
    elif "attributes" in found and isinstance(found.get("data"), str):
        yield from _pubsub(found, depth)
    else:
        yield _plain(found)


def _pubsub(message: Mapping[str, Any], depth: int) -> Iterator[Notice]:
    """A Pub/Sub message, as a push envelope holds it."""
    attributes = message.get("attributes")
    attributes = attributes if isinstance(attributes, dict) else {}
    kind = str(attributes.get("eventType", ""))
    data = message.get("data")
    inner: Mapping[str, Any] = {}
    if isinstance(data, str) and data:
        try:
            inner = _json(base64.b64decode(data, validate=True))
        except (binascii.Error, ValueError):
            raise NoNotice("the data of the message is not base64") from None
    bucket, name = attributes.get("bucketId"), attributes.get("objectId")
    if kind and isinstance(bucket, str) and isinstance(name, str) and bucket and name:
        told = {"id": "x", "bucket": bucket, "name": name, "generation": attributes.get("objectGeneration")}
        yield _gcs({**told, **inner}, kind)
    elif kind in (*_GONE, _METADATA):  # the object itself does not tell what happened to it
        yield _gcs(inner, kind)
    else:
        yield from _of(inner, depth + 1)


def _record(record: Mapping[str, Any], depth: int) -> Iterator[Notice]:
    """One record of S3, of SNS as Lambda gets it, or of SQS."""
    if isinstance(sns := record.get("Sns"), dict) and isinstance(sns.get("Message"), str):
        yield from _of(_json(sns["Message"]), depth + 1)
        return
    if isinstance(body := record.get("body"), str):
        yield from _of(_json(body), depth + 1)
        return
    s3 = record.get("s3")
    if not isinstance(s3, dict):
        raise NoNotice("a record of the message tells of no object of S3")
    name, key, thing = _object_of_s3(s3)
    event = str(record.get("eventName", "")).removeprefix("s3:")
    yield Notice(
        path=f"s3://{name}/{unquote_plus(key)}",
        size=_number(thing.get("size")),
        version=_s3_version(thing.get("versionId"), thing.get("eTag"), record.get("eventTime")),
        checksum=_text(thing.get("eTag")),
        created=_seconds(_text(record.get("eventTime"))),
        is_folder=key.endswith("/"),
        deleted=event.startswith(_GONE_FROM_S3),
        other="" if not event or event.startswith((_NEW_IN_S3, *_GONE_FROM_S3)) else event,
    )


def _object_of_s3(told: Mapping[str, Any]) -> tuple[str, str, Mapping[str, Any]]:
    """Return the bucket, the key as it is written, and what else is told of an object."""
    bucket, thing = told.get("bucket"), told.get("object")
    if isinstance(bucket, dict) and isinstance(thing, dict):
        name, key = _text(bucket.get("name")), _text(thing.get("key"))
        if name and key:
            return name, key, thing
    raise NoNotice("the message names no bucket and key of S3")


def _event_bridge(found: Mapping[str, Any], detail: Mapping[str, Any]) -> Notice:
    """S3 by way of EventBridge: keys are as they are."""
    name, key, thing = _object_of_s3(detail)
    event = str(found.get("detail-type", ""))
    return Notice(
        path=f"s3://{name}/{key}",
        size=_number(thing.get("size")),
        version=_s3_version(thing.get("version-id"), thing.get("etag"), found.get("time")),
        checksum=_text(thing.get("etag")),
        created=_seconds(_text(found.get("time"))),
        is_folder=key.endswith("/"),
        deleted=event == "Object Deleted",
        other="" if event in ("", "Object Created", "Object Deleted") else event,
    )


def _plain(found: Mapping[str, Any]) -> Notice:
    """An object of GCS when it has an id and a name, else our own stat; keys in any case, wrong types skipped."""
    folded = {key.lower(): value for key, value in found.items()}
    if (
        isinstance(folded.get("id"), str)
        and isinstance(folded.get("name"), str)
        and folded["id"]
        and folded["name"]
    ):
        kind = _text(folded.get("eventtype"))
        return _gcs(folded, kind)
    path = _text(folded.get("path"))
    if not path:
        raise NoNotice("the message names no file: it has neither path, nor bucket and name, nor records")
    if path.startswith(_NO_BUCKET):
        raise NoNotice(f"the path {path[:80]!r} names no bucket")
    size, created = _number(folded.get("size")), _text(folded.get("created"))
    checksum = _text(folded.get("checksum"))
    return Notice(
        path=path,
        size=size,
        version=checksum or (f"{size}-{created}" if created else ""),
        checksum=checksum,
        created=created,
        lines=_number(folded.get("linecnt")),
        bytes_=_number(folded.get("bytecnt")),
        files=_number(folded.get("files")),
        is_folder=folded.get("isdir") is True,
    )


def _gcs(found: Mapping[str, Any], kind: str) -> Notice:
    folded = {key.lower(): value for key, value in found.items()}
    bucket, name = _text(folded.get("bucket")), _text(folded.get("name"))
    if not name or not bucket:
        raise NoNotice("the message names no bucket and object")
    size = folded.get("size")
    generation = folded.get("generation")
    checksum = _text(folded.get("md5hash"))
    return Notice(
        path=f"gs://{bucket}/{name}",
        size=int(size) if isinstance(size, str) and size.isdecimal() and len(size) < 20 else 0,
        version=str(generation or "") or _text(folded.get("etag")) or checksum,
        checksum=checksum,
        created=_seconds(_text(folded.get("timecreated"))) or _ZERO,
        is_folder=name.endswith("/"),
        deleted=kind in _GONE,
        other="" if kind in ("", _NEW_IN_GCS, *_GONE) else kind,
        listed=md5_of(checksum) if generation else "",
    )


def _s3_version(version: object, tag: object, time: object) -> str:
    """The ETag, which listings tell too; the version and the time stand in for one that is not told."""
    return _text(tag).strip('"') or _text(version) or _text(time)


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""


def _number(value: object) -> int:
    return value if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 1 << 63 else 0


def _seconds(text: str) -> str:
    """Return a time in whole seconds, UTC; empty for what is none."""
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        return ""
    found = found.replace(tzinfo=UTC) if found.tzinfo is None else found
    try:
        return found.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    except (ValueError, OverflowError):
        return ""
