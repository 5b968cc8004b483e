"""Notices about files as services send them: bare, wrapped, several at once, about what is gone, and broken."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest

from flowlord.watch.notices import NoNotice, Notice, read_notices

S3 = {
    "eventVersion": "2.1",
    "eventSource": "aws:s3",
    "awsRegion": "eu-central-1",
    "eventTime": "2026-08-01T05:00:01.123Z",
    "eventName": "ObjectCreated:Put",
    "s3": {
        "s3SchemaVersion": "1.0",
        "bucket": {"name": "in", "arn": "arn:aws:s3:::in"},
        "object": {"key": "a/2026/08/01/x+y%26z.csv", "size": 17, "eTag": "d41d8", "sequencer": "0A"},
    },
}
GCS = {
    "kind": "storage#object",
    "id": "in/a/x.csv/17",
    "name": "a/x y.csv",
    "bucket": "in",
    "generation": "17",
    "size": "23",
    "timeCreated": "2026-08-01T05:00:01.123Z",
    "md5Hash": "abc==",
}
PUT = Notice("s3://in/a/2026/08/01/x y&z.csv", 17, "d41d8", "d41d8", "2026-08-01T05:00:01Z")
OBJECT = Notice("gs://in/a/x y.csv", 23, "17", "abc==", "2026-08-01T05:00:01Z")


def with_event(name: str) -> dict[str, Any]:
    return {"Records": [S3 | {"eventName": name}]}


def pushed(inner: dict[str, Any] | None, **attributes: str) -> dict[str, Any]:
    data = base64.b64encode(json.dumps(inner).encode()).decode() if inner is not None else ""
    return {"message": {"data": data, "attributes": attributes, "messageId": "1"}, "subscription": "s"}


def sns(inner: object) -> dict[str, Any]:
    return {"Type": "Notification", "TopicArn": "arn:aws:sns:x", "Message": json.dumps(inner)}


FORMS: dict[str, tuple[object, list[Notice]]] = {
    "a record of S3": ({"Records": [S3]}, [PUT]),
    "two records of S3": ({"Records": [S3, S3]}, [PUT, PUT]),
    "S3 in SNS": (sns({"Records": [S3]}), [PUT]),
    "S3 in SNS in SQS": ({"MessageId": "1", "Body": json.dumps(sns({"Records": [S3]}))}, [PUT]),
    "S3 in SQS as a batch": ({"Records": [{"body": json.dumps({"Records": [S3]})}]}, [PUT]),
    "SNS as a record": ({"Records": [{"Sns": {"Message": json.dumps({"Records": [S3]})}}]}, [PUT]),
    "the test message of S3": ({"Service": "Amazon S3", "Event": "s3:TestEvent", "Bucket": "in"}, []),
    "EventBridge": (
        {
            "detail-type": "Object Created",
            "source": "aws.s3",
            "time": "2026-08-01T05:00:01Z",
            "detail": {"bucket": {"name": "in"}, "object": {"key": "a/x+y.csv", "size": 5, "etag": "e"}},
        },
        [Notice("s3://in/a/x+y.csv", 5, "e", "e", "2026-08-01T05:00:01Z")],
    ),
    "an object of GCS": (GCS, [OBJECT]),
    "GCS pushed by Pub/Sub": (
        pushed(GCS, eventType="OBJECT_FINALIZE", bucketId="in", objectId="a/x y.csv"),
        [OBJECT],
    ),
    "GCS pulled from Pub/Sub": (pushed(GCS, eventType="OBJECT_FINALIZE")["message"], [OBJECT]),
    "Pub/Sub without a payload": (
        pushed(None, eventType="OBJECT_FINALIZE", bucketId="in", objectId="k", objectGeneration="9"),
        [Notice("gs://in/k", 0, "9", "", "0001-01-01T00:00:00Z")],
    ),
    "our stat in Pub/Sub": (pushed({"path": "/a/b", "size": 3}), [Notice("/a/b", 3)]),
    "our stat": (
        {
            "path": "/a/b",
            "size": 3,
            "linecnt": 1,
            "bytecnt": 9,
            "checksum": "c",
            "created": "t",
            "isDir": False,
        },
        [Notice("/a/b", 3, "c", "c", "t", 1, 9)],
    ),
    "a folder of ours": (
        {"path": "/a/", "isDir": True, "files": 4},
        [Notice("/a/", files=4, is_folder=True)],
    ),
}


@pytest.mark.parametrize(("message", "notices"), FORMS.values(), ids=FORMS)
def test_a_notice_tells_its_files(message, notices):
    assert read_notices(json.dumps(message).encode()) == notices


GONE: dict[str, object] = {
    "S3": with_event("ObjectRemoved:Delete"),
    "S3 with its prefix": with_event("s3:ObjectRemoved:DeleteMarkerCreated"),
    "S3 by a rule of age": with_event("LifecycleExpiration:Delete"),
    "EventBridge": {
        "detail-type": "Object Deleted",
        "detail": {"bucket": {"name": "in"}, "object": {"key": "k"}},
    },
    "GCS": pushed(GCS, eventType="OBJECT_DELETE"),
    "GCS without payload": pushed(None, eventType="OBJECT_DELETE", bucketId="in", objectId="k"),
    "GCS archived": pushed(GCS, eventType="OBJECT_ARCHIVE"),
}


@pytest.mark.parametrize("message", GONE.values(), ids=GONE)
def test_a_notice_that_a_file_is_gone_says_so(message):
    [notice] = read_notices(json.dumps(message).encode())
    assert notice.deleted


def nested(depth: int) -> object:
    found: object = {"path": "/x"}
    for _ in range(depth):
        found = sns(found)
    return found


BROKEN: dict[str, bytes] = {
    "no JSON": b"{",
    "a list": b"[1]",
    "nothing": b"",
    "no text": b"\xff\xfe",
    "deep": b'{"a":' * 100_000,
    "no path": b"{}",
    "an empty path": b'{"path": ""}',
    "records that are none": b'{"Records": [1]}',
    "a record without a key": b'{"Records": [{"s3": {"bucket": {"name": "b"}}}]}',
    "a record of something else": b'{"Records": [{"eventSource": "aws:sqs"}]}',
    "SNS with no JSON": json.dumps({"Type": "Notification", "Message": "hello"}).encode(),
    "Pub/Sub with no base64": b'{"message": {"data": "%%%"}}',
    "Pub/Sub with nothing": b'{"message": {"data": ""}}',
    "envelopes without end": json.dumps(nested(7)).encode(),
    "EventBridge without a bucket": b'{"detail": {"object": {"key": "k"}}}',
}


@pytest.mark.parametrize("payload", BROKEN.values(), ids=BROKEN)
def test_what_tells_of_no_file_is_refused_with_the_reason(payload):
    with pytest.raises(NoNotice, match=r"\w+"):
        read_notices(payload)


@pytest.mark.parametrize(
    "event",
    [
        "ObjectTagging:Put",
        "ObjectAcl:Put",
        "ObjectRestore:Completed",
        "s3:ObjectAccessed:Get",
        "LifecycleTransition",
    ],
)
def test_an_event_of_s3_that_writes_nothing_is_told_as_what_it_is(event: str) -> None:
    [notice] = read_notices(json.dumps(with_event(event)).encode())
    assert (notice.other, notice.deleted) == (event.removeprefix("s3:"), False)


@pytest.mark.parametrize("event", ["ObjectCreated:Copy", "s3:ObjectCreated:CompleteMultipartUpload", ""])
def test_an_event_of_s3_that_writes_is_a_file(event: str) -> None:
    assert read_notices(json.dumps(with_event(event)).encode()) == [PUT]


@pytest.mark.parametrize("more", [{}, {"bucketId": "in", "objectId": "a/x y.csv"}])
def test_new_metadata_of_an_object_of_google_are_no_new_file(more: dict[str, str]) -> None:
    told = pushed(GCS, eventType="OBJECT_METADATA_UPDATE", **more)
    [notice] = read_notices(json.dumps(told).encode())
    assert (notice.path, notice.other, notice.deleted) == (OBJECT.path, "OBJECT_METADATA_UPDATE", False)


def test_tags_told_by_eventbridge_are_no_new_file() -> None:
    thing = {"bucket": {"name": "in"}, "object": {"key": "a.csv", "size": 1, "etag": "d"}}
    [notice] = read_notices(json.dumps({"detail-type": "Object Tags Added", "detail": thing}).encode())
    assert notice.other == "Object Tags Added"
