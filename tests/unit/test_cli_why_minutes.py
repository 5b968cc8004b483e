"""`why` of an hour in which a phase of every minute was loaded, and a daemon was away for some minutes."""

from datetime import UTC, datetime, timedelta
from types import SimpleNamespace

from flowlord.bus.open import open_bus
from flowlord.cache.historian import Historian
from flowlord.cli.printer import Look
from flowlord.cli.why import run as why
from flowlord.config import resolve
from flowlord.decide.keys import dispatch_key
from flowlord.decide.schedule import Missed
from flowlord.decide.tick import on_missed, slot_of
from flowlord.model.plan import ANY, Fact, FactKind, Mark, PhaseText, Plan
from flowlord.model.task import Task
from flowlord.spec.parse import parse
from support.clock import VirtualClock

NOON = datetime(2026, 8, 1, 12, tzinfo=UTC)
RULE = "cron=* * * * *&catchup=none"


def minute(number: int, second: int = 0) -> datetime:
    return NOON + timedelta(minutes=number, seconds=second)


def test_what_was_missed_is_told_and_filled_before_what_nobody_could_have_started(tmp_path, capsys):
    flow, _ = parse(f'[[phase]]\ntask="beat"\nrule="{RULE}"\ntemplate="x"\n'.encode(), "a.toml")
    [phase] = flow.phases
    texts = (PhaseText("beat", 1, "beat", "", RULE, 0, "x"),)
    told = [(minute(20, 30), (Fact(FactKind.RELOAD, phase="a.toml", revision="4f@1", phases=texts),))]
    for number in (*range(21, 26), *range(31, 35)):
        slot = slot_of(phase, minute(number))
        of = Task(type="beat", info="x", id=f"r{number}", meta="workflow=a.toml&cron=2026-08-01T12")
        fact = Fact(
            FactKind.PUBLISHED, key=dispatch_key(slot), topic="beat", phase="a.toml:beat", cause=slot, task=of
        )
        told.append((minute(number), (fact,)))
    missed = Missed(minute(26), minute(30), 5, "catchup=none starts nothing late")
    told.append((minute(35), on_missed(phase, missed).facts))
    historian = Historian(tmp_path / "t.db", VirtualClock())
    historian.follow(
        [
            SimpleNamespace(seq=n, at_us=int(at.timestamp()) * 1_000_000, by="t", facts=facts)
            for n, (at, facts) in enumerate(told, 1)
        ]
    )
    historian.close()
    address = f"sqlite:///{tmp_path}/bus.db"
    bus = open_bus(address, by="t")
    bus.commit(Plan(), marks=[Mark(f"tick:{phase.identity}", ANY, "2026-08-01T12:34:00Z")])
    bus.close()
    settings = resolve({"bus": address, "cache": str(tmp_path / "t.db"), "workflows": str(tmp_path / "none")})
    assert why(settings, "beat 2026-08-01T12", Look("table"), clock=VirtualClock(minute(35, 20))) == 0
    out = capsys.readouterr().out
    first = out.index("5 starts were planned from 2026-08-01T12:26:00Z to 2026-08-01T12:30:00Z")
    assert first < out.index("no daemon had loaded the phase before")
    commands = [line.split() for line in out.splitlines() if "flowlord backload" in line]
    assert [each[-1] for each in commands] == [f"2026-08-01T12:{n}:00Z" for n in (26, 27, 28)]
