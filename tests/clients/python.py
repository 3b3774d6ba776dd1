# SPDX-License-Identifier: Apache-2.0
"""Python's `websockets` as a client: scenarios as JSON on standard input, observations on standard output."""

import asyncio
import json
import sys

from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

PATIENCE = 30


async def play(scenario):
    """Runs a scenario. Returns the observations."""
    try:
        client = await connect(
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
    async with client:
        extensions = client.response.headers.get("Sec-WebSocket-Extensions", "")
        seen.append({"open": {"protocol": client.subprotocol or "", "extensions": extensions}})
        pongs = []
        for step in scenario["steps"]:
            [(what, value)] = step.items()
            if what == "text":
                await client.send(value)
            elif what == "binary":
                await client.send(bytes.fromhex(value))
            elif what == "ping":
                pongs.append((await client.ping(value), value))
            elif what == "close":
                # It also waits for the server to close.
                code = 1005 if value["code"] is None else value["code"]
                await close(client, code, value["reason"])
            elif what == "wait":
                await asyncio.sleep(value / 1000)
            elif what == "receive":
                seen.extend([await receive(client, pongs) for _ in range(value)])
            else:
                raise ValueError(f"no such step: {what}")
    return seen


async def close(client, code, reason):
    if code != 1005:
        await client.close(code, reason)
        return
    # Its own close() always sends a code.
    async with client.send_context():
        client.protocol.send_close()


async def receive(client, pongs):
    try:
        async with asyncio.timeout(PATIENCE):
            if pongs:
                pong, payload = pongs.pop(0)
                await pong
                return {"pong": payload}
            message = await client.recv()
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
    seen = {name: asyncio.run(play(scenario)) for name, scenario in scenarios.items()}
    json.dump(seen, sys.stdout)


if __name__ == "__main__":
    main()
