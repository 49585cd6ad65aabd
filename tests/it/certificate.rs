//! A certificate of a test's own making, and its key, in files.

use std::{fs, path::PathBuf};

use rcgen::{CertifiedKey, generate_simple_self_signed};
use tokio_rustls::rustls::pki_types::CertificateDer;

use super::service::Options;

/// A self-signed certificate in a directory of its own.
pub(crate) struct Certificate {
    dir: tempfile::TempDir,
    der: CertificateDer<'static>,
}

impl Certificate {
    /// For these names or addresses.
    pub(crate) fn for_names(names: &[&str]) -> Self {
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        let CertifiedKey { cert, signing_key } = generate_simple_self_signed(names).unwrap();
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("certificate.pem"), cert.pem()).unwrap();
        fs::write(dir.path().join("key.pem"), signing_key.serialize_pem()).unwrap();
        Self { dir, der: cert.der().clone() }
    }

    pub(crate) fn file(&self) -> PathBuf {
        self.dir.path().join("certificate.pem")
    }

    pub(crate) fn key_file(&self) -> PathBuf {
        self.dir.path().join("key.pem")
    }

    pub(crate) fn der(&self) -> CertificateDer<'static> {
        self.der.clone()
    }

    /// A service that speaks TLS with it.
    pub(crate) fn serve(&self, options: Options) -> Options {
        let file = |path: PathBuf| path.to_str().unwrap().to_owned();
        options.arg("--tls-cert").arg(file(self.file())).arg("--tls-key").arg(file(self.key_file()))
    }
}
