//! `forecourt visits`: who is here, and who was.

use comfy_table::{Table, presets};
use serde_json::Value;

use super::Exit;
use super::events::{length, local};
use crate::cli::Global;
use crate::pipeline::control::{self, Question};

/// What was typed after `visits`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Most visits shown, newest first.
    #[arg(long, default_value_t = 20)]
    limit: usize,
}

/// Runs it.
pub fn run(args: Args, global: &Global) -> anyhow::Result<Exit> {
    let loaded = global.settings()?;
    let socket = loaded.base.join(&loaded.config.storage.control_socket);
    let visits = match control::question(&socket, &Question::Visits { limit: args.limit })? {
        Some(visits) => visits,
        None => {
            let rows = args.limit.min(control::MOST_ROWS);
            super::events::offline(&loaded, |spool| control::visits(spool.visits(rows)))?
        }
    };
    if global.json {
        println!("{}", serde_json::to_string_pretty(&visits)?);
        return Ok(Exit::Ok);
    }
    let mut table = Table::new();
    table.load_style(presets::UTF8_HORIZONTAL_ONLY);
    table.set_header(["visit", "member", "arrived", "left", "stayed", "ended by"]);
    for visit in visits.as_array().into_iter().flatten() {
        let word = |value: &Value| value.as_str().unwrap_or("-").to_owned();
        let departure = &visit["departure"];
        table.add_row([
            word(&visit["visit_id"]),
            word(&visit["member_ref"]),
            local(&visit["opened_at"]),
            local(&visit["closed_at"]),
            departure["seconds"].as_f64().map_or_else(|| "still here".to_owned(), length),
            word(&departure["closed_by"]),
        ]);
    }
    println!("{table}");
    Ok(Exit::Ok)
}
