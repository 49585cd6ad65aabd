//! What the service shows to those who call it over TLS: a certificate, its key, and both versions of HTTP.

use std::{
    fmt, io,
    path::{Path, PathBuf},
    sync::Arc,
};

use tokio_rustls::{
    TlsAcceptor,
    rustls::{
        ServerConfig,
        client::verify_server_name,
        crypto::ring,
        pki_types::{CertificateDer, PrivateKeyDer, ServerName, pem, pem::PemObject},
        server::ParsedCertificate,
    },
};

/// A certificate with its key.
#[derive(Clone)]
pub struct Tls {
    acceptor: TlsAcceptor,
    certificate: CertificateDer<'static>,
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
        let fault = |file: &Path, what, error| match error {
            pem::Error::Io(error) => TlsError::Unreadable(file.to_owned(), error),
            error => TlsError::NotPem(file.to_owned(), what, error),
        };
        let chain = CertificateDer::pem_file_iter(certificate_file)
            .and_then(Iterator::collect::<Result<Vec<_>, _>>)
            .map_err(|error| fault(certificate_file, "certificate", error))?;
        let no_certificate = || fault(certificate_file, "certificate", pem::Error::NoItemsFound);
        let certificate = chain.first().cloned().ok_or_else(no_certificate)?;
        let key = PrivateKeyDer::from_pem_file(key_file).map_err(|error| fault(key_file, "private key", error))?;
        let mut config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .and_then(|config| config.with_no_client_auth().with_single_cert(chain, key))
            .map_err(|error| TlsError::Unusable(certificate_file.to_owned(), key_file.to_owned(), error))?;
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        Ok(Self { acceptor: TlsAcceptor::from(Arc::new(config)), certificate })
    }

    /// What a connection is to be turned into TLS with.
    #[must_use]
    pub fn acceptor(&self) -> TlsAcceptor {
        self.acceptor.clone()
    }

    /// The service's own certificate in DER, for those who know the service by it.
    #[must_use]
    pub fn certificate(&self) -> &[u8] {
        &self.certificate
    }

    /// Whether the certificate is one for this name or address.
    #[must_use]
    pub fn is_for(&self, name: &str) -> bool {
        let Ok(name) = ServerName::try_from(name) else { return false };
        ParsedCertificate::try_from(&self.certificate)
            .is_ok_and(|certificate| verify_server_name(&certificate, &name).is_ok())
    }
}

impl fmt::Debug for Tls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Tls(key redacted)")
    }
}
