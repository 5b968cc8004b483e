"""Tests see nothing of the shell that started them, and what they leave is ignored."""

import os
import subprocess
import sys
import textwrap

from guard.source import ROOT


def test_no_setting_of_the_shell_reaches_a_test(tmp_path):
    (tmp_path / "conftest.py").write_text((ROOT / "tests" / "conftest.py").read_text("utf-8"))
    (tmp_path / "test_probe.py").write_text(
        textwrap.dedent("""
        import os, time

        def test_probe():
            assert not {"FLOWLORD_BUS", "TASKFLOW_LOCK_TTL", "NO_COLOR", "FORCE_COLOR", "REDIS_URL"} & set(os.environ)
            assert os.environ["FLOWLORD_VECTORS"] == "here"
            assert os.environ["FLOWLORD_TEST_KILLS"] == "3"
            assert time.localtime(0).tm_hour != 0  # code that takes local time for UTC shows
        """)
    )
    planted = dict.fromkeys(
        ("FLOWLORD_BUS", "TASKFLOW_LOCK_TTL", "NO_COLOR", "FORCE_COLOR", "REDIS_URL"), "1"
    ) | {"FLOWLORD_VECTORS": "here", "FLOWLORD_TEST_KILLS": "3"}
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-c", os.devnull, "--rootdir", str(tmp_path), "test_probe.py"],
        cwd=tmp_path,
        env=os.environ | planted | {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stdout
    assert "1 passed" in done.stdout


def test_what_commands_and_tests_leave_is_ignored():
    left = [
        ".venv/x",
        ".flowlord/bus.db",
        ".hypothesis/x",
        "src/flowlord/__pycache__/x.pyc",
        "uv.lock",
        ".coverage.1",
    ]
    done = subprocess.run(
        ["git", "-c", "core.excludesFile=", "check-ignore", "--no-index", *left],
        cwd=ROOT, capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip
    assert done.stdout.split() == left
