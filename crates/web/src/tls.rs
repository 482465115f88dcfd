//! Whose certificates are trusted, and which one we show.

use crate::Failure;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, SignatureScheme};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// The files of one host in a certs.d folder.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct HostFiles {
    /// `*.crt`: authorities.
    authorities: Vec<PathBuf>,
    /// `NAME.cert` and `NAME.key`: our certificate.
    client: Option<(PathBuf, PathBuf)>,
}

/// The first folder of `dirs` that has one for `host`; nothing where none has.
pub(crate) fn host_files(dirs: &[PathBuf], host: &str) -> Result<Option<HostFiles>, Failure> {
    // A host is one part of a path by its grammar; this keeps it so.
    if host.contains('/') || host.starts_with('.') {
        return Ok(None);
    }
    for dir in dirs {
        let folder = dir.join(host);
        let unreadable = |error: std::io::Error| Failure::Setting {
            what: format!("the certificates folder {}", folder.display()),
            reason: error.to_string(),
        };
        let entries = match std::fs::read_dir(&folder) {
            Ok(entries) => entries,
            Err(error)
                if matches!(
                    error.kind(),
                    std::io::ErrorKind::NotFound | std::io::ErrorKind::NotADirectory
                ) =>
            {
                continue;
            }
            Err(error) => return Err(unreadable(error)),
        };
        let mut files = HostFiles::default();
        for entry in entries {
            let path = entry.map_err(unreadable)?.path();
            match path.extension().and_then(|extension| extension.to_str()) {
                Some("crt") => files.authorities.push(path),
                Some("cert") => {
                    let key = path.with_extension("key");
                    if !key.exists() {
                        return Err(Failure::Setting {
                            what: format!("the client certificate {}", path.display()),
                            reason: format!("its key {} is missing", key.display()),
                        });
                    }
                    files.client = Some((path, key));
                }
                _ => {}
            }
        }
        return Ok(Some(files));
    }
    Ok(None)
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, Failure> {
    let wrong =
        |reason: String| Failure::Setting { what: format!("the certificate {}", path.display()), reason };
    let all: Result<Vec<_>, _> = match CertificateDer::pem_file_iter(path) {
        Ok(iter) => iter.collect(),
        Err(error) => return Err(wrong(error.to_string())),
    };
    match all {
        Ok(all) if all.is_empty() => Err(wrong("it holds no PEM certificate".to_owned())),
        Ok(all) => Ok(all),
        Err(error) => Err(wrong(error.to_string())),
    }
}

/// The TLS settings for one host: its own files, the extra authorities, the system's, or no check at all.
pub(crate) fn config(
    extra_authorities: &[PathBuf],
    files: Option<&HostFiles>,
    verify: bool,
) -> Result<ClientConfig, Failure> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let wrong = |error: rustls::Error| Failure::Setting {
        what: "the TLS setup".to_owned(),
        reason: error.to_string(),
    };
    let builder = ClientConfig::builder_with_provider(provider.clone())
        .with_safe_default_protocol_versions()
        .map_err(wrong)?;
    let known = if verify {
        let mut certificates = Vec::new();
        let own = files.map(|files| files.authorities.as_slice()).unwrap_or_default();
        for path in extra_authorities.iter().chain(own) {
            certificates.extend(self::certificates(path)?);
        }
        let roots = certificates.clone();
        let chains = rustls_platform_verifier::Verifier::new_with_extra_roots(roots, provider.clone());
        Some(Known { chains: chains.map_err(wrong)?, certificates })
    } else {
        None
    };
    let verifier = Arc::new(Verifier { known, provider });
    let builder = builder.dangerous().with_custom_certificate_verifier(verifier);
    match files.and_then(|files| files.client.as_ref()) {
        None => Ok(builder.with_no_client_auth()),
        Some((certificate, key)) => {
            let named = |reason: String| Failure::Setting {
                what: format!("the client key {}", key.display()),
                reason,
            };
            let chain = certificates(certificate)?;
            let key = PrivateKeyDer::from_pem_file(key).map_err(|error| named(error.to_string()))?;
            builder.with_client_auth_cert(chain, key).map_err(|error| named(error.to_string()))
        }
    }
}

/// Whom a connection trusts; signatures of the handshake are checked in either case.
#[derive(Debug)]
struct Verifier {
    /// Without it any certificate will do: for hosts that the user named insecure.
    known: Option<Known>,
    provider: Arc<CryptoProvider>,
}

/// Trusts what chains to an authority, and a server that shows the very certificate the user put among the authorities:
/// `openssl req -x509` makes servers' certificates that call themselves authorities, and webpki refuses those.
#[derive(Debug)]
struct Known {
    chains: rustls_platform_verifier::Verifier,
    certificates: Vec<CertificateDer<'static>>,
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        certificate: &CertificateDer<'_>,
        others: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        let Some(Known { chains, certificates }) = &self.known else {
            return Ok(ServerCertVerified::assertion());
        };
        let refused = match chains.verify_server_cert(certificate, others, name, ocsp, now) {
            Ok(verified) => return Ok(verified),
            Err(refused) => refused,
        };
        // webpki's own error type is not ours to name. It checks dates before this.
        if !certificates.contains(certificate) || !format!("{refused:?}").contains("CaUsedAsEndEntity") {
            return Err(refused);
        }
        let parsed = rustls::server::ParsedCertificate::try_from(certificate)?;
        rustls::client::verify_server_name(&parsed, name)?;
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        rustls::crypto::verify_tls12_signature(message, certificate, signature, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        rustls::crypto::verify_tls13_signature(message, certificate, signature, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}
