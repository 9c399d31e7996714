//! `provision confirm-signage`: the gate of face mode.

use std::os::unix::fs::MetadataExt;
use std::path::Path;

use nix::unistd::{Gid, Uid};
use serde_json::json;

use super::super::Exit;
use crate::cli::Global;
use crate::disk;
use crate::provision::Places;
use crate::store::members::{FILE_NAME, MemberStore};

/// What was typed after `provision confirm-signage`.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Name of the dated photo that shows the signs, as the platform keeps it.
    #[arg(long, value_name = "ID", required_unless_present = "withdraw", value_parser = photo_id)]
    photo_id: Option<String>,
    /// Who confirms it; without it the user who types the command.
    #[arg(long, value_name = "NAME")]
    by: Option<String>,
    /// Take the confirmation back: the box moves, or the signs are gone.
    #[arg(long, conflicts_with_all = ["photo_id", "by"])]
    withdraw: bool,
}

/// A short word, so that nobody pastes a picture or a sentence.
fn photo_id(text: &str) -> Result<String, String> {
    let allowed = |c: char| c.is_ascii_alphanumeric() || "-_.:/".contains(c);
    if (1..=128).contains(&text.len()) && text.chars().all(allowed) {
        Ok(text.to_owned())
    } else {
        Err("use 1 to 128 letters, digits, `-`, `_`, `.`, `:` and `/`".to_owned())
    }
}

/// Runs it.
pub(super) fn run(args: Args, places: &Places, global: &Global) -> anyhow::Result<Exit> {
    let loaded = super::settings(places, global)?;
    let file = places.at(&loaded.config.storage.folder).join(FILE_NAME);
    become_owner(disk::folder_of(&file))?;
    let mut store = MemberStore::open(&file)?;
    if args.withdraw {
        let was = store.withdraw_signage()?;
        match (global.json, was) {
            (true, _) => println!("{}", json!({ "withdrawn": was })),
            (false, true) => println!("Taken back: no face is read any more."),
            (false, false) => println!("The signs were not confirmed."),
        }
        return Ok(if was { Exit::Ok } else { Exit::NotFound });
    }
    let by = args.by.unwrap_or_else(|| store.actor().to_owned());
    store.confirm_signage(args.photo_id.as_deref().unwrap_or_default(), &by)?;
    let signage = store.signage_confirmed()?;
    if global.json {
        println!("{}", json!({ "signage": signage }));
    } else {
        println!("Confirmed by {by}. Faces are read at the cameras whose `read` names them.");
    }
    Ok(Exit::Ok)
}

/// The photo of the confirmation; `None` when there is none.
pub(super) fn confirmed(folder: &Path) -> anyhow::Result<Option<String>> {
    let file = folder.join(FILE_NAME);
    // Looking must not make a list, least of all one that belongs to root.
    if !file.exists() {
        return Ok(None);
    }
    Ok(MemberStore::open(&file)?.signage_confirmed()?.map(|signage| signage.photo_id))
}

/// As root: becomes the user whose folder it is, so that the service can go on writing what is made there.
fn become_owner(folder: &Path) -> anyhow::Result<()> {
    if let Ok(about) = std::fs::metadata(folder)
        && nix::unistd::geteuid().is_root()
        && about.uid() != 0
    {
        nix::unistd::setegid(Gid::from_raw(about.gid()))?;
        nix::unistd::seteuid(Uid::from_raw(about.uid()))?;
    }
    Ok(())
}
