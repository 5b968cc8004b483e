"""Buckets beyond the contract: what is told when something is wrong, odd spellings, and what is not installed."""

import gzip
import os
import socket
import ssl
import subprocess
import sys
import threading
from contextlib import nullcontext
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
import trustme

from flowlord.model.plan import FactKind
from flowlord.model.workflow import Workflows
from flowlord.storage.address import Address, fixed_part, is_remote
from flowlord.storage.open import Storage
from flowlord.storage.port import Access, Missing, Unavailable
from flowlord.taskmaster.batches import Batches
from flowlord.taskmaster.surroundings import Surroundings, read_sources
from support.farm import Farm, scheduler_of
from support.flows import flows_of
from support.object_servers import SECRET, bucket_on, shared_gcs, shared_s3
from support.redis_programs import free_port

ASKED = [
    lambda storage, path: list(storage.list(path + "*")),
    lambda storage, path: storage.stat(path),
    lambda storage, path: storage.read(path),
    lambda storage, path: list(storage.chunks(path)),
    lambda storage, path: storage.write(path, b"x"),
]


def told(storage: Storage, path: str) -> set[str]:
    """What every method says about a path."""
    words = set()
    for ask in ASKED:
        with pytest.raises(Unavailable) as caught:
            ask(storage, path)
        words.add(str(caught.value).partition(": ")[2])
    return words


def server_of(kind: str):
    return shared_s3() if kind == "s3" else shared_gcs()


@pytest.mark.parametrize("kind", ["s3", "gs"])
def test_a_bucket_that_is_gone_is_told_by_its_name(kind):
    server = server_of(kind)
    with bucket_on(server) as root:
        storage = server.storage()
        storage.write(f"{root}/a/x", b"x")
        assert [each.path for each in storage.list(f"{root}/a/")] == [f"{root}/a/x"]
    name = root.partition("://")[2]
    reading = set()
    for ask in ASKED[:-1]:  # what is written to a missing bucket differs from server to server
        with pytest.raises(Missing) as caught:
            ask(storage, f"{root}/a/x")
        reading.add(str(caught.value).partition(": ")[2])
    assert reading == {f"there is no bucket {name!r} at {server.endpoint}"}


def test_wrong_keys_are_told_and_the_secret_is_not():
    with bucket_on(shared_s3()) as root:
        wrong = Storage(replace(shared_s3().access, secret_key="not-this-one-either"))
        words = told(wrong, f"{root}/x")
        assert words == {f"{shared_s3().endpoint} does not accept the credentials (SignatureDoesNotMatch)"}
    assert SECRET not in repr(shared_s3().access)


@pytest.mark.parametrize("kind", ["s3", "gs"])
def test_a_server_that_is_not_there_is_told_by_its_address(kind):
    nobody = f"http://127.0.0.1:{free_port()}"
    access = Access(endpoint=nobody, access_key="a", secret_key="b", gcs_endpoint=nobody)
    assert told(Storage(access), f"{kind}://bucket/x") == {f"{nobody} cannot be reached"}


def test_a_server_that_never_answers_is_given_up_in_time(monkeypatch):
    monkeypatch.setattr("flowlord.storage.remote.CALL_LIMIT_S", 0.5)
    monkeypatch.setattr("flowlord.storage.remote.RETRY_LIMIT_S", 0.5)
    with socket.create_server(("127.0.0.1", 0)) as mute:
        endpoint = f"http://127.0.0.1:{mute.getsockname()[1]}"
        storage = Storage(Access(endpoint=endpoint, access_key="a", secret_key="b"))
        with pytest.raises(Unavailable, match=f"{endpoint} did not answer in time"):
            storage.stat("s3://bucket/x")


