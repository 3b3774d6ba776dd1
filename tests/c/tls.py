#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""TLS by wss.h and by SYS_WSS_Initialize(): drives tls.c, which is the one argument, and is its client.

Certificates are made by openssl, clients are Python's own.
"""

import errno
import pathlib
import socket
import ssl
import subprocess
import sys
import tempfile
import time
from contextlib import contextmanager

sys.path.append(str(pathlib.Path(__file__).resolve().parents[1] / "clients"))

from certificate import Certificate  # noqa: E402

REQUEST = (
    b"GET / HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
)
HELLO = b"\x81\x85\0\0\0\0hello"


class Server:
    """tls.c as a process."""

    def __init__(self, program):
        self.process = subprocess.Popen([program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def tell(self, *words):
        """Sends a command. Returns the number in the answer."""
        print(*words, file=self.process.stdin, flush=True)
        return int(self.process.stdout.readline())

    def expect(self, number, *words):
        answer = self.tell(*words)
        assert answer == number, f"{words}: {answer} instead of {number}"

    def expect_failure(self):
        """Checks that TLS has failed once since the server started, or does now."""
        until = time.monotonic() + 10
        while self.tell("failures") != 1:
            assert time.monotonic() < until, "TLS has not failed once"
            time.sleep(0.01)

    def use(self, certificate):
        self.expect(0, "cert", certificate.cert)
        self.expect(0, "key", certificate.key)


@contextmanager
def connected(port, ca, own=None):
    """A client that trusts an authority, perhaps with its own certificate."""
    context = ssl.create_default_context(cafile=ca)
    if own:
        context.load_cert_chain(own.cert, own.key)
    with socket.create_connection(("127.0.0.1", port), 10) as stream:
        with context.wrap_socket(stream, server_hostname="localhost") as client:
            yield client


def echo(client):
    client.sendall(REQUEST)
    answer = b""
    while not answer.endswith(b"\r\n\r\n"):
        answer += client.recv(1)
    assert answer.startswith(b"HTTP/1.1 101 "), answer
    client.sendall(HELLO)
    assert client.recv(100) == b"\x81\x05hello"


def fails(act):
    try:
        act()
    except OSError:  # ssl.SSLError among them
        return
    raise AssertionError("the server accepts it")


def main():
    server = Server(sys.argv[1])
    with tempfile.TemporaryDirectory() as one, tempfile.TemporaryDirectory() as two:
        own, other = Certificate(one), Certificate(two)

        # No certificate, only one half, and one with another key.
        server.expect(-errno.EINVAL, "start")
        server.expect(-1, "initialize", 1)
        server.expect(0, "cert", own.cert)
        server.expect(-errno.EINVAL, "start")
        server.expect(0, "key", other.key)
        server.expect(-errno.EINVAL, "start")

        server.use(own)
        server.expect(-errno.ENOTCONN, "replace")
        server.expect(0, "start")
        port = server.tell("port")
        with connected(port, own.ca) as client:
            echo(client)
            fails(lambda: connected(port, other.ca).__enter__())
            server.expect_failure()

            # The certificate is replaced, but not with one that has another key.
            server.expect(0, "cert", other.cert)
            server.expect(-errno.EINVAL, "replace")
            server.expect(0, "key", other.key)
            server.expect(0, "replace")
            with connected(port, other.ca) as new:
                echo(new)
            client.sendall(HELLO)
            assert client.recv(100) == b"\x81\x05hello"
        server.expect(0, "stop")
        server.use(own)

        # Clients with a certificate of one authority.
        server.expect(0, "auth", 2)
        server.expect(-errno.EINVAL, "start")
        server.expect(0, "ca", other.ca)
        server.expect(0, "start")
        port = server.tell("port")
        with connected(port, own.ca, other) as client:
            echo(client)

        def without():
            with connected(port, own.ca) as client:
                echo(client)

        fails(without)
        server.expect_failure()
        server.expect(0, "stop")
        server.expect(0, "auth", 3)
        server.expect(-errno.EINVAL, "start")
        server.expect(0, "auth", 0)

        # The original interface, with the configured credentials, or without TLS.
        server.expect(0, "configure")
        for enabled in (True, False):
            server.expect(0, "initialize", int(enabled))
            port = server.tell("port")
            if enabled:
                with connected(port, own.ca) as client:
                    echo(client)
            else:
                with socket.create_connection(("127.0.0.1", port), 10) as client:
                    echo(client)
            server.expect(0, "deinitialize")
    server.process.stdin.close()
    assert server.process.wait(10) == 0
    print("tls.c and tls.py passed")


if __name__ == "__main__":
    main()
