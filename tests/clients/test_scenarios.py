# SPDX-License-Identifier: Apache-2.0
"""Real clients against the default server: each plays every scenario of the one table.

    tests/run clients, which installs the clients, or, with them installed,
    cargo build --release -p wss-server -p wss-clients && python3 -m pytest tests/clients
"""

import json
import os
import subprocess
import sys
from contextlib import ExitStack, nullcontext

import browsers
import pytest
from certificate import Certificate
from scenarios import BROWSERS, CLIENTS, SCENARIOS, SERVERS
from server import PATIENCE, RELEASE, Server
from websockets.sync.client import connect

HERE = browsers.HERE
PROGRAMS = {
    "python": [sys.executable, str(HERE / "python.py")],
    "node": ["node", str(HERE / "node.mjs")],
    "tungstenite": [str(RELEASE / "tungstenite")],
}


def started(name, origin, certificate, stack):
    program, *options = SERVERS[name]
    options = [option.format(origin=origin) for option in options]
    command = {"command": [str(RELEASE / program)]} if program != "wss" else {}
    options += certificate.options if certificate else []
    server = stack.enter_context(Server(*options, **command))
    if name == "full":
        stack.enter_context(connect(server.url, open_timeout=PATIENCE))
    return server


def run(command, scenarios, certificate):
    """Returns what a client that is a program observes."""
    done = subprocess.run(
        command,
        input=json.dumps(scenarios),
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
        env=os.environ | (certificate.trust if certificate else {}),
    )
    assert (done.returncode, done.stderr) == (0, ""), done.stderr
    return json.loads(done.stdout)


def has(client, scheme, scenario):
    """Whether a client plays the scenario: with TLS, only those of the default server, which says nothing to a client
    too many.
    """
    with_tls = SERVERS[scenario.server][0] == "wss" and scenario.server != "full"
    return client in scenario.clients and (scheme == "ws" or with_tls)


def play(client, scheme, directory):
    """Returns what a client observes in each scenario. It runs all of them at once, on its own servers."""
    mine = [scenario for scenario in SCENARIOS if has(client, scheme, scenario)]
    certificate = Certificate(directory) if scheme == "wss" else None
    with ExitStack() as stack:
        pages = stack.enter_context(browsers.pages() if client in BROWSERS else nullcontext())
        origin = pages.origin if pages else None
        names = {scenario.server for scenario in mine}
        urls = {name: started(name, origin, certificate, stack).url for name in names}
        told = {
            scenario.name: {
                "url": urls[scenario.server],
                "protocols": scenario.protocols,
                "steps": scenario.steps,
            }
            for scenario in mine
        }
        if pages:
            return browsers.play(client, pages, told, certificate)
        return run(PROGRAMS[client], told, certificate)


# The observations of each client; none for one that failed, which is started only once, too.
SEEN = {}

EACH = [
    pytest.param(client, scheme, scenario, id=f"{client}-{scheme}-{scenario.name}")
    for client in CLIENTS
    for scheme in ("ws", "wss")
    for scenario in SCENARIOS
    if has(client, scheme, scenario)
]


@pytest.mark.parametrize("client, scheme, scenario", EACH)
def test_client_sees(client, scheme, scenario, tmp_path):
    if (client, scheme) not in SEEN:
        SEEN[client, scheme] = {}
        SEEN[client, scheme] = play(client, scheme, tmp_path)
    assert SEEN[client, scheme].get(scenario.name) == scenario.expected(client)
