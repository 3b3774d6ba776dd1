# SPDX-License-Identifier: Apache-2.0
"""Real clients of the device. `dut` is the running image: pytest-twister-harness starts it.

The same runs against a program of a host: `DEVICE=./device_c pytest pytest` starts that.
"""

import base64
import gzip
import json
import os
import pathlib
import shutil
import ssl
import subprocess
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

TOKEN = "0123456789abcdef"
NO_PAGE = pytest.mark.skipif("DEVICE" in os.environ, reason="the program of a host has no page")


class Program:
    """The device as a program of a host, as far as `dut` is used here."""

    def __init__(self, path):
        self.process = subprocess.Popen([path, "0"], stdout=subprocess.PIPE, text=True)

    def readlines_until(self, regex, timeout):
        del timeout
        lines = []
        for line in self.process.stdout:
            lines.append(line)
            if regex in line:
                return lines
        pytest.fail(f"the program ended without '{regex}'")


if "DEVICE" in os.environ:

    @pytest.fixture(scope="session")
    def dut():
        program = Program(os.environ["DEVICE"])
        yield program
        program.process.terminate()
        assert program.process.wait(timeout=30) == 0


# What clients trust, if the device has TLS.
TRUST = {"ssl": None}


@pytest.fixture(scope="session")
def url(dut):
    port = dut.readlines_until(regex="the device listens on port", timeout=30)[-1].split()[-1]
    if "DEVICE" not in os.environ:
        build = pathlib.Path(dut.device_config.build_dir)
        if "CONFIG_WSS_TLS=y" in (build / "zephyr" / ".config").read_text().splitlines():
            TRUST["ssl"] = ssl.create_default_context(cafile=build / "wss_tls" / "cert.pem")
            return f"wss://localhost:{port}/"
    return f"ws://127.0.0.1:{port}/"


def connect(url, **options):
    return websockets.sync.client.connect(url, **TRUST, **options)


def page_of(url):
    return url.replace("ws", "http", 1)


def get(url, headers=None):
    return urllib.request.urlopen(urllib.request.Request(url, headers=headers or {}), context=TRUST["ssl"])


def basic(user, password):
    credentials = base64.b64encode(f"{user}:{password}".encode()).decode()
    return {"Authorization": f"Basic {credentials}"}


LOGIN = basic("admin", "open sesame")


def login(url):
    return connect(url, additional_headers=LOGIN)


def command(client, text):
    """Sends a command, and returns its answer. Telemetry may come before it."""
    client.send(text)
    while True:
        message = json.loads(client.recv(timeout=10))
        if "answer" in message:
            return message


def refused(url, **how):
    with pytest.raises(InvalidStatus) as caught:
        connect(url, **how)
    return caught.value.response


def test_ping_comes_back(url):
    with login(url) as client:
        assert command(client, '{"ping":123456789}')["answer"] == 123456789


@NO_PAGE
def test_page_is_behind_the_login(url):
    page = page_of(url)
    with pytest.raises(urllib.error.HTTPError) as refused:
        get(page)
    assert refused.value.code == 401
    assert refused.value.headers["WWW-Authenticate"] == 'Basic realm="device"'
    with get(page, LOGIN) as response:
        assert response.headers["Content-Encoding"] == "gzip"
        body, tag = response.read(), response.headers["ETag"]
    assert gzip.decompress(body).startswith(b"<!DOCTYPE html>")
    with pytest.raises(urllib.error.HTTPError) as unchanged:
        get(page, {**LOGIN, "If-None-Match": tag})
    assert unchanged.value.code == 304
    with pytest.raises(urllib.error.HTTPError) as missing:
        get(page + "x", LOGIN)
    assert missing.value.code == 404


