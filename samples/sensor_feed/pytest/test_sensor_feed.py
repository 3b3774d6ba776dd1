# SPDX-License-Identifier: Apache-2.0
"""Real clients of the sample. `dut` is the running image: pytest-twister-harness starts it."""

import base64
import json
import os
import socket

import pytest
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

PORT = 18302
URL = f"ws://127.0.0.1:{PORT}/"


@pytest.fixture(autouse=True, scope="session")
def listening(dut):
    dut.readlines_until(regex="Listening on", timeout=30)


def told(client):
    return json.loads(client.recv(timeout=10))


def setting(client):
    """The next line that is no reading."""
    while True:
        line = told(client)
        if "count" not in line:
            return line


def reading(client):
    """The next line that is one."""
    while True:
        line = told(client)
        if "count" in line:
            return line


def test_every_client_gets_every_reading():
    with connect(URL) as one, connect(URL) as two:
        one.send('{"interval_ms":20}')
        assert setting(one) == {"interval_ms": 20, "paused": False}
        assert setting(two) == {"interval_ms": 20, "paused": False}
        first, other = reading(one), reading(two)
        assert first.keys() == {"count", "temperature_mc", "humidity_mpct"}
        for count in range(first["count"] + 1, first["count"] + 100):
            assert reading(one)["count"] == count
        for count in range(other["count"] + 1, other["count"] + 100):
            assert reading(two)["count"] == count
        two.send('{"paused":true}')
        assert setting(one)["paused"]
        with pytest.raises(TimeoutError):
            one.recv(timeout=0.5)
        # Nothing is changed; the answer has the current settings.
        one.send("{}")
        assert setting(one) == {"interval_ms": 20, "paused": True}
        one.send('{"paused":false,"interval_ms":50}')
        assert setting(one) == {"interval_ms": 50, "paused": False}
        settings = [setting(two) for _ in range(3)]
        assert [line["paused"] for line in settings] == [True, True, False]


@pytest.mark.parametrize(
    "message, code, reason",
    [
        ("", 1008, "not a command"),
        ('{"interval_ms":0}', 1008, "interval_ms is 10 to 60000"),
        ('{"interval_ms":-1}', 1008, "not a command"),
        ('{"other":1}', 1008, "not a command"),
        ('{"paused":true', 1008, "not a command"),
        ('{"paused":true}{', 1008, "not a command"),
        (b"\x00", 1003, "commands are text"),
    ],
)
def test_what_is_no_command_ends_the_connection(message, code, reason):
    with connect(URL) as client, connect(URL) as other:
        client.send(message)
        with pytest.raises(ConnectionClosed) as closed:
            while True:
                client.recv(timeout=10)
        assert (closed.value.rcvd.code, closed.value.rcvd.reason) == (code, reason)
        assert "count" in told(other)


def raw_client():
    """A client that says nothing, and reads no more than the answer to its request."""
    peer = socket.create_connection(("127.0.0.1", PORT), timeout=10)
    peer.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1)
    key = base64.b64encode(os.urandom(16)).decode()
    peer.sendall(
        f"GET / HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        f"Sec-WebSocket-Key: {key}\r\nSec-WebSocket-Version: 13\r\n\r\n".encode()
    )
    assert peer.recv(12) == b"HTTP/1.1 101"
    return peer


def masked_text(text):
    payload = text.encode()
    return bytes([0x81, 0x80 | len(payload)]) + bytes(4) + payload


def test_clients_that_do_not_read_or_never_finish_delay_nobody():
    with connect(URL) as client:
        client.send('{"interval_ms":10}')
        assert setting(client)["interval_ms"] == 10
        # One asks and asks, and never reads; one has not asked for anything yet.
        deaf, unfinished = raw_client(), socket.create_connection(("127.0.0.1", PORT), timeout=10)
        unfinished.sendall(b"GET / HT")
        deaf.settimeout(0.2)
        sent = 0
        try:
            while sent < 200_000:
                sent += deaf.send(masked_text("{}") * 100)
        except TimeoutError:
            pass
        assert sent > 0
        # Whatever that made of the feed, from here on no reading is missed.
        count = reading(client)["count"]
        for count in range(count + 1, count + 200):
            assert reading(client)["count"] == count
        assert unfinished.send(b"T") == 1
        deaf.close()
        unfinished.close()
