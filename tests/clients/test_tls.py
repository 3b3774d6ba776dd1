# SPDX-License-Identifier: Apache-2.0
"""The default server with TLS: openssl's client, and a certificate that is renewed."""

import asyncio
import shutil
import signal
import ssl
import subprocess
import time

import pytest
from certificate import Certificate
from server import PATIENCE, Server
from websockets.asyncio.client import connect

REQUEST = (
    b"GET / HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
)
# Masked with zeros.
HELLO = b"\x81\x85\0\0\0\0hello"
CLOSE = b"\x88\x82\0\0\0\0\x03\xe8"


@pytest.fixture
def certificate(tmp_path):
    return Certificate(tmp_path)


def s_client(server, certificate, *options):
    return subprocess.Popen(
        ["openssl", "s_client", "-connect", f"127.0.0.1:{server.port}", "-CAfile", str(certificate.ca)]
        + ["-verify_return_error", "-alpn", "http/1.1", *options],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )


def trusting(certificate):
    return ssl.create_default_context(cafile=certificate.ca)


# Not its client with threads: Python 3.11 does not keep a read that takes a session ticket and the write of the
# request apart, which OpenSSL asks for, and the request is sometimes not sent.
async def exchange(client, message):
    await client.send(message)
    assert await asyncio.wait_for(client.recv(), PATIENCE) == message


def echo(url, certificate):
    async def once():
        async with connect(url, ssl=trusting(certificate), open_timeout=PATIENCE) as client:
            await exchange(client, "hello")

    asyncio.run(once())


@pytest.mark.parametrize("version", ["-tls1_2", "-tls1_3"])
def test_openssl_speaks_each_version(certificate, version):
    with Server(*certificate.options) as server:
        client = s_client(server, certificate, version, "-quiet")
        seen, _ = client.communicate(REQUEST + HELLO + CLOSE, timeout=PATIENCE)
        assert b"HTTP/1.1 101 " in seen
        assert seen.endswith(b"\x81\x05hello\x88\x02\x03\xe8")


@pytest.mark.parametrize("options", [["-tls1_1", "-cipher", "ALL:@SECLEVEL=0"], ["-alpn", "h2"]])
def test_what_is_not_spoken_fails(certificate, options):
    with Server(*certificate.options) as server:
        client = s_client(server, certificate, *options)
        client.communicate(b"", timeout=PATIENCE)
        assert client.returncode != 0
        echo(server.url, certificate)


def test_renegotiation_is_refused(certificate):
    with Server(*certificate.options) as server:
        client = s_client(server, certificate, "-tls1_2")
        time.sleep(0.5)
        # A line that makes openssl renegotiate.
        seen, _ = client.communicate(b"R\n", timeout=PATIENCE)
        assert b"RENEGOTIATING" in seen
        assert client.returncode != 0
        echo(server.url, certificate)


def test_a_signal_has_the_certificate_read_again(certificate, tmp_path):
    other = tmp_path / "other"
    other.mkdir()
    renewed = Certificate(other)

    async def renew(server):
        async with connect(server.url, ssl=trusting(certificate), open_timeout=PATIENCE) as client:
            # Half of it is not a certificate: nothing changes.
            shutil.copy(renewed.cert, certificate.cert)
            server.process.send_signal(signal.SIGHUP)
            await asyncio.sleep(0.2)
            await asyncio.to_thread(echo, server.url, certificate)
            shutil.copy(renewed.key, certificate.key)
            server.process.send_signal(signal.SIGHUP)
            await asyncio.to_thread(echo_before_long, server.url, renewed)
            await exchange(client, "still connected")

    with Server(*certificate.options, "-v") as server:
        asyncio.run(renew(server))
        code, log = server.terminate()
        assert code == 0
        assert "the certificate stays as it was" in log


def echo_before_long(url, certificate):
    until = time.monotonic() + PATIENCE
    while True:
        try:
            return echo(url, certificate)
        except ssl.SSLError:
            assert time.monotonic() < until, "the certificate is never read again"


@pytest.mark.parametrize("missing", ["--tls-cert", "--tls-key"])
def test_one_of_two_files_is_an_error(certificate, missing):
    options = certificate.options
    at = options.index(missing)
    del options[at : at + 2]
    with pytest.raises(AssertionError):
        Server(*options)
