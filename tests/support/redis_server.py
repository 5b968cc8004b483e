"""One real Redis or Valkey server for a test: started on a free port, killed, paused, started again.

It needs no Docker and outlives nobody: it dies with the process that started it, also when that one is killed.
"""

import os
import shutil
import signal
import subprocess
import tempfile
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import redis

from support.processes import until
from support.redis_programs import HOST, LIMIT_S, Engine, free_port, lacking, program

Options = Mapping[str, str | int | Sequence[str]]
# The shell becomes the server and leaves a child that holds the pipe's other end. A line says that the server was ended
# in order; the end of the file without one means that whoever started it is dead.
DIES_WITH_US = """
exec 3<&0
(read -r _ <&3 || { kill -9 $$; [ -z "$OWN_FOLDER" ] || rm -r "$OWN_FOLDER"; }) &
exec "$@" 3<&- </dev/null
"""


@dataclass(frozen=True)
class Certificates:
    """Paths of PEM files: one authority, a server's pair for 127.0.0.1, and a client's pair."""

    ca: Path
    cert: Path
    key: Path
    client_cert: Path
    client_key: Path


class Running(ABC):
    """What is started on entering and closed on leaving, also when the start fails."""

    @abstractmethod
    def start(self) -> Self:
        """Start it and wait until it answers."""

    @abstractmethod
    def close(self) -> None:
        """End it."""

    def __enter__(self) -> Self:
        try:
            return self.start()
        except BaseException:
            self.close()
            raise

    def __exit__(self, *_: object) -> None:
        self.close()


