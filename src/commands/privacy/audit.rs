//! `privacy audit`: look at the log, and check that nobody changed it.

use anyhow::Context;
use clap::Subcommand;
use serde_json::Value;

use super::super::Exit;
use super::super::members::table;
use super::Place;
use crate::store::members::{AuditFault, Record, Verified};

/// What was typed after `privacy audit`.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Show the newest records, the oldest of them first.
    List {
        /// At most so many.
        #[arg(long, default_value_t = 50)]
        last: u64,
        /// Only those of this member, also when he was removed.
        #[arg(long, value_name = "MEMBER_REF")]
        member: Option<String>,
    },
    /// Recompute every hash; finds a record that was changed, removed or moved. Exit code 1 when it does.
    Verify {
        /// A record that an earlier check printed and somebody kept, such as `17:9f86d0…`.
        #[arg(long, value_name = "NUMBER:HASH")]
        expect: Option<String>,
    },
}

/// Runs it.
pub(super) fn run(args: Args, place: &Place, json: bool) -> anyhow::Result<Exit> {
    match args.action {
        Action::List { last, member } => list(place, last, member.as_deref(), json),
        Action::Verify { expect } => verify(place, expect.as_deref(), json),
    }
}

fn list(place: &Place, last: u64, member: Option<&str>, json: bool) -> anyhow::Result<Exit> {
    let store = place.open()?;
    let records = match member {
        Some(member) => store.audit_of(member, last)?,
        None => store.audit(last)?,
    };
    if json {
        for record in &records {
            println!("{}", serde_json::to_string(record)?);
        }
    } else {
        println!("{}", shown(&records));
    }
    Ok(if records.is_empty() { Exit::NotFound } else { Exit::Ok })
}

fn shown(records: &[Record]) -> String {
    let mut table = table(&["number", "when", "who", "what", "to whom", "more"]);
    for record in records {
        let more: Vec<String> = match &record.detail {
            Value::Object(fields) => fields.iter().map(|(name, value)| format!("{name} {}", plain(value))).collect(),
            other => vec![other.to_string()],
        };
        table.add_row([
            &record.seq.to_string(),
            &record.at,
            &record.actor,
            &record.action,
            &record.subject,
            &more.join(", "),
        ]);
    }
    table.to_string()
}

fn plain(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

fn verify(place: &Place, expect: Option<&str>, json: bool) -> anyhow::Result<Exit> {
    let kept = expect.map(kept).transpose()?;
    let outcome = place.open()?.verify_audit(kept)?;
    if json {
        println!("{}", serde_json::to_string_pretty(&outcome)?);
    } else {
        tell(&outcome);
    }
    Ok(if outcome.fault.is_none() { Exit::Ok } else { Exit::Failed })
}

fn kept(text: &str) -> anyhow::Result<(u64, &str)> {
    let parts = text.split_once(':').and_then(|(number, hash)| Some((number.parse().ok()?, hash.trim())));
    parts.filter(|(_, hash)| hash.len() == 64).with_context(|| {
        format!("`{text}` is no number and hash; write them as `privacy audit verify` printed them, such as 17:9f86…")
    })
}

fn tell(outcome: &Verified) {
    match &outcome.fault {
        None => println!("Sound: {} records, {} to {}.", outcome.records, outcome.first, outcome.last),
        Some(fault) => println!("BROKEN: {}.", words(fault)),
    }
    if outcome.last > 0 {
        println!("Newest: {}:{}", outcome.last, outcome.head);
        println!(
            "Keep that line elsewhere; `--expect` compares with it, which also finds a log that was written anew."
        );
    }
}

fn words(fault: &AuditFault) -> String {
    match fault {
        AuditFault::Changed { seq } => format!("record {seq} was changed after it was written, or moved"),
        AuditFault::Missing { from, to } if from == to => format!("record {from} is missing"),
        AuditFault::Missing { from, to } => format!("records {from} to {to} are missing"),
        AuditFault::NotTheOneKept { seq } => {
            format!("record {seq} is not the one that was kept: the log was written anew")
        }
    }
}