def test_a_certificate_that_nobody_vouches_for_is_told_as_such():
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    trustme.CA().issue_cert("127.0.0.1").configure_cert(context)

    class Shut(BaseHTTPRequestHandler):
        def log_message(self, *_):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Shut)
    server.handle_error = lambda *_: None
    server.socket = context.wrap_socket(server.socket, server_side=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        access = Access(endpoint=f"https://127.0.0.1:{server.server_port}", access_key="a", secret_key="b")
        with pytest.raises(Unavailable, match="is not trusted here"):
            Storage(access).stat("s3://bucket/x")
    finally:
        server.shutdown()
        server.server_close()


def test_a_server_may_be_named_in_the_path_itself():
    server = shared_s3()
    with bucket_on(server) as root:
        host = server.endpoint.removeprefix("http://")
        base = f"mc://{host}/{root.removeprefix('s3://')}"
        storage = Storage(replace(server.access, endpoint=""))
        storage.write(f"{base}/in/a.csv", b"x")
        assert [each.path for each in storage.list(f"{base}/in/*.csv")] == [f"{base}/in/a.csv"]
        other = server.storage()
        assert other.read(f"S3A://{root.removeprefix('s3://')}/in/a.csv")[0] == b"x"


@pytest.mark.parametrize(
    ("path", "words"),
    [
        ("s3://", "names no bucket"),
        ("mc://host", "names no bucket"),
        ("mcs:///bucket/key", "names no bucket"),
        ("s3://b*/x", "a plain name"),
        ("s3://key:hush-hush@bucket/x", "a plain name"),
        ("mc://key:hush-hush@host/bucket/x", "a plain name"),
        ("gs://b/a//c", "empty part"),
        ("gs://b/../c", "empty part"),
        ("s3://b/a\nb", "illegal character"),
        ("hdfs://name/x", "hdfs:// is no storage"),
        ("https://host/x", "https:// is no storage"),
    ],
)
def test_a_path_that_nobody_can_ask_for_is_refused_by_all_and_shows_no_password(path, words):
    storage = Storage(Access(endpoint="http://127.0.0.1:1", access_key="a", secret_key="b"))
    for ask in (storage.stat, storage.read, lambda path: storage.write(path, b"x")):
        with pytest.raises(Unavailable, match=words) as caught:
            ask(path)
        assert "hush-hush" not in str(caught.value)


def test_what_stands_before_the_first_star_is_asked_for():
    assert fixed_part("in/2026/*.csv") == "in/2026/"
    assert fixed_part("in/day=?/x") == "in/"
    assert fixed_part("*.csv") == ""
    assert fixed_part("in/a\\*b/x") == "in/"
    assert fixed_part("in/a.csv") == "in/a.csv"
    address = Address.parse("gcs://bucket/a/b")
    assert (address.kind, address.bucket, address.key, address.base) == (
        "gs",
        "bucket",
        "a/b",
        "gcs://bucket/",
    )
    assert is_remote("GS://x/y")
    assert not is_remote("/gs://x")


def test_without_the_package_the_error_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "obstore", None)
    with pytest.raises(Unavailable, match=r"pip install 'flowlord\[cloud\]'"):
        list(Storage().list("s3://bucket/x"))
    [reason] = read_sources(["gs://bucket/rows.jsonl"]).values()
    assert "flowlord[cloud]" in reason


def test_a_store_carried_over_a_fork_refuses_where_it_would_hang():
    """In a process of its own: forking one with threads is what is wrong about it."""
    code = """if True:
        import os, sys
        from flowlord.storage.open import Storage
        from flowlord.storage.port import Access, Unavailable
        storage = Storage(Access(endpoint=sys.argv[1], access_key="a", secret_key="b"))
        def ask():
            try:
                storage.stat("s3://bucket/x")
            except Unavailable as error:
                print(error, flush=True)
        ask()
        child = os.fork()
        if not child:
            ask()
            os._exit(0)
        os.waitpid(child, 0)
    """
    done = subprocess.run(
        [sys.executable, "-c", code, f"http://127.0.0.1:{free_port()}"],
        capture_output=True, text=True, timeout=60, check=True, env=os.environ,
    )  # fmt: skip
    first, second = done.stdout.splitlines()
    assert "cannot be reached" in first
    assert "carried over a fork" in second


def test_one_name_that_cannot_be_read_hides_no_other_folder_and_is_told_at_the_end():
    server = shared_gcs()
    with bucket_on(server) as root:
        storage = server.storage()
        for name in ("in/a/1.csv", "in/b/2.csv", "in/z.csv", "out/3.csv"):
            storage.write(f"{root}/{name}", b"x")
        for name in ("in/b//odd.csv", "in/c/new\nline.csv"):
            server.put_as_others_do(root.partition("://")[2], name, b"x")
        listed = storage.list(f"{root}/in/**.csv")
        assert {next(listed).path, next(listed).path} == {f"{root}/in/a/1.csv", f"{root}/in/z.csv"}
        with pytest.raises(Unavailable, match=r"in/b/ holds a name that cannot be read"):
            next(listed)
        assert [each.path for each in storage.list(f"{root}/out/")] == [f"{root}/out/3.csv"]


def test_the_mark_of_a_folder_is_no_file():
    server = shared_gcs()
    with bucket_on(server) as root:
        storage = server.storage()
        for name in ("in/", "in/a/", "in/a/b/"):
            server.put_as_others_do(root.partition("://")[2], name, b"")
        storage.write(f"{root}/in/a/_SUCCESS", b"")
        storage.write(f"{root}/in/a/b/1.csv", b"")
        assert [each.path.removeprefix(root) for each in storage.list(f"{root}/")] == [
            "/in/a/_SUCCESS",
            "/in/a/b/1.csv",
        ]


