# SPDX-License-Identifier: Apache-2.0
"""The dashboard of the default server, in browsers."""

import base64
import json
import urllib.error
import urllib.request

import pytest
from browsers import BROWSERS
from certificate import Certificate
from remote import Page
from server import Server
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect

STATE = "document.getElementById('state').textContent"
LOG = "[...document.querySelectorAll('#log li')].map(line => line.textContent.slice(8))"
CHARTS = """Object.fromEntries([...document.querySelectorAll('#charts figure')].map(chart =>
    [chart.querySelector('span').textContent, chart.querySelector('output').textContent]))"""
TILES = """Object.fromEntries([...document.querySelectorAll('#numbers div')].map(tile =>
    [tile.querySelector('dt').textContent, tile.querySelector('dd').textContent]))"""


def send(page, text):
    page.evaluate(
        f"""(() => {{
        document.getElementById('text').value = {json.dumps(text)};
        document.getElementById('send').requestSubmit();
        return 1 }})()"""
    )


@pytest.mark.parametrize("browser", BROWSERS)
def test_dashboard_over_tls_costs_few_handshakes(browser, tmp_path):
    certificate = Certificate(tmp_path)
    with Server(*certificate.options) as server:
        with Page(browser, server.page, certificate) as page:
            page.wait_for(f"{STATE} === 'connected'")
            assert page.evaluate("location.protocol") == "https:"
            page.wait_for(f"{CHARTS}.uptime_s > 2")
            # One for the page, which the server closes after it, and one for the WebSocket. Browsers may open one more
            # that they do not use, and ask for an icon.
            accepted = page.evaluate(f"{CHARTS}.accepted")
            print(browser, "connections of a visit:", accepted)
            assert float(accepted) <= 5


@pytest.mark.parametrize("browser", BROWSERS)
def test_dashboard_shows_a_server_that_is_alive(browser):
    with Server() as server, Page(browser, server.page) as page:
        page.wait_for(f"{STATE} === 'connected'")
        page.wait_for("document.getElementById('about').textContent.includes('echo server')")
        # The telemetry changes, and so does the line of its chart.
        first = page.wait_for(f"{CHARTS}.uptime_s")
        page.wait_for(f"{CHARTS}.uptime_s > {first}")
        assert page.wait_for("document.querySelectorAll('#charts polyline').length") >= 10
        assert page.wait_for(f"{TILES}['Round trip']").endswith(" ms")
        assert page.evaluate(f"{TILES}.Clients") == "1"
        with connect(server.url) as client:
            page.wait_for(f"{TILES}.Clients === '2'")
            for number in range(50):
                client.send(str(number))
                client.recv()
            page.wait_for(f"parseFloat({TILES}['Messages in']) > 1")
        page.wait_for(f"{TILES}.Clients === '1'")
        # A command gets its answer. All data is shown as text.
        markup = '<img src=x onerror="document.title=1">'
        for command in ['{"led":true}', markup]:
            send(page, command)
            page.wait_for(f"{LOG}.filter(line => line.endsWith({json.dumps(command)})).length === 2")
        assert page.evaluate("document.querySelectorAll('#log img').length") == 0
        assert page.evaluate("document.title") == "WSS dashboard"
        # It reconnects after the server was stopped.
        server.terminate()
        page.wait_for(f"{STATE}.startsWith('reconnecting')")
        assert page.evaluate("document.querySelector('#send button').disabled")
        with Server("--port", str(server.port)):
            page.wait_for(f"{STATE} === 'connected'", seconds=60)
            page.wait_for(f"{CHARTS}.uptime_s < {first} + 3")
            # The buttons work.
            page.evaluate("document.getElementById('toggle').click()")
            page.wait_for(f"{STATE} === 'not connected'")
            page.evaluate("document.getElementById('toggle').click()")
            page.wait_for(f"{STATE} === 'connected'")


def get(url, login=None):
    """Status, header, and body."""
    request = urllib.request.Request(url)
    if login:
        request.add_header("Authorization", "Basic " + base64.b64encode(login.encode()).decode())
    try:
        with urllib.request.urlopen(request) as response:
            return response.status, response.headers, response.read()
    except urllib.error.HTTPError as error:
        return error.code, error.headers, error.read()


def test_page_is_self_contained_and_small():
    import gzip

    with Server() as server:
        status, header, page = get(server.url.replace("ws:", "http:") + "/")
    assert (status, header["Content-Type"]) == (200, "text/html; charset=utf-8")
    assert len(gzip.compress(page)) < 12 * 1024
    for loads in [b"src=", b"href=\"http", b"@import", b"url(", b"innerHTML", b"fetch("]:
        assert loads not in page, loads


def test_no_page_serves_none():
    with Server("--no-page") as server:
        assert get(server.url.replace("ws:", "http:") + "/")[0] == 426


def test_auth_is_for_the_page_and_for_websockets():
    with Server("--auth", "ann:pass:word") as server:
        url = server.url.replace("ws:", "http:") + "/"
        status, header, _ = get(url)
        assert (status, header["WWW-Authenticate"]) == (401, 'Basic realm="wss"')
        assert get(url, "ann:wrong")[0] == 401
        assert get(url, "ann:pass:word")[0] == 200
        with pytest.raises(InvalidStatus) as refused:
            connect(server.url)
        assert refused.value.response.status_code == 401
        login = {"Authorization": "Basic " + base64.b64encode(b"ann:pass:word").decode()}
        with connect(server.url, additional_headers=login) as client:
            client.send("hi")
            assert client.recv() == "hi"
        # A page of another site uses the login of its browser.
        with pytest.raises(InvalidStatus) as refused:
            connect(server.url, additional_headers=login, origin="http://evil.example")
        assert refused.value.response.status_code == 403


@pytest.mark.parametrize("browser", BROWSERS)
def test_page_behind_a_login_connects_with_it(browser):
    with Server("--auth", "ann:word") as server:
        url = server.url.replace("ws://", "http://ann:word@") + "/"
        with Page(browser, url) as page:
            page.wait_for(f"{STATE} === 'connected'")


def test_echo_is_an_echo_for_all_others():
    with Server() as server, connect(server.url) as client:
        with pytest.raises(TimeoutError):
            client.recv(timeout=2.5)
        client.send('{"subscribe":true}')
        assert client.recv() == '{"subscribe":true}'
        with pytest.raises(TimeoutError):
            client.recv(timeout=2.5)
