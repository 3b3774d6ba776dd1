# SPDX-License-Identifier: Apache-2.0
"""A server as a process: the default one, or another program that prints its address."""

import os
import pathlib
import signal
import subprocess

ROOT = pathlib.Path(__file__).resolve().parents[2]
RELEASE = ROOT / "target" / "release"
SERVER = os.environ.get("WSS_SERVER", str(RELEASE / "wss"))
PATIENCE = 15


class Server:
    """A running server with its URL in `url`."""

    def __init__(self, *options, command=(SERVER, "--port", "0")):
        self.process = subprocess.Popen(
            [*command, *options], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        line = self.process.stdout.readline()
        assert line.startswith(("listening on ws://", "listening on wss://")), line
        self.url = line.split()[-1]
        self.port = int(self.url.rsplit(":", 1)[1])

    @property
    def page(self):
        """The URL of its page."""
        return self.url.replace("ws", "http", 1) + "/"

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.process.poll() is None:
            self.process.kill()
        self.process.communicate()

    def terminate(self):
        """Stops the server. Returns its exit code and its stderr output."""
        self.process.send_signal(signal.SIGTERM)
        _, stderr = self.process.communicate(timeout=PATIENCE)
        return self.process.returncode, stderr
