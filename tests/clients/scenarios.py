# SPDX-License-Identifier: Apache-2.0
"""What every client does, and what it has to see: one table for all of them.

A client opens a connection to a server and takes steps one after the other. It reports what it saw: how the
connection opened, then what it received, and how the connection was closed. Each client is a program of
its own (`python.py`, `node.mjs`, `src/bin/tungstenite.rs`, `page.html` in two browsers), which knows
these steps and sees these events:

    step                                    event
    {"text": "hello"}                       {"open": {"protocol": "", "extensions": ""}}
    {"binary": "00ff"}                      {"refused": 503}, as far as the client gets to know why
    {"ping": "payload"}                     {"text": "hello"}
    {"receive": 2}: takes two events, or    {"binary": "00ff"}
      the remaining ones at the end
    {"wait": 500}: listens for 500 ms       {"pong": "payload"}
    {"close": {"code": 1000, "reason": ""}} {"closed": {"code": 1000, "reason": "", "clean": true}}

An event that no step receives is seen, too: it fails the test.
"""

from dataclasses import dataclass, field
from unittest.mock import ANY

CLIENTS = ("python", "node", "tungstenite", "chromium", "firefox")
BROWSERS = ("chromium", "firefox")
# The WebSocket API has no ping: pages cannot send one, nor see a pong.
WITH_PING = ("python", "node", "tungstenite")

# The default server with its options, or `told.rs`, a program that follows commands.
SERVERS = {
    "echo": ["wss", "--streaming", "--subprotocol", "v2.chat", "--subprotocol", "v1.chat"],
    "whole messages": ["wss"],
    "pings": ["wss", "--ping-interval-ms", "300", "--client-timeout-ms", "2000"],
    "own origin": ["wss", "--origin", "{origin}"],
    "other origin": ["wss", "--origin", "https://other.example"],
    # One client at a time: the test itself.
    "full": ["wss", "--max-clients", "1"],
    "told": ["told"],
    "told to stop": ["told"],
}


def text(message):
    return {"text": message}


def binary(message):
    return {"binary": message.hex()}


def ping(payload):
    return {"ping": payload}


def pong(payload):
    return {"pong": payload}


def receive(events=1):
    return {"receive": events}


def wait(ms):
    return {"wait": ms}


def close(code=None, reason=""):
    return {"close": {"code": code, "reason": reason}}


def opened(protocol=""):
    # All except tungstenite offer compression, but the server accepts no extension.
    return {"open": {"protocol": protocol, "extensions": ""}}


def closed(code, reason="", clean=True):
    return {"closed": {"code": code, "reason": reason, "clean": clean}}


def refused(why):
    return {"refused": why}


# Pages do not learn the reason.
FAILED = [closed(1006, clean=False)]

MEGABYTE = bytes(range(256)) * 4096
MEGABYTE_OF_TEXT = "ä🦀x" * 150_000


@dataclass
class Scenario:
    name: str
    server: str
    steps: list
    seen: list
    protocols: list = field(default_factory=list)
    clients: tuple = CLIENTS
    # These clients observe something else.
    otherwise: dict = field(default_factory=dict)

    def expected(self, client):
        return self.otherwise.get(client, self.seen)


def echoed(name, *messages):
    """Messages that come back, one by one; then the client closes."""
    steps = [step for message in messages for step in (message, receive())]
    return Scenario(
        name,
        "echo",
        [*steps, close(1000), receive()],
        [opened(), *messages, closed(1000)],
    )


