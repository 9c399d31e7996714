//! `forecourt provision reset`.

use std::path::PathBuf;

use anyhow::Context;

use super::super::Exit;
use super::{Here, is_this_machine};
use crate::cli::Global;
use crate::pipeline::control::{self, Question};
use crate::provision::named::Named;
use crate::provision::reset;

/// What was typed after `provision reset`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The serial number of this box, typed out: everything on it is destroyed.
    #[arg(long, value_name = "SERIAL")]
    destroy: String,
    /// Where the proof is written; not below the folders that are emptied.
    #[arg(long, value_name = "FILE")]
    proof: PathBuf,
}

/// Destroys keys and data; exit code 1 when something is left.
pub fn run(args: &Args, here: &Here, global: &Global) -> anyhow::Result<Exit> {
    if args.destroy != here.serial {
        eprintln!("This box is `{}`; nothing was destroyed.", here.serial);
        return Ok(Exit::Refused);
    }
    if is_this_machine(&here.places) && runs(global) {
        eprintln!("The service runs; stop it first: systemctl stop forecourt. Nothing was destroyed.");
        return Ok(Exit::Refused);
    }
    // Before anything is gone: can the proof be written at all?
    let words = || format!("cannot write the proof to `{}`; nothing was destroyed", args.proof.display());
    std::fs::write(&args.proof, "").with_context(words)?;
    // Read before the settings go.
    let named = Named::of(&here.places, global.config.as_deref());
    let proof = reset::destroy(&here.places, &here.serial, &named);
    std::fs::write(&args.proof, serde_json::to_string_pretty(&proof)? + "\n").with_context(|| {
        format!("everything is destroyed, but the proof cannot be written to `{}`", args.proof.display())
    })?;
    std::fs::File::open(&args.proof)?.sync_all()?;
    eprintln!("Destroyed: {} keys, {} other files.", proof.keys.len(), proof.files);
    for left in &proof.left {
        eprintln!("LEFT: {left}");
    }
    Ok(if proof.left.is_empty() { Exit::Ok } else { Exit::Failed })
}

fn runs(global: &Global) -> bool {
    let Ok(loaded) = global.settings() else { return false };
    let socket = loaded.base.join(&loaded.config.storage.control_socket);
    control::question(&socket, &Question::Status).is_ok_and(|answer| answer.is_some())
}
