"""Whatever lies on the topic of notices is read or refused, and never anything else."""

from __future__ import annotations

import json

from hypothesis import given
from hypothesis import strategies as st

from flowlord.watch.notices import NoNotice, read_notices

KEYS = [
    "Records", "s3", "bucket", "name", "object", "key", "size", "eTag", "message", "data", "attributes", "eventType",
    "bucketId", "objectId", "Message", "Type", "TopicArn", "Body", "body", "Sns", "detail", "path", "id", "created",
    "isDir", "detail-type", "Event", "eventTime", "timeCreated", "generation",
]  # fmt: skip
leaves = (
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8)
    | st.sampled_from(["Notification", "{}", '{"path":"/x"}', "OBJECT_DELETE", "e30=", "9999-12-31T23:59:59+00:01"])
)  # fmt: skip
messages = st.recursive(
    leaves,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(KEYS), inner, max_size=5),
    max_leaves=20,
)


@given(st.binary(max_size=60) | messages.map(lambda found: json.dumps(found).encode()))
def test_any_message_is_read_or_refused(payload: bytes) -> None:
    try:
        notices = read_notices(payload)
    except NoNotice:
        return
    for notice in notices:
        assert notice.path
        assert notice.size >= 0
