# SPDX-License-Identifier: Apache-2.0
"""A page in a headless browser, controlled by a test: Chromium by its DevTools protocol, Firefox by BiDi."""

import base64
import json
import os
import pathlib
import re
import shutil
import subprocess
import tempfile
import time
import urllib.request
from contextlib import ExitStack

import browsers
from browsers import BROWSERS, PATIENCE, trust
from websockets.sync.client import connect


class Refused(Exception):
    """The browser cannot run the command now, for example between two pages."""


class Page:
    """A page in its own browser, which trusts a certificate, or with `verify=False` any."""

    def __init__(self, browser, url, certificate=None, verify=True):
        self.browser, self.number = browser, 0
        self.links = ExitStack()
        self.home = pathlib.Path(tempfile.mkdtemp(prefix=f"wss-{browser}-"))
        profile = self.home / "profile"
        profile.mkdir()
        if certificate:
            trust(certificate, browsers.database(browser, self.home, profile))
        self.log = self.home / "log"
        self.verify = verify
        command = [*BROWSERS[browser](str(profile), "about:blank"), "--remote-debugging-port=0"]
        if browser == "chromium" and not verify:
            command.append("--ignore-certificate-errors")
        with self.log.open("wb") as output:
            self.process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                env={**os.environ, "HOME": str(self.home)},
                start_new_session=True,
            )
        try:
            {"chromium": self.open_chromium, "firefox": self.open_firefox}[browser](url)
        except BaseException:
            self.__exit__()
            raise

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.links.close()
        os.killpg(self.process.pid, 9)
        self.process.wait()
        shutil.rmtree(self.home, ignore_errors=True)

    def said(self, pattern):
        """Waits until the browser reports its debugging port."""
        end = time.monotonic() + PATIENCE
        while time.monotonic() < end:
            found = re.search(pattern, self.log.read_text(errors="replace"))
            if found:
                return found[1]
            time.sleep(0.1)
        raise AssertionError(f"{self.browser} did not start:\n{self.log.read_text(errors='replace')}")

    def open_chromium(self, url):
        port = self.said(r"DevTools listening on ws://[^:]+:(\d+)")
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/json/list") as answer:
            pages = [page for page in json.load(answer) if page["type"] == "page"]
        self.link = self.links.enter_context(connect(pages[0]["webSocketDebuggerUrl"], max_size=None))
        self.ask("Page.enable")
        self.ask("Page.navigate", url=url)

    def open_firefox(self, url):
        where = self.said(r"WebDriver BiDi listening on (ws://\S+)")
        self.link = self.links.enter_context(connect(f"{where}/session", max_size=None))
        self.ask("session.new", capabilities={"alwaysMatch": {"acceptInsecureCerts": not self.verify}})
        self.context = self.ask("browsingContext.getTree")["contexts"][0]["context"]
        self.ask("browsingContext.navigate", context=self.context, url=url, wait="complete")

    def ask(self, method, **parameters):
        """Returns the browser's answer, and skips events."""
        self.number += 1
        self.link.send(json.dumps({"id": self.number, "method": method, "params": parameters}))
        while True:
            answer = json.loads(self.link.recv(timeout=PATIENCE))
            if answer.get("id") == self.number:
                if "result" not in answer:
                    raise Refused(answer)
                return answer["result"]

    def evaluate(self, expression):
        """Returns the value of a JavaScript expression, as JSON."""
        expression = f"JSON.stringify({expression})"
        if self.browser == "chromium":
            result = self.ask("Runtime.evaluate", expression=expression)
            assert "exceptionDetails" not in result, result
            value = result["result"].get("value")
        else:
            target = {"context": self.context}
            result = self.ask(
                "script.evaluate", expression=expression, target=target, awaitPromise=False
            )
            assert result["type"] == "success", result
            value = result["result"].get("value")
        return None if value is None else json.loads(value)

    def reload(self):
        """Makes the browser reload the page, unless it is loading already."""
        try:
            if self.browser == "chromium":
                self.ask("Page.reload")
            else:
                self.ask("browsingContext.reload", context=self.context, wait="none")
        except Refused:
            pass

    def tries(self, expression):
        """Returns the value of the expression, or nothing, because the page may still be loading."""
        try:
            return self.evaluate(f"(() => {{ try {{ return {expression} }} catch {{ return null }} }})()")
        except Refused:
            return None

    def wait_for(self, expression, seconds=30):
        """Waits until the value of the expression is truthy, and returns it."""
        end = time.monotonic() + seconds
        while True:
            value = self.tries(expression)
            if value:
                return value
            assert time.monotonic() < end, f"{expression} is {value!r}"
            time.sleep(0.1)

    def screenshot(self, path, width, height):
        """Only in Chromium."""
        self.ask(
            "Emulation.setDeviceMetricsOverride",
            width=width, height=height, deviceScaleFactor=1, mobile=False,
        )  # fmt: skip
        image = self.ask("Page.captureScreenshot", format="png")["data"]
        pathlib.Path(path).write_bytes(base64.b64decode(image))
