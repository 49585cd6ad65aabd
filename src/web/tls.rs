//! What the service shows to those who call it over TLS: a certificate, its key, and both versions of HTTP.

use std::{
    fmt, io,
    path::{Path, PathBuf},
    sync::{Arc, PoisonError, RwLock},
};

use tokio_rustls::{
    TlsAcceptor,
    rustls::{
        ServerConfig,
        client::verify_server_name,
        crypto::ring,
        pki_types::{CertificateDer, PrivateKeyDer, ServerName, pem, pem::PemObject},
        server::{ClientHello, ParsedCertificate, ResolvesServerCert},
        sign::CertifiedKey,
    },
};

/// A certificate with its key, which can be renewed while connections come in.
#[derive(Clone)]
pub struct Tls {
    acceptor: TlsAcceptor,
    current: Arc<Current>,
}

/// What is shown to the next caller.
#[derive(Debug)]
struct Current(RwLock<Arc<CertifiedKey>>);

impl Current {
    fn pair(&self) -> Arc<CertifiedKey> {
        Arc::clone(&self.0.read().unwrap_or_else(PoisonError::into_inner))
    }
}

impl ResolvesServerCert for Current {
    fn resolve(&self, _hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.pair())
    }
}

/// What reading the files again came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Renewed {
    /// They hold what is shown already.
    Same,
    /// From now on callers are shown another certificate; those who are connected stay so.
    New,
}

/// Why a certificate cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// Only one of the two was given.
    #[error("TLS needs both --tls-cert FILE and --tls-key FILE")]
    Half,
    /// A file cannot be read.
    #[error("the file {0} cannot be read: {1}")]
    Unreadable(PathBuf, io::Error),
    /// A file is not what it is given as.
    #[error("the file {0} holds no {1} in PEM: {2}")]
    NotPem(PathBuf, &'static str, pem::Error),
    /// They do not belong together, or are of a kind that is not known.
    #[error("the certificate {0} cannot be used with the key {1}: {2}")]
    Unusable(PathBuf, PathBuf, tokio_rustls::rustls::Error),
}

impl Tls {
    /// Reads a chain of certificates, the service's own first, and its key.
    ///
    /// # Errors
    /// Names the file that is at fault.
    pub fn read(certificate_file: &Path, key_file: &Path) -> Result<Self, TlsError> {
        let unusable = |error| TlsError::Unusable(certificate_file.to_owned(), key_file.to_owned(), error);
        let pair = read(certificate_file, key_file)?;
        let current = Arc::new(Current(RwLock::new(Arc::new(pair))));
        let mut config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .map_err(unusable)?
            .with_no_client_auth()
            .with_cert_resolver(Arc::clone(&current) as Arc<dyn ResolvesServerCert>);
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        Ok(Self { acceptor: TlsAcceptor::from(Arc::new(config)), current })
    }

    /// Reads the files again, and shows what they hold to the callers that come from now on.
    ///
    /// # Errors
    /// Names the file that is at fault; what was shown before goes on to be shown.
    pub fn renew(&self, certificate_file: &Path, key_file: &Path) -> Result<Renewed, TlsError> {
        let pair = read(certificate_file, key_file)?;
        let mut current = self.current.0.write().unwrap_or_else(PoisonError::into_inner);
        // A certificate holds its public key: the same chain with a key that fits it is the same pair.
        if current.cert == pair.cert {
            return Ok(Renewed::Same);
        }
        *current = Arc::new(pair);
        Ok(Renewed::New)
    }

    /// What a connection is to be turned into TLS with.
    #[must_use]
    pub fn acceptor(&self) -> TlsAcceptor {
        self.acceptor.clone()
    }

    /// The service's own certificate in DER, for those who know the service by it.
    #[must_use]
    pub fn certificate(&self) -> Vec<u8> {
        self.current.pair().cert.first().map(|certificate| certificate.to_vec()).unwrap_or_default()
    }

    /// Whether the certificate is one for this name or address.
    #[must_use]
    pub fn is_for(&self, name: &str) -> bool {
        let Ok(name) = ServerName::try_from(name) else { return false };
        let pair = self.current.pair();
        pair.cert
            .first()
            .and_then(|certificate| ParsedCertificate::try_from(certificate).ok())
            .is_some_and(|certificate| verify_server_name(&certificate, &name).is_ok())
    }
}

/// A chain with its key, if they belong together.
fn read(certificate_file: &Path, key_file: &Path) -> Result<CertifiedKey, TlsError> {
    let fault = |file: &Path, what, error| match error {
        pem::Error::Io(error) => TlsError::Unreadable(file.to_owned(), error),
        error => TlsError::NotPem(file.to_owned(), what, error),
    };
    let chain = CertificateDer::pem_file_iter(certificate_file)
        .and_then(Iterator::collect::<Result<Vec<_>, _>>)
        .map_err(|error| fault(certificate_file, "certificate", error))?;
    if chain.is_empty() {
        return Err(fault(certificate_file, "certificate", pem::Error::NoItemsFound));
    }
    let key = PrivateKeyDer::from_pem_file(key_file).map_err(|error| fault(key_file, "private key", error))?;
    CertifiedKey::from_der(chain, key, &ring::default_provider())
        .map_err(|error| TlsError::Unusable(certificate_file.to_owned(), key_file.to_owned(), error))
}

impl fmt::Debug for Tls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Tls(key redacted)")
    }
}
