// SPDX-License-Identifier: Apache-2.0
//! A server's certificate, and what it asks of clients: the configuration of rustls.

use std::fmt;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, RwLock};

use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::{NoClientAuth, WebPkiClientVerifier};
use rustls::{RootCertStore, ServerConfig};

/// Why TLS cannot be used as asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum TlsError {
    /// A file cannot be read.
    File {
        /// Its path.
        path: PathBuf,
        /// The error of the operating system.
        error: String,
    },
    /// There is no certificate.
    NoCertificate,
    /// There is no private key, or it is encrypted.
    NoKey,
    /// The key does not match the certificate, or either is malformed or of an unknown kind. Has rustls's error.
    Unusable(String),
    /// There is no certificate authority, or it is malformed. Has rustls's error.
    ClientCa(String),
}

impl fmt::Display for TlsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File { path, error } => write!(f, "cannot read {}: {error}", path.display()),
            Self::NoCertificate => f.write_str("there is no certificate in PEM or DER"),
            Self::NoKey => f.write_str(
                "there is no private key in PEM or DER (PKCS #8, PKCS #1 or SEC 1), or it is encrypted",
            ),
            Self::Unusable(error) => write!(f, "the certificate cannot be used: {error}"),
            Self::ClientCa(error) => {
                write!(f, "the certificate authority of clients cannot be used: {error}")
            }
        }
    }
}

impl std::error::Error for TlsError {}

impl From<TlsError> for io::Error {
    fn from(error: TlsError) -> Self {
        Self::new(io::ErrorKind::InvalidInput, error)
    }
}

/// Whether clients need a certificate.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ClientAuth {
    /// No certificate is requested.
    #[default]
    None,
    /// A certificate is requested. If a client sends one, it must be valid.
    Optional,
    /// A valid certificate is required.
    Required,
}

/// A source of certificates or keys.
#[derive(Clone, PartialEq, Eq)]
enum Source {
    File(PathBuf),
    Bytes(Vec<u8>),
}

impl Source {
    fn read(&self) -> Result<Vec<u8>, TlsError> {
        match self {
            Self::Bytes(bytes) => Ok(bytes.clone()),
            Self::File(path) => fs::read(path).map_err(|error| TlsError::File {
                path: path.clone(),
                error: error.to_string(),
            }),
        }
    }
}

/// The sources that [`build`](Self::build) reads.
#[derive(Clone, PartialEq, Eq)]
pub struct TlsBuilder {
    cert: Source,
    key: Source,
    client_ca: Option<(Source, ClientAuth)>,
}

impl TlsBuilder {
    /// Asks clients for a certificate of one of these authorities, in a file in PEM or DER.
    #[must_use]
    pub fn client_ca_file(self, path: impl AsRef<Path>, auth: ClientAuth) -> Self {
        self.client_ca_of(Source::File(path.as_ref().to_owned()), auth)
    }

    /// Asks clients for a certificate of one of these authorities, in PEM or DER.
    #[must_use]
    pub fn client_ca(self, ca: &[u8], auth: ClientAuth) -> Self {
        self.client_ca_of(Source::Bytes(ca.to_vec()), auth)
    }

    const fn new(cert: Source, key: Source) -> Self {
        Self {
            cert,
            key,
            client_ca: None,
        }
    }

    fn client_ca_of(mut self, ca: Source, auth: ClientAuth) -> Self {
        self.client_ca = Some((ca, auth));
        self
    }

    /// Reads everything.
    ///
    /// # Errors
    /// See [`TlsError`].
    pub fn build(self) -> Result<Tls, TlsError> {
        let config = self.read()?;
        Ok(Tls {
            shared: Arc::new(Shared {
                current: RwLock::new((self, config)),
            }),
        })
    }

    fn read(&self) -> Result<Arc<ServerConfig>, TlsError> {
        let chain = certificates(&self.cert.read()?).ok_or(TlsError::NoCertificate)?;
        let key = private_key(&self.key.read()?).ok_or(TlsError::NoKey)?;
        let provider = Arc::new(ring::default_provider());
        let unusable = |error: rustls::Error| TlsError::Unusable(error.to_string());
        let versions = ServerConfig::builder_with_provider(Arc::clone(&provider))
            .with_safe_default_protocol_versions()
            .map_err(unusable)?;
        let verifier = match &self.client_ca {
            None | Some((_, ClientAuth::None)) => Arc::new(NoClientAuth),
            Some((ca, auth)) => {
                let failed = |error: &dyn fmt::Display| TlsError::ClientCa(error.to_string());
                let ca = certificates(&ca.read()?).ok_or_else(|| failed(&"there is none"))?;
                let mut roots = RootCertStore::empty();
                for ca in ca {
                    roots.add(ca).map_err(|error| failed(&error))?;
                }
                let verifier =
                    WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider);
                let verifier = if *auth == ClientAuth::Optional {
                    verifier.allow_unauthenticated()
                } else {
                    verifier
                };
                verifier.build().map_err(|error| failed(&error))?
            }
        };
        let mut config = versions
            .with_client_cert_verifier(verifier)
            .with_single_cert(chain, key)
            .map_err(unusable)?;
        // WebSockets use HTTP/1.1 (RFC 6455 section 4.1).
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        // Returning clients need no certificate, and the server stores nothing for them.
        config.ticketer = ring::Ticketer::new().map_err(unusable)?;
        config.send_tls13_tickets = 1;
        Ok(Arc::new(config))
    }
}

