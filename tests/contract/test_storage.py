"""What every storage must do: a local folder, a bucket of S3, a bucket of Google's."""

import gzip
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from flowlord.storage.open import Storage
from flowlord.storage.port import Changed, Conflict, Listed, Missing, Unavailable
from support.object_servers import bucket_on, shared_gcs, shared_s3


@dataclass
class Place:
    """A storage, and an empty place in it."""

    storage: Storage
    root: str

    def path(self, name: str) -> str:
        return f"{self.root}/{name}"

    def put(self, name: str, data: bytes | str) -> str:
        return self.storage.write(self.path(name), data.encode() if isinstance(data, str) else data)

    def names(self, pattern: str) -> list[str]:
        found = [each.path for each in self.storage.list(self.path(pattern))]
        assert all(path.startswith(f"{self.root}/") for path in found)
        return sorted(path.removeprefix(f"{self.root}/") for path in found)

    def text(self, name: str, offset: int = 0, version: str = "") -> list[str]:
        return [line for line, _ in self.storage.lines(self.path(name), offset, version)]


@pytest.fixture(params=["local", "file", "s3", "gs"])
def place(request, tmp_path: Path) -> Iterator[Place]:
    match request.param:
        case "s3" | "gs" as kind:
            server = shared_s3() if kind == "s3" else shared_gcs()
            with bucket_on(server) as root:
                yield Place(server.storage(), root)
        case "file":
            yield Place(Storage(), f"file://{tmp_path}")
        case _:
            yield Place(Storage(), str(tmp_path))


def test_what_is_written_is_read_with_the_version_that_lists_and_looks_tell(place):
    version = place.put("a/b.txt", "one\ntwo\n")
    assert version
    assert place.storage.read(place.path("a/b.txt")) == (b"one\ntwo\n", version)
    [listed] = place.storage.list(place.path("a/"))
    looked = place.storage.stat(place.path("a/b.txt"))
    for found in (listed, looked):
        assert (found.path, found.size, found.version) == (place.path("a/b.txt"), 8, version)
        assert found.modified_us > 1_500_000_000_000_000
    assert abs(listed.modified_us - looked.modified_us) < 1_000_000


def test_another_content_has_another_version(place):
    versions = {place.put("x", text) for text in ("one", "two!", "")}
    assert len(versions) == 3
    assert place.storage.read(place.path("x"))[0] == b""


def test_what_is_taken_away_is_gone_and_may_be_taken_away_again(place):
    place.put("a/one.txt", "1")
    place.put("a/two.txt", "2")
    place.storage.delete(place.path("a/one.txt"))
    place.storage.delete(place.path("a/one.txt"))
    assert place.names("a/") == ["a/two.txt"]
    with pytest.raises(Missing):
        place.storage.read(place.path("a/one.txt"))


def test_a_place_is_listed_with_all_below_it_whether_or_not_a_slash_says_so(place):
    for name in ("w/a.toml", "w/sub/b.toml", "w/sub/deep/c.toml", "wide/d.toml", "w.toml"):
        place.put(name, name)
    inside = ["w/a.toml", "w/sub/b.toml", "w/sub/deep/c.toml"]
    assert place.names("w/") == inside
    assert place.names("w") == inside
    assert place.names("w.toml") == ["w.toml"]
    assert place.names("") == sorted([*inside, "w.toml", "wide/d.toml"])


def test_patterns_match_as_those_of_file_rules(place):
    for name in (
        "in/a1.csv",
        "in/a2.csv",
        "in/b1.csv",
        "in/x/a1.csv",
        "in/x/y/a3.csv",
        "in/a1.csv.gz",
        "other/a1.csv",
    ):
        place.put(name, "x")
    assert place.names("in/a*.csv") == ["in/a1.csv", "in/a2.csv"]
    assert place.names("in/?1.csv") == ["in/a1.csv", "in/b1.csv"]
    assert place.names("in/[^a]*.csv") == ["in/b1.csv"]
    assert place.names("in/*/*.csv") == ["in/x/a1.csv"]
    assert place.names("in/**.csv") == ["in/a1.csv", "in/a2.csv", "in/b1.csv", "in/x/a1.csv", "in/x/y/a3.csv"]
    assert place.names("*/a1.csv") == ["in/a1.csv", "other/a1.csv"]
    assert place.names("none/*.csv") == []
    with pytest.raises(Unavailable, match="never closes it"):
        place.names("in/[a.csv")


def test_names_of_any_characters_come_back_as_they_are(place):
    names = ["a b.txt", "ünï/日本.txt", "p%20q&r=s+t#u?.txt", "{meta:x}.txt"]
    for name in names:
        place.put(f"in/{name}", name)
    listed = place.names("in/")
    assert listed == sorted(f"in/{name}" for name in names)
    for name in names:
        assert place.storage.read(place.path(f"in/{name}"))[0].decode() == name
        assert place.storage.stat(place.path(f"in/{name}")).size == len(name.encode())


def test_what_is_not_there_is_missing_by_name(place):
    place.put("here", "x")
    for look in (
        lambda: place.storage.stat(place.path("nothing")),
        lambda: place.storage.read(place.path("nothing")),
        lambda: list(place.storage.list(place.path("nothing"))),
        lambda: place.text("nothing"),
    ):
        with pytest.raises(Missing, match="nothing"):
            look()


