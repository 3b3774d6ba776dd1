# SPDX-License-Identifier: Apache-2.0
"""The default server, from Python's `websockets`.

    pip install -r tests/clients/requirements.txt
    cargo build --release && python3 -m pytest tests/clients

The server is `target/release/wss`, or what WSS_SERVER names.
"""

import os
import socket
import subprocess
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack

import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import connect

from server import PATIENCE, SERVER
from server import Server as Process


class Server(Process):
    """The default server."""

    def open(self, **arguments):
        arguments = {"compression": None, "max_size": None, **arguments}
        return connect(self.url, open_timeout=PATIENCE, **arguments)


def run(*options):
    """Runs the server with options with which it must exit by itself."""
    return subprocess.run(
        [SERVER, *options], capture_output=True, text=True, timeout=PATIENCE, check=False
    )


def echo(client, message):
    client.send(message)
    assert client.recv(PATIENCE) == message


def closed(client):
    """Returns the code and the reason of the server's close frame."""
    with pytest.raises(ConnectionClosed) as closing:
        client.recv(PATIENCE)
    frame = closing.value.rcvd
    return frame.code, frame.reason


def one_line(stderr):
    return stderr.startswith("wss: ") and stderr.count("\n") == 1 and stderr.endswith("\n")


@pytest.fixture(name="server", scope="module")
def default_server():
    with Server("--max-clients", "128") as server:
        yield server


@pytest.mark.parametrize(
    "message",
    ["hello", "", b"", b"\x00\xff", "grüß 🦀", "x" * 125, "x" * 126, b"x" * 1400],
    ids=["text", "empty", "empty-binary", "binary", "utf-8", "125", "126", "1400"],
)
def test_message_comes_back(server, message):
    with server.open() as client:
        echo(client, message)


def test_messages_come_back_in_order(server):
    with server.open() as client:
        for number in range(500):
            client.send(str(number))
        for number in range(500):
            assert client.recv(PATIENCE) == str(number)


def test_fragmented_message_comes_back(server):
    with server.open() as client:
        client.send(iter(["frag", "men", "", "ted"]))
        assert client.recv(PATIENCE) == "fragmented"


def test_message_too_big_is_refused_with_1009(server):
    with server.open() as client:
        client.send(b"x" * 1401)
        assert closed(client)[0] == 1009


def test_larger_buffer_takes_larger_messages():
    with Server("--rx-buffer", "1000000") as server, server.open() as client:
        echo(client, os.urandom(1_000_000))


def test_streaming_echoes_a_megabyte():
    with Server("--streaming") as server, server.open() as client:
        echo(client, os.urandom(1_000_000))
        echo(client, "ä🦀x" * 100_000)
        echo(client, "short")


def test_compression_is_not_negotiated(server):
    with server.open(compression="deflate") as client:
        assert not client.protocol.extensions
        echo(client, "x" * 1000)


def test_ping_is_answered_soon(server):
    with server.open() as client:
        latency = [client.ping() for _ in range(20)]
        for pong in latency:
            assert pong.wait(PATIENCE)
        began = time.monotonic()
        assert client.ping(b"now").wait(PATIENCE)
        assert time.monotonic() - began < 2


@pytest.mark.parametrize(
    "code, reason", [(1000, ""), (1000, "done"), (3000, "ä" * 61), (4999, "last")]
)
def test_close_by_the_client_is_answered_with_its_code(server, code, reason):
    with server.open() as client:
        echo(client, "hello")
        began = time.monotonic()
        client.close(code, reason)
        assert client.protocol.close_rcvd.code == code
        assert time.monotonic() - began < 3


def test_silent_client_is_closed_with_1000():
    with Server("--client-timeout-ms", "300", "--ping-interval-ms", "0") as server:
        with server.open(ping_interval=None) as client:
            assert closed(client)[0] == 1000


def test_listening_client_stays():
    with Server("--client-timeout-ms", "1000") as server:
        with server.open(ping_interval=None) as client:
            with pytest.raises(TimeoutError):
                client.recv(2.5)
            echo(client, "still here")


def test_subprotocol_preferred_by_the_server_is_spoken():
    with Server("--subprotocol", "v2.chat", "--subprotocol", "v1.chat") as server:
        with server.open(subprotocols=["v1.chat", "v2.chat"]) as client:
            assert client.subprotocol == "v2.chat"
            echo(client, "spoken")
        with server.open() as client:
            assert client.subprotocol is None


