#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Measures what unfinished TLS handshakes do to a client that is connected, and to a new one.

    benches/handshakes.py NAME=PORT:CA[:PATH] ...

Each server listens on a port of this machine and echoes. CA is the file with the authority that signed its certificate.
All are measured the same way, one after the other: the worst of 200 echoes of a connected client, and the time that a
new client takes to connect, idle and then beside SILENT connections that send nothing and HALF connections that send
half of a ClientHello. A server needs a slot for each of them, and two more.
"""

import argparse
import contextlib
import socket
import ssl
import time

REQUEST = (
    "GET {path} HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
)
# Masked with zeros.
MESSAGE, ECHO = b"\x81\x85\0\0\0\0hello", b"\x81\x05hello"
ECHOES = 200
PATIENCE = 30


class Target:
    def __init__(self, text):
        self.name, rest = text.split("=", 1)
        port, ca, *path = rest.split(":")
        self.port, self.path = int(port), path[0] if path else "/"
        self.context = ssl.create_default_context(cafile=ca)
        self.context.check_hostname = False

    def stream(self):
        stream = socket.create_connection(("127.0.0.1", self.port), PATIENCE)
        stream.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return stream

    def client(self):
        client = self.context.wrap_socket(self.stream(), server_hostname="localhost")
        client.sendall(REQUEST.format(path=self.path).encode())
        answer = b""
        while not answer.endswith(b"\r\n\r\n"):
            byte = client.recv(1)
            if not byte:
                raise ConnectionError(f"the server ends after {answer!r}")
            answer += byte
        if not answer.startswith(b"HTTP/1.1 101 "):
            raise ConnectionError(answer.split(b"\r\n")[0].decode())
        return client

    def hello(self):
        """The first bytes of a client."""
        received, sent = ssl.MemoryBIO(), ssl.MemoryBIO()
        client = self.context.wrap_bio(received, sent, server_hostname="localhost")
        try:
            client.do_handshake()
        except ssl.SSLWantReadError:
            pass
        return sent.read()


def worst_echo(client):
    """The longest time that an echo takes, in milliseconds."""
    worst = 0.0
    for _ in range(ECHOES):
        began = time.monotonic()
        client.sendall(MESSAGE)
        echo = b""
        while len(echo) < len(ECHO):
            echo += client.recv(len(ECHO) - len(echo))
        worst = max(worst, time.monotonic() - began)
        time.sleep(0.005)
    return worst * 1000


def connecting(target):
    """The time that a new client takes, in milliseconds; why it does not connect."""
    began = time.monotonic()
    try:
        target.client().close()
    except OSError as error:
        return f"{type(error).__name__}"
    return f"{(time.monotonic() - began) * 1000:.0f} ms"


@contextlib.contextmanager
def unfinished(target, silent, half):
    """Connections whose handshakes have just begun, and do not go on."""
    with contextlib.ExitStack() as stack:
        hello = target.hello()
        for number in range(silent + half):
            stream = stack.enter_context(target.stream())
            if number >= silent:
                stream.sendall(hello[: len(hello) // 2])
        # They are accepted by then.
        time.sleep(0.2)
        yield


def measure(target, silent, half):
    client = target.client()
    idle = worst_echo(client)
    first = connecting(target)
    with unfinished(target, silent, half):
        try:
            beside = f"{worst_echo(client):.1f} ms"
        except OSError as error:
            beside = type(error).__name__
    # The server has noticed their end.
    time.sleep(0.2)
    with unfinished(target, silent, half):
        new = connecting(target)
    print(f"{target.name:16} {f'{idle:.1f} ms':>12} {beside:>12} {first:>12} {new:>12}")


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("targets", nargs="+", type=Target, metavar="NAME=PORT:CA[:PATH]")
    parser.add_argument("--silent", type=int, default=8, help="connections that send nothing (8)")
    parser.add_argument("--half", type=int, default=8, help="connections that send half of a ClientHello (8)")
    arguments = parser.parse_args()
    print(f"{'':16} {'worst echo':>25} {'a new client':>25}")
    print(f"{'server':16} {'idle':>12} {'beside':>12} {'idle':>12} {'beside':>12}")
    for target in arguments.targets:
        measure(target, arguments.silent, arguments.half)


if __name__ == "__main__":
    main()
