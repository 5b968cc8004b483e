"""A reload swaps everything whole: nothing is appended, nothing starts twice, a bad file hurts only itself.

The ids in the names of hazards (D1 to D5, L5) are those of the Go program's faults, docs/hazards.md.
"""

import os
import threading
from pathlib import Path

import pytest

from flowlord.alert.events import happenings
from flowlord.alert.policy import Policy
from flowlord.alert.state import Event, EventKind, State
from flowlord.alert.take import take
from flowlord.decide.context import Context
from flowlord.decide.file import FileEvent, on_file
from flowlord.model.plan import FactKind
from flowlord.model.revision import files_apart, mark_of, revision_of
from flowlord.model.workflow import Workflows
from flowlord.spec.bucket import BucketTree
from flowlord.storage.port import Listed, Unavailable
from flowlord.taskmaster.looking import Looking, ask, asked
from flowlord.taskmaster.reload import PLACE, Reloader
from flowlord.taskmaster.surroundings import Surroundings
from support.clock import VirtualClock
from support.farm import Farm, scheduler_of

MINUTELY = '[[phase]]\ntask = "{name}"\nrule = "cron=* * * * *&catchup=all"\n'
ON_FILE = '[[phase]]\ntask = "{name}"\nrule = "files=/in/*.csv"\n'
BAD = '[[phase]]\ntask = "bad"\nrule = "cron=nope"\n'


class Home:
    """A folder of workflows and a daemon that has loaded them."""

    def __init__(self, folder: Path, **files: str) -> None:
        self.folder = folder
        for name, text in files.items():
            self.write(f"{name}.toml", text)
        self.farm = Farm()
        self.around = self.farm.daemon(Workflows())
        self.reloader = Reloader(self.around, str(folder))
        self.reloader.start()
        self.scheduler = scheduler_of(self.around)
        self.scheduler.decide_due()

    def write(self, name: str, text: str) -> None:
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)

    def started(self, topic: str, seconds: float = 60) -> int:
        """How many tasks of a topic start in the next time."""
        self.farm.clock.advance(seconds)
        self.scheduler.decide_due()
        return len(self.farm.work(topic))

    def files_started(self, path: str) -> list[str]:
        around: Surroundings = self.around
        context: Context = around.context()
        plan = on_file(FileEvent(path, "1"), around.workflows, context)
        return [message.topic for message in plan.publish]


@pytest.fixture
def home(tmp_path):
    return lambda **files: Home(tmp_path, **files)


def test_after_many_reloads_a_file_starts_one_task_of_the_newest_pattern_only(home):
    """D1, P-5, N11."""
    here = home(a=ON_FILE.format(name="load"))
    for n in range(5):
        here.write("a.toml", ON_FILE.format(name="load") + f"retry = {n + 1}\n")
        here.reloader.step()
    assert here.files_started("/in/x.csv") == ["load"]
    here.write("a.toml", ON_FILE.format(name="load").replace("/in/", "/other/"))
    here.reloader.step()
    assert here.files_started("/in/x.csv") == []
    assert here.files_started("/other/x.csv") == ["load"]


def test_a_file_in_a_sub_folder_that_did_not_change_changes_nothing(home):
    """D2."""
    here = home()
    here.write("deep/er/a.toml", MINUTELY.format(name="tick"))
    here.reloader.step()
    before, journal = here.around.workflows, here.farm.bus.journal_bounds()
    for _ in range(4):
        here.reloader.step()
    assert here.around.workflows is before
    assert here.farm.bus.journal_bounds() == journal
    here.scheduler.decide_due()
    assert here.started("tick") == 1


def test_an_invalid_phase_doubles_no_schedule_however_often_it_is_tried(home):
    """D3, P-6."""
    here = home(good=MINUTELY.format(name="tick"), bad=MINUTELY.format(name="other"))
    for n in range(4):
        here.write("bad.toml", f"{BAD}\nretry = {n}\n")
        here.reloader.step()
        assert here.started("tick") == 1
        assert len(here.farm.work("other")) == 1, "as it last worked"


