# SPDX-License-Identifier: Apache-2.0
"""Browsers as clients: each loads a page from here, runs the scenarios in it, and returns its observations."""

import json
import os
import pathlib
import queue
import shutil
import subprocess
import tempfile
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

HERE = pathlib.Path(__file__).resolve().parent
# A browser may start slowly on a busy machine.
PATIENCE = 150

# Disables what a browser does by itself and a page does not need, such as requests to the network.
FIREFOX_PREFERENCES = {
    "app.normandy.enabled": False,
    "app.update.disabledForTesting": True,
    "browser.shell.checkDefaultBrowser": False,
    "browser.startup.homepage_override.mstone": "ignore",
    "browser.safebrowsing.malware.enabled": False,
    "browser.safebrowsing.phishing.enabled": False,
    "datareporting.policy.dataSubmissionEnabled": False,
    "extensions.update.enabled": False,
    "media.gmp-manager.updateEnabled": False,
    "network.captive-portal-service.enabled": False,
    "network.connectivity-service.enabled": False,
    "services.settings.server": "data:,",
    "toolkit.telemetry.enabled": False,
}


def chromium(profile, url):
    return [
        "chromium",
        "--headless",
        "--no-sandbox",
        "--disable-gpu",
        "--disable-quic",
        "--no-first-run",
        "--disable-background-networking",
        "--disable-component-update",
        "--disable-sync",
        "--disable-dev-shm-usage",
        f"--user-data-dir={profile}",
        url,
    ]


def firefox(profile, url):
    preferences = (
        f"user_pref({json.dumps(name)}, {json.dumps(value)});\n"
        for name, value in FIREFOX_PREFERENCES.items()
    )
    (pathlib.Path(profile) / "user.js").write_text("".join(preferences), encoding="utf-8")
    return ["firefox-esr", "--headless", "--no-remote", "--profile", profile, url]


BROWSERS = {"chromium": chromium, "firefox": firefox}


class Pages(BaseHTTPRequestHandler):
    """Serves the page and its scenarios, and receives the observations."""

    FILES = {"/": ("page.html", "text/html"), "/session.mjs": ("session.mjs", "text/javascript")}

    def do_GET(self):
        if self.path == "/scenarios":
            self.answer(json.dumps(self.server.scenarios).encode(), "application/json")
        elif self.path in self.FILES:
            name, kind = self.FILES[self.path]
            self.answer((HERE / name).read_bytes(), f"{kind}; charset=utf-8")
        else:
            self.send_error(404)

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.answer(b"", "text/plain")
        self.server.seen.put(json.loads(body))

    def answer(self, body, kind):
        self.send_response(200)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        # So that requests of this origin have one.
        self.send_header("Set-Cookie", "session=wss; SameSite=Strict")
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


@contextmanager
def pages():
    """The origin of the pages, which is known before their scenarios."""
    with ThreadingHTTPServer(("127.0.0.1", 0), Pages) as server:
        server.daemon_threads = True
        server.seen = queue.Queue()
        server.origin = f"http://127.0.0.1:{server.server_port}"
        thread = Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield server
        server.shutdown()


def database(browser, home, profile):
    """The directory where a browser stores the authorities that it trusts."""
    return pathlib.Path(profile if browser == "firefox" else home / ".pki" / "nssdb")


def trust(certificate, database):
    """Makes a browser trust an authority: both use NSS for that."""
    database.mkdir(parents=True, exist_ok=True)
    for arguments in (
        ["-N", "--empty-password"],
        ["-A", "-n", "wss", "-t", "C,,", "-i", str(certificate.ca)],
    ):
        subprocess.run(["certutil", "-d", f"sql:{database}", *arguments], check=True, capture_output=True)


def play(browser, server, scenarios, certificate=None):
    """Returns what a page of the server observes in a browser."""
    server.scenarios = scenarios
    home = tempfile.mkdtemp(prefix=f"wss-{browser}-")
    log = pathlib.Path(home) / "log"
    profile = pathlib.Path(home) / "profile"
    profile.mkdir()
    if certificate:
        trust(certificate, database(browser, pathlib.Path(home), profile))
    command = BROWSERS[browser](str(profile), f"{server.origin}/")
    with log.open("wb") as output:
        # In its own process group, so that its children end with it.
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            env={**os.environ, "HOME": home},
            start_new_session=True,
        )
    try:
        return server.seen.get(timeout=PATIENCE)
    except queue.Empty:
        said = log.read_text(errors="replace")
        raise AssertionError(f"{browser} sent nothing; its log:\n{said}") from None
    finally:
        os.killpg(process.pid, 9)
        process.wait()
        shutil.rmtree(home, ignore_errors=True)
