#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Run the Autobahn test cases against a WebSocket server and compare the outcome.

    python3 -m venv target/autobahn/venv
    target/autobahn/venv/bin/pip install -r tests/autobahn/requirements.txt
    target/autobahn/venv/bin/python tests/autobahn/run.py --profile whole
    target/autobahn/venv/bin/python tests/autobahn/run.py --profile streaming

The cases are run by `kosoku` (PyPI), which uses Autobahn's own case files. The
profile (profiles.json) says how the server is started and which cases are run:

  server_args  arguments of the server
  exclude      cases never run (12.* and 13.* are permessage-deflate)
  unjudged     cases run one by one after the others, whatever their outcome:
               only the server must be well afterwards. kosoku sends a whole
               message before it reads anything, so against a server that
               echoes while it receives, a message larger than the socket
               buffers of the two ends stops both; the server must get out of it.
  max_rss_kib  the most memory the server may ever have held (VmHWM), or null

Each case has a behaviour and a close behaviour, which must be those in
expected-PROFILE.json, for the same set of cases; --update writes that file and
lists all that is not OK/OK, to be looked at before it is committed. Then the server must still
echo, have kept within max_rss_kib, and end with exit status 0 on SIGTERM. Every
difference is one line of output; any difference makes the exit status 1.

kosoku's reports (index.html) and the server's output (server.log) are left in
target/autobahn/PROFILE.
"""

import argparse
import base64
import hashlib
import json
import os
import re
import shutil
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import time
from collections import Counter
from fnmatch import fnmatchcase
from pathlib import Path
from urllib.parse import urlsplit

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
sys.path.append(str(HERE.parent / "clients"))

from certificate import Certificate  # noqa: E402
from tunnel import Tunnel  # noqa: E402

START_SECONDS = 10  # for the server to say that it listens
STOP_SECONDS = 10  # for the server to end on SIGTERM
UNJUDGED_SECONDS = 30  # for one unjudged case
SOCKET_SECONDS = 10  # for one step of the closing echo check


class Problem(Exception):
    """An error that fails the run, as one line."""


def start_server(command, log_path):
    """Starts the server. Returns its process and its URL."""
    with open(log_path, "wb") as log:
        try:
            server = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        except OSError as error:
            raise Problem(f"server: cannot start {command[0]}: {error.strerror}") from error
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        ready = re.search(r"^listening on (wss?://\S+)\n", log_path.read_text(errors="replace"), re.M)
        if ready:
            return server, ready[1]
        if server.poll() is not None:
            raise Problem(f"server: ended before it was ready, exit status {server.returncode}, see {log_path}")
        time.sleep(0.02)
    server.kill()
    server.wait()
    raise Problem(f"server: no ready line within {START_SECONDS} s, see {log_path}")


def stop_server(server):
    """Stop the server with SIGTERM; it must still be running and exit with 0."""
    if server.poll() is not None:
        raise Problem(f"server: ended too early, exit status {server.returncode}")
    server.terminate()
    try:
        status = server.wait(STOP_SECONDS)
    except subprocess.TimeoutExpired:
        raise Problem(f"server: still running {STOP_SECONDS} s after SIGTERM") from None
    if status != 0:
        raise Problem(f"server: exit status {status} on SIGTERM, expected 0")


def peak_rss_kib(server):
    try:
        status = Path(f"/proc/{server.pid}/status").read_text()
    except OSError:  # not on Linux, or the server is gone
        return None
    found = re.search(r"^VmHWM:\s+(\d+) kB", status, re.M)
    return int(found[1]) if found else None


def run_kosoku(url, include, exclude, out, seconds, parallel=1, server=None):
    """Run cases; return case -> its entry in the report, {} if there is none.

    kosoku has no limit of its own on sending, and writes its report only at the
    end. So, when time is up, stop `server` if given: that ends the case which is
    stuck, all later cases fail at once, and the report shows where it was.
    """
    beside_python = Path(sys.executable).with_name("kosoku")
    program = str(beside_python) if beside_python.exists() else shutil.which("kosoku")
    if program is None:
        raise Problem(f"kosoku is not installed, see {HERE / 'requirements.txt'}")
    command = [program, url, "--outdir", str(out), "--parallelism", str(parallel)]
    command += [f"--include={case}" for case in include]
    command += [f"--exclude={case}" for case in exclude]

    out.mkdir(parents=True, exist_ok=True)
    index = out / "index.json"
    index.unlink(missing_ok=True)
    with open(out / "kosoku.log", "wb") as log:
        environment = {**os.environ, "PYTHONUTF8": "1"}
        kosoku = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=environment)
        try:
            kosoku.wait(seconds)
        except subprocess.TimeoutExpired:
            if server:
                print(f"kosoku: not done within {seconds} s, stopping the server")
                server.kill()
                try:
                    kosoku.wait(SOCKET_SECONDS)
                except subprocess.TimeoutExpired:
                    pass
        finally:
            kosoku.kill()
            kosoku.wait()
    if not index.exists():
        return {}
    # There is one entry for each name that the server gave itself: join them.
    return {case: entry for agent in json.loads(index.read_text()).values() for case, entry in agent.items()}


def outcome(entry):
    return [entry["behavior"], entry["behaviorClose"]]


def reasons(entry, out):
    report = json.loads((out / entry["reportfile"]).read_text())
    return f"{report['result']} {report['resultClose']}".strip()


def compare(expected, actual, out):
    """One line for each case that is not as expected."""
    for case in sorted({*expected, *actual}, key=case_order):
        want = "/".join(expected[case]) if case in expected else "nothing"
        got = "/".join(outcome(actual[case])) if case in actual else "nothing"
        if want != got:
            why = f" ({reasons(actual[case], out)})" if case in actual else ""
            yield f"{case}: expected {want}, got {got}{why}"


def case_order(case):
    return [int(number) for number in case.split(".")]


def write_expected(path, actual):
    rows = (f'  "{case}": {json.dumps(outcome(actual[case]))}' for case in sorted(actual, key=case_order))
    path.write_text("{\n" + ",\n".join(rows) + "\n}\n")


def check_echo(url):
    """Open a connection, get a text and a binary message back, and close it."""
    parts = urlsplit(url)
    port = parts.port or 80
    key = base64.b64encode(os.urandom(16)).decode()
    digest = hashlib.sha1((key + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11").encode()).digest()
    with socket.create_connection((parts.hostname, port), SOCKET_SECONDS) as connection:
        connection.sendall(
            f"GET {parts.path or '/'} HTTP/1.1\r\nHost: {parts.hostname}:{port}\r\n"
            "Upgrade: websocket\r\nConnection: Upgrade\r\n"
            f"Sec-WebSocket-Key: {key}\r\nSec-WebSocket-Version: 13\r\n\r\n".encode()
        )
        stream = connection.makefile("rb")
        head = b"".join(iter(lambda: stream.readline(4096).rstrip(b"\r\n") + b"\n", b"\n"))
        if not head.startswith(b"HTTP/1.1 101") or base64.b64encode(digest) not in head:
            raise Problem(f"echo: bad answer to the handshake: {head!r}")
        for opcode, data in ((1, "ünïcode".encode()), (2, bytes(range(256)) * 20), (8, struct.pack("!H", 1000))):
            send_frame(connection, opcode, data)
            got = read_message(stream)
            if got != (opcode, data):
                raise Problem(f"echo: sent opcode {opcode} with {len(data)} bytes, got {got!r:.80}")
        if stream.read(1):
            raise Problem("echo: data after the close frame")


def send_frame(connection, opcode, data):
    length = bytes([0x80 | len(data)]) if len(data) < 126 else struct.pack("!BH", 0x80 | 126, len(data))
    mask = os.urandom(4)
    masked = bytes(byte ^ mask[i % 4] for i, byte in enumerate(data))
    connection.sendall(bytes([0x80 | opcode]) + length + mask + masked)


def read_message(stream):
    """Read frames to the end of a message or to a close; skip pings and pongs."""
    opcode, data = 0, b""
    while True:
        first, length = read_exactly(stream, 2)
        if length >= 126:
            length = int.from_bytes(read_exactly(stream, 2 if length == 126 else 8), "big")
        payload = read_exactly(stream, length)
        if first & 0x0F == 8:
            return 8, payload
        if first & 0x0F < 8:
            opcode, data = opcode or first & 0x0F, data + payload
            if first & 0x80:
                return opcode, data


def read_exactly(stream, count):
    data = stream.read(count)
    if len(data) != count:
        raise Problem("echo: the server closed the connection")
    return data


def run(args, profile, expected_path, out):
    """Runs the profile. Returns the outcomes, the expected ones, and a line for each problem."""
    expected = {}
    if not args.update:
        if not expected_path.exists():
            raise Problem(f"{expected_path} does not exist, make it with --update")
        expected = json.loads(expected_path.read_text())
    # A pattern with a `*` matches the beginning of a name, as in kosoku.
    chosen = [p + "*" if "*" in p else p for p in args.cases]
    if chosen:
        expected = {c: e for c, e in expected.items() if any(fnmatchcase(c, p) for p in chosen)}

    server, url = None, args.url
    out.mkdir(parents=True, exist_ok=True)
    if not url:
        command = [args.server, "--addr", "127.0.0.1", "--port", "0", *profile["server_args"], *args.server_args]
        certificate = Certificate(tempfile.mkdtemp(dir=out)) if args.tls else None
        if certificate:
            command += certificate.options
        server, url = start_server(command, out / "server.log")
        if certificate:
            url = f"ws://127.0.0.1:{Tunnel(urlsplit(url).port, certificate.ca).port}"
    elif args.ca:
        url = f"ws://127.0.0.1:{Tunnel(urlsplit(url).port, args.ca).port}"
    problems = []
    try:
        exclude = profile["exclude"] + profile["unjudged"]
        actual = run_kosoku(url, args.cases, exclude, out, args.timeout, args.parallel, server)
        if not actual:
            problems.append(f"kosoku: no case was run, see {out / 'kosoku.log'}")
        if args.update:
            for case, entry in actual.items():
                if outcome(entry) != ["OK", "OK"]:
                    print(f"{case}: {'/'.join(outcome(entry))} ({reasons(entry, out)})")
        else:
            problems += compare(expected, actual, out)

        if not args.cases:
            for case in profile["unjudged"]:
                entry = run_kosoku(url, [case], [], out / "unjudged", UNJUDGED_SECONDS).get(case)
                got = "/".join(outcome(entry)) if entry else f"stopped after {UNJUDGED_SECONDS} s"
                print(f"{case}: not judged, {got}")
        try:
            check_echo(url)
        except Problem as problem:
            problems.append(str(problem))
        except OSError as error:
            problems.append(f"echo: {error}")
        if server:
            rss, bound = peak_rss_kib(server), profile["max_rss_kib"]
            print(f"server: peak memory {rss or 'unknown'} KiB" + (f", at most {bound} allowed" if bound else ""))
            if bound and (rss is None or rss > bound):
                problems.append(f"server: peak memory {rss or 'unknown'}, not within {bound} KiB")
            try:
                stop_server(server)
            except Problem as problem:
                problems.append(str(problem))
    finally:
        if server:
            server.kill()
            server.wait()

    if args.update and not problems:
        write_expected(expected_path, actual)
        print(f"wrote {expected_path}")
    return actual, expected, problems


def main():
    profiles = json.loads((HERE / "profiles.json").read_text())
    parser = argparse.ArgumentParser(
        description=__doc__.split("\n")[0], usage="%(prog)s [options] [-- SERVER-ARGUMENT ...]"
    )
    add = parser.add_argument
    add("--server", default=str(ROOT / "target/release/wss"), help="server to start (target/release/wss)")
    add("--url", help="test a server that runs already instead, e.g. ws://192.0.2.1:9001")
    add("--ca", help="the authority that a server at --url has TLS with")
    add("--tls", action="store_true", help="through a tunnel to a server with TLS")
    add("--profile", choices=profiles, default="whole", help="see profiles.json (whole)")
    add("--cases", action="append", default=[], metavar="CASE", help="only these, e.g. '9.*' (repeatable)")
    add("--update", action="store_true", help="write the expected file from this run")
    add("--expected", type=Path, metavar="FILE", help="(expected-PROFILE.json next to this script)")
    add("--out", type=Path, metavar="DIR", help="where to leave the reports (target/autobahn/PROFILE)")
    add("--parallel", type=int, default=1, metavar="N", help="cases to run at a time (1)")
    add("--timeout", type=int, default=300, metavar="SECONDS", help="limit for the judged cases together (300)")
    add("server_args", nargs="*", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.update and args.cases:
        parser.error("--update needs all cases, do not give --cases")
    if args.url and args.server_args:
        parser.error("--url starts no server, so it takes no server arguments")

    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # so that what we started is ended too
    out = args.out or ROOT / "target/autobahn" / args.profile
    expected_path = args.expected or HERE / f"expected-{args.profile}.json"
    started = time.monotonic()
    try:
        actual, expected, problems = run(args, profiles[args.profile], expected_path, out)
    except Problem as problem:
        actual, expected, problems = {}, {}, [str(problem)]

    for problem in problems:
        print(problem)
    kinds = Counter("/".join(outcome(entry)) for entry in actual.values())
    counts = ", ".join(f"{count} {kind}" for kind, count in kinds.most_common()) or "no case run"
    print(f"{args.profile}: {counts}; {time.monotonic() - started:.0f} s")
    if not args.update:
        passed = sum(expected.get(case) == outcome(entry) for case, entry in actual.items())
        print(f"{passed} passed, {len(problems)} failed")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
