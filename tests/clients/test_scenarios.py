# SPDX-License-Identifier: Apache-2.0
"""Real clients against the default server: each plays every scenario of the one table.

    tests/run clients, which installs the clients, or, with them installed,
    cargo build --release -p wss -p wss-clients && python3 -m pytest tests/clients
"""

import json
import subprocess
import sys
from contextlib import ExitStack, nullcontext

import browsers
import pytest
from scenarios import BROWSERS, CLIENTS, SCENARIOS, SERVERS
from server import PATIENCE, RELEASE, Server
from websockets.sync.client import connect

HERE = browsers.HERE
PROGRAMS = {
    "python": [sys.executable, str(HERE / "python.py")],
    "node": ["node", str(HERE / "node.mjs")],
    "tungstenite": [str(RELEASE / "tungstenite")],
}


def started(name, origin, stack):
    program, *options = SERVERS[name]
    options = [option.format(origin=origin) for option in options]
    command = {"command": [str(RELEASE / program)]} if program != "wss" else {}
    server = stack.enter_context(Server(*options, **command))
    if name == "full":
        stack.enter_context(connect(server.url, open_timeout=PATIENCE))
    return server


def run(command, scenarios):
    """What a client that is a program sees."""
    done = subprocess.run(
        command, input=json.dumps(scenarios), capture_output=True, text=True, timeout=120, check=False
    )
    assert (done.returncode, done.stderr) == (0, ""), done.stderr
    return json.loads(done.stdout)


def play(client):
    """What a client sees of each scenario. It plays them all in one go, on servers of its own."""
    mine = [scenario for scenario in SCENARIOS if client in scenario.clients]
    with ExitStack() as stack:
        pages = stack.enter_context(browsers.pages() if client in BROWSERS else nullcontext())
        origin = pages.origin if pages else None
        names = {scenario.server for scenario in mine}
        urls = {name: started(name, origin, stack).url for name in names}
        told = {
            scenario.name: {
                "url": urls[scenario.server],
                "protocols": scenario.protocols,
                "steps": scenario.steps,
            }
            for scenario in mine
        }
        return browsers.play(client, pages, told) if pages else run(PROGRAMS[client], told)


# What each client saw; nothing for one that failed, which is started once, too.
SEEN = {}

EACH = [
    pytest.param(client, scenario, id=f"{client}-{scenario.name}")
    for client in CLIENTS
    for scenario in SCENARIOS
    if client in scenario.clients
]


@pytest.mark.parametrize("client, scenario", EACH)
def test_client_sees(client, scenario):
    if client not in SEEN:
        SEEN[client] = {}
        SEEN[client] = play(client)
    assert SEEN[client].get(scenario.name) == scenario.expected(client)
