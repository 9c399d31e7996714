//! `members sync status`: which list of the platform is in force, and what is missing.

use clap::Subcommand;
use serde_json::Value;

use super::super::Exit;
use super::Place;
use crate::pipeline::control::{self, Question};

/// What was typed after `members sync`.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Show which list of the platform is in force, what is missing, and what was refused.
    Status,
}

/// Runs it.
pub(super) fn run(args: &Args, place: &Place, json: bool) -> anyhow::Result<Exit> {
    let Action::Status = args.action;
    let socket = &place.config().storage.control_socket;
    let Some(status) = control::question(socket, &Question::Status)? else {
        eprintln!("No service answers on `{}`; start it with `forecourt run`.", socket.display());
        return Ok(Exit::NotRunning);
    };
    let (members, shadow) = (&status["platform"]["members"], &status["recognition"]["shadow"]);
    if json {
        let mut both = members.clone();
        both["shadow"] = shadow.clone();
        println!("{}", serde_json::to_string_pretty(&both)?);
    } else {
        show(members, shadow);
    }
    Ok(Exit::Ok)
}

fn show(members: &Value, shadow: &Value) {
    let (list, wants, refused) = (&members["list"], &members["wants"], &members["refused"]);
    let word = |value: &Value| value.as_str().unwrap_or("-").to_owned();
    if list.is_null() {
        println!("No list of the platform is in force.");
    } else {
        println!(
            "In force: epoch {}, revision {}, {} members, since {}; digest {}",
            word(&list["epoch"]),
            list["rev"],
            list["count"],
            word(&list["applied_at"]),
            word(&list["digest"])
        );
    }
    if members["removed"].as_u64().unwrap_or(0) > 0 {
        println!("Removed on the box since then: {}", members["removed"]);
    }
    if !wants.is_null() {
        println!(
            "Wanted: epoch {}, revision {}; {} of {} chunks are here",
            word(&wants["epoch"]),
            wants["rev"],
            wants["staged"],
            wants["chunks"]
        );
    }
    if !refused.is_null() {
        println!(
            "Last refused, at {}: {} ({}); {} since the start",
            word(&refused["at"]),
            word(&refused["words"]),
            word(&refused["reason"]),
            refused["refused"]
        );
    }
    if shadow["matches"].as_u64().unwrap_or(0) > 0 {
        println!("Shadow list: {} would have been matched since the start", shadow["matches"]);
    }
}