SCENARIOS = [
    echoed("text", text("hello"), text(""), text("grüß 🦀\0"), text("x" * 125), text("x" * 126)),
    echoed("binary", binary(b""), binary(b"\x00\xff"), binary(bytes(range(256)) * 5)),
    echoed("a_megabyte_of_text_in_pieces", text(MEGABYTE_OF_TEXT), text("after it")),
    echoed("a_megabyte_in_pieces", binary(MEGABYTE), binary(b"after it")),
    Scenario(
        "many_messages_at_once_come_back_in_order",
        "echo",
        [*(text(str(number)) for number in range(100)), receive(100), close(1000), receive()],
        [opened(), *(text(str(number)) for number in range(100)), closed(1000)],
    ),
    Scenario(
        "client_pings",
        "echo",
        [ping(""), receive(), ping("x" * 125), receive(), close(1000), receive()],
        [opened(), pong(""), pong("x" * 125), closed(1000)],
        clients=WITH_PING,
    ),
    Scenario(
        "server_pings",
        "told",
        [text("ping are you there?"), receive(), close(1000), receive()],
        [opened(), text("pong are you there?"), closed(1000)],
    ),
    Scenario(
        "client_that_answers_pings_may_be_silent",
        "pings",
        [wait(4000), text("still here"), receive(), close(1000), receive()],
        [opened(), text("still here"), closed(1000)],
    ),
    Scenario(
        # The server's close frame has the code, but no reason.
        "client_closes_with_a_code_and_a_reason",
        "echo",
        [close(4999, "fertig, schöne Grüße"), receive()],
        [opened(), closed(4999)],
    ),
    Scenario(
        "client_closes_without_a_code",
        "echo",
        [close(), receive()],
        [opened(), closed(1005)],
    ),
    Scenario(
        "client_closes_behind_its_last_message",
        "echo",
        [binary(MEGABYTE), close(3000), receive(2)],
        [opened(), binary(MEGABYTE), closed(3000)],
        # A page that has closed gets no more messages, and `websockets` drops them.
        clients=("node", "tungstenite", *BROWSERS),
        otherwise=dict.fromkeys(BROWSERS, [opened(), closed(3000)]),
    ),
    Scenario(
        "server_closes_with_a_code_and_a_reason",
        "told",
        [text("close 4001 das reicht, tschüß"), receive()],
        [opened(), closed(4001, "das reicht, tschüß")],
    ),
    Scenario(
        "server_closes_with_the_longest_reason",
        "told",
        [text("close 1011 " + "é" * 61), receive()],
        [opened(), closed(1011, "é" * 61)],
    ),
    Scenario(
        "server_ends",
        "told to stop",
        [text("stop"), receive()],
        [opened(), closed(1001)],
    ),
    Scenario(
        "message_too_big_is_closed_with_1009",
        "whole messages",
        [binary(bytes(1401)), receive()],
        [opened(), closed(1009)],
        # A server that fails the connection closes its side without waiting for an answer (RFC 6455 section 7.1.7).
        # Firefox considers that unclean, unless it was faster.
        otherwise={"firefox": [opened(), closed(1009, clean=ANY)]},
    ),
    Scenario(
        "subprotocol_that_the_server_prefers",
        "echo",
        [text("spoken"), receive(), close(1000), receive()],
        [opened("v2.chat"), text("spoken"), closed(1000)],
        protocols=["v1.chat", "unknown", "v2.chat"],
    ),
    Scenario(
        # The server accepts without one (RFC 6455 section 4.2.2); a client that needs one hangs up.
        "subprotocol_that_the_server_does_not_speak",
        "echo",
        [],
        [refused("no subprotocol")],
        protocols=["v1.unknown", "v1.chat.unknown"],
        otherwise={"python": [opened()], "firefox": [opened()], "chromium": FAILED},
    ),
    Scenario(
        "page_of_an_allowed_origin",
        "own origin",
        [text("in"), receive(), close(1000), receive()],
        [opened(), text("in"), closed(1000)],
        clients=BROWSERS,
    ),
    Scenario(
        "page_of_another_origin_or_none",
        "other origin",
        [],
        [refused(403)],
        otherwise=dict.fromkeys(BROWSERS, FAILED),
    ),
    Scenario(
        "one_client_too_many",
        "full",
        [],
        [refused(503)],
        otherwise=dict.fromkeys(BROWSERS, FAILED),
    ),
]
