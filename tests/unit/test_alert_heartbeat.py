"""The heartbeat is called while all is well, and a look at the channels tells nobody anything."""

from msgspec import structs

from flowlord.alert.heartbeat import Heartbeat
from flowlord.alert.probe import probe
from flowlord.model.channel import ChannelKind, ChannelSpec, SecretRef
from flowlord.model.finding import Level
from support.clock import VirtualClock
from support.slack import status

SECOND = 1_000_000_000


def beats(slack):
    return sum(1 for each in slack.received() if each["path"] == "/ping/planted")


def test_it_is_called_at_its_interval_while_all_is_well(slack):
    clock = VirtualClock()
    ref = SecretRef("alerts.heartbeat_url", f"{slack.root}/ping/planted")
    heart = Heartbeat(ref, 60 * SECOND, clock)
    before = beats(slack)
    told = []
    for second in range(200):
        told.append(heart.step(is_well=not 100 <= second < 170))
        clock.advance(1)
    # At 0 and 60; what was due at 120 waits for the end of the trouble at 170.
    assert beats(slack) == before + 3
    assert [second for second, answer in enumerate(told) if answer == ""] == [0, 60, 170]
    assert set(told) == {"", None}


def test_a_call_that_fails_is_told_without_its_address_and_made_again_soon(slack):
    clock = VirtualClock()
    heart = Heartbeat(SecretRef("h", f"{slack.root}/ping/planted"), 60 * SECOND, clock)
    slack.next(status(404, "no /ping/planted here"), status(500))
    first = heart.step(is_well=True)
    assert "answered 404" in first
    assert "planted" not in first
    assert heart.step(is_well=True) is None
    clock.advance(10)
    assert "answered 500" in heart.step(is_well=True)
    clock.advance(10)
    assert heart.step(is_well=True) == ""


def found(specs, heartbeat=None):
    return {each.name: each for each in probe(specs, heartbeat or SecretRef())}


def specs_of(slack):
    hook = ChannelSpec("hook", ChannelKind.SLACK, SecretRef("u", slack.hook), form="blocks")
    token = SecretRef("t", slack.token)
    bot = ChannelSpec("bot", ChannelKind.SLACK, token=token, channel="#ops", api=slack.api)
    web = ChannelSpec("web", ChannelKind.WEBHOOK, SecretRef("u", f"{slack.root}/in/planted"))
    like = ChannelSpec("like", ChannelKind.SLACK, SecretRef("u", f"{slack.root}/hooks/planted"))
    return [hook, bot, web, like]


def test_channels_that_work_are_found_to_and_nobody_hears_of_it(slack):
    before, messages = len(slack.received()), slack.messages()
    told = found(specs_of(slack), SecretRef("h", f"{slack.root}/ping/planted"))
    assert {name: each.level for name, each in told.items()} == dict.fromkeys(
        ("hook", "bot", "web", "like", "heartbeat"), Level.OK
    )
    assert "flowlord of Stand-in, to #ops" in told["bot"].text
    asked = [(each["method"], each["path"], each["status"]) for each in slack.received()[before:]]
    hook = slack.hook.removeprefix(slack.root)
    assert asked == [
        ("POST", hook, 400),  # an empty message, which is none
        ("POST", "/api/auth.test", 200),
        ("HEAD", "/in/planted", 200),
        ("HEAD", "/hooks/planted", 200),
        ("HEAD", "/", 200),  # not its address: that would be a beat
    ]
    assert slack.messages() == messages


def test_what_keeps_alerts_from_leaving_is_a_fault_with_what_mends_it(slack):
    hook, bot, web, _ = specs_of(slack)
    told = found([
        structs.replace(hook, url=SecretRef("u", f"{slack.hook}planted")),
        structs.replace(bot, token=SecretRef("t", "planted-token")),
        structs.replace(web, url=SecretRef("web.url", variable="NO_SUCH_VARIABLE")),
        structs.replace(web, name="gone", url=SecretRef("u", "http://127.0.0.1:1/planted")),
    ])  # fmt: skip
    assert {each.level for each in told.values()} == {Level.FAULT}
    assert "refuses the token: invalid_auth" in told["bot"].text
    assert "NO_SUCH_VARIABLE is empty or not set" in told["web"].text
    assert "127.0.0.1:1 refuses connections" in told["gone"].text
    for each in told.values():
        assert each.fix
        assert "planted" not in each.text + each.fix
    assert list(probe([], SecretRef())) == []


def test_an_answer_that_says_nothing_good_is_a_doubt(slack):
    hook, bot, web, like = specs_of(slack)
    for spec in (hook, bot, web, like):
        slack.next(status(500, "<html>"))
        [one] = probe([spec], SecretRef())
        assert one.level is Level.WARN
        assert "in doubt" in one.text
