# SPDX-License-Identifier: Apache-2.0
"""Python's `websockets` as a client: scenarios as JSON on standard input, what it saw on standard output."""

import json
import sys
import time

from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import connect

PATIENCE = 30


def play(scenario):
    """Plays a scenario; what was seen."""
    try:
        client = connect(
            scenario["url"],
            subprotocols=scenario["protocols"] or None,
            max_size=None,
            ping_interval=None,
            open_timeout=PATIENCE,
            close_timeout=PATIENCE,
        )
    except InvalidStatus as refusal:
        return [{"refused": refusal.response.status_code}]
    seen = []
    with client:
        extensions = client.response.headers.get("Sec-WebSocket-Extensions", "")
        seen.append({"open": {"protocol": client.subprotocol or "", "extensions": extensions}})
        pongs = []
        for step in scenario["steps"]:
            [(what, value)] = step.items()
            if what == "text":
                client.send(value)
            elif what == "binary":
                client.send(bytes.fromhex(value))
            elif what == "ping":
                pongs.append((client.ping(value), value))
            elif what == "close":
                # It waits for the server to close, too.
                code = 1005 if value["code"] is None else value["code"]
                close(client, code, value["reason"])
            elif what == "wait":
                time.sleep(value / 1000)
            elif what == "receive":
                seen.extend(receive(client, pongs) for _ in range(value))
            else:
                raise ValueError(f"no such step: {what}")
    return seen


def close(client, code, reason):
    if code != 1005:
        client.close(code, reason)
        return
    # Its own close() always has a code.
    with client.send_context():
        client.protocol.send_close()


def receive(client, pongs):
    if pongs:
        pong, payload = pongs.pop(0)
        return {"pong": payload} if pong.wait(PATIENCE) else {"nothing": "in time"}
    try:
        message = client.recv(PATIENCE)
    except TimeoutError:
        return {"nothing": "in time"}
    except ConnectionClosed as closing:
        frame = closing.rcvd
        clean = frame is not None and closing.sent is not None
        code, reason = (frame.code, frame.reason) if frame else (1006, "")
        return {"closed": {"code": code, "reason": reason, "clean": clean}}
    return {"text": message} if isinstance(message, str) else {"binary": message.hex()}


def main():
    scenarios = json.load(sys.stdin)
    json.dump({name: play(scenario) for name, scenario in scenarios.items()}, sys.stdout)


if __name__ == "__main__":
    main()
