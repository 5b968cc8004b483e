"""Folders of workflow files: what is read, what is left out, what is kept when a file breaks."""

import os

import pytest

from flowlord.spec.load import MAX_FILES, load, parse, reload, stamp

GOOD = '[[phase]]\ntask = "a"\nrule = "cron=@daily"\n'
OTHER = '[[phase]]\ntask = "b"\nrule = "cron=@hourly"\n'
BAD = "[[phase]]\ntask = 5\n"


def write(folder, files):
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, "utf-8")
    return folder


def test_names_are_paths_below_the_folder(tmp_path):
    yaml = "phases:\n- task: c\n  rule: cron=@daily\n"
    loaded = load(write(tmp_path, {"a.toml": GOOD, "x/y/b.TOML": OTHER, "x/c.yaml": yaml, "d.yml": yaml}))
    assert list(loaded.workflows.by_name) == ["a.toml", "d.yml", "x/c.yaml", "x/y/b.TOML"]
    assert loaded.workflows.by_name["x/c.yaml"].phases[0].identity == "x/c.yaml:c"
    assert loaded.workflows.by_name["a.toml"].path == str(tmp_path / "a.toml")
    assert (loaded.problems, loaded.phases) == ((), 4)


def test_a_single_file_has_its_bare_name(tmp_path):
    write(tmp_path, {"x/a.toml": GOOD, "x/b.toml": OTHER})
    assert list(load(tmp_path / "x/a.toml").workflows.by_name) == ["a.toml"]


def test_other_files_hidden_ones_and_the_configuration_are_ignored_and_named(tmp_path):
    files = {
        "a.toml": GOOD,
        "README.md": "#",
        ".b.toml": BAD,
        "flowlord.toml": "x = 1",
        "c.toml~": BAD,
        ".git/d.toml": BAD,
    }
    loaded = load(write(tmp_path, files))
    assert loaded.files == ("a.toml",)
    assert loaded.ignored == (".b.toml", "README.md", "c.toml~", "flowlord.toml")
    assert loaded.problems == ()


def test_the_configuration_named_as_a_workflow_is_told(tmp_path):
    [problem] = load(write(tmp_path, {"flowlord.toml": GOOD}) / "flowlord.toml").problems
    assert "configuration" in problem.text


def test_a_broken_file_is_left_out_and_the_others_load(tmp_path):
    loaded = load(write(tmp_path, {"a.toml": GOOD, "b.toml": BAD}))
    assert list(loaded.workflows.by_name) == ["a.toml"]
    assert loaded.broken == ("b.toml",)
    assert loaded.failed
    assert [problem.place for problem in loaded.problems] == [f"{tmp_path}/b.toml:2:8"]


def test_a_file_that_breaks_keeps_its_last_good_version_until_it_is_mended_or_gone(tmp_path):
    first = load(write(tmp_path, {"a.toml": GOOD, "b.toml": OTHER}))
    write(tmp_path, {"b.toml": BAD + "# longer"})
    broken = reload(first, tmp_path)
    assert broken.kept == ("b.toml",)
    assert broken.broken == ("b.toml",)
    assert broken.workflows.by_name["b.toml"] is first.workflows.by_name["b.toml"]
    assert broken.text_of("b.toml") == ""
    again = reload(broken, tmp_path)
    assert again.kept == ("b.toml",)
    assert again.problems == broken.problems
    write(tmp_path, {"b.toml": OTHER + "# mended"})
    mended = reload(again, tmp_path)
    assert (mended.kept, mended.problems) == ((), ())
    assert mended.workflows.by_name["b.toml"].revision != first.workflows.by_name["b.toml"].revision
    (tmp_path / "b.toml").unlink()
    assert list(reload(mended, tmp_path).workflows.by_name) == ["a.toml"]


def test_only_changed_files_are_read_again(tmp_path):
    first = load(write(tmp_path, {"a.toml": GOOD, "b.toml": OTHER}))
    before = stamp(tmp_path)
    assert stamp(tmp_path) == before
    write(tmp_path, {"b.toml": OTHER + "#"})
    assert {name for name, value in stamp(tmp_path).items() if before[name] != value} == {"b.toml"}
    second = reload(first, tmp_path)
    assert second.workflows.by_name["a.toml"] is first.workflows.by_name["a.toml"]
    assert second.workflows.by_name["b.toml"] is not first.workflows.by_name["b.toml"]


@pytest.mark.skipif(os.geteuid() == 0, reason="root reads everything")
def test_a_folder_that_cannot_be_read_now_keeps_its_workflows(tmp_path):
    first = load(write(tmp_path, {"a.toml": GOOD, "x/b.toml": OTHER}))
    (tmp_path / "x").chmod(0)
    try:
        second = reload(first, tmp_path)
    finally:
        (tmp_path / "x").chmod(0o755)
    assert second.kept == ("x/b.toml",)
    assert [problem.code for problem in second.problems] == ["FL001"]
    assert reload(second, tmp_path).kept == ()


def test_a_listing_that_fails_keeps_what_was_loaded(tmp_path, monkeypatch):
    first = load(write(tmp_path, {"a.toml": GOOD, "x/b.toml": OTHER}))
    scandir = os.scandir

    def refuse(path):
        if str(path).endswith("x"):
            raise PermissionError(13, "Permission denied")
        return scandir(path)

    monkeypatch.setattr(os, "scandir", refuse)
    second = reload(first, tmp_path)
    assert second.kept == ("x/b.toml",)
    assert list(second.workflows.by_name) == ["a.toml", "x/b.toml"]


