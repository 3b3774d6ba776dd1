# SPDX-License-Identifier: Apache-2.0
"""How much of their stacks the threads of an application take, in QEMU.

Stacks are filled with 0xAA at the start (CONFIG_INIT_STACKS). After a load of everything that a client
may do, QEMU writes them to files, and what is no longer 0xAA was used.
"""

import os
import re
import socket
import struct
import subprocess
import tempfile
import time
from pathlib import Path

PORT = 18080
FILLED_WITH = 0xAA
# Stacks of threads that exist without a server, and those of interrupts, do not matter.
STACK = re.compile(r"^([0-9a-f]+) ([0-9a-f]+) [bBdD] (\w*stacks?\w*)$", re.M)
OTHERS = re.compile(r"^(z_|_k_thread_stack_|(sys_)?work_q_|rx_stack|tx_stack)|mgmt")

UPGRADE = (b"GET /%b HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
           b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n")


def connect(request=UPGRADE % b""):
    """A connection that has had an answer to its request; and the answer."""
    for _ in range(40):
        try:
            client = socket.create_connection(("127.0.0.1", PORT), timeout=30)
            client.sendall(request)
            answer = b""
            while b"\r\n\r\n" not in answer:
                more = client.recv(1)
                if not more:
                    raise ConnectionError
                answer += more
            return client, answer
        except ConnectionError:
            # Not there yet, or QEMU accepts before the board does.
            time.sleep(0.5)
    raise SystemExit("the application in QEMU does not answer")


def frame(first, payload, mask=b"\x01\x02\x03\x04"):
    size = len(payload)
    length = bytes([0x80 | size]) if size < 126 else b"\xfe" + struct.pack(">H", size)
    return bytes([first]) + length + mask + bytes(byte ^ mask[at % 4] for at, byte in enumerate(payload))


def receive(client, count):
    got = b""
    while len(got) < count:
        more = client.recv(count - len(got))
        if not more:
            raise ConnectionError
        got += more
    return got


def drain(client):
    """Until the server closes, or has nothing more."""
    client.settimeout(2)
    try:
        while client.recv(65536):
            pass
    except OSError:
        pass
    client.close()


def load():
    clients = [connect()[0] for _ in range(2)]
    for size in (1, 125, 126, 1000, 1400):
        for client in clients:
            for first, payload in ((0x81, b"x" * size), (0x82, os.urandom(size))):
                client.sendall(frame(first, payload))
                receive(client, size + (2 if size < 126 else 4))
    for client in clients:
        client.sendall(frame(0x89, b"p" * 125))
        receive(client, 127)
        client.sendall(b"".join(frame(0x81, b"many") for _ in range(20)))
        receive(client, 20 * 6)
    # One client too many. An answer is not required.
    try:
        other = socket.create_connection(("127.0.0.1", PORT), timeout=5)
        other.sendall(UPGRADE % b"")
        drain(other)
    except OSError:
        pass
    clients[0].sendall(frame(0x88, b"\x03\xe8" + b"r" * 100))
    drain(clients[0])
    clients[1].sendall(frame(0x81, b"\xff"))
    drain(clients[1])
    for request in (b"GET / HTTP/1.0\r\n\r\n", b"POST / HTTP/1.1\r\nHost: h\r\n\r\n",
                    UPGRADE % (b"a" * 1200)):
        client = socket.create_connection(("127.0.0.1", PORT), timeout=5)
        client.sendall(request)
        drain(client)
    # It sends and does not read, then it reads.
    client, _ = connect()
    client.settimeout(3)
    try:
        for _ in range(200):
            client.sendall(frame(0x82, bytes(1280)))
    except OSError:
        pass
    drain(client)


def used(elf):
    """Bytes of each stack that were used, and its size, by the stack's name."""
    with tempfile.TemporaryDirectory() as directory:
        monitor = Path(directory) / "monitor"
        qemu = subprocess.Popen(
            ["qemu-system-arm", "-cpu", "cortex-m3", "-machine", "lm3s6965evb", "-display", "none",
             "-nic", f"user,model=stellaris,hostfwd=tcp:127.0.0.1:{PORT}-:{PORT}", "-serial", "null",
             "-monitor", f"unix:{monitor},server,nowait", "-kernel", elf],
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            load()
            names = subprocess.run(["nm", "-S", elf], check=True, capture_output=True, text=True).stdout
            with socket.socket(socket.AF_UNIX) as prompt:
                prompt.settimeout(30)
                prompt.connect(str(monitor))
                return {name: (count_used(prompt, directory, int(address, 16), int(size, 16)), int(size, 16))
                        for address, size, name in STACK.findall(names) if not OTHERS.search(name)}
        finally:
            qemu.kill()
            qemu.wait()


def count_used(prompt, directory, address, size):
    file = Path(directory) / f"{address:x}"
    prompt.sendall(f'pmemsave {address} {size} "{file}"\n'.encode())
    for _ in range(100):
        if file.exists() and file.stat().st_size == size:
            break
        time.sleep(0.1)
    stack = file.read_bytes()
    untouched = next((at for at, byte in enumerate(stack) if byte != FILLED_WITH), size)
    return size - untouched
