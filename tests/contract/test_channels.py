"""What every channel promises: delivered once, or told why not, within its time, whatever the receiver does."""

import importlib.util
import os
import re
import socket
import ssl
import threading
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
import trustme
from msgspec import structs

from flowlord.alert import http
from flowlord.alert.apprise import Apprise
from flowlord.alert.channels import channels_of
from flowlord.alert.http import Unreachable
from flowlord.alert.port import Line, Notice, NoticeKind, Severity, Undelivered
from flowlord.bus.clock import SystemClock
from flowlord.model.channel import ChannelKind, ChannelSpec, SecretRef
from support.clock import VirtualClock
from support.slack import cut_after, cut_before, cut_short, drip, hang, hang_after, status
from support.slack_rules import calls_somebody, refusal

NOTICE = Notice(
    "n-1",
    NoticeKind.NEW,
    Severity.ERROR,
    "load:users fails",
    1_785_585_600_000_000,
    (
        Line(
            "a12",
            "load:users",
            "timeout after 30 s",
            42,
            50,
            "2026/08/01-2026/08/07",
            command="flowlord alerts",
        ),
    ),
)
HAS_APPRISE = importlib.util.find_spec("apprise") is not None
NOW = datetime(2026, 8, 1, 12, tzinfo=UTC)
KINDS = ["hook", "compatible", "bot", "webhook"]
SHORT_NS = 500_000_000
PATIENCE_NS = 20_000_000_000


def secret(text):
    return SecretRef("alerts.channels.ops.url", text)


def spec_of(kind, slack, **more):
    """A channel of that kind that sends to the stand-in."""
    match kind:
        case "hook":
            return ChannelSpec("ops", ChannelKind.SLACK, secret(slack.hook), form="blocks", **more)
        case "compatible":
            return ChannelSpec("ops", ChannelKind.SLACK, secret(f"{slack.root}/hooks/mm-secret"), **more)
        case "bot":
            bot = SecretRef("token", slack.token)
            return ChannelSpec("ops", ChannelKind.SLACK, token=bot, channel="#ops", api=slack.api, **more)
        case _:
            return ChannelSpec("ops", ChannelKind.WEBHOOK, secret(f"{slack.root}/in/wh-secret"), **more)


def opened(spec, clock=None):
    return channels_of([spec], clock or SystemClock())[spec.name]


def failing(spec, clock=None, notice=NOTICE):
    with pytest.raises(Undelivered) as caught:
        opened(spec, clock).send(notice)
    return caught.value


@pytest.mark.parametrize("kind", KINDS)
def test_a_notice_arrives_once(slack, kind):
    before = len(slack.taken())
    handle = opened(spec_of(kind, slack)).send(NOTICE)
    [payload] = slack.taken()[before:]
    assert "load:users fails" in str(payload)
    assert "timeout after 30 s" in str(payload)
    assert bool(handle) is (kind == "bot")
    assert kind == "webhook" or refusal(payload) == ""


@pytest.mark.parametrize("kind", KINDS)
def test_who_is_told_to_wait_says_for_how_long(slack, kind):
    spec = spec_of(kind, slack)
    slack.next(
        status(429, retry_after="7"),
        status(503, retry_after="Sat, 01 Aug 2026 12:01:30 GMT"),
        status(429, retry_after="Sat, 01 Aug 2026 11:00:00 GMT"),
        status(429),
        status(429, retry_after="soon"),
        status(429, retry_after="999999999"),
    )
    clock = VirtualClock(NOW)
    errors = [failing(spec, clock) for _ in range(6)]
    assert [error.retry_after_s for error in errors] == [7.0, 90.0, 0.0, 0.0, 0.0, 3_600.0]
    assert {(error.lasting, error.doubtful) for error in errors} == {(False, False)}


LATER, PERHAPS, NEVER = (500, 503, 408), (502, 504), (400, 401, 403, 404, 410, 413, 301, 302)


@pytest.mark.parametrize("kind", KINDS)
def test_each_status_says_whether_to_try_again(slack, kind):
    spec = spec_of(kind, slack)
    for code in (*LATER, *PERHAPS, *NEVER):
        slack.next(status(code, "not_today"))
        error = failing(spec)
        assert (error.lasting, error.doubtful) == (code in NEVER, code in PERHAPS), code
        assert error.retry_after_s == 0.0
        assert str(code) in str(error)
        assert not isinstance(error, Unreachable)


