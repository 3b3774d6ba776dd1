# SPDX-License-Identifier: Apache-2.0
"""Real clients of the sample. `dut` is the running device: here pytest-twister-harness starts it on native_sim, and
tests/clients/test_device_on_host.py starts it on the host."""

import base64
import gzip
import json
import pathlib
import re
import shutil
import ssl
import sys
import urllib.error
import urllib.request

import pytest
import websockets.sync.client
from websockets.exceptions import ConnectionClosed, InvalidStatus

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[3] / "tests" / "clients"))
PROGRAMS = {"chromium": "chromium", "firefox": "firefox-esr"}
browsers = pytest.mark.parametrize(
    "browser",
    [
        pytest.param(name, marks=pytest.mark.skipif(not shutil.which(program), reason=f"{program} is not installed"))
        for name, program in PROGRAMS.items()
    ],
)

class Target:
    """Where the device is: on the host, or as its build directory says."""

    url, trust = "ws://127.0.0.1:18303/", None

    def built_in(self, directory):
        config = (directory / "zephyr" / ".config").read_text()
        port = re.search(r"^CONFIG_WSS_PORT=(\d+)", config, re.M)[1]
        self.url = f"ws://127.0.0.1:{port}/"
        if "CONFIG_WSS_TLS=y" in config.splitlines():
            self.url = f"wss://localhost:{port}/"
            self.trust = ssl.create_default_context(cafile=directory / "wss_tls" / "cert.pem")

    @property
    def guest(self):
        return self.url + "?token=look-only"


DEVICE = Target()


@pytest.fixture(autouse=True, scope="session")
def listening(dut):
    if hasattr(dut, "device_config"):
        DEVICE.built_in(pathlib.Path(dut.device_config.build_dir))
    dut.readlines_until(regex="(?i)listening on", timeout=30)


def connect(url, **options):
    return websockets.sync.client.connect(url, ssl=DEVICE.trust, **options)


def page_of(url):
    return url.replace("ws", "http", 1)


def get(request):
    return urllib.request.urlopen(request, context=DEVICE.trust)


def basic(user, password):
    return {"Authorization": "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()}


def admin():
    return connect(DEVICE.url, additional_headers=basic("admin", "correct horse"))


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


def refused(url=None, **options):
    with pytest.raises(InvalidStatus) as refused:
        connect(url or DEVICE.url, **options)
    return refused.value.response


def test_a_login_is_required():
    for response in [
        refused(),
        refused(additional_headers=basic("admin", "wrong")),
        refused(additional_headers={"Authorization": "Bearer look"}),
        refused(DEVICE.guest + "-not"),
    ]:
        assert response.status_code == 401
        assert response.headers["WWW-Authenticate"] == 'Basic realm="device"'


def test_the_page_is_behind_the_login():
    page = page_of(DEVICE.url)
    with pytest.raises(urllib.error.HTTPError) as refused:
        get(page)
    assert refused.value.code == 401
    assert refused.value.headers["WWW-Authenticate"] == 'Basic realm="device"'
    login = urllib.request.Request(page, headers=basic("admin", "correct horse"))
    for request in [login, page_of(DEVICE.guest)]:
        with get(request) as response:
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

    login = page_of(DEVICE.url).replace("://", "://admin:correct%20horse@")
    with Page(browser, login, verify=False) as page:
        page.wait_for(f"{STATE} === 'connected'")
        assert DEVICE.url.startswith("wss:") == (page.evaluate("location.protocol") == "https:")
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
    with connect(DEVICE.url, additional_headers=bearer) as one, connect(DEVICE.guest) as two:
        for client in one, two:
            assert ask(client) == {"admin": False, "subscribed": False, "commands": 1}
            client.send('{"led":true}')
            with pytest.raises(ConnectionClosed) as closed:
                reply(client)
            assert closed.value.rcvd.code == 1008
            assert closed.value.rcvd.reason == "only for the administrator"


def test_subscribers_get_telemetry_and_others_none():
    with admin() as boss, connect(DEVICE.guest) as one, connect(DEVICE.guest) as two:
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
    with admin() as boss, connect(DEVICE.guest) as guest:
        boss.send('{"shutdown":true}')
        for client in boss, guest:
            with pytest.raises(ConnectionClosed) as closed:
                while True:
                    client.recv(timeout=10)
            assert closed.value.rcvd.code == 1001
    dut.readlines_until(regex="the server has ended", timeout=30)
