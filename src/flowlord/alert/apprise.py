"""Any other channel, by way of the library apprise, which is an extra: mail, Teams, Telegram, PagerDuty and so on."""

from __future__ import annotations

import logging
import re
import threading
from typing import Any, Final

from flowlord.alert.http import Unreachable
from flowlord.alert.plain import text_of, titled
from flowlord.alert.port import Notice, Severity, Undelivered
from flowlord.alert.secrets import Vault
from flowlord.model.channel import ChannelSpec

INSTALL: Final = "pip install 'flowlord[alerts]'"
_KINDS: Final = {Severity.ERROR: "failure", Severity.WARNING: "warning", Severity.INFO: "success"}
_LOGS: Final = ("apprise", "urllib3.connectionpool")
_STATUS: Final = re.compile(r"error=([0-9]{3})\b")


class Apprise:
    """One address of apprise."""

    def __init__(self, spec: ChannelSpec) -> None:
        self.name = spec.name
        self._spec = spec
        self._vault = Vault(spec.url)
        self._hurried = threading.Event()
        self._ended = threading.Event()  # what is being sent, or the patience with it

    def hurry(self, limit_s: float) -> None:
        """See `Channel.hurry`; what is being sent is left to itself then."""

        def end() -> None:
            self._hurried.set()
            self._ended.set()

        timer = threading.Timer(limit_s, end)
        timer.daemon = True
        timer.start()

    def send(self, notice: Notice) -> str:
        """Hand the notice to apprise as plain text; it says no more than whether it went well."""
        heard = _Heard()
        with heard:
            target = self.target()
            answer: list[bool] = []
            raised: list[str] = []

            def work() -> None:
                title = titled(notice, self._spec.prefix)
                body = text_of(notice) or notice.title
                kind = _KINDS[notice.severity]
                try:
                    answer.append(
                        bool(target.notify(title=title, body=body, notify_type=kind, body_format="text"))
                    )
                except BaseException as error:  # noqa: BLE001 - of a plug-in, in a thread; its text may hold the address
                    raised.append(type(error).__name__)
                finally:
                    ended.set()

            ended = self._ended = threading.Event()
            limit_s = self._spec.limit_ns / 1e9
            if self._hurried.is_set():
                raise Unreachable(f"{self.name}: this process is to end")
            thread = threading.Thread(target=work, name="flowlord-apprise", daemon=True)
            thread.start()
            ended.wait(limit_s)
            if not answer and not raised:  # its plug-ins have limits of their own, some of them long
                told = "when this process was to end" if self._hurried.is_set() else f"within {limit_s:g} s"
                raise Unreachable(f"{self.name}: apprise did not end {told}", doubtful=True)
        if not answer or not answer[0]:
            self._vault.forget()
            raise _refused(self.name, heard.status, *raised)
        return ""

    def target(self) -> Any:
        """Return apprise with the address of this channel, without asking it anything.

        Raises:
            Undelivered: there is no apprise, or no such address.
        """
        try:
            import apprise
        except ImportError:
            text = f"{self.name}: the library apprise is not installed"
            raise Undelivered(text, hint=INSTALL, lasting=True) from None
        asset = apprise.AppriseAsset(
            app_id="flowlord", app_desc="flowlord", async_mode=False, secure_logging=True
        )
        target = apprise.Apprise(asset=asset)
        with _Heard():
            is_known = target.add(self._vault.reveal(self._spec.url))
        if not is_known:
            text = f"{self.name}: apprise does not know such an address"
            raise Undelivered(text, hint="its documentation lists the forms of addresses", lasting=True)
        return target


class _Heard:
    """Keeps what apprise logs, which holds addresses, from being written, and remembers the status that it names.

    It works in threads of its own, so its log is quiet for all of this process meanwhile.
    """

    def __init__(self) -> None:
        self.status = 0

    def __enter__(self) -> _Heard:
        for name in _LOGS:
            logging.getLogger(name).addFilter(self._hear)
        return self

    def __exit__(self, *_: object) -> None:
        for name in _LOGS:
            logging.getLogger(name).removeFilter(self._hear)

    def _hear(self, record: logging.LogRecord) -> bool:
        if found := _STATUS.search(record.getMessage()):
            self.status = int(found[1])
        return False


def _refused(name: str, status: int, raised: str = "") -> Undelivered:
    if not status:
        return Unreachable(f"{name}: apprise could not deliver{raised and f', its plug-in raised {raised}'}")
    later = status >= 500 or status in (408, 425, 429)
    return Undelivered(
        f"{name}: apprise could not deliver, the receiver answered {status}", lasting=not later
    )