def test_a_good_change_beside_a_bad_file_is_taken_at_once(home):
    """D4."""
    here = home(good=MINUTELY.format(name="old"), bad=MINUTELY.format(name="other"))
    here.write("bad.toml", BAD)
    here.write("good.toml", MINUTELY.format(name="new"))
    here.reloader.step()
    here.scheduler.decide_due()
    assert (here.started("new"), len(here.farm.work("old"))) == (1, 0)
    (here.folder / "bad.toml").unlink()
    for _ in range(2):
        here.reloader.step()
    assert sorted(here.around.workflows.by_name) == ["good.toml"]
    assert here.started("new") == 1


def test_a_tick_between_the_old_and_the_new_workflows_starts_once(home):
    """D5."""
    here = home(a=MINUTELY.format(name="tick"))
    slow = scheduler_of(here.around)
    slow.decide_due()
    here.farm.clock.advance(60)
    here.write("a.toml", MINUTELY.format(name="tick") + "retry = 1\n")
    here.scheduler.decide_due()
    here.reloader.step()
    for scheduler in (here.scheduler, slow, here.scheduler):
        scheduler.decide_due()
    assert len(here.farm.work("tick")) == 1


def test_a_reload_restarts_no_interval(home):
    """L5: a rule of `@every` goes on from its mark, however often files change."""
    here = home(a='[[phase]]\ntask = "beat"\nrule = "cron=@every 5m"\n')
    found = 0
    for n in range(10):
        here.write("a.toml", f'[[phase]]\ntask = "beat"\nrule = "cron=@every 5m"\nretry = {n}\n')
        here.reloader.step()
        found += here.started("beat", 60)
    assert found in (1, 2)


def test_a_place_that_cannot_be_looked_at_keeps_everything_and_is_told_once(home):
    here = home(a=MINUTELY.format(name="tick"))
    away = here.folder.with_name("away")
    here.folder.rename(away)
    for _ in range(3):
        here.reloader.step()
    [alert] = here.farm.facts(FactKind.ALERT)
    assert alert == f"{here.folder} cannot be looked at: No such file or directory; what was loaded goes on"
    assert here.around.health.colour() == "yellow"
    assert here.started("tick") == 1
    away.rename(here.folder)
    here.reloader.step()
    assert here.around.health.colour() == "green"


def test_a_folder_below_that_cannot_be_read_keeps_its_workflows(home, monkeypatch):
    here = home(a=MINUTELY.format(name="tick"))
    here.write("sub/b.toml", MINUTELY.format(name="other"))
    here.reloader.step()
    scandir = os.scandir

    def refuse(path):  # as it does for who is not root
        if str(path).endswith("sub"):
            raise PermissionError(13, "Permission denied")
        return scandir(path)

    monkeypatch.setattr("os.scandir", refuse)
    for _ in range(3):
        here.reloader.step()
    [alert] = here.farm.facts(FactKind.ALERT)
    assert alert == f"{here.folder}/sub: cannot be read: Permission denied"
    here.scheduler.decide_due()
    assert (here.started("tick"), len(here.farm.work("other"))) == (1, 1)


class Bucket:
    gone = False
    refused = ""
    files = {"a.toml": MINUTELY.format(name="tick"), "b.toml": MINUTELY.format(name="other")}  # noqa: RUF012

    def list(self, pattern):
        if self.gone:
            raise Unavailable(f"{pattern}: there is no bucket 'b' at S3")
        for name, text in self.files.items():
            yield Listed(f"{pattern}/{name}", len(text), text, 0)

    def read(self, path, limit):
        name = path.rpartition("/")[2]
        if name == self.refused:
            raise Unavailable(f"{path}: S3 denies access")
        return self.files[name].encode()[:limit], self.files[name]


