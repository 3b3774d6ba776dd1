# SPDX-License-Identifier: Apache-2.0
"""Certificates for a test: an authority, and a server's certificate signed by it, created by openssl."""

import pathlib
import subprocess

CURVE = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]


class Certificate:
    """Files in a directory: the certificate and the key of a server, and the authority that clients trust."""

    def __init__(self, directory):
        directory = pathlib.Path(directory)
        self.ca = directory / "ca.pem"
        self.cert = directory / "cert.pem"
        self.key = directory / "key.pem"
        ca_key, request = directory / "ca-key.pem", directory / "request.pem"
        names = directory / "names"
        names.write_text("subjectAltName=DNS:localhost,IP:127.0.0.1\nbasicConstraints=CA:FALSE\n")
        openssl("req", "-x509", *CURVE, "-keyout", ca_key, "-out", self.ca, "-days", 7, "-subj", "/CN=tests of wss")
        openssl("req", *CURVE, "-keyout", self.key, "-out", request, "-subj", "/CN=localhost")
        authority = ["-CA", self.ca, "-CAkey", ca_key, "-CAcreateserial"]
        openssl("x509", "-req", "-in", request, *authority, "-out", self.cert, "-days", 7, "-extfile", names)

    @property
    def options(self):
        """The certificate of the default server."""
        return ["--tls-cert", str(self.cert), "--tls-key", str(self.key)]

    @property
    def trust(self):
        """Environment variables that make clients trust it: OpenSSL and Python, Node, and ours in Rust."""
        return dict.fromkeys(["SSL_CERT_FILE", "NODE_EXTRA_CA_CERTS", "WSS_TEST_CA"], str(self.ca))


def openssl(*arguments):
    subprocess.run(["openssl", *map(str, arguments)], check=True, capture_output=True)
