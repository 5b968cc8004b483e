"""`flowlord config`: the effective value of each setting and where it comes from."""

import json

from support.processes import flowlord, write


def settings(cwd, *arguments, env=None) -> dict[str, dict]:
    ended = flowlord("config", *arguments, "-o", "json", cwd=cwd, env=env)
    assert ended.code == 0, ended.err
    return {row["name"]: row for row in json.loads(ended.out)}


def test_each_value_has_its_origin_and_flag_beats_environment_beats_file_beats_default(tmp_path):
    write(tmp_path, {"flowlord.toml": '[bus]\naddress = "sqlite:///file.db"\n\n[taskmaster]\ngrace = "7s"\n'})
    env = {"FLOWLORD_BUS": "sqlite:///environment.db"}
    by_flag = settings(tmp_path, "--bus", "sqlite:///flag.db", env=env)
    by_environment = settings(tmp_path, env=env)
    by_file = settings(tmp_path)
    found = [each["bus.address"] for each in (by_flag, by_environment, by_file)]
    assert [row["value"] for row in found] == [
        "sqlite:///flag.db",
        "sqlite:///environment.db",
        "sqlite:///file.db",
    ]
    assert "--bus" in found[0]["origin"]
    assert "FLOWLORD_BUS" in found[1]["origin"]
    assert "flowlord.toml" in found[2]["origin"]
    assert by_file["bus.lease"]["origin"] == "default"
    assert "flowlord.toml" in by_file["taskmaster.grace"]["origin"]


def test_a_setting_that_cannot_be_understood_is_told_with_its_place(tmp_path):
    write(tmp_path, {"flowlord.toml": '[taskmaster]\ngrace = "seven"\ngrase = "7s"\n'})
    ended = flowlord("config", cwd=tmp_path)
    assert ended.code == 2
    assert "flowlord.toml:2" in ended.err
    assert "flowlord.toml:3" in ended.err
    assert "did you mean" in ended.err
    assert ended.out == ""


def test_a_variable_that_cannot_be_understood_is_named(tmp_path):
    ended = flowlord("config", cwd=tmp_path, env={"FLOWLORD_GRACE": "seven"})
    assert ended.code == 2
    assert "FLOWLORD_GRACE" in ended.err


def test_a_file_that_is_named_and_not_there_is_wrong_use(tmp_path):
    ended = flowlord("config", "--config", "nowhere.toml", cwd=tmp_path)
    assert ended.code == 2
    assert "nowhere.toml" in ended.err


def test_the_file_may_be_yaml_and_named_by_flag_or_variable(tmp_path):
    write(tmp_path, {"my.yaml": "taskmaster:\n  grace: 9s\n"})
    for found in (
        settings(tmp_path, "--config", "my.yaml"),
        settings(tmp_path, env={"FLOWLORD_CONFIG": "my.yaml"}),
    ):
        assert found["taskmaster.grace"]["value"] == "9s"
        assert "my.yaml" in found["taskmaster.grace"]["origin"]
