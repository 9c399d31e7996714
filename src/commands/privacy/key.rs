//! `privacy new-key` and `privacy rekey`.

use std::path::{Path, PathBuf};

use anyhow::Context;
use indicatif::ProgressBar;
use serde_json::json;

use super::super::Exit;
use super::Place;
use crate::store::keys::{Custody, KeyRing};
use crate::store::members::Rewrapped;

/// What was typed after `privacy new-key`.
#[derive(Debug, clap::Args)]
pub(super) struct NewArgs {
    /// The file, which must not be there yet; `-` writes to standard output, for `systemd-creds encrypt`.
    file: PathBuf,
}

/// What was typed after `privacy rekey`.
#[derive(Debug, clap::Args)]
pub(super) struct RekeyArgs {
    /// File of the new key, made when it is not there; needed when the key is a credential, which cannot be written.
    #[arg(long, value_name = "FILE")]
    to: Option<PathBuf>,
}

/// Runs `privacy new-key`.
pub(super) fn new(args: &NewArgs, json: bool) -> anyhow::Result<Exit> {
    if args.file == Path::new("-") {
        let (_, text) = KeyRing::generate()?;
        print!("{}", *text);
        return Ok(Exit::Ok);
    }
    let name = KeyRing::make(&args.file)?;
    if json {
        println!("{}", json!({ "key": name, "file": args.file }));
    } else {
        println!(
            "Key {name} written to {}. Keep a copy where no box is: without it the templates are lost.",
            args.file.display()
        );
    }
    Ok(Exit::Ok)
}

/// Runs `privacy rekey`; a run that was broken off is taken up where it ended.
pub(super) fn rekey(args: &RekeyArgs, place: &Place, json: bool) -> anyhow::Result<Exit> {
    let mut store = place.open()?;
    let former = place.keys()?;
    let mut ring = match &args.to {
        Some(file) => {
            if !file.exists() {
                KeyRing::make(file)?;
            }
            KeyRing::of_file(file, Custody::SameDisk)?.before(&former)
        }
        None => {
            anyhow::ensure!(
                former.custody() != Custody::Credential,
                "the device key is a credential of systemd, which cannot be written; name the file of the new one with \
                 `--to FILE`, then encrypt it in the place of the former"
            );
            let mut ring = former;
            ring.begin_change()?;
            ring
        }
    };
    let bar = ProgressBar::new(0);
    let done = store.rewrap(&ring, &mut |done, all| {
        bar.set_length(all);
        bar.set_position(done);
    });
    bar.finish_and_clear();
    let done = done.context("the device key was not changed for everybody; run the same command again")?;
    if done.locked == 0 && args.to.is_none() {
        ring.finish_change()?;
    }
    tell(args, &ring, done, json)
}

fn tell(args: &RekeyArgs, ring: &KeyRing, done: Rewrapped, json: bool) -> anyhow::Result<Exit> {
    if json {
        println!("{}", json!({ "key": ring.name(), "members": done }));
    } else {
        println!("{} members are sealed with the key {} now.", done.changed + done.before, ring.name());
    }
    if done.locked > 0 {
        eprintln!(
            "[FC-KEY-005] {} members are sealed with a key that is not here and were left as they are; add that key to \
             `{}` as a further line and run this again, or remove them with `forecourt privacy purge --unreadable`",
            done.locked,
            ring.path().display()
        );
        return Ok(Exit::Refused);
    }
    if let Some(file) = &args.to {
        eprintln!(
            "Now put `{}` in the place of the former key; until then the service cannot read the templates.",
            file.display()
        );
    }
    Ok(Exit::Ok)
}
