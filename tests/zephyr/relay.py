#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Passes TCP connections on to QEMU's forwarded port, no faster than a slow network would.

    tests/zephyr/relay.py PORT TARGET-PORT

QEMU's user network knows no wire: every few bytes that a client writes can be a frame of their own in the
emulated Ethernet controller, thousands of frames while the guest handles one. Real networks are not like
that, and Zephyr's driver of the Stellaris controller in QEMU does not survive it: once the controller's 31
places are full and the driver finds no buffer for a frame, nothing is received any more (docs/zephyr.md,
Boards). Neither do connections come one after another within milliseconds, while Zephyr has to wait for a
retransmission before it can forget one that both sides closed at the same time. So, here:

  - to the guest there is one frame every FRAME_SECONDS, and nothing is held back from it;
  - a new connection is made only CONNECTION_SECONDS after the one before.

Otherwise the two sides see each other as they are: the end of a stream is passed on as such, a reset as a
reset. Ends by SIGTERM.
"""

import signal
import socket
import struct
import sys
import threading
import time

FRAME_BYTES = 1460  # one segment
FRAME_SECONDS = 0.001
# Each of 11 connections may stay for 500 ms: until its last frame was sent again, and then in TIME-WAIT.
CONNECTION_SECONDS = 0.06


def reset(connection):
    """Closes with a reset."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.close()


def pass_on(source, sink, pause):
    """Forwards bytes to the end of the stream. Returns False if one of the two was reset."""
    try:
        while data := source.recv(FRAME_BYTES):
            sink.sendall(data)
            time.sleep(pause)
        sink.shutdown(socket.SHUT_WR)
    except OSError:
        # Stops the thread of the other direction. The peers are not notified.
        for connection in (source, sink):
            try:
                connection.shutdown(socket.SHUT_RD)
            except OSError:
                pass
        return False
    return True


def serve(client, target):
    try:
        guest = socket.create_connection(("127.0.0.1", target))
    except OSError:
        return reset(client)
    for connection in (client, guest):
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    outcomes = []
    back = threading.Thread(target=lambda: outcomes.append(pass_on(guest, client, 0)), daemon=True)
    back.start()
    outcomes.append(pass_on(client, guest, FRAME_SECONDS))
    back.join()
    for connection in (client, guest):
        connection.close() if all(outcomes) else reset(connection)


def main():
    port, target = map(int, sys.argv[1:])
    signal.signal(signal.SIGTERM, lambda *_: sys.exit())
    listener = socket.create_server(("127.0.0.1", port), backlog=64)
    while True:
        client, _ = listener.accept()
        threading.Thread(target=serve, args=(client, target), daemon=True).start()
        time.sleep(CONNECTION_SECONDS)


if __name__ == "__main__":
    main()
