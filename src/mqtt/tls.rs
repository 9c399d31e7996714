//! TLS for the connection: authorities, the box's own certificate, and whether these files were replaced.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ClientConfig, RootCertStore};

use crate::config;

/// Where Debian keeps the authorities that the world trusts.
const SYSTEM_AUTHORITIES: &str = "/etc/ssl/certs/ca-certificates.crt";

/// TLS 1.3 or 1.2 by ring; the box's own certificate when one is set.
pub(super) fn client(settings: &config::Mqtt) -> Result<ClientConfig, String> {
    let authorities = settings.ca_file.clone().unwrap_or_else(|| PathBuf::from(SYSTEM_AUTHORITIES));
    let mut roots = RootCertStore::empty();
    let (added, _) = roots.add_parsable_certificates(certificates("mqtt.ca_file", &authorities)?);
    if added == 0 {
        return Err(format!("mqtt.ca_file `{}` holds no certificate that can be used", authorities.display()));
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| format!("TLS: {error}"))?
        .with_root_certificates(roots);
    match (&settings.certificate_file, &settings.key_file) {
        (None, None) => Ok(builder.with_no_client_auth()),
        (Some(certificate), Some(key)) => {
            let chain = certificates("mqtt.certificate_file", certificate)?;
            let wrong = |error: &dyn std::fmt::Display| format!("mqtt.key_file `{}`: {error}", key.display());
            let key = PrivateKeyDer::from_pem_file(key).map_err(|error| wrong(&error))?;
            builder.with_client_auth_cert(chain, key).map_err(|error| wrong(&error))
        }
        _ => Err("mqtt.certificate_file and mqtt.key_file belong together; set both or none".into()),
    }
}

fn certificates(setting: &str, file: &Path) -> Result<Vec<CertificateDer<'static>>, String> {
    let words = |error: &dyn std::fmt::Display| format!("cannot read {setting} `{}`: {error}", file.display());
    let all = CertificateDer::pem_file_iter(file).map_err(|error| words(&error))?;
    all.collect::<Result<_, _>>().map_err(|error| words(&error))
}

/// The secrets of a connection as files, by what tells a new one from an old one.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Seals(Vec<Option<(SystemTime, u64)>>);

impl Seals {
    /// As the files are now.
    pub(super) fn now(settings: &config::Mqtt) -> Self {
        let files = [&settings.ca_file, &settings.certificate_file, &settings.key_file, &settings.password_file];
        let seal = |file: &PathBuf| {
            let about = std::fs::metadata(file).ok()?;
            Some((about.modified().ok()?, about.len()))
        };
        Self(files.into_iter().flatten().map(seal).collect())
    }

    /// Are all files there that were there before, and is one of them another?
    pub(super) fn were_replaced(&self, now: &Self) -> bool {
        now != self && now.0.iter().all(Option::is_some)
    }
}