@pytest.mark.parametrize("kind", ["s3", "gs"])
def test_rows_of_meta_files_come_out_of_a_bucket(kind):
    server = server_of(kind)
    with bucket_on(server) as root:
        storage = server.storage()
        rows = b"".join(b'{"n": %d, "name": "z\xc3\xbcge"}\n' % n for n in range(3_000))
        storage.write(f"{root}/m/rows-1.jsonl.gz", gzip.compress(rows))
        storage.write(f"{root}/m/rows-2.jsonl.gz", gzip.compress(b'{"n": "last"}\n'))
        storage.write(f"{root}/m/table.csv", "\ufeffid,name\n7,seven\n".encode())
        found = read_sources(
            [f"{root}/m/rows*.jsonl.gz", f"{root}/m/table.csv", f"{root}/m/none.csv"], storage
        )
        many, table, none = found.values()
        assert [row["n"] for row in many.rows] == [*map(str, range(3_000)), "last"]
        assert many.rows[5]["name"] == "züge"
        assert list(table.rows) == [{"id": "7", "name": "seven"}]
        assert none == f"meta-file {root}/m/none.csv: there is no such file"


@pytest.mark.parametrize("kind", ["local", "s3"])
def test_the_bad_row_70001_of_a_meta_file_is_named_by_its_line(kind, tmp_path):
    rows = b'{"n": 1}\n' * 70_000 + b'{"n": \n{"n": 1}\n'
    with bucket_on(server_of(kind)) if kind != "local" else nullcontext(str(tmp_path)) as root:
        farm, storage = Farm(), Storage() if kind == "local" else server_of(kind).storage()
        storage.write(f"{root}/rows.jsonl", rows)
        flows = flows_of({
            "a": [{"task": "a", "rule": f"cron=* * * * *&meta-file={root}/rows.jsonl", "template": "{meta:n}"}],
            "b": [{"task": "b", "rule": "cron=* * * * *", "template": "x"}],
        })  # fmt: skip
        batches = Batches(start(farm, flows, storage))
        while batches.step():
            pass
        [alert] = farm.facts(FactKind.ALERT)
        assert f"{root}/rows.jsonl" in alert
        assert "line 70001: " in alert
        assert "70,000 of its tasks were published before" in alert
        assert len(farm.bus.claim(["b"], "w", 10)) == 1


@pytest.mark.parametrize("kind", ["s3", "gs"])
def test_a_large_meta_file_that_is_replaced_in_its_bucket_stops_its_batch_and_nothing_else(kind, monkeypatch):
    monkeypatch.setattr(
        "flowlord.storage.remote.CHUNK_BYTES", 1 << 16
    )  # what is in hand is of one version anyway
    rows = b"".join(b'{"n": %d}\n' % n for n in range(25_000))
    with bucket_on(server_of(kind)) as root:
        farm, storage = Farm(), server_of(kind).storage()
        storage.write(f"{root}/rows.jsonl", rows)
        storage.write(f"{root}/other.jsonl", rows)
        flows = flows_of({
            name: [{"task": name, "rule": f"cron=* * * * *&meta-file={root}/{file}.jsonl", "template": "{meta:n}"}]
            for name, file in (("changed", "rows"), ("whole", "other"))
        })  # fmt: skip
        around = start(farm, flows, storage)
        batches = Batches(around)
        assert batches.step() > 0
        storage.write(f"{root}/rows.jsonl", rows + b'{"n": "more"}\n')
        while batches.step():
            pass
        [alert] = farm.facts(FactKind.ALERT)
        assert f"{root}/rows.jsonl has changed: it was version" in alert
        infos = [delivery.task().info for delivery in farm.bus.claim(["whole"], "w", 100_000)]
        assert infos == [str(n) for n in range(25_000)]
        assert 0 < len(farm.bus.claim(["changed"], "w", 100_000)) < 25_000


def test_a_meta_file_whose_bucket_is_gone_fails_its_phase_and_no_other():
    farm, server = Farm(), shared_s3()
    rules = {"lost": "meta-file=s3://no-such-bucket/rows.jsonl", "plain": "no_alert"}
    flows = flows_of({
        name: [{"task": name, "rule": f"cron=* * * * *&{rule}", "template": "x"}] for name, rule in rules.items()
    })  # fmt: skip
    start(farm, flows, server.storage())
    [alert] = farm.facts(FactKind.ALERT)
    assert (
        f"s3://no-such-bucket/rows.jsonl: there is no bucket 'no-such-bucket' at {server.endpoint}" in alert
    )
    assert (len(farm.bus.claim(["plain"], "w", 10)), farm.bus.claim(["lost"], "w", 10)) == (1, [])


def start(farm: Farm, flows: Workflows, storage: Storage) -> Surroundings:
    """Let every phase that is due each minute start once."""
    around = farm.daemon(flows)
    around.storage = storage
    scheduler = scheduler_of(around)
    scheduler.decide_due()
    farm.clock.advance(30)
    scheduler.decide_due()
    return around