def test_only_a_password_or_a_token_logs_in(url):
    for to, headers in [
        (url, {}),
        (url, basic("admin", "open")),
        (url + "?token=0123456789abcde", {}),
    ]:
        response = refused(to, additional_headers=headers)
        assert response.status_code == 401
        assert response.headers["WWW-Authenticate"] == 'Basic realm="device"'
    for to, headers in [
        (url, LOGIN),
        (url, {"Authorization": f"Bearer {TOKEN}"}),
        (url + "?a=b&token=" + TOKEN.replace("a", "%61"), {}),
    ]:
        with connect(to, additional_headers=headers) as client:
            assert command(client, '{"get": "uptime"}')["commands"] == 1
    # A page of another origin may not connect, even with the password.
    response = refused(url, additional_headers=LOGIN, origin="http://example.com")
    assert response.status_code == 403


def test_subscribers_get_telemetry_and_others_do_not(url):
    with login(url) as one, login(url) as two:
        assert command(one, '{"interval_ms": 100}') == {"answer": 100, "commands": 1}
        assert command(one, ' {"subscribe" :true}\n') == {"answer": True, "commands": 2}
        last = 0
        for _ in range(5):
            uptime = json.loads(one.recv(timeout=10))["uptime_ms"]
            assert uptime >= last + 100
            last = uptime
        with pytest.raises(TimeoutError):
            two.recv(timeout=0.5)
        assert command(one, '{"subscribe":false}')["answer"] is False
        assert command(one, '{"interval_ms":1000}')["answer"] == 1000
        with pytest.raises(TimeoutError):
            one.recv(timeout=1.5)


def test_each_client_has_a_count_of_its_own_and_what_is_no_command_is_null(url):
    with login(url) as client:
        uptime = command(client, '{"get":"uptime"}')["answer"]
        assert command(client, '{"get":"uptime"}')["answer"] >= uptime
        wrong = [
            "",
            "{}",
            "null",
            '{"get":"else"}',
            '{"interval_ms":49}',
            '{"interval_ms":60001}',
            '{"interval_ms":-1}',
            '{"subscribe":1}',
            '{"stop":false}',
            '{"get":"uptime"} {}',
            '{"get":"uptime"}\0',
            '{"get":"uptime"' + " " * 50 + "}",
            '{"' + "g" * 40 + '":"uptime"}',
        ]
        for count, text in enumerate(wrong, start=3):
            assert command(client, text) == {"answer": None, "commands": count}
    with login(url) as client:
        assert command(client, '{"get":"uptime"}')["commands"] == 1


# What the dashboard shows.
STATE = "document.getElementById('state').textContent"
UPTIME = """[...document.querySelectorAll('#charts figure')]
    .find(chart => chart.querySelector('span').textContent === 'uptime_ms').querySelector('output').textContent"""
ANSWERS = "[...document.querySelectorAll('#log li')].map(line => line.textContent).join()"


def browse(browser, url):
    """The device's page in a browser, logged in."""
    from remote import Page

    return Page(browser, page_of(url).replace("://", "://admin:open%20sesame@"), verify=False)


@NO_PAGE
@browsers
def test_page_is_alive_in_a_browser(url, browser):
    with browse(browser, url) as page:
        page.wait_for(f"{STATE} === 'connected'")
        assert url.startswith("wss:") == (page.evaluate("location.protocol") == "https:")
        first = page.wait_for(UPTIME)
        page.wait_for(f"{UPTIME} !== {json.dumps(first)}")
        page.evaluate(
            """(() => {
            document.getElementById('text').value = '{"interval_ms":1000}';
            document.getElementById('send').requestSubmit();
            return 1 })()"""
        )
        page.wait_for(f"{ANSWERS}.includes('\"answer\":1000')")


def test_stop_closes_every_client_and_ends_the_device(dut, url):
    with login(url) as one, login(url) as two:
        assert command(one, '{"stop":true}') == {"answer": True, "commands": 1}
        for client in [one, two]:
            with pytest.raises(ConnectionClosed) as closed:
                client.recv(timeout=10)
            assert closed.value.rcvd.code == 1001
    dut.readlines_until(regex="the device has stopped", timeout=30)
    with pytest.raises(OSError):
        login(url)
