//! How a client knows a service that speaks TLS.
//!
//! The service of a state directory is known by its very certificate, which it leaves there beside its token: who can
//! write there could do anything anyway, so names, dates and issuers add nothing. Any other service must have a
//! certificate for its name, from an issuer in a file of them or, without one, from an issuer that the system trusts.

use std::{io, path::Path, sync::Arc};

use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio_rustls::{
    TlsConnector,
    client::TlsStream,
    rustls::{
        self, CertificateError, ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme,
        client::{
            WebPkiServerVerifier,
            danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
            verify_server_name,
        },
        crypto::{CryptoProvider, ring, verify_tls12_signature, verify_tls13_signature},
        pki_types::{CertificateDer, ServerName, UnixTime, pem::PemObject},
        server::ParsedCertificate,
    },
};
use tonic::{
    codegen::http::Uri,
    transport::{Channel, ClientTlsConfig, Endpoint},
};

use super::Error;

/// By what a service is known.
#[derive(Clone, Debug)]
pub(super) enum Trust {
    /// By this certificate, whatever it says.
    Certificate(CertificateDer<'static>),
    /// By a certificate for its name: one of these, or one that one of these issued.
    Issuers(Vec<CertificateDer<'static>>),
    /// By a certificate for its name, from an issuer that the system trusts.
    System,
}

impl Trust {
    /// In the certificate that the service of a state directory left in a file.
    pub(super) fn in_certificate(file: &Path) -> Result<Self, Error> {
        let read = std::fs::read(file);
        read.map(|der| Self::Certificate(der.into())).map_err(|error| {
            Error::Away(format!("the service's certificate {} cannot be read: {error}", file.display()))
        })
    }

    /// In the issuers of a PEM file.
    pub(super) fn in_issuers(file: &Path) -> Result<Self, Error> {
        let fault = |why: String| Error::Argument(format!("the issuers in {} (--ca): {why}", file.display()));
        let issuers = CertificateDer::pem_file_iter(file)
            .and_then(Iterator::collect::<Result<Vec<_>, _>>)
            .map_err(|error| fault(error.to_string()))?;
        if issuers.is_empty() {
            Err(fault("the file holds no certificate in PEM".to_owned()))
        } else {
            Ok(Self::Issuers(issuers))
        }
    }

    /// Connects over TLS to a service that is to be trusted like this.
    pub(super) async fn connect(self, endpoint: Endpoint) -> Result<Channel, tonic::transport::Error> {
        let verifier = match self {
            Self::System => return endpoint.tls_config(ClientTlsConfig::new().with_native_roots())?.connect().await,
            Self::Certificate(certificate) => {
                Known { certificates: vec![certificate], issued: None, names_matter: false }
            }
            Self::Issuers(issuers) => Known { issued: issued_by(&issuers), certificates: issuers, names_matter: true },
        };
        let mut config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .expect("ring has the default versions of TLS")
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(verifier))
            .with_no_client_auth();
        config.alpn_protocols = vec![b"h2".to_vec()];
        let connector = TlsConnector::from(Arc::new(config));
        let origin = endpoint.uri().clone();
        // The connector below speaks TLS; tonic would want its own for an https address.
        let address = Uri::builder().scheme("http").authority(origin.authority().map_or("", |name| name.as_str()));
        let address = address.path_and_query("/").build().expect("the parts of an address make one");
        let mut endpoint = Endpoint::from(address).origin(origin);
        endpoint = super::target::kept_alive(endpoint);
        endpoint.connect_with_connector(tower::service_fn(move |uri: Uri| dial(connector.clone(), uri))).await
    }
}

/// Opens a connection and shakes hands.
async fn dial(connector: TlsConnector, uri: Uri) -> io::Result<TokioIo<TlsStream<TcpStream>>> {
    let host = uri.host().unwrap_or_default().trim_start_matches('[').trim_end_matches(']').to_owned();
    // TLS' own port, since these are all https addresses.
    let stream = TcpStream::connect((host.as_str(), uri.port_u16().unwrap_or(443))).await?;
    stream.set_nodelay(true)?;
    let name = ServerName::try_from(host).map_err(io::Error::other)?;
    connector.connect(name, stream).await.map(TokioIo::new)
}

fn issued_by(issuers: &[CertificateDer<'static>]) -> Option<Arc<WebPkiServerVerifier>> {
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(issuers.iter().cloned());
    WebPkiServerVerifier::builder_with_provider(Arc::new(roots), Arc::new(ring::default_provider())).build().ok()
}

/// Knows a service by one of its certificates, or by who issued them.
#[derive(Debug)]
struct Known {
    certificates: Vec<CertificateDer<'static>>,
    issued: Option<Arc<WebPkiServerVerifier>>,
    names_matter: bool,
}

impl Known {
    fn provider() -> CryptoProvider {
        ring::default_provider()
    }
}

impl ServerCertVerifier for Known {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        if self.certificates.iter().any(|known| known == end_entity) {
            if self.names_matter {
                verify_server_name(&ParsedCertificate::try_from(end_entity)?, server_name)?;
            }
            return Ok(ServerCertVerified::assertion());
        }
        match &self.issued {
            Some(issued) => issued.verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now),
            None => Err(rustls::Error::InvalidCertificate(CertificateError::UnknownIssuer)),
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, certificate, signed, &Self::provider().signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, certificate, signed, &Self::provider().signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        Self::provider().signature_verification_algorithms.supported_schemes()
    }
}
