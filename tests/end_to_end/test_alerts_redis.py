"""Two whole daemons on one Redis tell a real receiver: once while both live, and by the other one when one is killed.

The daemons are real, and hurry: who tells alerts is given up after five seconds of silence, instead of half a minute.
"""

import signal
import sys

from end_to_end.test_reload import masters
from support.processes import flowlord, started, until
from support.redis_home import redis_home
from support.redis_servers import drop_namespace, fresh_namespace, shared_server
from support.slack import standing_in

FLOW = "".join(
    f'[[phase]]\ntask = "bad:{name}"\nrule = "cron=@yearly&alert_to={to}"\n'
    for name, to in (("one", "ops"), ("two", "ops"), ("three", "oncall"))
)
HURRIED = """
import flowlord.cli.historian as historian
from flowlord.cli.main import main

tell = '''
import sys
import flowlord.cli.alerting as alerting
from flowlord.cli.historian import main

alerting.LEASE_S, alerting.longest_s = 5.0, lambda spec: 0.0
sys.exit(main())
'''
chronicle = historian.Chronicle
historian.Chronicle = lambda command, *rest, **more: chronicle((*command[:2], "-c", tell), *rest, **more)
main()
"""
DAEMON = [sys.executable, "-c", HURRIED, "run", "workflows", "--worker", "bad=false"]
TELLS, GAVE_UP = "told ops: bad:one", "another process tells the alerts now"


def failures(slack):
    """Where each failure was told, in whatever company: a daemon that vanished is told, too."""
    notices = {each["json"]["id"]: each for each in slack.received()}
    found: dict[str, list[str]] = {}
    for each in notices.values():
        for line in each["json"]["lines"]:
            if line["name"].startswith("bad:"):
                found.setdefault(line["name"], []).append(each["path"])
    return found


def test_of_two_daemons_either_tells_once_and_when_it_is_killed_the_other_one_does(tmp_path):
    server, namespace = shared_server(), fresh_namespace()
    home = redis_home(tmp_path, server.url, namespace, {"workflows/a.toml": FLOW})
    env = {"FLOWLORD_ACCEPT_LOSS": "true"}

    def fail(name):
        sent = flowlord("send", f"bad:{name}", cwd=home, env=env)
        assert sent.code == 0, sent.err

    with standing_in() as slack:
        hooks = "".join(
            f'\n[alerts.channels.{name}]\nkind = "webhook"\nurl = "{slack.root}/{name}"\n'
            for name in ("ops", "oncall")
        )
        settings = home / "flowlord.toml"
        settings.write_text(settings.read_text() + hooks)
        with (
            started([*DAEMON, "--cache", "one.db"], cwd=home, env=env) as one,
            started([*DAEMON, "--cache", "two.db"], cwd=home, env=env) as two,
        ):
            until(lambda: len(masters(home, env)) == 2, "both heartbeats")
            fail("one")
            teller = until(
                lambda: next((each for each in (one, two) if TELLS in each.err), None), "one that tells"
            )
            other = two if teller is one else one
            teller.process.send_signal(signal.SIGKILL)
            teller.wait()
            fail("two")
            fail("three")
            until(lambda: failures(slack).keys() >= {"bad:two", "bad:three"}, other.err)
            assert other.end() == 0, other.err
        told, copies = failures(slack), [each["json"]["id"] for each in slack.received()]
    assert told == {"bad:one": ["/ops"], "bad:two": ["/ops"], "bad:three": ["/oncall"]}
    # One copy of each. Only who stood still for five seconds within a send, and was given up, leaves a second one.
    assert len(copies) - len(set(copies)) <= (one.err + two.err).count(GAVE_UP)
    drop_namespace(namespace, [server])