class Server(Running):
    """One server with its own port, folder and configuration; a context manager that starts and ends it.

    Args:
        engine: `redis` is the machine's own (the Debian package redis-server), `valkey` comes from a wheel.
        options: lines of its configuration file, in the form of that file; a list stands for several lines
            (`{"appendonly": "yes", "user": ["default off", "ann on >secret ~* &* +@all"]}`).
        folder: its data, log and socket; without one it is a new one, and goes away with the server.
        user, password: what `url`, `client` and `cli` say; `requirepass` among the options is found there.
        unix: also listen on `socket`.
        sentinel: be a sentinel, not a store.
        tls: speak TLS only; who connects must trust `tls.ca`.
    """

    def __init__(
        self,
        engine: Engine = "redis",
        options: Options | None = None,
        *,
        folder: Path | None = None,
        user: str = "",
        password: str = "",
        unix: bool = False,
        sentinel: bool = False,
        tls: Certificates | None = None,
    ) -> None:
        self.engine: Engine = engine
        self.program = program(engine)
        self.options: dict[str, str | int | Sequence[str]] = dict(options or {})
        self.user = user
        self.password = password or str(self.options.get("requirepass", ""))
        self.sentinel = sentinel
        self.tls = tls
        self._is_own = folder is None
        self.folder = Path(tempfile.mkdtemp(prefix="flowlord-")) if folder is None else folder
        self.folder.mkdir(parents=True, exist_ok=True)
        self.socket = self.folder / "server.sock" if unix else None
        self.log = self.folder / "server.log"
        self.port = 0
        self._process: subprocess.Popen[bytes] | None = None
        self._leash = -1
        self._owner = os.getpid()
        self._written = ""

    # --- its life ---------------------------------------------------------------------------------------------

    def start(self) -> Self:
        """Start and wait until it answers; a port is chosen once and kept.

        Raises:
            AssertionError: it ended at once, or did not answer in time; holds the end of its log.
        """
        assert not self.is_alive, "it runs already"
        for _ in range(5):
            is_first = self.port == 0
            self.port = self.port or free_port()
            self._spawn()
            try:
                self.wait_ready()
                return self
            except AssertionError as wrong:
                self.kill()
                if not (is_first and "in use" in str(wrong)):
                    raise
                self.port = 0  # somebody else was quicker
        raise AssertionError("found no free port")

    def _spawn(self) -> None:
        self._write_configuration()
        read, self._leash = os.pipe()
        command = [str(self.program), str(self.folder / "server.conf"), *["--sentinel"] * self.sentinel]
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                ["sh", "-c", DIES_WITH_US, "sh", *command],
                cwd=self.folder,
                env=os.environ | {"OWN_FOLDER": str(self.folder) if self._is_own else ""},
                stdin=read,
                stdout=log,
                stderr=log,
            )
        os.close(read)

    def _write_configuration(self) -> None:
        """Write its configuration when what is asked for has changed: servers keep in there what they learned."""
        lines: dict[str, str | int | Sequence[str]] = {"bind": HOST, "port": self.port}
        lines |= {"dir": f'"{self.folder}"', "logfile": '""'}
        if not self.sentinel:
            lines |= {"save": '""', "enable-debug-command": "local"}
        if self.socket:
            lines |= {"unixsocket": f'"{self.socket}"'}
        if self.tls:
            lines |= {"port": 0, "tls-port": self.port, "tls-auth-clients": "optional"}
            lines |= {"tls-cert-file": f'"{self.tls.cert}"', "tls-key-file": f'"{self.tls.key}"'}
            lines |= {"tls-ca-cert-file": f'"{self.tls.ca}"'}
        told = [
            f"{name} {value}\n"
            for name, values in (lines | self.options).items()
            for value in ([values] if isinstance(values, str | int) else values)
        ]
        if self._written != (text := "".join(told)):
            (self.folder / "server.conf").write_text(text, "utf-8")
            self._written = text

    def wait_ready(self) -> None:
        """Wait until it answers PING; one that still loads its data is not ready."""

        def answers() -> bool:
            assert self.is_alive, f"the server ended\n{self.last_words}"
            try:
                with self.client(retry=None) as client:
                    return bool(client.ping())
            except redis.AuthenticationError:
                return True
            except redis.RedisError:  # nobody there yet, or LOADING
                return False

        try:
            until(answers, "an answer", LIMIT_S, 0.005)
        except AssertionError as late:
            raise AssertionError(f"{late}\n{self.last_words}") from None

    def kill(self) -> None:
        """End it with SIGKILL, as a crash does."""
        self._end(signal.SIGKILL)

    def stop(self) -> None:
        """End it with SIGTERM, in order; one that does not end in time is killed."""
        self._end(signal.SIGTERM)

    def restart(self, *, kill: bool = False) -> Self:
        """End it if it still runs, and start it on the same port and data."""
        self._end(signal.SIGKILL if kill else signal.SIGTERM)
        return self.start()

    def pause(self) -> None:
        """SIGSTOP: it keeps its connections and answers nothing. Returns once it stands still."""
        os.kill(self.pid, signal.SIGSTOP)
        os.waitid(os.P_PID, self.pid, os.WSTOPPED | os.WEXITED | os.WNOWAIT)

    def resume(self) -> None:
        """SIGCONT: it goes on where it stood."""
        os.kill(self.pid, signal.SIGCONT)

    @property
    def pid(self) -> int:
        assert self._process is not None, "the server is not running"
        return self._process.pid

    @property
    def is_alive(self) -> bool:
        """Whether the process is there, running or paused; what has ended stays a zombie until `_end`."""
        if self._process is None:
            return False
        return os.waitid(os.P_PID, self._process.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is None

    @property
    def last_words(self) -> str:
        """The end of its log."""
        return self.log.read_text("utf-8", "replace")[-2_000:] if self.log.exists() else ""

    def _end(self, number: signal.Signals) -> None:
        """Signal, tell its watcher to stand down, and only then let the process id go.

        So nothing here goes through Popen's own methods: they look first, and let the id go on the way.
        """
        if self._process is None or self._owner != os.getpid():
            return
        if self.is_alive:
            os.kill(self._process.pid, number)
            os.kill(self._process.pid, signal.SIGCONT)
            try:
                until(lambda: not self.is_alive, "its end", LIMIT_S, 0.002)
            except AssertionError:
                os.kill(self._process.pid, signal.SIGKILL)
        try:
            os.write(self._leash, b"\n")
        except BrokenPipeError:  # the watcher was killed
            pass
        os.close(self._leash)
        self._process.wait()
        self._process = None

    def close(self) -> None:
        """End it and take its own folder away."""
        self.kill()
        if self._is_own and self._owner == os.getpid():
            shutil.rmtree(self.folder, ignore_errors=True)

    # --- talking to it ----------------------------------------------------------------------------------------

    @property
    def login(self) -> str:
        """What stands before the host in an address."""
        return f"{self.user}:{self.password}@" if self.user or self.password else ""

    @property
    def url(self) -> str:
        """Its address, with user and password."""
        return f"redis{'s' * bool(self.tls)}://{self.login}{HOST}:{self.port}"

    @property
    def unix_url(self) -> str:
        """Its address over the socket."""
        assert self.socket, "made without unix=True"
        return f"unix://{self.login}{self.socket}"

    def client(self, **more: Any) -> redis.Redis:
        """A new client of redis-py, texts decoded; close it, best by `with`."""
        options: dict[str, Any] = {"decode_responses": True, "socket_timeout": LIMIT_S}
        if self.tls:
            options["ssl_ca_certs"] = str(self.tls.ca)
        return redis.Redis.from_url(self.url, **(options | more))

    def ask(self, *command: str | int) -> Any:
        """Send one command over a new connection, and return what redis-py makes of the answer."""
        with self.client() as client:
            return client.execute_command(*command)

    def cli(self, *arguments: str | int) -> str:
        """Run redis-cli against it and return what it prints."""
        found = shutil.which("redis-cli")
        if not found:
            lacking("redis-cli is missing: install the Debian package redis-tools")
        tls = ["--tls", "--cacert", str(self.tls.ca)] if self.tls else []
        login = (
            ["--user", self.user or "default", "--no-auth-warning", "-a", self.password] if self.login else []
        )
        done = subprocess.run(
            [found, "-h", HOST, "-p", str(self.port), *tls, *login, *map(str, arguments)],
            capture_output=True, text=True, timeout=LIMIT_S, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout.rstrip("\n")
