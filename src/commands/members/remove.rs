//! `members remove`.

use serde_json::json;

use super::super::Exit;
use super::Place;

/// What was typed after `members remove`.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Names of members; when one of them is not in the list, nobody is removed.
    #[arg(value_name = "MEMBER_REF", required_unless_present = "all")]
    member_refs: Vec<String>,
    /// Empty the list.
    #[arg(long, conflicts_with = "member_refs")]
    all: bool,
}

/// Runs it.
pub(super) fn run(args: Args, place: &Place, json: bool) -> anyhow::Result<Exit> {
    let mut store = place.open()?;
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
