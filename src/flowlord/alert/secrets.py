"""How secrets of channels are come by, and kept out of everything that is said."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path
from typing import Final

from flowlord.alert.port import Undelivered
from flowlord.model.channel import SecretRef

MOST_BYTES: Final = 16 * 1024
COMMAND_LIMIT_S: Final = 10.0
_KIND: Final = re.compile(r"(?:xox[a-z]|xapp|whsec)[-_.]")
"""What a token of Slack and a secret of a webhook begin with, which tells their kind only."""
SHORTEST: Final = 6
"""Parts of an address that are shorter are no secrets, and hiding them would make words unreadable."""


class Vault:
    """The secrets of one channel. Files and variables are read each time, so that a new secret needs no restart.

    A command is run once; `forget` has it run again, for when its secret was refused.
    """

    def __init__(self, *refs: SecretRef) -> None:
        self._refs = refs
        self._printed: dict[str, str] = {}

    def reveal(self, ref: SecretRef) -> str:
        """Return a secret, without blanks around it; empty when there is none.

        Raises:
            Undelivered: it cannot be had; lasting, since only a person mends that.
        """
        if ref.variable:
            found = os.environ.get(ref.variable, "")
            return _whole(found, ref, f"the variable {ref.variable} is empty or not set")
        if ref.file:
            return _whole(self._read(ref), ref, f"the file {ref.file} is empty")
        if ref.command:
            if ref.name not in self._printed:
                printed = _whole(self._run(ref), ref, f"{ref.command[0]} printed nothing")
                self._printed[ref.name] = printed
            return self._printed[ref.name]
        return ref.value.strip()

    def forget(self) -> None:
        """Have commands run again at the next time."""
        self._printed.clear()

    def hide(self, text: str) -> str:
        """Return a text without the secrets of this channel that are known by now."""
        secrets = [ref.value for ref in self._refs]
        secrets += [os.environ.get(ref.variable, "") for ref in self._refs if ref.variable]
        secrets += self._printed.values()
        for ref in self._refs:
            if ref.file:
                try:
                    secrets.append(self._read(ref))
                except Undelivered:  # what cannot be read was not sent either
                    continue
        return hidden(text, secrets)

    def _read(self, ref: SecretRef) -> str:
        try:
            with Path(ref.file).open("rb") as file:
                return file.read(MOST_BYTES).decode().strip()
        except (OSError, UnicodeDecodeError) as error:
            reason = error.strerror if isinstance(error, OSError) and error.strerror else "is no text"
            raise _missing(ref, f"the file {ref.file} cannot be read: {reason}") from None

    def _run(self, ref: SecretRef) -> str:
        program = ref.command[0]
        try:
            done = subprocess.run(
                ref.command,
                stdin=subprocess.DEVNULL,
                capture_output=True,
                timeout=COMMAND_LIMIT_S,
                check=False,
            )
        except subprocess.TimeoutExpired:
            raise _missing(ref, f"{program} did not end within {COMMAND_LIMIT_S:.0f} s") from None
        except OSError as error:
            raise _missing(ref, f"{program} cannot be run: {error.strerror}") from None
        if done.returncode:  # what it wrote to stderr may hold anything, a secret too
            raise _missing(ref, f"{program} ended with {done.returncode}")
        return done.stdout[:MOST_BYTES].decode("utf-8", "replace").strip()


def hidden(text: str, secrets: list[str]) -> str:
    """Return a text in which secrets, and the long parts behind the host of those that are addresses, are `***`."""
    parts: set[str] = set()
    for secret in filter(None, map(str.strip, secrets)):
        parts |= {secret, _KIND.sub("", secret)}
        _, scheme, rest = secret.partition("://")
        if scheme:
            parts.update(each for each in _cut(rest) if len(each) >= SHORTEST)
    for part in sorted(parts, key=len, reverse=True):
        text = text.replace(part, "***")
    return text


def _cut(rest: str) -> list[str]:
    """Return what may be secret in an address behind its scheme: user and password, path, values of the query."""
    user, at, host = rest.rpartition("@")
    pieces = user.split(":") if at else []
    behind = host.replace("?", "/").replace("&", "/").replace("=", "/").replace("#", "/")
    return pieces + behind.split("/")[1:]


def _whole(found: str, ref: SecretRef, otherwise: str) -> str:
    if not found.strip():
        raise _missing(ref, otherwise)
    return found.strip()


def _missing(ref: SecretRef, text: str) -> Undelivered:
    return Undelivered(
        f"{ref.name}: {text}", hint="flowlord config tells where it is looked for", lasting=True
    )