@pytest.mark.parametrize("kind", KINDS)
def test_a_connection_cut_before_the_message_was_read_loses_it_for_sure_or_is_doubtful(slack, kind):
    before = len(slack.taken())
    slack.next(cut_before())
    error = failing(spec_of(kind, slack))
    assert isinstance(error, Unreachable)
    assert not error.lasting
    assert slack.taken()[before:] == []


@pytest.mark.parametrize("kind", KINDS)
def test_a_connection_cut_after_the_message_is_doubtful(slack, kind):
    before = len(slack.taken())
    slack.next(cut_after())
    error = failing(spec_of(kind, slack))
    assert (error.doubtful, error.lasting) == (True, False)
    assert len(slack.taken()) == before + 1


@pytest.mark.parametrize("answer", [hang(), hang_after(), drip()], ids=["hang", "hang after", "drip"])
@pytest.mark.parametrize("kind", KINDS)
def test_a_receiver_that_takes_its_time_is_given_up_in_time(slack, kind, answer):
    clock = SystemClock()
    for limit_ns in (
        SHORT_NS,
        4 * SHORT_NS,
        16 * SHORT_NS,
    ):  # a machine that is busy may not even have sent it
        slack.next(answer)
        begun = clock.monotonic_ns()
        error = failing(spec_of(kind, slack, limit_ns=limit_ns))
        assert clock.monotonic_ns() - begun < limit_ns + PATIENCE_NS
        if error.doubtful:
            break
    assert (error.doubtful, error.lasting) == (True, False)
    assert f"did not answer within {limit_ns / 1e9:g} s" in str(error)


@pytest.mark.parametrize("kind", KINDS)
def test_nobody_listening_is_no_doubt(slack, kind):
    spec = spec_of(kind, slack)
    nowhere = secret("http://127.0.0.1:1/planted")
    spec = structs.replace(spec, api="http://127.0.0.1:1/planted", url=nowhere if spec.url else spec.url)
    error = failing(spec)
    assert isinstance(error, Unreachable)
    assert (error.doubtful, error.lasting) == (False, False)
    assert "127.0.0.1:1 refuses connections" in str(error)
    assert "planted" not in str(error)


@pytest.mark.parametrize("kind", KINDS)
def test_a_redirect_is_followed_within_the_host_only(slack, kind):
    before = len(slack.received())
    spec = spec_of(kind, slack)
    path = spec.url.value.removeprefix(slack.root) or "/api/chat.postMessage"
    slack.next(status(308, Location=path))
    opened(spec).send(NOTICE)
    assert len(slack.received()) == before + 2
    slack.next(status(307, Location=f"http://localhost:{slack.port}{path}"))
    error = failing(spec)
    assert error.lasting
    assert "other hosts are not followed" in str(error)
    slack.next(always=status(307, Location=path))
    assert failing(spec).lasting  # and a circle has an end


