// SPDX-License-Identifier: Apache-2.0
//! TLS for the echo: a certificate of this process, and connections with or without it.
//!
//! Everyone has rustls with ring, and its defaults: TLS 1.3, AES-256-GCM.

use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::sync::{Arc, LazyLock};

use rcgen::{CertificateParams, KeyPair};
use rustls::crypto::ring;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ClientConfig, ClientConnection, RootCertStore, ServerConfig, StreamOwned};

/// The name in the certificate.
const NAME: &str = "localhost";

/// A certificate and its key, in DER.
static CERTIFICATE: LazyLock<(Vec<u8>, Vec<u8>)> = LazyLock::new(|| {
    let key = KeyPair::generate().expect("a key is made");
    let params = CertificateParams::new([NAME.to_owned()]).expect("it is a name");
    let cert = params.self_signed(&key).expect("it is signed");
    (cert.der().to_vec(), key.serialize_der())
});

/// The certificate and its key, in DER.
pub fn certificate() -> (&'static [u8], &'static [u8]) {
    (&CERTIFICATE.0, &CERTIFICATE.1)
}

/// The configuration of a server.
pub fn server() -> Arc<ServerConfig> {
    let (cert, key) = certificate();
    let key = PrivateKeyDer::try_from(key).expect("it is a key");
    let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .expect("the provider has them")
        .with_no_client_auth()
        .with_single_cert(vec![CertificateDer::from(cert)], key);
    Arc::new(config.expect("they belong together"))
}

static CLIENT: LazyLock<Arc<ClientConfig>> = LazyLock::new(|| {
    let mut roots = RootCertStore::empty();
    let cert = CertificateDer::from(certificate().0);
    roots.add(cert).expect("it is a certificate");
    let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .expect("the provider has them")
        .with_root_certificates(roots)
        .with_no_client_auth();
    Arc::new(config)
});

/// A client's connection.
pub enum Wire {
    /// Without TLS.
    Plain(TcpStream),
    /// With it.
    Tls(Box<StreamOwned<ClientConnection, TcpStream>>),
}

impl Wire {
    /// Makes a connection of a stream.
    pub fn new(stream: TcpStream, has_tls: bool) -> Self {
        if !has_tls {
            return Self::Plain(stream);
        }
        let name = NAME.try_into().expect("it is a name");
        let tls = ClientConnection::new(Arc::clone(&CLIENT), name).expect("it is configured");
        Self::Tls(Box::new(StreamOwned::new(tls, stream)))
    }

    /// Says that nothing more is sent.
    pub fn shutdown(&self) -> io::Result<()> {
        match self {
            Self::Plain(stream) => stream.shutdown(Shutdown::Write),
            Self::Tls(tls) => tls.sock.shutdown(Shutdown::Write),
        }
    }
}

impl Read for Wire {
    fn read(&mut self, space: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Plain(stream) => stream.read(space),
            Self::Tls(tls) => tls.read(space),
        }
    }
}

impl Write for Wire {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Plain(stream) => stream.write(bytes),
            Self::Tls(tls) => tls.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::Plain(stream) => stream.flush(),
            Self::Tls(tls) => tls.flush(),
        }
    }
}