/// Returns all certificates of a PEM file, or the one of a DER file.
fn certificates(bytes: &[u8]) -> Option<Vec<CertificateDer<'static>>> {
    if is_der(bytes) {
        return Some(vec![bytes.to_vec().into()]);
    }
    let all = CertificateDer::pem_slice_iter(bytes).collect::<Result<Vec<_>, _>>();
    all.ok().filter(|all| !all.is_empty())
}

fn private_key(bytes: &[u8]) -> Option<PrivateKeyDer<'static>> {
    if is_der(bytes) {
        return PrivateKeyDer::try_from(bytes.to_vec()).ok();
    }
    PrivateKeyDer::from_pem_slice(bytes).ok()
}

/// Returns whether this is DER: it begins with a sequence (X.690), unlike PEM.
fn is_der(bytes: &[u8]) -> bool {
    bytes.first() == Some(&0x30)
}

/// The server's certificate, and its requirements for client certificates. Clones share them.
///
/// ```no_run
/// use wss::host::{Options, Tls};
///
/// # fn main() -> Result<(), wss::host::TlsError> {
/// let tls = Tls::files("cert.pem", "key.pem").build()?;
/// let options = Options::new().port(8443).tls(tls.clone());
/// // After the files have changed:
/// tls.reload()?;
/// # Ok(())
/// # }
/// ```
///
/// Supports TLS 1.2 and 1.3, by rustls with the cryptography of ring.
#[derive(Clone)]
pub struct Tls {
    shared: Arc<Shared>,
}

struct Shared {
    current: RwLock<(TlsBuilder, Arc<ServerConfig>)>,
}

impl Tls {
    /// Begins with the files of a certificate, followed by intermediate ones if there are any, and of its private key:
    /// in PEM or DER.
    #[must_use]
    pub fn files(cert: impl AsRef<Path>, key: impl AsRef<Path>) -> TlsBuilder {
        let file = |path: &Path| Source::File(path.to_owned());
        TlsBuilder::new(file(cert.as_ref()), file(key.as_ref()))
    }

    /// Begins with a certificate and its private key, in the formats of [`files`](Self::files).
    #[must_use]
    pub fn bytes(cert: &[u8], key: &[u8]) -> TlsBuilder {
        TlsBuilder::new(Source::Bytes(cert.to_vec()), Source::Bytes(key.to_vec()))
    }

    /// Reads the files again. Servers use the new certificates for connections that they accept from now on. Connected
    /// clients stay connected.
    ///
    /// # Errors
    /// See [`TlsError`]. If it fails, nothing changes.
    pub fn reload(&self) -> Result<(), TlsError> {
        let builder = self.read().0.clone();
        self.replace(builder)
    }

    /// Replaces all certificates and keys, as [`reload`](Self::reload) does.
    ///
    /// # Errors
    /// See [`TlsError`]. If it fails, nothing changes.
    pub fn replace(&self, builder: TlsBuilder) -> Result<(), TlsError> {
        let config = builder.read()?;
        let mut current = self
            .shared
            .current
            .write()
            .unwrap_or_else(|it| it.into_inner());
        *current = (builder, config);
        Ok(())
    }

    fn read(&self) -> std::sync::RwLockReadGuard<'_, (TlsBuilder, Arc<ServerConfig>)> {
        self.shared
            .current
            .read()
            .unwrap_or_else(|it| it.into_inner())
    }

    /// Returns the configuration for new connections.
    pub(super) fn config(&self) -> Arc<ServerConfig> {
        Arc::clone(&self.read().1)
    }
}

impl PartialEq for Tls {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.shared, &other.shared)
    }
}

impl Eq for Tls {}

impl fmt::Debug for Tls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Never print the key.
        f.write_str("Tls")
    }
}