def test_a_bucket_that_vanishes_keeps_everything_and_a_file_that_may_not_be_read_hurts_only_itself():
    bucket, farm = Bucket(), Farm()
    bucket.refused = "b.toml"
    around = farm.daemon(Workflows())
    reloader = Reloader(around, BucketTree("s3://b/flows", bucket))
    reloader.start()
    assert list(around.workflows.by_name) == ["a.toml"]
    [alert] = farm.facts(FactKind.ALERT)
    assert alert.startswith("s3://b/flows/b.toml: cannot be read: S3 denies access")
    bucket.refused = ""
    reloader.step()
    assert sorted(around.workflows.by_name) == ["a.toml", "b.toml"], "no change of the file was needed"
    bucket.gone = True
    for _ in range(3):
        reloader.step()
    assert sorted(around.workflows.by_name) == ["a.toml", "b.toml"]
    assert around.health.faults()[PLACE].startswith(
        "s3://b/flows cannot be looked at: there is no bucket 'b'"
    )
    assert len(farm.facts(FactKind.ALERT)) == 2
    bucket.gone = False
    reloader.step()
    assert around.health.colour() == "green"


def test_a_daemon_that_starts_while_its_bucket_is_away_runs_what_last_worked_there_and_no_more():
    bucket, farm = Bucket(), Farm()
    before = farm.daemon(Workflows())
    Reloader(before, BucketTree("s3://b/flows", bucket)).start()
    other = Bucket()
    other.files = {"z.toml": MINUTELY.format(name="z")}
    Reloader(farm.daemon(Workflows(), "d2"), BucketTree("s3://b/others", other)).start()
    bucket.gone = True
    around = farm.daemon(Workflows(), "d3")
    reloader = Reloader(around, BucketTree("s3://b/flows", bucket))
    reloader.start()
    assert revision_of(around.workflows) == revision_of(before.workflows)
    for _ in range(3):
        reloader.step()
    [alert] = farm.facts(FactKind.ALERT)
    assert alert.endswith("what last worked, as kept on the bus, runs: 2 files")
    scheduler_of(around).decide_due()
    farm.clock.advance(60)
    scheduler_of(around).decide_due()
    assert len(farm.work("tick")) == 1
    bucket.gone = False
    bucket.files = {"a.toml": MINUTELY.format(name="new")}
    for _ in range(2):
        reloader.step()
    assert [phase.name for flow in around.workflows.by_name.values() for phase in flow.phases] == ["new"]
    assert around.health.colour() == "green"


def test_a_bucket_that_is_away_and_never_was_here_is_an_error_at_the_start():
    bucket, farm = Bucket(), Farm()
    bucket.gone = True
    with pytest.raises(Unavailable):
        Reloader(farm.daemon(Workflows()), BucketTree("s3://b/flows", bucket)).start()


def test_two_revisions_tell_in_which_files_they_differ(tmp_path):
    farm, flows = Farm(), []
    for name, second in (("one", "same"), ("two", "other")):
        folder = tmp_path / name
        folder.mkdir()
        (folder / "a.toml").write_text(MINUTELY.format(name="tick"))
        (folder / "b.toml").write_text(MINUTELY.format(name=second))
        if name == "two":
            (folder / "c.toml").write_text(MINUTELY.format(name="more"))
        around = farm.daemon(Workflows(), name)
        Reloader(around, str(folder)).start()
        flows.append(around.workflows)
    marks = farm.bus.marks([mark_of(each).key for each in flows])
    assert len(marks) == 2
    assert files_apart(marks.values()) == ["b.toml", "c.toml"]
    assert files_apart([*marks.values(), "no json", "[1]"]) == ["b.toml", "c.toml"]
    assert revision_of(flows[0]) != revision_of(flows[1])


class Watched:
    """A loop whose looks are counted."""

    def __init__(self, every_s: float) -> None:
        self.farm, self.looks, self.told = Farm(), 0, []
        self.fails = self.news = False
        self.looking = Looking(self.farm.bus, self.farm.clock, self.look, self.tell, every_s)
        self.looking.hinted = Said(self.farm.clock)

    def look(self) -> bool:
        if self.fails:
            raise RuntimeError("planned")
        self.looks += 1
        return self.news

    def tell(self) -> None:
        self.told.append(self.looking.token)


class Said(threading.Event):
    """An event that lets virtual time pass instead of waiting."""

    def __init__(self, clock: VirtualClock) -> None:
        super().__init__()
        self.clock = clock

    def wait(self, timeout: float | None = None) -> bool:
        if not self.is_set():
            self.clock.advance(timeout or 0)
        return self.is_set()


