"""The proxy that loses answers, in front of a server that counts what reached it."""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from support.lossy_proxy import HOST, LOST, Fault, LossyProxy

LIMIT_S = 40.0


class Echo:
    """Answers each line with the same line."""

    def __init__(self) -> None:
        self.heard: list[bytes] = []
        self._door = socket.create_server((HOST, 0))
        self.port: int = self._door.getsockname()[1]
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()

    def _serve(self) -> None:
        while True:
            client, _ = self._door.accept()
            with client:
                while data := client.recv(100):
                    if data == b"end\n":
                        return
                    self.heard.append(data)
                    client.sendall(data)

    def close(self) -> None:
        with socket.create_connection((HOST, self.port)) as last:
            last.sendall(b"end\n")
            self._thread.join()
        self._door.close()


@pytest.fixture
def echo() -> Iterator[Echo]:
    server = Echo()
    yield server
    server.close()


@contextmanager
def asked(proxy: LossyProxy) -> Iterator[socket.socket]:
    with socket.create_connection((HOST, proxy.port), timeout=LIMIT_S) as client:
        yield client


def answer(client: socket.socket, text: bytes = b"hello\n") -> bytes:
    client.sendall(text)
    return client.recv(100)


def test_what_is_not_spoilt_arrives(echo):
    with LossyProxy(echo.port) as proxy, asked(proxy) as client:
        assert [answer(client, b"%d\n" % n) for n in range(5)] == [b"%d\n" % n for n in range(5)]
        assert proxy.exchanges == 5
        assert not proxy.done


@pytest.mark.parametrize(
    ("fault", "seen", "heard"),
    [
        (Fault.NO_REQUEST, b"", []),
        (Fault.NO_REPLY, b"", [b"hello\n"]),
        (Fault.HALF_REPLY, b"hel", [b"hello\n"]),
        (Fault.LATE, b"hello\n", [b"hello\n"]),
    ],
)
def test_each_fault_loses_what_its_name_says(echo, fault, seen, heard):
    with LossyProxy(echo.port) as proxy, asked(proxy) as client:
        proxy.doom(fault)
        proxy.label = "greet"
        assert answer(client) == seen
        if fault is not Fault.LATE:
            assert client.recv(100) == b""  # the connection has ended
        assert echo.heard == heard
        assert proxy.done == {("greet", fault): 1}
        assert proxy.lost("greet") == (fault in LOST)
        assert proxy.lost("leave") == 0


def test_a_reset_is_told_as_one(echo):
    with LossyProxy(echo.port) as proxy, asked(proxy) as client:
        proxy.doom(Fault.RESET)
        with pytest.raises(ConnectionResetError):
            answer(client)
        assert echo.heard == [b"hello\n"]


def test_a_silent_connection_stays_open(echo):
    with LossyProxy(echo.port) as proxy, asked(proxy) as client:
        proxy.doom(Fault.SILENT)
        client.settimeout(0.05)
        with pytest.raises(TimeoutError):
            answer(client)
        assert echo.heard == [b"hello\n"]
        client.settimeout(LIMIT_S)
        assert answer(client, b"again\n") == b"again\n"  # only what was awaited is lost


def faults_of(port: int, seed: int) -> list[tuple[str, Fault]]:
    with LossyProxy(port, seed=seed, share=0.5, faults={Fault.HALF_REPLY: 1, Fault.NO_REPLY: 1}) as proxy:
        for n in range(30):
            proxy.label = f"{n}"
            with asked(proxy) as client:
                answer(client)
        return sorted(proxy.done)


def test_the_same_seed_spoils_the_same_exchanges_and_another_one_others(echo):
    first = faults_of(echo.port, 1)
    assert 5 <= len(first) <= 25
    assert first == faults_of(echo.port, 1)
    assert first != faults_of(echo.port, 2)


def test_a_server_that_is_gone_ends_the_connection(echo):
    with LossyProxy(1) as proxy, asked(proxy) as client:  # nobody listens on port 1
        assert client.recv(100) == b""