def test_a_file_of_many_parts_is_read_from_any_byte_on(place):
    data = b"".join(b"%07d\n" % n for n in range(700_000))  # larger than one request
    version = place.put("big.txt", data)
    assert b"".join(place.storage.chunks(place.path("big.txt"))) == data
    assert b"".join(place.storage.chunks(place.path("big.txt"), 5_000_003, version)) == data[5_000_003:]
    assert b"".join(place.storage.chunks(place.path("big.txt"), len(data))) == b""


@pytest.mark.parametrize("name", ["rows.txt", "rows.txt.gz"])
def test_reading_goes_on_behind_any_line(place, name):
    lines = [f"zeile {n} ü\n" for n in range(2_000)] + ["the last one has no end"]
    packed = gzip.compress("".join(lines).encode()) if name.endswith(".gz") else "".join(lines).encode()
    version = place.put(name, packed)
    read = list(place.storage.lines(place.path(name)))
    assert [line for line, _ in read] == lines
    assert read[-1][1] == len("".join(lines).encode())
    for at in (0, 1, 777, 1_999, 2_000):
        assert place.text(name, read[at][1], version) == lines[at + 1 :]


def test_a_file_that_has_another_version_is_not_read_on(place):
    old = place.put("rows", "one\ntwo\n")
    place.put("rows", "three\n")
    with pytest.raises(Changed, match=r"rows has changed: it was version "):
        place.text("rows", 4, old)


def test_a_file_that_changes_while_it_is_read_is_told(place):
    place.put("rows", b"x" * 79 + b"\n" + b"0123456\n" * 1_000_000)
    chunks = place.storage.chunks(place.path("rows"))
    next(chunks)
    if "://" in place.root and not place.root.startswith("file"):
        place.put("rows", "others\n")
    else:  # written into, as an appending program does; what replaces it is another file
        with open(place.path("rows").removeprefix("file://"), "ab") as file:
            file.write(b"more")
    with pytest.raises(Changed, match="rows"):
        list(chunks)


def test_a_condition_on_writing_holds_or_nothing_is_written(place):
    first = place.storage.write(place.path("c"), b"1", if_absent=True)
    with pytest.raises(Conflict):
        place.storage.write(place.path("c"), b"other", if_absent=True)
    second = place.storage.write(place.path("c"), b"two", if_version=first)
    with pytest.raises(Conflict):
        place.storage.write(place.path("c"), b"three", if_version=first)
    assert place.storage.read(place.path("c")) == (b"two", second)


def test_of_many_that_create_one_file_one_wins(place):
    won: list[int] = []
    start = threading.Barrier(8)

    def create(number: int) -> None:
        start.wait()
        try:
            place.storage.write(place.path("one"), b"%d" % number, if_absent=True)
        except Conflict:
            return
        won.append(number)

    threads = [threading.Thread(target=create, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(won) == 1
    assert place.storage.read(place.path("one"))[0] == b"%d" % won[0]


def test_what_is_larger_than_asked_for_is_refused(place):
    place.put("big", b"x" * 101)
    with pytest.raises(Unavailable, match="more than 100 bytes"):
        place.storage.read(place.path("big"), 100)
    place.put("bomb.gz", gzip.compress(b"\n" * (3 << 20)))
    with pytest.raises(Unavailable, match="more than 2 MiB"):
        for _ in place.storage.lines(place.path("bomb.gz"), limit=2 << 20):
            pass


def test_damaged_and_foreign_bytes_are_told_with_their_place(place):
    packed = gzip.compress(b"".join(b"%d\n" % n for n in range(10_000)))
    place.put("cut.gz", packed[: len(packed) // 2])
    place.put("no.gz", b"this was never packed")
    place.put("latin", "ein\nzwölf\n".encode("latin-1"))
    with pytest.raises(Unavailable, match=r"cut\.gz cannot be read: the packed file ends in its middle"):
        place.text("cut.gz")
    with pytest.raises(Unavailable, match=r"no\.gz cannot be read"):
        place.text("no.gz")
    with pytest.raises(Unavailable, match="latin cannot be read: byte 6 is not UTF-8"):
        place.text("latin")


def test_several_members_of_a_packed_file_are_one_text(place):
    place.put("parts.gz", gzip.compress(b"one\ntw") + gzip.compress(b"o\n") + b"\0" * 512)
    assert place.text("parts.gz") == ["one\n", "two\n"]
    place.put("empty.gz", b"")
    assert place.text("empty.gz") == []


def test_files_of_a_meta_file_come_in_name_order(place):
    for name in ("m/3.jsonl", "m/1.jsonl", "m/2.jsonl"):
        place.put(name, "{}")
    assert [each.path for each in place.storage.paths(place.path("m/*.jsonl"))] == [
        place.path(f"m/{n}.jsonl").removeprefix("file://") for n in (1, 2, 3)
    ]
    with pytest.raises(Missing, match="no files found"):
        place.storage.paths(place.path("m/*.csv"))
    assert all(isinstance(each, Listed) for each in place.storage.paths(place.path("m/1.jsonl")))
