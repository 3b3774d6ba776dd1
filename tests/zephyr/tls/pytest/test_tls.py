# SPDX-License-Identifier: Apache-2.0
"""Clients with TLS, and others. `dut` is the running image: pytest-twister-harness starts it."""

import contextlib
import os
import re
import socket
import ssl
import struct
import subprocess
import time
from pathlib import Path

import pytest
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

HOST = "127.0.0.1"
VERSIONS = {"1.2": ssl.TLSVersion.TLSv1_2, "1.3": ssl.TLSVersion.TLSv1_3}
REQUEST = (b"GET / HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
           b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n")
# The maximum delay of a connected client's echo, in seconds, beyond an idle run.
WORST = 0.05


@pytest.fixture(scope="session")
def image(dut):
    """The build directory, its port, and the versions of TLS."""
    lines = dut.readlines_until(regex="started", timeout=30)
    text = "\n".join(lines)
    assert re.search(r"no key: -\d+", text)
    assert re.search(r"server 0: -\d+\s", text), "a key that is none"
    assert text.count("server 0: 0") == 2 and "server 1: 0" in text and "stopped: 0" in text
    directory = Path(dut.device_config.build_dir)
    config = (directory / "zephyr/.config").read_text()
    port = int(re.search(r"^CONFIG_WSS_PORT=(\d+)", config, re.M).group(1))
    versions = [name for name in VERSIONS if f"CONFIG_WSS_TLS_{name.replace('.', '_')}=y" in config]
    return directory, port, versions


@pytest.fixture(autouse=True)
def fresh_output(image, dut):
    """What the image prints of the test before is no answer to this one."""
    time.sleep(0.3)
    dut.clear_buffer()


@pytest.fixture(params=VERSIONS)
def client(request, image):
    """Connects with a version of TLS, if it is enabled."""
    if request.param not in image[2]:
        pytest.skip(f"TLS {request.param} is not built in")
    return Client(image, request.param)


@pytest.fixture()
def any_client(image):
    return Client(image, image[2][-1])


class Client:
    def __init__(self, image, version):
        self.directory, self.port, _ = image
        self.version = version
        self.context = ssl.create_default_context(cafile=self.directory / "wss_tls/cert.pem")
        self.context.minimum_version = self.context.maximum_version = VERSIONS[version]
        self.context.set_alpn_protocols(["http/1.1"])

    def connect(self, server=0, **more):
        return connect(f"wss://localhost:{self.port + server}/", ssl=self.context, sock=self.tcp(server),
                       max_size=None, compression=None, **more)

    def tcp(self, server=0):
        return socket.create_connection((HOST, self.port + server), timeout=10)

    def accepted(self, dut):
        """A connection that the image has accepted: QEMU itself does that before, in an order of its own."""
        sock = self.tcp()
        dut.readlines_until(regex=r"client \d+ connecting", timeout=10)
        return sock

    def tls(self, server=0):
        return self.context.wrap_socket(self.tcp(server), server_hostname="localhost", suppress_ragged_eofs=False)

    def hello(self):
        """Returns the first message of a client, and nothing after it."""
        outgoing = ssl.MemoryBIO()
        session = self.context.wrap_bio(ssl.MemoryBIO(), outgoing, server_hostname="localhost")
        with contextlib.suppress(ssl.SSLWantReadError):
            session.do_handshake()
        return outgoing.read()

    def works(self):
        """Checks that the server still works."""
        with self.connect() as websocket:
            websocket.send("still there")
            assert websocket.recv(timeout=5) == "still there"


def failed(dut):
    dut.readlines_until(regex=r"TLS failed", timeout=10)


def drained(sock):
    """Returns all bytes before the end of the stream."""
    received = b""
    with contextlib.suppress(OSError):
        while data := sock.recv(4096):
            received += data
    return received


def frame(payload):
    """Returns a binary frame, masked with zeros."""
    if len(payload) < 126:
        return struct.pack("!BB4x", 0x82, 0x80 | len(payload)) + payload
    return struct.pack("!BBH4x", 0x82, 0x80 | 126, len(payload)) + payload


def test_messages_come_back(client):
    with client.connect() as websocket:
        assert websocket.socket.version() == f"TLSv{client.version}"
        assert websocket.socket.selected_alpn_protocol() == "http/1.1"
        for message in ["", "héllo", "x" * 125, "y" * 126, b"", bytes(1400), bytes(range(256)) * 15]:
            websocket.send(message)
            assert websocket.recv(timeout=10) == message
        assert websocket.ping(b"still there").wait(timeout=10)
        websocket.close(3000, "enough")
        assert websocket.close_code == 3000


def test_a_message_in_many_records_comes_back(client):
    payload = os.urandom(16000)
    with client.tls() as sock:
        sock.sendall(REQUEST)
        assert sock.recv(4096).startswith(b"HTTP/1.1 101 ")
        data = frame(payload)
        for at in range(0, len(data), 999):
            sock.sendall(data[at:at + 999])
        received = b""
        while len(received) < len(payload) + 4:
            received += sock.recv(65536)
        assert received == b"\x82\x7e\x3e\x80" + payload


def test_a_record_that_is_too_large_ends_with_an_alert(client, dut):
    with client.tls() as sock:
        sock.sendall(REQUEST)
        assert sock.recv(4096).startswith(b"HTTP/1.1 101 ")
        sock.sendall(frame(bytes(5000)))
        with pytest.raises(ssl.SSLError, match="RECORD_OVERFLOW|(?i:record overflow)"):
            sock.recv(4096)
    failed(dut)
    client.works()


def test_a_record_that_was_modified_ends_with_an_alert(client, dut):
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    session = client.context.wrap_bio(incoming, outgoing, server_hostname="localhost")
    with client.tcp() as sock:
        while True:
            try:
                session.do_handshake()
                break
            except ssl.SSLWantReadError:
                sock.sendall(outgoing.read())
                incoming.write(sock.recv(4096))
        session.write(REQUEST)
        data = bytearray(outgoing.read())
        data[-1] ^= 1
        sock.sendall(data)
        incoming.write(drained(sock))
        with pytest.raises(ssl.SSLError, match="BAD_RECORD_MAC|(?i:bad record mac)"):
            session.read(1)
    failed(dut)
    client.works()


def test_a_hello_in_many_segments_is_understood(client):
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    session = client.context.wrap_bio(incoming, outgoing, server_hostname="localhost")
    with client.tcp() as sock:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        while True:
            try:
                session.do_handshake()
                break
            except ssl.SSLWantReadError:
                for byte in outgoing.read():
                    sock.sendall(bytes([byte]))
                    time.sleep(0.001)
                incoming.write(sock.recv(4096))
        session.write(REQUEST)
        sock.sendall(outgoing.read())
        incoming.write(sock.recv(4096))
        # Of TLS 1.3 nothing else comes before it.
        assert session.read(4096).startswith(b"HTTP/1.1 101 ")


def worst_echo(websocket, turns=200):
    worst = 0
    for turn in range(turns):
        start = time.monotonic()
        websocket.send(f"message {turn}")
        assert websocket.recv(timeout=10) == f"message {turn}"
        worst = max(worst, time.monotonic() - start)
    return worst


def worst_beside_silent_peers(client, websocket):
    """Measures the worst echo while 16 peers are silent, or stop with half of a hello, or with a whole one."""
    hello = client.hello()
    with contextlib.ExitStack() as stack:
        for number in range(16):
            sock = stack.enter_context(client.tcp())
            sock.sendall([b"", hello[:1], hello[:len(hello) // 2], hello][number % 4])
        start = time.monotonic()
        worst = worst_echo(websocket)
        # One with a whole hello occupies a place for a second.
        client.works()
        assert time.monotonic() - start < 10
        return max(worst, worst_echo(websocket))


def test_silent_peers_keep_no_other_waiting(client):
    with client.connect() as websocket:
        # Computations of native_sim are not interrupted, and other programs use the processor, too.
        for _ in range(5):
            idle = worst_echo(websocket)
            beside = worst_beside_silent_peers(client, websocket)
            print(f"the worst echo: {idle * 1000:.1f} ms idle, {beside * 1000:.1f} ms beside silent peers")
            if beside < idle + WORST:
                break
        assert beside < idle + WORST


def test_peers_that_never_finish_free_their_slots(any_client, dut):
    with contextlib.ExitStack() as stack:
        socks = []
        for _ in range(20):
            socks.append(stack.enter_context(any_client.tcp()))
            # No more at a time than can wait to be accepted.
            time.sleep(0.05)
        for _ in socks:
            dut.readlines_until(regex=r"client \d+ connecting", timeout=10)
        for sock in socks:
            sock.sendall(any_client.hello()[:100])
        start = time.monotonic()
        # There is no slot, and no response.
        with any_client.tcp() as refused, pytest.raises(OSError):
            any_client.context.wrap_socket(refused, server_hostname="localhost")
        for sock in socks:
            drained(sock)
        assert 3 < time.monotonic() - start < 9
    any_client.works()


def test_an_abandoned_handshake_frees_its_slot(client, dut):
    for data in [client.hello()[:20], client.hello()]:
        with client.accepted(dut) as sock:
            sock.sendall(data)
        failed(dut)
    for _ in range(25):
        client.works()


def test_plain_http_is_answered_with_400(any_client, dut):
    with any_client.tcp() as sock:
        sock.sendall(REQUEST)
        answer = drained(sock)
    assert answer.startswith(b"HTTP/1.1 400 ") and b"wss://" in answer
    failed(dut)


@pytest.mark.parametrize("data", [b"\x16\x03\x01\x7f\xff" + bytes(100), b"\x15\x03\x01\x00\x02\x02\x28", bytes(64),
                                  b"\x80\x2e\x01\x00\x02", b"\x16\x03\x01\x00\x04\x01\x00\x00\x00"])
def test_what_is_no_handshake_fails(any_client, dut, data):
    with any_client.accepted(dut) as sock:
        sock.sendall(data)
        sock.shutdown(socket.SHUT_WR)
        drained(sock)
    failed(dut)
    any_client.works()


def test_certificates_of_clients_are_checked(client, dut):
    directory = client.directory

    def rejected():
        # With TLS 1.3 the client learns of it when it reads.
        with pytest.raises((OSError, ConnectionClosed, EOFError)), client.tls(1) as sock:
            sock.sendall(REQUEST)
            assert sock.recv(4096) == b"never"
        failed(dut)

    rejected()
    client.context.load_cert_chain(directory / "stranger/cert.pem", directory / "stranger/key.pem")
    rejected()
    client.context.load_cert_chain(directory / "client/cert.pem", directory / "client/key.pem")
    with client.connect(1) as websocket:
        websocket.send("known")
        assert websocket.recv(timeout=5) == "known"


def test_the_end_is_said(client):
    with client.tls() as sock:
        sock.sendall(REQUEST)
        assert sock.recv(4096).startswith(b"HTTP/1.1 101 ")
        sock.sendall(b"\x88\x80\x00\x00\x00\x00")
        received = b""
        # Without close_notify this raises.
        while data := sock.recv(4096):
            received += data
        assert received == b"\x88\x00"


def comes_and_leaves(client, says_so):
    """A connected client that leaves, with close_notify or without."""
    sock = client.tls()
    sock.sendall(REQUEST)
    assert sock.recv(4096).startswith(b"HTTP/1.1 101 ")
    if says_so:
        with contextlib.suppress(OSError):
            sock.unwrap()
    sock.close()


@pytest.mark.parametrize("says_so", [True, False])
def test_a_client_that_leaves_frees_its_slot(client, says_so):
    for _ in range(25):
        comes_and_leaves(client, says_so)
    client.works()


def test_an_end_without_close_notify_counts_as_aborted(client, dut):
    def aborted(says_so):
        comes_and_leaves(client, says_so)
        return int(re.search(r"(\d+) aborted", dut.readlines_until(regex="aborted", timeout=10)[-1]).group(1))

    before = aborted(True)
    assert aborted(True) == before
    assert aborted(False) == before + 1


class Stepwise:
    """A client that sends at a command."""

    def __init__(self, client):
        self.incoming, self.outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self.session = client.context.wrap_bio(self.incoming, self.outgoing, server_hostname="localhost")
        self.sock = client.tcp()

    def go_on(self):
        """Returns whether its side of the handshake is over."""
        with contextlib.suppress(ssl.SSLWantReadError):
            self.session.do_handshake()
            return True
        return False

    def send(self):
        self.sock.sendall(self.outgoing.read())

    def receive(self):
        data = self.sock.recv(4096)
        assert data, "the server has closed"
        self.incoming.write(data)

    def receive_flight(self):
        """Receives until there is something to be sent, or nothing more to do."""
        self.receive()
        while not self.go_on() and not self.outgoing.pending:
            self.receive()

    def finish(self):
        """Finishes the handshake, and the opening one."""
        while not self.go_on():
            self.send()
            self.receive_flight()
        self.session.write(REQUEST)
        self.send()
        self.receive()
        assert self.session.read(4096).startswith(b"HTTP/1.1 101 ")


def test_a_client_that_waits_for_the_processor_is_not_idle(client):
    with client.connect() as websocket, contextlib.ExitStack() as stack:
        # As many as may have handshakes in progress, and one that waits for them.
        first = [Stepwise(client) for _ in range(2)]
        for one in first:
            stack.enter_context(one.sock)
            one.go_on()
            one.send()
            one.receive_flight()
        stack.enter_context(client.tcp()).sendall(client.hello())
        time.sleep(0.2)
        websocket.send("hog")
        assert websocket.recv(timeout=5) == "hog"
        for one in first:
            one.send()
        for one in first:
            one.finish()


def test_a_hello_in_packets_that_waited_is_understood(client):
    with client.connect() as websocket:
        websocket.send("hog")
        assert websocket.recv(timeout=5) == "hog"
        one = Stepwise(client)
        with one.sock:
            one.go_on()
            hello = one.outgoing.read()
            for packet in (hello[:1], hello[1:100], hello[100:]):
                one.sock.sendall(packet)
                time.sleep(0.2)
            one.finish()


def test_a_handshake_that_failed_is_in_no_other_ones_way(any_client):
    stranger = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    stranger.check_hostname = False
    stranger.maximum_version = ssl.TLSVersion.TLSv1_2
    # With the certificate of this server there is none in common.
    stranger.set_ciphers("AES128-SHA256")
    outgoing = ssl.MemoryBIO()
    with contextlib.suppress(ssl.SSLWantReadError):
        stranger.wrap_bio(ssl.MemoryBIO(), outgoing).do_handshake()
    hello = outgoing.read()
    with contextlib.ExitStack() as stack:
        for _ in range(2):
            sock = stack.enter_context(any_client.tcp())
            sock.sendall(hello)
            # A fatal alert. The client stays.
            assert sock.recv(5) == b"\x15\x03\x03\x00\x02"
        start = time.monotonic()
        any_client.works()
        assert time.monotonic() - start < 0.8


def test_a_client_connects_after_memory_was_short(client, dut):
    with client.tls() as sock:
        sock.sendall(REQUEST)
        assert sock.recv(4096).startswith(b"HTTP/1.1 101 ")
        sock.sendall(b"\x81\x8b\0\0\0\0take memory")
        assert sock.recv(4096) == b"\x81\x0btake memory"
        time.sleep(0.6)
    # Its session cannot be made ready for the next client.
    dut.readlines_until(regex="client 0 closed", timeout=10)
    time.sleep(1.5)
    client.works()


def test_a_slow_reader_gets_everything(client):
    payload = os.urandom(3000)
    with client.tls() as sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        sock.sendall(REQUEST)
        assert sock.recv(4096).startswith(b"HTTP/1.1 101 ")
        sock.settimeout(0.2)
        sent = 0
        with contextlib.suppress(TimeoutError, ssl.SSLWantWriteError, ssl.SSLWantReadError):
            while sent < 200:
                sock.sendall(frame(payload))
                sent += 1
        # As far as the messages were sent whole.
        sock.settimeout(5)
        time.sleep(0.5)
        client.works()
        received = b""
        while len(received) < sent * (len(payload) + 4):
            received += sock.recv(65536)
            time.sleep(0.001)
        echo = b"\x82\x7e\x0b\xb8" + payload
        assert received[:sent * len(echo)] == echo * sent
        assert sent > 0


def test_renegotiation_is_refused(image, any_client):
    if "1.2" not in image[2]:
        pytest.skip("TLS 1.2 is not built in")
    asks = subprocess.run(["openssl", "s_client", "-connect", f"{HOST}:{any_client.port}", "-tls1_2"],
                          input=b"R\n", capture_output=True, timeout=20)
    assert b"RENEGOTIATING" in asks.stdout + asks.stderr
    assert b"no renegotiation" in asks.stdout + asks.stderr
    any_client.works()