def test_a_path_that_is_not_there_raises(tmp_path):
    for look in (load, stamp):
        with pytest.raises(FileNotFoundError):
            look(tmp_path / "nowhere")
        with pytest.raises(FileNotFoundError):
            look("a\0b")


def test_links_are_followed_and_circles_of_them_end(tmp_path):
    write(tmp_path, {"real/a.toml": GOOD, "elsewhere.txt": "x"})
    (tmp_path / "real/up").symlink_to(tmp_path)
    (tmp_path / "linked").symlink_to(tmp_path / "real")
    (tmp_path / "b.toml").symlink_to(tmp_path / "real/a.toml")
    loaded = load(tmp_path)
    assert {"b.toml", "linked/a.toml", "real/a.toml"} <= set(loaded.files)
    assert len(loaded.files) < 10


def test_a_link_to_nowhere_is_a_file_that_cannot_be_read_and_keeps_its_last_good_workflow(tmp_path):
    write(tmp_path, {"folder/real.toml": GOOD, "b.toml": GOOD})
    (tmp_path / "c.toml").symlink_to(tmp_path / "folder/real.toml")
    (tmp_path / "note").symlink_to(tmp_path / "nowhere")
    before = load(tmp_path)
    (tmp_path / "folder/real.toml").unlink()
    loaded = load(tmp_path)
    [problem] = loaded.problems
    assert (problem.code, problem.path) == ("FL001", str(tmp_path / "c.toml"))
    assert problem.text == "cannot be read: it is a link to a file that is not there"
    assert (loaded.broken, loaded.ignored) == (("c.toml",), ("note",))
    assert reload(before, tmp_path).kept == ("c.toml",)


def test_pipes_and_devices_are_not_read(tmp_path):
    os.mkfifo(tmp_path / "a.toml")
    (tmp_path / "b.toml").symlink_to("/dev/zero")
    loaded = load(tmp_path)
    assert loaded.files == ()
    assert loaded.ignored == ("a.toml", "b.toml")
    [problem] = load(tmp_path / "a.toml").problems
    assert "no regular file" in problem.text


def test_a_tree_that_is_too_large_says_so(tmp_path):
    for number in range(MAX_FILES + 1):
        (tmp_path / f"{number:04}.toml").touch()
    loaded = load(tmp_path)
    assert len(loaded.files) == MAX_FILES
    assert "FL003" in {problem.code for problem in loaded.problems}


def test_a_parent_in_another_file_is_told_with_its_place(tmp_path):
    child = '[[phase]]\ntask = "c"\ndependsOn = "{}"\n'
    write(tmp_path, {"a.toml": GOOD, "b.toml": child.format("a"), "c.toml": child.format("extrakt") + OTHER})
    write(tmp_path, {"d.toml": '[[phase]]\ntask = "extract"\nrule = "cron=@daily"\n'})
    elsewhere, unknown = load(tmp_path).problems
    assert (elsewhere.code, unknown.code) == ("FL103", "FL102")
    assert f"{tmp_path}/a.toml:1" in elsewhere.hint
    assert f"did you mean 'extract' ({tmp_path}/d.toml:1)?" in unknown.hint


def test_the_text_that_was_kept_reads_as_the_same_workflow(tmp_path):
    (tmp_path / "a.toml").write_bytes(b"\xef\xbb\xbf" + GOOD.replace("\n", "\r\n").encode())
    loaded = load(tmp_path)
    flow, problems = parse(loaded.text_of("a.toml").encode(), "a.toml", str(tmp_path / "a.toml"))
    assert problems == ()
    assert flow == loaded.workflows.by_name["a.toml"]
    assert len(flow.revision) == 16


def named_in_bytes(folder, name: bytes, text):
    path = os.path.join(os.fsencode(folder), name)
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "wb") as file:
        file.write(text.encode())
    return os.fsdecode(path)


def test_a_name_that_is_not_utf_8_is_told_in_words_that_print_and_the_others_load(tmp_path):
    write(tmp_path, {"a.toml": GOOD})
    named_in_bytes(tmp_path, b"w\xff.toml", OTHER)
    named_in_bytes(tmp_path, b"sub\xfe/b.toml", OTHER)
    named_in_bytes(tmp_path, b"n\xffotes.txt", "nothing of ours")
    first = load(tmp_path)
    again = reload(first, tmp_path)
    for loaded in (first, again):
        assert (loaded.files, list(loaded.workflows.by_name)) == (("a.toml",), ["a.toml"])
        assert loaded.failed
        assert [(each.code, each.path) for each in loaded.problems] == [
            ("FL001", f"{tmp_path}/sub\\udcfe/b.toml"),
            ("FL001", f"{tmp_path}/w\\udcff.toml"),
        ]
        "".join(map(str, loaded.problems)).encode()
    assert list(stamp(tmp_path)) == ["a.toml"]


def test_a_single_file_whose_name_is_not_utf_8_is_told(tmp_path):
    loaded = load(named_in_bytes(tmp_path, b"w\xff.toml", GOOD))
    assert (loaded.files, [each.code for each in loaded.problems]) == ((), ["FL001"])


def test_a_folder_above_whose_name_is_not_utf_8_hurts_nobody(tmp_path):
    named_in_bytes(tmp_path, b"f\xff/a.toml", GOOD)
    named_in_bytes(tmp_path, b"f\xff/b.toml", BAD)
    loaded = load(os.fsdecode(os.path.join(os.fsencode(tmp_path), b"f\xff")))
    assert loaded.workflows.by_name["a.toml"].path == f"{tmp_path}/f\\udcff/a.toml"
    assert [each.place for each in loaded.problems] == [f"{tmp_path}/f\\udcff/b.toml:2:8"]