@contextmanager
def tls_server(context):
    """A receiver with a certificate of its own."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            self.rfile.read(int(self.headers["Content-Length"]))
            self.send_response(200)
            self.end_headers()
            self.wfile.write(b'{"ok": true, "channel": "C1", "ts": "1.1"}')

        def log_message(self, *_):
            pass

    class Server(ThreadingHTTPServer):
        def handle_error(self, *_):
            pass  # a client that does not trust the certificate

    server = Server(("127.0.0.1", 0), Handler)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"https://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.mark.parametrize("kind", KINDS)
def test_a_certificate_must_be_trusted(slack, kind, tmp_path, monkeypatch):
    authority = trustme.CA()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    with tls_server(context) as root:
        spec = spec_of(kind, slack)
        spec = structs.replace(spec, api=root, url=secret(f"{root}/x") if spec.url else spec.url)
        error = failing(spec)
        assert "certificate that is not trusted" in str(error)
        assert (error.doubtful, error.lasting) == (False, False)
        authority.cert_pem.write_to_path(tmp_path / "ca.pem")
        monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "ca.pem"))
        opened(spec).send(NOTICE)


def test_the_proxy_of_the_environment_is_used(slack, monkeypatch):
    before = len(slack.received())
    monkeypatch.setenv("HTTP_PROXY", slack.root)
    spec = structs.replace(spec_of("webhook", slack), url=secret("http://receiver.invalid/in"))
    opened(spec).send(NOTICE)
    [request] = slack.received()[before:]
    assert request["path"] == "http://receiver.invalid/in"
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    assert "receiver.invalid" in str(failing(spec))


HOSTILE = "<!channel> <@U123> <https://evil.test|click> *b* `x` & \x1b[31m \u202e @here\nnext"


@pytest.mark.parametrize("kind", ["hook", "compatible", "bot"])
def test_text_of_a_task_calls_nobody(slack, kind):
    before = len(slack.taken())
    line = Line("a", HOSTILE, HOSTILE, 1, dates=HOSTILE, workflow=HOSTILE, command=HOSTILE)
    notice = Notice(
        "n-2", NoticeKind.ALERT, Severity.ERROR, HOSTILE, 1, (line,) * 30, 4, HOSTILE,
        link="https://flowlord.test/a?b=1&c=2", command=HOSTILE,
    )  # fmt: skip
    opened(spec_of(kind, slack)).send(notice)
    [payload] = slack.taken()[before:]
    assert calls_somebody(payload) == []
    assert kind != "compatible" or "@here" not in str(payload)


@pytest.mark.parametrize("kind", KINDS)
def test_a_huge_notice_is_summed_up_and_taken(slack, kind):
    before = len(slack.taken())
    line = Line("a" * 200, "<" * 5_000, "&" * 50_000, 10**9, 10**10, "8" * 9_000, command="c" * 9_000)
    huge = Notice(
        "n-3", NoticeKind.STILL, Severity.WARNING, ">" * 9_000, 1, (line,) * 500, 10**6, "t" * 200_000,
        link="https://x.test/" + "y" * 9_000,
    )  # fmt: skip
    opened(spec_of(kind, slack)).send(huge)
    [payload] = slack.taken()[before:]
    assert len(str(payload)) < 10**6
    if kind == "webhook":
        assert (len(payload["lines"]), payload["more"]) == (100, 1_000_400)
    else:
        assert refusal(payload) == ""
        assert re.search(r"and 1,000,[45]\d\d more incidents", str(payload))


@contextmanager
def full_backlog():
    """The port of one who listens and takes no connection: the third one that is begun is never made."""
    with socket.socket() as listener, ExitStack() as waiting:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        for _ in range(3):
            one = waiting.enter_context(socket.socket())
            one.setblocking(False)
            one.connect_ex(listener.getsockname())
        yield listener.getsockname()[1]


@contextmanager
def connecting(monkeypatch):
    """Tell, by an event, when a connection begins to be made."""
    begun, real = threading.Event(), socket.create_connection

    def create(*args, **more):
        begun.set()
        return real(*args, **more)

    with monkeypatch.context() as patch:
        patch.setattr(socket, "create_connection", create)
        yield begun


def test_an_end_does_not_wait_for_the_first_words_of_tls(slack):
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = secret(f"https://127.0.0.1:{silent.getsockname()[1]}/planted")
        spec = structs.replace(spec_of("webhook", slack, limit_ns=PATIENCE_NS * 15), url=url)
        channel, found = opened(spec), []

        def send():
            try:
                channel.send(NOTICE)
            except Unreachable as error:
                found.append(error)

        sending = threading.Thread(target=send, daemon=True)
        sending.start()
        taken, _ = silent.accept()
        with taken:
            assert taken.recv(1)  # TLS has begun, and gets no answer
            channel.hurry(0.0)
            sending.join(40)
            assert [(error.doubtful, "was to end" in str(error)) for error in found] == [(False, True)]


@pytest.mark.parametrize("kind", KINDS)
def test_an_end_does_not_wait_for_a_connection_that_is_being_made_and_begins_none(slack, kind, monkeypatch):
    with full_backlog() as port, connecting(monkeypatch) as begun:
        root = f"http://127.0.0.1:{port}"
        spec = spec_of(kind, slack, limit_ns=PATIENCE_NS * 15)
        spec = structs.replace(spec, api=root, url=secret(f"{root}/planted") if spec.url else spec.url)
        channel, found = opened(spec), []

        def send():
            try:
                channel.send(NOTICE)
            except Unreachable as error:
                found.append(error)

        sending = threading.Thread(target=send, daemon=True)
        sending.start()
        assert begun.wait(40)
        channel.hurry(0.0)
        sending.join(40)
        assert [(error.doubtful, "was to end" in str(error)) for error in found] == [(False, True)]
        begun.clear()
        with pytest.raises(Unreachable, match="not asked any more") as caught:
            channel.send(NOTICE)
        assert not caught.value.doubtful
        assert not begun.is_set()


def test_a_name_that_is_looked_up_for_long_is_given_up_in_time_and_nothing_leaves_later(slack, monkeypatch):
    before = len(slack.received())
    looked, answer, cut = threading.Event(), threading.Event(), threading.Event()
    real, shut = socket.create_connection, http._shut

    def create(*args, **more):
        looked.set()
        assert answer.wait(40)
        return real(*args, **more)

    def noted(found):
        shut(found)
        cut.set()

    monkeypatch.setattr(socket, "create_connection", create)
    monkeypatch.setattr(http, "_shut", noted)
    error = failing(spec_of("webhook", slack, limit_ns=SHORT_NS))
    assert "took nothing within 0.5 s" in str(error)
    assert not error.doubtful
    assert looked.is_set()
    answer.set()
    assert cut.wait(40)
    monkeypatch.undo()
    opened(spec_of("webhook", slack)).send(NOTICE)
    assert len(slack.received()) == before + 1


def test_a_plug_in_of_apprise_that_raises_did_not_deliver_and_what_it_says_is_kept_back(capfd):
    class Raises:
        def notify(self, **_):
            raise ValueError("json://planted")

    channel = Apprise(
        ChannelSpec("mail", ChannelKind.APPRISE, secret("json://planted"), limit_ns=PATIENCE_NS)
    )
    channel.target = Raises
    for _ in range(20):
        with pytest.raises(Unreachable, match="could not deliver, its plug-in raised ValueError") as caught:
            channel.send(NOTICE)
        assert (caught.value.doubtful, caught.value.lasting) == (False, False)
        assert "planted" not in str(caught.value)
    assert "planted" not in "".join(capfd.readouterr())


@pytest.mark.skipif(not HAS_APPRISE and not os.environ.get("CI"), reason="apprise is an extra")
@pytest.mark.filterwarnings("ignore:'imghdr' is deprecated:DeprecationWarning")
class TestApprise:
    """By a real target of apprise: `json://`, whose receiver is the stand-in."""

    def spec(self, slack, **more):
        url = SecretRef("alerts.channels.mail.url", f"json://127.0.0.1:{slack.port}/apprise/planted")
        return ChannelSpec("mail", ChannelKind.APPRISE, url, prefix="PROD", **more)

    def test_a_notice_arrives_as_plain_text(self, slack):
        before = len(slack.received())
        assert opened(self.spec(slack)).send(NOTICE) == ""
        [request] = slack.received()[before:]
        assert request["json"]["title"] == "[PROD] load:users fails"
        assert request["json"]["type"] == "failure"
        assert (
            "load:users  42 tasks  2026/08/01-2026/08/07\n    timeout after 30 s"
            in request["json"]["message"]
        )

    def test_each_status_says_whether_to_try_again(self, slack):
        for code, lasting in [(500, False), (429, False), (404, True), (403, True)]:
            slack.next(status(code))
            error = failing(self.spec(slack))
            assert (error.lasting, error.doubtful) == (lasting, False)
            assert str(code) in str(error)

    def test_a_receiver_that_hangs_is_given_up_in_time(self, slack):
        slack.next(hang())
        error = failing(self.spec(slack, limit_ns=SHORT_NS))
        assert error.doubtful
        assert "did not end within 0.5 s" in str(error)

    def test_it_is_left_to_itself_once_the_process_is_to_end(self, slack):
        slack.next(always=hang())
        channel = opened(self.spec(slack, limit_ns=300_000_000_000))
        found = cut_short(channel, NOTICE, slack)
        assert [(error.doubtful, "to end" in str(error)) for error in found] == [(True, True)]
        with pytest.raises(Undelivered, match="is to end"):
            channel.send(NOTICE)

    def test_an_address_that_it_does_not_know_is_lasting_and_not_repeated(self, slack):
        spec = structs.replace(self.spec(slack), url=SecretRef("x", "nosuch://planted"))
        error = failing(spec)
        assert error.lasting
        assert "planted" not in str(error) + error.hint
