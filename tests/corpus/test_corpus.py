"""Each code has a faulty file, and what is said of it in each format is what people have read and found good."""

import json
from xml.etree import ElementTree

import pytest

from corpus.write import ENDINGS, HOME, answer, expected
from flowlord import __version__
from flowlord.spec.codes import CODES
from support.sarif import published


def test_every_code_has_a_folder_and_every_folder_a_code():
    assert sorted(each.name for each in HOME.iterdir() if each.is_dir() and each.name[:2] == "FL") == sorted(
        CODES
    )


@pytest.mark.parametrize("output", ENDINGS)
@pytest.mark.parametrize("code", CODES)
def test_what_is_said_of_a_faulty_file_is_what_was_found_good(code, output, tmp_path):
    said = answer(code, output, tmp_path)
    assert code in said
    assert str(tmp_path) not in said
    assert said == expected(code, output).read_text("utf-8")


@pytest.mark.parametrize("code", CODES)
def test_the_formats_for_machines_agree(code):
    listed = json.loads(expected(code, "json").read_text("utf-8"))
    lines = [json.loads(line) for line in expected(code, "jsonl").read_text("utf-8").splitlines()]
    results = json.loads(expected(code, "sarif").read_text("utf-8"))["runs"][0]["results"]
    quality = json.loads(expected(code, "gitlab").read_text("utf-8"))
    cases = ElementTree.parse(expected(code, "junit")).getroot().iter("testcase")
    assert listed == lines
    codes = [each["code"] for each in listed]
    assert codes == [each["ruleId"] for each in results] == [each["check_name"] for each in quality]
    assert codes == [each.attrib["name"].split()[0] for each in cases]


@pytest.mark.parametrize("code", CODES)
def test_every_log_is_what_the_published_schema_asks_for(code):
    log = json.loads(expected(code, "sarif").read_text("utf-8").replace("VERSION", __version__))
    published().validate(log)
    [run] = log["runs"]
    assert [each["id"] for each in run["tool"]["driver"]["rules"]].count(code) == 1


def test_the_published_schema_refuses_what_is_no_log():
    log = json.loads(expected("FL040", "sarif").read_text("utf-8"))
    log["runs"][0]["results"][0]["locations"][0]["physicalLocation"]["region"]["startLine"] = 0
    assert not published().is_valid(log)
