# SPDX-License-Identifier: Apache-2.0
"""Browsers that reload the dashboard all the time, beside WebSocket clients, at a server with four slots."""

import asyncio
import ssl
import time
from contextlib import ExitStack
from threading import Event, Thread

import pytest
from browsers import BROWSERS
from certificate import Certificate
from remote import Page
from server import Server
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidHandshake
from websockets.sync.client import connect as connected

SLOTS = 4
THREE = ["chromium", "chromium", "firefox"]
SECONDS = 6
# Longer than a client waits that means to try again.
LONGEST = 3
SHOWS = "document.readyState === 'complete' && document.getElementById('state') !== null"


class Reloads(Thread):
    """A browser whose user reloads the page as soon as it is there."""

    def __init__(self, browser, url, certificate, stack):
        super().__init__(daemon=True)
        self.page = stack.enter_context(Page(browser, url, certificate))
        self.page.wait_for(SHOWS)
        self.over, self.shown, self.error = Event(), 0, None

    def run(self):
        try:
            while not self.over.is_set():
                self.page.reload()
                # In place of the page, there may be an error: there was no slot.
                end = time.monotonic() + 1
                while not (shows := self.page.tries(SHOWS)) and time.monotonic() < end:
                    time.sleep(0.02)
                self.shown += bool(shows)
        except BaseException as error:
            self.error = error
            raise


async def echo(client):
    await client.send("in")
    assert await asyncio.wait_for(client.recv(), LONGEST) == "in"


async def come(url, context):
    """A client, which tries again where a browser was first, as clients do; and how often it had to."""
    end = time.monotonic() + LONGEST
    failures = 0
    while True:
        try:
            return await connect(url, ssl=context, open_timeout=LONGEST), failures
        except (OSError, InvalidHandshake):
            failures += 1
            assert time.monotonic() < end, "kept out"


async def come_and_go(url, context):
    """How many clients there were one after the other, how often they had to try again, and the longest wait."""
    end = time.monotonic() + SECONDS
    count, again, longest = 0, 0, 0
    while time.monotonic() < end:
        asked = time.monotonic()
        client, failures = await come(url, context)
        async with client:
            await echo(client)
            longest = max(longest, time.monotonic() - asked)
            # The last one stays for longer: no page has it go.
            while time.monotonic() > end - 1.5 and time.monotonic() < end:
                await echo(client)
                await asyncio.sleep(0.02)
        count, again = count + 1, again + failures
        await asyncio.sleep(0.1)
    return count, again, longest


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_browsers_that_reload_keep_no_websocket_client_out(scheme, tmp_path):
    certificate = Certificate(tmp_path) if scheme == "https" else None
    options = certificate.options if certificate else []
    context = ssl.create_default_context(cafile=certificate.ca) if certificate else None
    with Server("--max-clients", str(SLOTS), *options) as server, ExitStack() as stack:
        browsers = [Reloads(browser, server.page, certificate, stack) for browser in THREE]
        for browser in browsers:
            browser.start()
        try:
            count, again, longest = asyncio.run(come_and_go(server.url, context))
        finally:
            for browser in browsers:
                browser.over.set()
            for browser in browsers:
                browser.join(timeout=30)
        shown = [browser.shown for browser in browsers]
        print(f"{scheme}: {count} clients, {again} further attempts, {longest:.2f} s at most; pages: {shown}")
        assert [browser.error for browser in browsers] == [None] * 3
        assert longest < LONGEST
        assert count >= 10 and again <= count // 4
        # They did reload, and mostly found the page there.
        assert min(shown) >= 5


@pytest.mark.parametrize("browser", BROWSERS)
def test_a_reload_gets_the_slot_of_its_own_websocket(browser):
    state = "document.getElementById('state').textContent"
    with Server("--max-clients", "2") as server, connected(server.url):
        with Page(browser, server.page) as page:
            for _ in range(3):
                page.wait_for(f"{state} === 'connected'")
                page.evaluate("window.isOld = true")
                page.reload()
                # Any other page than that, and the dashboard.
                page.wait_for("!window.isOld && document.readyState === 'complete'")
                assert page.evaluate("document.title") == "WSS dashboard"
