"""Files in buckets of S3, of what speaks like it, and of Google Cloud Storage, through obstore.

obstore must not be used in a forked child of a process that used it: it hangs there. Nothing of ours forks so, and a
store carried over a fork refuses.
"""

from __future__ import annotations

import json
import os
import threading
from base64 import b64decode
from collections.abc import Iterator, MutableSequence
from contextlib import contextmanager
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final

from flowlord.rules.errors import Unreadable
from flowlord.rules.globs import Glob
from flowlord.storage.address import Address, fixed_part, is_wild
from flowlord.storage.port import Access, Changed, Conflict, Listed, Missing, Unavailable
from flowlord.storage.remote_errors import told

if TYPE_CHECKING:
    from obstore import ObjectMeta
    from obstore.store import GCSStore, S3Store

CALL_LIMIT_S: Final = 30
"""How long one request may take."""
CONNECT_LIMIT_S: Final = 5
RETRIES: Final = 3
RETRY_LIMIT_S: Final = 10
"""After how long nothing is tried again, so that a call never takes much longer than one request."""
CHUNK_BYTES: Final = 4 << 20
_ODD: Final = (
    "an empty part (two slashes), one of dots, or a control character in it; other folders were listed"
)
_LISTED_AT_ONCE: Final = 1_000


class RemoteStore:
    """Buckets, each reached through a client of its own that is made when it is first asked for; implements the port.

    Raises:
        Unavailable: obstore is not installed.
    """

    def __init__(self, access: Access) -> None:
        try:
            import obstore
        except ImportError as error:
            raise Unavailable(
                "paths in buckets need the package obstore: pip install 'flowlord[cloud]'"
            ) from error
        self._obstore: Any = obstore
        self._access = access
        self._clients: dict[tuple[str, str, str], S3Store | GCSStore] = {}
        self._lock = threading.Lock()
        self._pid = os.getpid()

    def list(self, pattern: str) -> Iterator[Listed]:
        """See the port."""
        address = Address.parse(pattern)
        if is_wild(address.key):
            try:
                wanted = Glob.compile(pattern)
            except Unreadable as error:
                raise Unavailable(str(error)) from error
            yield from (
                each for each in self._below(address, fixed_part(address.key)) if wanted.matches(each.path)
            )
            return
        if not address.key or address.key.endswith("/"):
            yield from self._below(address, address.key)
            return
        try:
            yield self.stat(pattern)
            return
        except Missing:
            found = False
        for each in self._below(address, f"{address.key}/"):
            found = True
            yield each
        if not found:
            raise Missing(f"{pattern}: there is no such file, and nothing below it")

    def stat(self, path: str) -> Listed:
        """See the port."""
        return _listed(self._head(Address.parse(path), path), path)

    def read(self, path: str, limit: int) -> tuple[bytes, str]:
        """See the port."""
        address = Address.parse(path)
        client = self._client(address)
        with self._told(path, address):
            try:
                answer = self._obstore.get(client, address.key)
            except FileNotFoundError:
                self._look_closer(client, address, path)
                raise
            if answer.meta["size"] > limit:
                raise Unavailable(f"{path} holds more than {limit:,} bytes")
            return bytes(answer.bytes()), _version(answer.meta)

    def chunks(self, path: str, offset: int = 0, version: str = "") -> Iterator[bytes]:
        """See the port. Each part is a request of its own, so that a slow reader runs into no limit of time."""
        address = Address.parse(path)
        first = self._head(address, path)
        version = version or _version(first)
        _same(path, version, _version(first))
        client = self._client(address)
        while offset < first["size"]:
            end = min(offset + CHUNK_BYTES, first["size"])
            with self._told(path, address):
                try:
                    answer = self._obstore.get(client, address.key, options={"range": (offset, end)})
                    _same(path, version, _version(answer.meta))
                    part = bytes(answer.bytes())
                except self._obstore.exceptions.BaseError:
                    _same(path, version, self.stat(path).version)  # a shorter one has no such range
                    raise
            if len(part) != end - offset:
                raise Unavailable(f"{path}: {len(part):,} bytes came where {end - offset:,} were asked for")
            offset = end
            yield part

    def write(self, path: str, data: bytes, *, if_absent: bool = False, if_version: str = "") -> str:
        """See the port. A condition is checked by the server itself."""
        address = Address.parse(path)
        condition: Any = "create" if if_absent else None
        if if_version:
            try:
                now = self._head(address, path)
            except Missing as error:
                raise Conflict(f"{path} was to be version {if_version} and is gone") from error
            if _version(now) != if_version:
                raise Conflict(f"{path} was to be version {if_version} and is {_version(now)}")
            # Google compares generations and S3 tags; S3 takes no version in a condition.
            condition = {"e_tag": now["e_tag"]} if address.kind == "s3" else {"version": now["version"]}
        client = self._client(address)
        with self._told(path, address):
            try:
                answer = self._obstore.put(client, address.key, data, mode=condition, use_multipart=False)
            except self._obstore.exceptions.AlreadyExistsError as error:
                raise Conflict(f"{path} is there already") from error
            except self._obstore.exceptions.PreconditionError as error:
                raise Conflict(f"{path} has another version by now, nothing was written") from error
        return _plain(answer["e_tag"] or "") or self.stat(path).version

    def delete(self, path: str) -> None:
        """See the port."""
        address = Address.parse(path)
        client = self._client(address)
        with self._told(path, address):
            try:
                self._obstore.delete(client, address.key)
            except FileNotFoundError:  # S3 says nothing about it, Google does
                self._look_closer(client, address, path)

    def _below(self, address: Address, prefix: str) -> Iterator[Listed]:
        """List what lies below a prefix that is empty or ends in a slash."""
        held: Listed | None = None
        odd: MutableSequence[str] = []
        for path, meta in self._found(address, prefix, odd):
            each = _listed(meta, address.base + path)
            # Consoles mark a folder by an empty file `folder/`, which arrives here without its slash.
            if held and not (held.size == 0 and each.path.startswith(f"{held.path}/")):
                yield held
            held = None if path == prefix.rstrip("/") else each
        if held:
            yield held
        if odd:
            raise Unavailable(f"{address.base}{odd[0]} holds a name that cannot be read: {_ODD}")

    def _found(
        self, address: Address, prefix: str, odd: MutableSequence[str]
    ) -> Iterator[tuple[str, ObjectMeta]]:
        """Yield key and facts of all below a prefix; `odd` gets the folders that cannot be listed.

        One key that obstore cannot spell ends its listing, so the rest is listed folder by folder then.
        """
        client = self._client(address)
        last = ""
        with self._told(address.base + prefix, address, listing=True):
            try:
                for part in self._obstore.list(
                    client, prefix.rstrip("/") or None, chunk_size=_LISTED_AT_ONCE
                ):
                    for meta in part:
                        yield meta["path"], meta
                        last = meta["path"]
                return
            except self._obstore.exceptions.InvalidPathError:
                pass
            for meta in self._by_folder(client, prefix.rstrip("/"), odd):
                if meta["path"] > last:
                    yield meta["path"], meta

    def _by_folder(
        self, client: S3Store | GCSStore, folder: str, odd: MutableSequence[str]
    ) -> Iterator[ObjectMeta]:
        """Yield what lies in a folder, then what lies in those below; `odd` gets the folders that cannot be listed."""
        try:
            found = self._obstore.list_with_delimiter(client, folder or None)
        except self._obstore.exceptions.InvalidPathError:
            odd.append(f"{folder}/" if folder else "")
            return
        yield from found["objects"]
        for each in found["common_prefixes"]:
            if each != folder:
                yield from self._by_folder(client, each, odd)

    def _head(self, address: Address, path: str) -> ObjectMeta:
        if not address.key or address.key.endswith("/"):
            raise Missing(f"{path} is a folder, not a file")
        client = self._client(address)
        with self._told(path, address):
            try:
                found: ObjectMeta = self._obstore.head(client, address.key)
                return found
            except (FileNotFoundError, self._obstore.exceptions.PermissionDeniedError):
                self._look_closer(client, address, path)
                raise

    def _look_closer(self, client: S3Store | GCSStore, address: Address, path: str) -> None:
        """Raise what is wrong with the whole bucket: the answer to a look at one file has no body that would tell."""
        try:
            next(iter(self._obstore.list(client, address.key, chunk_size=1)), None)
        except self._obstore.exceptions.BaseError as error:
            reason = told(error, path, address, self._endpoint(address), listing=True)
            if isinstance(reason, Missing) or "credentials (" in str(reason):
                raise reason from None

    @contextmanager
    def _told(self, path: str, address: Address, *, listing: bool = False) -> Iterator[None]:
        """Turn what obstore raises into errors of the port."""
        try:
            yield
        except (Unavailable, GeneratorExit):
            raise
        except (self._obstore.exceptions.BaseError, OSError, ValueError) as error:
            # Not kept as the cause: it repeats requests word by word, and some carry tokens.
            raise told(error, path, address, self._endpoint(address), listing=listing) from None

    def _endpoint(self, address: Address) -> str:
        return address.endpoint or (
            self._access.endpoint if address.kind == "s3" else self._access.gcs_endpoint
        )

    def _client(self, address: Address) -> S3Store | GCSStore:
        if os.getpid() != self._pid:
            raise Unavailable("storage was carried over a fork, where it would hang: open it in the child")
        key = (address.kind, address.endpoint, address.bucket)
        with self._lock:
            if key not in self._clients:
                with self._told(address.base, address):
                    self._clients[key] = self._made(address)
            return self._clients[key]

    def _made(self, address: Address) -> S3Store | GCSStore:
        from obstore.store import GCSStore, S3Store

        access, endpoint = self._access, self._endpoint(address)
        options: dict[str, Any] = {
            "client_options": {
                "allow_http": endpoint.startswith("http://"),
                "timeout": timedelta(seconds=CALL_LIMIT_S),
                "connect_timeout": timedelta(seconds=CONNECT_LIMIT_S),
            },
            "retry_config": {"max_retries": RETRIES, "retry_timeout": timedelta(seconds=RETRY_LIMIT_S)},
        }
        if address.kind == "gs":
            if endpoint and not access.gcs_credentials:  # an emulator
                key = {"gcs_base_url": endpoint.rstrip("/"), "disable_oauth": True}
                options["service_account_key"] = json.dumps(
                    {**key, "client_email": "", "private_key": "", "private_key_id": ""}
                )
            elif access.gcs_credentials:
                options["application_credentials"] = access.gcs_credentials
                if endpoint:
                    options["base_url"] = endpoint
            return GCSStore(address.bucket, **options)
        if endpoint:
            options |= {"endpoint": endpoint, "virtual_hosted_style_request": False}
        if access.access_key:
            options |= {"access_key_id": access.access_key, "secret_access_key": access.secret_key}
        if region := access.region or os.environ.get("AWS_REGION") or os.environ.get("AWS_DEFAULT_REGION"):
            options["region"] = region
        return S3Store(address.bucket, **options)


def _listed(meta: ObjectMeta, path: str) -> Listed:
    return Listed(path, meta["size"], _version(meta), int(meta["last_modified"].timestamp() * 1e6))


def _version(meta: ObjectMeta) -> str:
    if meta["e_tag"]:
        return _plain(meta["e_tag"])
    return f"{meta['size']}-{int(meta['last_modified'].timestamp())}"  # whole seconds, as a look at it tells


def md5_of(text: str) -> str:
    """Return an MD5 that is written in base64 as Google's listings have it, in hex; empty for what is none.

    Notices and emulators write it in base64.
    """
    try:
        found = b64decode(text, validate=True)
    except ValueError:
        return ""
    return found.hex() if len(found) == 16 else ""


def _plain(e_tag: str) -> str:
    tag = e_tag.removeprefix("W/").strip('"')
    return md5_of(tag) or tag


def _same(path: str, before: str, now: str) -> None:
    if before != now:
        raise Changed(f"{path} has changed: it was version {before} and is {now}")