def test_workflows_are_looked_at_every_so_often():
    watched = Watched(10)
    for _ in range(35):
        watched.looking.step()
    assert watched.looks == 3
    assert watched.told == []
    watched.news = True
    watched.looking.now()
    watched.looking.step()
    assert watched.told == [""], "what changed is told at once"


def test_a_request_on_the_bus_is_followed_within_a_second_and_answered_once():
    watched = Watched(3600)
    watched.looking.step()
    ask(watched.farm.bus, "one")
    assert asked(watched.farm.bus) == "one"
    for _ in range(5):
        watched.looking.step()
    assert (watched.looks, watched.told, watched.looking.token) == (1, ["one"], "one")
    ask(watched.farm.bus, "two")
    watched.looking.step()
    assert (watched.looks, watched.told) == (2, ["one", "two"])


def test_a_hint_waits_for_quiet_and_a_signal_does_not():
    watched = Watched(3600)
    watched.looking.hinted.set()
    start = watched.farm.clock.monotonic_ns()
    watched.looking.step()
    assert watched.looks == 1
    assert 0.1e9 < watched.farm.clock.monotonic_ns() - start < 2.5e9
    start = watched.farm.clock.monotonic_ns()
    watched.looking.now()
    watched.looking.step()
    assert (watched.looks, watched.farm.clock.monotonic_ns() - start) == (2, 0)


def test_a_look_that_failed_is_made_up_for():
    watched = Watched(3600)
    ask(watched.farm.bus, "one")
    watched.fails = True
    for _ in range(2):
        with pytest.raises(RuntimeError, match="planned"):
            watched.looking.step()
    assert watched.told == []
    watched.fails = False
    watched.looking.step()
    assert (watched.looks, watched.told) == (1, ["one"])


def test_a_channel_that_is_not_there_is_said_once_and_forgotten_when_it_is_mended(tmp_path, caplog):
    rule = '[[phase]]\ntask = "load"\nrule = "cron=@daily&alert_to={}"\n'
    home = Home(tmp_path)
    home.around.channels = ("slack", "oncall")
    home.write("a.toml", rule.format("onclal"))
    home.write("b.toml", rule.format("oncall"))
    assert home.reloader.step()
    text = "alert_to=onclal of a.toml:load names no channel: their alerts go to slack; did you mean 'oncall'?"
    assert [record.getMessage() for record in caplog.records if record.name == "flowlord.alerts"] == [text]
    assert (home.around.health.colour(), home.around.health.faults()) == ("yellow", {"channel onclal": text})
    home.write("c.toml", rule.format("onclal"))
    home.reloader.step()
    assert caplog.text.count("onclal") == 1
    home.write("a.toml", rule.format("slack"))
    (tmp_path / "c.toml").unlink()
    home.reloader.step()
    home.reloader.step()  # a file that is gone must be gone twice
    assert home.around.health.colour() == "green"


def test_a_file_that_was_broken_from_its_first_moment_is_over_when_it_is_removed(home):
    here = home(a=ON_FILE.format(name="load"))
    here.write("bad.toml", BAD)
    here.reloader.step()
    [broken] = [event for event in heard(here) if isinstance(event, Event)]
    assert take(State(), [broken], Policy()).incidents["a1"].kind is EventKind.WORKFLOW
    (here.folder / "bad.toml").unlink()
    for _ in range(2):
        here.reloader.step()
    assert here.around.health.faults() == {}
    [incident] = take(State(), heard(here), Policy()).incidents.values()
    assert incident.good_us


def test_a_good_file_ends_no_alert_of_a_broken_one_of_the_same_name_in_a_folder(home):
    here = home(a=ON_FILE.format(name="load"))
    here.write("sub/a.toml", BAD)
    here.reloader.step()
    here.write("a.toml", ON_FILE.format(name="load") + "retry = 1\n")
    here.reloader.step()
    [incident] = take(State(), heard(here), Policy()).incidents.values()
    assert (incident.subject, incident.good_us) == ("file:sub/a.toml", 0)
    here.write("sub/a.toml", ON_FILE.format(name="load"))
    here.reloader.step()
    [incident] = take(State(), heard(here), Policy()).incidents.values()
    assert incident.good_us


def heard(here):
    return happenings(here.farm.bus.journal(0, 100), ())
