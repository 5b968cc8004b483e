"""Workflows in a bucket: the same as in a folder, for whoever lists and reads."""

from dataclasses import dataclass, field

import pytest

from flowlord.spec.bucket import BucketTree
from flowlord.spec.load import load, reload, stamp
from flowlord.storage.port import Listed, Unavailable

GOOD = b'[[phase]]\ntask = "a"\nrule = "cron=@daily"\n'
BAD = b"[[phase]]\ntask = 5\n"
ROOT = "s3://bucket/flows"


@dataclass
class Shelf:
    """Files by their keys below ROOT, and what was read of them."""

    files: dict[str, bytes]
    refused: set[str] = field(default_factory=set)
    read_names: list[str] = field(default_factory=list)

    def list(self, pattern):
        for name, data in self.files.items():
            path = f"{ROOT}/{name}" if name else ROOT
            if path == pattern or path.startswith(f"{pattern.rstrip('/')}/"):
                yield Listed(path, len(data), f"v{hash(data)}", 0)

    def read(self, path, limit):
        name = path.removeprefix(f"{ROOT}/")
        self.read_names.append(name)
        if name in self.refused:
            raise Unavailable(f"{path}: access is denied")
        return self.files[name][:limit], f"v{hash(self.files[name])}"


@pytest.mark.parametrize("path", [ROOT, f"{ROOT}/"])
def test_names_are_keys_below_the_prefix(path):
    files = {"a.toml": GOOD, "x/y/b.TOML": GOOD, "README.md": b"#", ".git/c.toml": BAD, "x/.d.toml": BAD}
    loaded = load(BucketTree(path, Shelf({**files, "flowlord.toml": b"x = 1"})))
    assert list(loaded.workflows.by_name) == ["a.toml", "x/y/b.TOML"]
    assert loaded.workflows.by_name["a.toml"].path == f"{ROOT}/a.toml"
    assert loaded.ignored == ("README.md", "flowlord.toml", "x/.d.toml")
    assert loaded.problems == ()


def test_a_single_file_has_its_bare_name():
    loaded = load(BucketTree(f"{ROOT}/x/a.toml", Shelf({"x/a.toml": GOOD, "x/a.toml/no": BAD})))
    assert list(loaded.workflows.by_name) == ["a.toml"]


def test_only_files_of_another_version_are_read_again_and_broken_ones_keep_their_last_good_one():
    shelf = Shelf({"a.toml": GOOD, "b.toml": GOOD})
    tree = BucketTree(ROOT, shelf)
    first = load(tree)
    before = stamp(tree)
    assert stamp(tree) == before
    shelf.files["b.toml"] = BAD
    assert stamp(tree) != before
    shelf.read_names.clear()
    second = reload(first, tree)
    assert shelf.read_names == ["b.toml"]
    assert (second.broken, second.kept) == (("b.toml",), ("b.toml",))
    assert second.workflows.by_name["b.toml"] == first.workflows.by_name["b.toml"]
    del shelf.files["b.toml"]
    assert list(reload(second, tree).workflows.by_name) == ["a.toml"]


def test_a_file_that_cannot_be_read_is_told_with_the_reason_and_is_tried_again():
    shelf = Shelf({"a.toml": GOOD, "b.toml": GOOD}, refused={"b.toml"})
    tree = BucketTree(ROOT, shelf)
    first = load(tree)
    [problem] = first.problems
    assert (problem.path, problem.text) == (f"{ROOT}/b.toml", "cannot be read: access is denied")
    assert first.unread == ("b.toml",)
    shelf.refused.clear()
    assert list(reload(first, tree).workflows.by_name) == ["a.toml", "b.toml"]


def test_an_empty_prefix_is_one_that_is_not_there():
    for call in (load, stamp):
        with pytest.raises(FileNotFoundError, match="there is nothing below"):
            call(BucketTree(ROOT, Shelf({})))
