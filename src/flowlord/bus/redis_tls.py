"""TLS to a Redis. Imported for addresses that ask for it only: the standard library's part of it takes 30 ms."""

from __future__ import annotations

import socket
import ssl
from typing import Final

from flowlord.bus.redis_address import Address
from flowlord.bus.redis_errors import safe

_CHECKS: Final = {
    "none": ssl.CERT_NONE,
    "optional": ssl.CERT_OPTIONAL,
    "required": ssl.CERT_REQUIRED,
}


def over_tls(sock: socket.socket, address: Address, host: str) -> ssl.SSLSocket:
    """Return a connected socket with TLS on it, the certificates checked as the address says; raises OSError.

    The socket given belongs to the one returned, and is closed when that fails.
    """
    try:
        context = ssl.create_default_context()
        context.check_hostname = address.ssl_cert_reqs != "none"
        context.verify_mode = _CHECKS[address.ssl_cert_reqs]
        if address.ssl_certfile:
            context.load_cert_chain(address.ssl_certfile, address.ssl_keyfile or None)
        if address.ssl_ca_certs:
            context.load_verify_locations(address.ssl_ca_certs)
        return context.wrap_socket(sock, server_hostname=host)
    except BaseException:
        sock.close()
        raise


def told(error: BaseException) -> tuple[str, str] | None:
    """Return why TLS did not come about, and what to do about it; None when it is about something else."""
    if isinstance(error, ssl.SSLCertVerificationError):
        text = f"its certificate does not hold: {error.verify_message}"
        return text, "tell who signed it: ?ssl_ca_certs=ca.pem"
    if isinstance(error, ssl.SSLError):
        text = f"TLS failed: {safe(str(error.reason or error))}"
        return text, "is that port one for TLS? redis:// is without"
    return None
