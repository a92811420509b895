//! Connections to PostgreSQL, with TLS as `sslmode` asks for it.
//!
//! The modes mean what they mean to other clients: `disable`, `prefer` (the default: TLS if the server has it) and `require` ask nobody who the server is, and keep
//! out only those who listen; `verify-full` checks its certificate and its name by the roots of the system.

use std::sync::Arc;

use postgres::{Client, Config};
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, ring, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme};
use tokio_postgres_rustls::MakeRustlsConnect;

use crate::error::{Error, ErrorKind, Result};

/// How a connection is made.
pub(super) struct Server {
    config: Config,
    tls: MakeRustlsConnect,
}

/// What the client of PostgreSQL does not know, and what it knows in its place.
const VERIFIED: (&str, &str) = ("sslmode=verify-full", "sslmode=require");

impl Server {
    /// The server of a connection string.
    ///
    /// # Errors
    ///
    /// If it is none, or if the roots of the system are needed and cannot be read.
    pub fn of(url: &str) -> Result<Server> {
        let is_verified = url.contains(VERIFIED.0);
        let config = url.replace(VERIFIED.0, VERIFIED.1).parse().map_err(|_: postgres::Error| {
            // What is wrong with it stays unsaid: that could be a part of a password.
            Error::new(ErrorKind::Config, "`postgres` is no connection string").hint(
                "give it as \"host=H user=U dbname=D password='P'\", where quotes and backslashes in P have a backslash before them, or as postgresql://U:P@H/D; sslmode is disable, prefer, require or verify-full",
            )
        })?;
        Ok(Server { config, tls: MakeRustlsConnect::new(client(is_verified)?) })
    }

    /// Connects.
    ///
    /// # Errors
    ///
    /// What the client says.
    pub fn connect(self) -> std::result::Result<Client, postgres::Error> {
        self.config.connect(self.tls)
    }
}

fn client(is_verified: bool) -> Result<ClientConfig> {
    let provider = Arc::new(ring::default_provider());
    let builder = ClientConfig::builder_with_provider(Arc::clone(&provider));
    let builder = builder.with_safe_default_protocol_versions().map_err(|error| {
        Error::new(ErrorKind::Internal, format!("there is no version of TLS: {error}")).because(error)
    })?;
    if !is_verified {
        let builder = builder.dangerous().with_custom_certificate_verifier(Arc::new(Anybody(provider)));
        return Ok(builder.with_no_client_auth());
    }
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    if roots.is_empty() {
        let message = "the system has no root certificates, which sslmode=verify-full checks by";
        return Err(Error::new(ErrorKind::Config, message)
            .hint("install them, or name a file of them by SSL_CERT_FILE"));
    }
    Ok(builder.with_root_certificates(roots).with_no_client_auth())
}

/// Takes any certificate, as long as its owner has its key.
#[derive(Debug)]
struct Anybody(Arc<CryptoProvider>);

impl ServerCertVerifier for Anybody {
    fn verify_server_cert(
        &self,
        _end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, certificate, signed, &self.0.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, certificate, signed, &self.0.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
