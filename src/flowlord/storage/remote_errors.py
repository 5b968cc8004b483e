"""What went wrong with a bucket, in words for people; without secrets, which addresses in errors may carry."""

from __future__ import annotations

import re
from typing import Final

from flowlord.storage.address import Address
from flowlord.storage.port import Missing, Unavailable

_STATUS: Final = re.compile(r"status code: (\d{3})")
_CODE: Final = re.compile(r"<Code>([^<]{1,80})</Code>")
_MESSAGE: Final = re.compile(r"<Message>([^<]{1,200})")
_QUERY: Final = re.compile(r"(https?://[^\s?]*)\?\S*")
_LONGEST: Final = 300
_KEYS_ARE_WRONG: Final = ("SignatureDoesNotMatch", "InvalidAccessKeyId", "InvalidToken", "ExpiredToken")


def told(
    error: Exception, path: str, address: Address, endpoint: str, *, listing: bool = False
) -> Unavailable:
    """Return the error of the port for one of obstore: what failed, why, and what to do about it."""
    full = str(error).partition("\n\nDebug source:")
    text, behind = full[0], full[2]
    found = _STATUS.search(text)
    status = int(found[1]) if found else 0
    code = _first(_CODE, text)
    message = _first(_MESSAGE, text)
    where = endpoint or ("S3" if address.kind == "s3" else "Google Cloud Storage")
    if _asks_for_credentials(text):
        ways = (
            "set storage.access_key and storage.secret_key, or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"
            if address.kind == "s3"
            else "set storage.gcs_credentials or GOOGLE_APPLICATION_CREDENTIALS"
        )
        return Unavailable(f"{path}: there are no credentials for {where}: {ways}")
    if code == "NoSuchBucket" or "no bucket named" in message or (status == 404 and listing):
        return Missing(f"{path}: there is no bucket {address.bucket!r} at {where}")
    if isinstance(error, FileNotFoundError) or status == 404:
        return Missing(f"{path}: there is no such file")
    if code in _KEYS_ARE_WRONG or status == 401:
        return Unavailable(f"{path}: {where} does not accept the credentials ({code or status})")
    if status == 403:
        return Unavailable(
            f"{path}: {where} denies access with these credentials ({code or '403'}): they need the right to read"
            " and list, and to write where something is written"
        )
    if status in (301, 307) or "redirect" in text.lower():
        return Unavailable(f"{path}: the bucket lies in another region: set storage.region")
    if "HTTP error" in text or "error sending request" in text:
        if "certificate" in behind.lower():
            return Unavailable(
                f"{path}: the certificate of {where} is not trusted here, or is of another name"
            )
        late = "timed out" in text or "TimedOut" in behind or "timed out" in behind
        what = "did not answer in time" if late else "cannot be reached"
        return Unavailable(f"{path}: {where} {what}")
    if status:
        return Unavailable(f"{path}: {where} answered {status}: {message or code or 'without a reason'}")
    plain = _QUERY.sub(r"\1", text.replace("\n", " "))
    return Unavailable(f"{path}: {plain[:_LONGEST]}")


def _asks_for_credentials(text: str) -> bool:
    """Whether it failed where credentials are fetched: clients ask the machine itself when they were given none."""
    return "169.254.169.254" in text or "metadata.google.internal" in text or "token request" in text.lower()


def _first(pattern: re.Pattern[str], text: str) -> str:
    found = pattern.search(text)
    return found[1].strip() if found else ""
