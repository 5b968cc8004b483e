"""Keys of the Go program's configuration that have no equal here: what each was, and what to use (docs/from-go.md)."""

from __future__ import annotations

from typing import Final

_BUS: Final = (
    "{key} chose the Go program's bus, which is not read: tasks travel over Redis or a file here",
    "set bus.address to redis://HOST:6379 or sqlite:///FILE, and start workers with flowlord worker",
)
_WEB: Final = (
    "{key} was the address of the Go program's web page, which is not served here",
    "flowlord tasks, why and alerts tell the same",
)
_BUFFER: Final = (
    "{key} told the Go program how to write files, which is not done here",
    "leave it out; workers write their own files",
)
# By the key as keys are compared: small letters without - and _.
GONE: Final = {
    **dict.fromkeys(
        (
            "bus.bus", "bus.inbus", "bus.outbus", "bus.intopic", "bus.inchannel", "bus.topic", "bus.channel",
            "bus.outtopic", "bus.infile", "bus.outfile", "bus.nsqdhosts", "bus.lookupdhosts", "bus.pubsubhost",
            "bus.pubsubid", "bus.projectid", "bus.jsonauth",
        ),
        _BUS,
    ),
    **dict.fromkeys(("statusport", "port", "host"), _WEB),
    **dict.fromkeys(("file.filecompression", "file.usefilebuf", "file.filebufdir", "file.filebufkeepfailed"), _BUFFER),
}  # fmt: skip
TAKEN: Final = {"dbpath": "cache.path"}
"""Keys that are read as a setting which does the same."""
