//! Who the box is: a P-256 key that is made on it and never leaves it, a request for a certificate, a claim.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, ensure};
use rcgen::{CertificateParams, DistinguishedName, DnType, KeyPair, PublicKeyData};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

use crate::disk::{self, Rights};
use crate::domain::sync::hex;

/// Root makes them, the group of the service reads them.
const RIGHTS: Rights = Rights::mode(0o640).of_folder();

/// Key and claim of this box.
#[derive(Debug)]
pub struct Identity {
    folder: PathBuf,
    key: KeyPair,
    /// A word that only who has the label or the box knows; the platform is told it once.
    pub claim: String,
}

impl Identity {
    /// The box's own, made when there is none yet.
    ///
    /// # Errors
    /// When the folder cannot be written, or what lies there is no key.
    pub fn of(folder: &Path) -> anyhow::Result<Self> {
        fs::create_dir_all(folder).with_context(|| format!("cannot make `{}`", folder.display()))?;
        disk::inherit_owner(folder).with_context(|| format!("the owner of `{}`", folder.display()))?;
        let (key, claim) = (folder.join("device.key"), folder.join("claim"));
        if !key.exists() {
            let made = KeyPair::generate().context("cannot make a key")?;
            disk::write_new(&key, Zeroizing::new(made.serialize_pem()).as_bytes(), RIGHTS)?;
        }
        if !claim.exists() {
            let mut random = [0; 10];
            getrandom::fill(&mut random).map_err(|error| anyhow::anyhow!("no random numbers: {error}"))?;
            disk::write_new(&claim, hex(&random).as_bytes(), RIGHTS)?;
        }
        let words = || format!("the identity in `{}`", folder.display());
        let pem = Zeroizing::new(fs::read_to_string(&key).with_context(words)?);
        let claim = fs::read_to_string(&claim).with_context(words)?.trim().to_owned();
        Ok(Self { folder: folder.to_owned(), key: KeyPair::from_pem(&pem).with_context(words)?, claim })
    }

    /// SHA-256 of the public key (SubjectPublicKeyInfo), hexadecimal.
    pub fn fingerprint(&self) -> String {
        hex(&Sha256::digest(self.key.subject_public_key_info()))
    }

    /// A request for a certificate in this name, PEM.
    ///
    /// # Errors
    /// When the name cannot stand in a certificate.
    pub fn request(&self, common_name: &str) -> anyhow::Result<String> {
        let mut params = CertificateParams::new(Vec::new())?;
        params.distinguished_name = DistinguishedName::new();
        params.distinguished_name.push(DnType::CommonName, common_name);
        Ok(params.serialize_request(&self.key)?.pem()?)
    }

    /// Is this a certificate (PEM, the box's own first) for the box's key?
    ///
    /// # Errors
    /// In words, when it is not.
    pub fn check(&self, certificate: &[u8]) -> anyhow::Result<()> {
        let own = CertificateDer::pem_slice_iter(certificate).next().context("there is no certificate in it")?;
        let own = own.map_err(|error| anyhow::anyhow!("it is no certificate: {error}"))?;
        let holds = memchr::memmem::find(&own, self.key.public_key_raw()).is_some();
        ensure!(holds, "the certificate is for another key than that of this box");
        Ok(())
    }

    /// Keeps a certificate that was checked.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn keep(&self, certificate: &[u8]) -> anyhow::Result<()> {
        Ok(disk::write(&self.certificate(), certificate, RIGHTS)?)
    }

    /// Where the certificate lies once there is one.
    pub fn certificate(&self) -> PathBuf {
        self.folder.join("device.pem")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_made_once_and_a_certificate_of_another_box_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let (mine, other) = (folder.path().join("a"), folder.path().join("b"));
        let first = Identity::of(&mine).unwrap();
        let again = Identity::of(&mine).unwrap();
        assert_eq!((first.fingerprint(), &first.claim), (again.fingerprint(), &again.claim));
        assert_eq!((first.fingerprint().len(), first.claim.len()), (64, 20));
        assert!(first.request("box-1").unwrap().contains("BEGIN CERTIFICATE REQUEST"));
        let stranger = Identity::of(&other).unwrap();
        assert_ne!(stranger.fingerprint(), first.fingerprint());
        let certificate = CertificateParams::new(Vec::new()).unwrap().self_signed(&stranger.key).unwrap().pem();
        stranger.check(certificate.as_bytes()).unwrap();
        assert!(first.check(certificate.as_bytes()).unwrap_err().to_string().contains("another key"));
        assert!(first.check(b"nonsense").is_err());
    }
}
