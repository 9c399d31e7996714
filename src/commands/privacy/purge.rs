//! `privacy purge`: what has run out goes now, not at the next housekeeping of the service.

use jiff::Timestamp;
use serde_json::json;

use super::super::Exit;
use super::Place;
use crate::clock::{Boot, Clock};
use crate::domain::time::TimeQuality;
use crate::pipeline::control::{self, Question};
use crate::pipeline::rules::compose_drops;
use crate::store::spool::{self, Limits, Spool};

/// What was typed after `privacy purge`.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Also destroy the face templates that no key here can open.
    #[arg(long)]
    unreadable: bool,
}

/// Runs it.
pub(super) fn run(args: &Args, place: &Place, json: bool) -> anyhow::Result<Exit> {
    let (now, privacy) = (Timestamp::now(), &place.config().privacy);
    let mut store = place.open()?;
    let expired = store.purge_expired(now, privacy.keep_expired)?;
    let set_aside = store.forget_set_aside(now, privacy.keep_expired);
    let unreadable = if args.unreadable { store.purge_unreadable(&place.keys()?)? } else { 0 };
    let records = now.checked_sub(privacy.keep_audit).map_or(Ok(0), |before| store.trim_audit(before))?;
    let emptied = store.empty_log();
    let visits = visits(place, now)?;
    if json {
        let done = json!({ "members": expired, "unreadable": unreadable, "audit_records": records,
                           "set_aside": set_aside,
                           "log_emptied": emptied, "visits": visits });
        println!("{done}");
        return Ok(Exit::Ok);
    }
    println!("{expired} members removed whose validity or lease had ended.");
    if args.unreadable {
        println!("Templates of {unreadable} members destroyed that no key here could open.");
    }
    println!("{records} audit records left the log.");
    if set_aside > 0 {
        println!("{set_aside} files of damaged lists removed that were set aside long ago.");
    }
    println!("Visits: {visits}.");
    if !emptied {
        println!("The log of the database is still being read; what was removed leaves it with the next change.");
    }
    Ok(Exit::Ok)
}

/// The running service owns the visits and forgets old ones by itself; without one it is done here.
fn visits(place: &Place, now: Timestamp) -> anyhow::Result<&'static str> {
    let socket = place.loaded.base.join(&place.config().storage.control_socket);
    if control::question(&socket, &Question::Visits { limit: 1 })?.is_some() {
        return Ok("the running service forgets old ones every ten minutes");
    }
    if !place.folder().join(spool::FILE_NAME).exists() {
        return Ok("none are stored");
    }
    let compose = compose_drops(place.config(), Clock::system(), Boot::system());
    let mut spool = Spool::open(&place.folder(), Limits::from(&place.config().outbox), compose)?;
    // Whoever types the command vouches for the clock.
    spool.maintain(now, TimeQuality::Holdover)?;
    Ok("old ones are forgotten")
}
