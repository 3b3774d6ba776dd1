# SPDX-License-Identifier: Apache-2.0
"""Real clients of the sample. `dut` is the running device: here pytest-twister-harness starts it on native_sim, and
tests/clients/test_device_on_host.py starts it on the host."""

import base64
import gzip
import json
import pathlib
import shutil
import sys
import urllib.error
import urllib.request

import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import connect

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[3] / "tests" / "clients"))
PROGRAMS = {"chromium": "chromium", "firefox": "firefox-esr"}
browsers = pytest.mark.parametrize(
    "browser",
    [
        pytest.param(name, marks=pytest.mark.skipif(not shutil.which(program), reason=f"{program} is not installed"))
        for name, program in PROGRAMS.items()
    ],
)

URL = "ws://127.0.0.1:18303/"
GUEST = URL + "?token=look-only"


@pytest.fixture(autouse=True, scope="session")
def listening(dut):
    dut.readlines_until(regex="(?i)listening on", timeout=30)


def basic(user, password):
    return {"Authorization": "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()}


def admin():
    return connect(URL, additional_headers=basic("admin", "correct horse"))


def ask(client, **command):
    client.send(json.dumps(command))
    return reply(client)


def reply(client):
    """The next line that is no telemetry."""
    while True:
        line = json.loads(client.recv(timeout=10))
        if "count" not in line:
            return line


def telemetry(client):
    """The next line that is."""
    while True:
        line = json.loads(client.recv(timeout=10))
        if "count" in line:
            return line


def refused(url=URL, **options):
    with pytest.raises(InvalidStatus) as refused:
        connect(url, **options)
    return refused.value.response


def test_a_login_is_required():
    for response in [
        refused(),
        refused(additional_headers=basic("admin", "wrong")),
        refused(additional_headers={"Authorization": "Bearer look"}),
        refused(URL + "?token=look-only-not"),
    ]:
        assert response.status_code == 401
        assert response.headers["WWW-Authenticate"] == 'Basic realm="device"'


def test_the_page_is_behind_the_login():
    page = URL.replace("ws:", "http:")
    with pytest.raises(urllib.error.HTTPError) as refused:
        urllib.request.urlopen(page)
    assert refused.value.code == 401
    assert refused.value.headers["WWW-Authenticate"] == 'Basic realm="device"'
    login = urllib.request.Request(page, headers=basic("admin", "correct horse"))
    for request in [login, GUEST.replace("ws:", "http:")]:
        with urllib.request.urlopen(request) as response:
            body = response.read()
            if response.headers["Content-Encoding"] == "gzip":
                body = gzip.decompress(body)
            assert body.startswith(b"<!DOCTYPE html>")


# What the dashboard shows.
STATE = "document.getElementById('state').textContent"
COUNT = """[...document.querySelectorAll('#charts figure')]
    .find(chart => chart.querySelector('span').textContent === 'count').querySelector('output').textContent"""
LOG = "[...document.querySelectorAll('#log li')].map(line => line.textContent).join()"


@browsers
def test_the_page_is_alive_in_a_browser(browser):
    from remote import Page

    login = URL.replace("ws://", "http://admin:correct%20horse@")
    with Page(browser, login) as page:
        page.wait_for(f"{STATE} === 'connected'")
        first = page.wait_for(COUNT)
        page.wait_for(f"{COUNT} !== {json.dumps(first)}")
        page.evaluate(
            """(() => {
            document.getElementById('text').value = '{"led":false}';
            document.getElementById('send').requestSubmit();
            return 1 })()"""
        )
        page.wait_for(f"""{LOG}.includes('"admin":true')""")


def test_a_ping_comes_back():
    with admin() as boss:
        assert ask(boss, ping=123456789)["ping"] == 123456789
        assert "ping" not in ask(boss)


def test_a_token_is_enough_to_look():
    bearer = {"Authorization": "Bearer look-only"}
    with connect(URL, additional_headers=bearer) as one, connect(GUEST) as two:
        for client in one, two:
            assert ask(client) == {"admin": False, "subscribed": False, "commands": 1}
            client.send('{"led":true}')
            with pytest.raises(ConnectionClosed) as closed:
                reply(client)
            assert closed.value.rcvd.code == 1008
            assert closed.value.rcvd.reason == "only for the administrator"


def test_subscribers_get_telemetry_and_others_none():
    with admin() as boss, connect(GUEST) as one, connect(GUEST) as two:
        assert ask(one, subscribe=True)["subscribed"]
        assert ask(two) == {"admin": False, "subscribed": False, "commands": 1}
        first = telemetry(one)
        assert first.keys() == {"count", "temperature_mc", "led"}
        assert ask(boss, led=not first["led"])["admin"]
        second = telemetry(one)
        while second["led"] == first["led"]:
            second = telemetry(one)
        assert second["count"] in (first["count"] + 1, first["count"] + 2)
        with pytest.raises(TimeoutError):
            two.recv(timeout=1)
        assert not ask(one, subscribe=False)["subscribed"]
        with pytest.raises(TimeoutError):
            one.recv(timeout=1)
        assert ask(boss, led=first["led"]) == {"admin": True, "subscribed": False, "commands": 2}


@pytest.mark.parametrize("text", ["", "[]", '{"led":1}', '{"other":true}', '{"subscribe":true', "{}{}", '{"led":true,'])
def test_what_is_no_command_ends_the_connection(text):
    with admin() as client:
        client.send(text)
        with pytest.raises(ConnectionClosed) as closed:
            reply(client)
        assert (closed.value.rcvd.code, closed.value.rcvd.reason) == (1008, "not a command")


def test_the_administrator_shuts_it_down(dut):
    with admin() as boss, connect(GUEST) as guest:
        boss.send('{"shutdown":true}')
        for client in boss, guest:
            with pytest.raises(ConnectionClosed) as closed:
                while True:
                    client.recv(timeout=10)
            assert closed.value.rcvd.code == 1001
    dut.readlines_until(regex="the server has ended", timeout=30)
