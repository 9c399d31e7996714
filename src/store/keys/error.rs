//! Why there is no device key, each with a code that stands in `docs/troubleshooting.md`.

use std::path::PathBuf;

use super::super::seal::NoRandomness;

/// Why there is no device key. Face templates cannot be sealed or read; plates are not concerned.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// The settings name none.
    #[error(
        "[FC-KEY-001] no device key is named, so face templates can neither be sealed nor read; make one with \
         `forecourt privacy new-key FILE` and name it in `privacy.key_file`"
    )]
    NotNamed,
    /// The file cannot be read or written.
    #[error("[FC-KEY-002] the device key `{path}` cannot be {what}: {source}; check that it is there and its owner")]
    File {
        /// `read` or `written`.
        what: &'static str,
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// A key is never overwritten.
    #[error(
        "[FC-KEY-010] there is a key already in `{0}`, which is never overwritten; take another name, or change the key of this \
         box with `forecourt privacy rekey`"
    )]
    Exists(PathBuf),
    /// The file holds something else.
    #[error("[FC-KEY-003] `{path}` is no device key: {why}; `forecourt privacy new-key FILE` makes one")]
    NotAKey {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        why: String,
    },
    /// None of the members' keys was wrapped with it.
    #[error(
        "[FC-KEY-004] the face templates were sealed with the device key {wanted}, `{path}` holds {found}; put that key \
         back, or enrol the members again after `forecourt privacy purge --unreadable`"
    )]
    Wrong {
        /// Name of the key that is needed.
        wanted: String,
        /// The file.
        path: PathBuf,
        /// Names of the keys in it.
        found: String,
    },
    /// Some were, some were not.
    #[error(
        "[FC-KEY-005] a change of the device key was not finished: {locked} members are sealed with the key {wanted}, \
         which is not in `{path}`; run the same `forecourt privacy rekey` again"
    )]
    HalfWay {
        /// Members whose templates cannot be read.
        locked: u64,
        /// Name of the key that is needed.
        wanted: String,
        /// The file.
        path: PathBuf,
    },
    /// Others may read it.
    #[error("[FC-KEY-006] the device key `{path}` may be read by others (mode {mode:03o}); run `chmod 600` on it")]
    Readable {
        /// The file.
        path: PathBuf,
        /// Its permissions.
        mode: u32,
    },
    /// systemd handed over no credential of that name.
    #[error(
        "[FC-KEY-007] systemd handed over no credential `{name}`; add `LoadCredentialEncrypted={name}` to the service \
         and, for commands in a shell, run them while the service runs, or name a file with its folder"
    )]
    NoCredential {
        /// The name.
        name: String,
    },
    /// No random numbers.
    #[error("[FC-KEY-008] {0}")]
    Randomness(#[from] NoRandomness),
}