def test_only_the_listed_origin_may_connect():
    with Server("--origin", "https://good.example") as server:
        with server.open(origin="https://good.example") as client:
            echo(client, "in")
        for origin in ("https://bad.example", None):
            with pytest.raises(InvalidStatus) as refused, server.open(origin=origin):
                pass
            assert refused.value.response.status_code == 403


def test_client_too_many_gets_503():
    with Server("--max-clients", "1") as server:
        with server.open() as client:
            with pytest.raises(InvalidStatus) as refused, server.open():
                pass
            assert refused.value.response.status_code == 503
            echo(client, "still in")


def test_broadcast_reaches_every_client():
    with Server("--broadcast") as server, ExitStack() as stack:
        clients = [stack.enter_context(server.open()) for _ in range(5)]
        clients[2].send("to all")
        for client in clients:
            assert client.recv(PATIENCE) == "to all"


def test_hundred_clients_at_once(server):
    def session(number):
        with server.open() as client:
            for turn in range(20):
                echo(client, f"{number}: {turn}")

    with ThreadPoolExecutor(100) as threads:
        list(threads.map(session, range(100)))


@pytest.mark.parametrize("number", [1, 20])
def test_sigterm_closes_everyone_with_1001_and_exits_0(number):
    with Server() as server, ExitStack() as stack:
        clients = [stack.enter_context(server.open()) for _ in range(number)]
        for client in clients:
            echo(client, "hello")
        code, stderr = server.terminate()
        assert (code, stderr) == (0, "")
        for client in clients:
            assert closed(client)[0] == 1001


def test_end_of_the_stream_with_the_last_bytes_is_noticed_at_once():
    with Server() as server:
        for attempt in range(3):
            with socket.create_connection(("127.0.0.1", server.port), PATIENCE) as client:
                client.settimeout(PATIENCE)
                client.setsockopt(socket.IPPROTO_TCP, socket.TCP_CORK, 1)
                client.send(b"GET / HTTP/1.1\r\nHost: x\r\n")
                client.shutdown(socket.SHUT_WR)
                began = time.monotonic()
                assert client.recv(1) == b"", attempt
                assert time.monotonic() - began < 5


def test_server_recovers_from_running_out_of_descriptors():
    resource = pytest.importorskip("resource")

    with Server() as server:
        resource.prlimit(server.process.pid, resource.RLIMIT_NOFILE, (20, 20))
        idle = [socket.create_connection(("127.0.0.1", server.port)) for _ in range(30)]
        deadline = time.monotonic() + PATIENCE
        descriptors = f"/proc/{server.process.pid}/fd"
        while len(os.listdir(descriptors)) < 20 and time.monotonic() < deadline:
            time.sleep(0.01)
        for client in idle:
            client.close()
        with server.open() as client:
            echo(client, "recovered")
        assert server.terminate()[0] == 0


def test_ipv6():
    try:
        with socket.socket(socket.AF_INET6) as probe:
            probe.bind(("::1", 0))
    except OSError:
        pytest.skip("no IPv6 on this machine")
    with Server("--addr", "::1") as server, server.open() as client:
        assert server.url.startswith("ws://[::1]:")
        echo(client, "six")


def test_port_in_use_is_one_line_on_stderr(server):
    done = run("--port", str(server.port))
    assert done.returncode > 0
    assert one_line(done.stderr), done.stderr
    assert str(server.port) in done.stderr


@pytest.mark.parametrize(
    "options",
    [
        ["--bogus"],
        ["argument"],
        ["--port"],
        ["--port", "65536"],
        ["--port", "x"],
        ["--addr", "nowhere"],
        ["--max-clients", "0"],
        ["--rx-buffer", "3"],
        ["--rx-buffer", "18446744073709551615"],
        ["--rx-buffer", "1000000000000000"],
        ["--broadcast", "--streaming"],
    ],
    ids=" ".join,
)
def test_bad_option_is_one_line_on_stderr(options):
    done = run("--port", "0", *options)
    assert done.returncode > 0, done
    assert one_line(done.stderr), done.stderr
    assert done.stdout == ""


def test_help_names_every_option():
    done = run("--help")
    assert (done.returncode, done.stderr) == (0, "")
    for option in ("--addr", "--port", "--max-clients", "--streaming", "--origin"):
        assert option in done.stdout


def test_version():
    done = run("--version")
    assert done.returncode == 0
    assert done.stdout.startswith("wss ")
