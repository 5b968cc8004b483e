"""What is told to do about a history that cannot be used."""

import pytest

from flowlord.cli.cachewords import mend


@pytest.mark.parametrize("said", ["unable to open database file", "attempt to write a readonly database"])
def test_a_history_that_one_may_not_open_is_not_called_damaged(said):
    advice = mend(f"the history /srv/tasks.db cannot be read: {said}")
    assert advice == "the file is not damaged: you must be allowed to read it, and to write in its folder"


def test_a_damaged_history_is_set_aside_by_the_daemon():
    assert "sets a damaged file aside" in mend(
        "the history a.db cannot be read: database disk image is malformed"
    )
