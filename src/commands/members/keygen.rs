//! `members keygen`: a pair of keys for signing member lists and commands.

use std::path::{Path, PathBuf};

use anyhow::Context;
use serde_json::json;
use zeroize::Zeroizing;

use super::super::Exit;
use crate::disk::{self, Rights};
use crate::domain::sync::{TrustedKey, generate};

/// What was typed after `members keygen`.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Name of the two files without their endings; `platform` makes `platform.key` and `platform.pub`.
    name: PathBuf,
}

/// Runs it.
pub(super) fn run(args: &Args, json: bool) -> anyhow::Result<Exit> {
    let mut random = Zeroizing::new([0; 32]);
    getrandom::fill(&mut *random).context("the system gives no random numbers")?;
    let (secret, public) = generate(&random);
    let file = |ending: &str| {
        let mut name = args.name.as_os_str().to_owned();
        name.push(ending);
        PathBuf::from(name)
    };
    let (secret_file, public_file) = (file(".key"), file(".pub"));
    write(&secret_file, Rights::mode(0o600), secret.as_bytes())?;
    write(&public_file, Rights::mode(0o644), public.as_bytes())?;
    let id = TrustedKey::parse(&public).context("the key that was made")?.id().to_owned();
    if json {
        println!("{}", json!({ "key": id, "secret_file": secret_file, "public_file": public_file }));
    } else {
        println!(
            "Key {id}: {} stays with whoever signs, {} goes to the boxes.",
            secret_file.display(),
            public_file.display()
        );
    }
    Ok(Exit::Ok)
}

/// Never over an older key: lists signed with it could not be made again.
fn write(path: &Path, rights: Rights, bytes: &[u8]) -> anyhow::Result<()> {
    disk::write_new(path, bytes, rights).context("an older key is not overwritten")
}
