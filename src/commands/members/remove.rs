//! `members remove`.

use serde_json::json;

use super::super::Exit;
use super::Place;
use crate::store::members::MemberStore;

/// What was typed after `members remove`.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Names of members; when one of them is not in the list, nobody is removed.
    #[arg(value_name = "MEMBER_REF", required_unless_present = "all")]
    member_refs: Vec<String>,
    /// Destroy only their face templates; they stay in the list.
    #[arg(long, conflicts_with = "all")]
    faces: bool,
    /// Empty the list.
    #[arg(long, conflicts_with = "member_refs")]
    all: bool,
}

/// Runs it.
pub(super) fn run(args: Args, place: &Place, json: bool) -> anyhow::Result<Exit> {
    let mut store = place.open()?;
    if args.faces {
        return faces(&mut store, &args.member_refs, json);
    }
    let outcome = if args.all { Ok(store.remove_all()?) } else { store.remove(&args.member_refs)? };
    match outcome {
        Ok(removed) => {
            let total = store.counts()?.members;
            if json {
                println!("{}", json!({ "removed": removed, "total": total }));
            } else {
                println!("{removed} removed; now {total} members.");
            }
            Ok(Exit::Ok)
        }
        Err(missing) => {
            if json {
                println!("{}", json!({ "removed": 0, "not_found": missing }));
            }
            eprintln!("not in the list: {}; nobody was removed", missing.join(", "));
            Ok(Exit::NotFound)
        }
    }
}

/// The templates of members, one after the other; whoever is not in the list is told.
fn faces(store: &mut MemberStore, member_refs: &[String], json: bool) -> anyhow::Result<Exit> {
    let (mut removed, mut missing) = (0, Vec::new());
    for member_ref in member_refs {
        match store.remove_faces(member_ref)? {
            Some(templates) => removed += templates,
            None => missing.push(member_ref.as_str()),
        }
    }
    if json {
        println!("{}", json!({ "templates": removed, "not_found": missing }));
    } else {
        println!("{removed} face templates destroyed.");
    }
    if missing.is_empty() {
        return Ok(Exit::Ok);
    }
    eprintln!("not in the list: {}", missing.join(", "));
    Ok(Exit::NotFound)
}
