//! `forecourt events`: what the platform is told, as it happens and as it waits.

use std::io::Write;

use clap::Subcommand;
use comfy_table::{Table, presets};
use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde_json::Value;

use super::Exit;
use crate::cli::Global;
use crate::config::Loaded;
use crate::pipeline::control::{self, Answer, Question};
use crate::store::spool::View;

/// What was typed after `events`.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Follow the running service's events as they are accepted.
    Tail,
    /// Show the events that wait for the broker.
    Outbox {
        /// Most events shown, dearest class first.
        #[arg(long, default_value_t = 50)]
        limit: usize,
    },
    /// Show one waiting event whole.
    Explain {
        /// The event's `id`.
        id: String,
    },
}

/// Runs it.
pub fn run(args: Args, global: &Global) -> anyhow::Result<Exit> {
    let loaded = global.settings()?;
    let socket = loaded.base.join(&loaded.config.storage.control_socket);
    match args.action {
        Action::Tail => tail(&socket, global.json),
        Action::Outbox { limit } => {
            let answer = match control::question(&socket, &Question::Outbox { limit })? {
                Some(answer) => answer,
                None => {
                    let rows = limit.min(control::MOST_ROWS);
                    offline(&loaded, |spool| control::outbox(spool.queued(rows), spool.epoch()))?
                }
            };
            outbox(&answer, global.json)
        }
        Action::Explain { id } => {
            let answer = match control::question(&socket, &Question::Explain { id: id.clone() })? {
                Some(answer) => answer,
                None => offline(&loaded, |spool| control::explain(&id, |seq| spool.event(seq)))?,
            };
            if answer.is_null() {
                eprintln!("No event `{id}` waits in the outbox; it was delivered, dropped, or never existed.");
                return Ok(Exit::NotFound);
            }
            println!("{}", serde_json::to_string_pretty(&answer)?);
            Ok(Exit::Ok)
        }
    }
}

fn tail(socket: &std::path::Path, json: bool) -> anyhow::Result<Exit> {
    let Some(events) = control::follow(socket)? else {
        eprintln!("No service answers on `{}`; start it with `forecourt run`.", socket.display());
        return Ok(Exit::NotRunning);
    };
    let mut out = super::closed::stdout();
    for event in events {
        let event = event?;
        if json {
            writeln!(out, "{event}")?;
        } else {
            writeln!(out, "{}", line(event.as_bytes()))?;
        }
        out.flush()?;
    }
    Ok(Exit::Ok)
}

fn outbox(events: &Value, json: bool) -> anyhow::Result<Exit> {
    if json {
        println!("{}", serde_json::to_string_pretty(events)?);
        return Ok(Exit::Ok);
    }
    let mut table = Table::new();
    table.load_style(presets::UTF8_HORIZONTAL_ONLY);
    table.set_header(["id", "class", "kind", "happened", "bytes"]);
    for event in events.as_array().into_iter().flatten() {
        let word = |key: &str| event[key].as_str().unwrap_or("-").to_owned();
        let bytes = event["bytes"].to_string();
        table.add_row([word("id"), word("class"), word("kind"), local(&event["happened_at"]), bytes]);
    }
    println!("{table}");
    Ok(Exit::Ok)
}

/// Looks into the spool itself while no service runs that owns it; nothing is made or mended.
pub(super) fn offline(loaded: &Loaded, ask: impl FnOnce(&View) -> Answer) -> anyhow::Result<Value> {
    let folder = loaded.base.join(&loaded.config.storage.folder);
    if !folder.join(crate::store::spool::FILE_NAME).exists() {
        return Err(super::not_running(format!(
            "no spool in `{}` (`storage.folder`), and no service runs; name the settings with `--config`",
            folder.display()
        )));
    }
    ask(&View::open(&folder)?).map_err(|words| anyhow::anyhow!(words))
}

/// A time of JSON as this machine's zone tells it.
pub(super) fn local(time: &Value) -> String {
    let time = time.as_str().and_then(|text| text.parse::<Timestamp>().ok());
    time.map_or_else(|| "-".to_owned(), |at| at.to_zoned(TimeZone::system()).strftime("%Y-%m-%d %H:%M:%S").to_string())
}

/// One event in one line: time, what, who, where.
pub fn line(payload: &[u8]) -> String {
    let Ok(event) = serde_json::from_slice::<Value>(payload) else {
        return String::from_utf8_lossy(payload).into_owned();
    };
    let data = &event["data"];
    let kind = event["type"].as_str().unwrap_or("").rsplit('.').next().unwrap_or("").to_owned();
    let time = event["time"].as_str().and_then(|text| text.parse::<Timestamp>().ok());
    let time = time.map_or_else(|| "-".to_owned(), |time| time.strftime("%Y-%m-%d %H:%M:%S").to_string());
    let late = if event["late"] == Value::Bool(true) { " (late)" } else { "" };
    format!("{time}  {kind:<15} {}{late}", about(&kind, data))
}

fn about(kind: &str, data: &Value) -> String {
    let word = |key: &str| data[key].as_str().unwrap_or("-");
    let tier = data["tier"].as_str().map_or_else(String::new, |tier| format!(" ({tier})"));
    let who = format!("{}{tier}", word("member_ref"));
    match kind {
        "arrival" => format!(
            "{who} at {}, confidence {:.2}: {}",
            word("camera"),
            data["confidence"].as_f64().unwrap_or(0.0),
            data["evidence"]["why"].as_str().unwrap_or("-")
        ),
        "dwell" => {
            let zone = data["zone"]["id"].as_str().unwrap_or("-");
            let product = data["zone"]["product"].as_str().map_or_else(String::new, |name| format!(", {name}"));
            let ended = if data["ended"] == Value::Bool(true) { "ended" } else { "so far" };
            format!("{who} in {zone}{product}: {} {ended}", span(&data["seconds_min"], &data["seconds_max"]))
        }
        "departure" => {
            let seconds = data["seconds"].as_f64().map_or_else(|| "-".to_owned(), length);
            format!("{who} after {seconds}, {}", word("closed_by"))
        }
        "exit-expression" => {
            format!("{who} left at {}: {}, {} frames", word("camera"), word("expression"), data["frames"])
        }
        "stranger-count" => {
            let told =
                |key: &str| data[key].as_u64().map_or_else(|| "fewer than 5".to_owned(), |count| count.to_string());
            format!("{}: {} vehicles, {} people", word("camera"), told("vehicles"), told("people"))
        }
        "outbox-dropped" => format!(
            "{} events of class {} from {} to {}, {}",
            data["count"],
            word("class"),
            word("first_sequence"),
            word("last_sequence"),
            word("reason")
        ),
        "device-camera" => {
            let reason = data["reason"].as_str().map_or_else(String::new, |reason| format!(", {reason}"));
            format!("{} is {}{reason}", word("camera"), word("state"))
        }
        "health" => {
            let reasons = data["reasons"].as_array().into_iter().flatten();
            let words: Vec<&str> = reasons.filter_map(|reason| reason["words"].as_str()).collect();
            let words = if words.is_empty() { "nothing is wrong".to_owned() } else { words.join("; ") };
            format!("{} of 100: {words}", data["score"])
        }
        _ => data.to_string(),
    }
}

fn span(least: &Value, most: &Value) -> String {
    let (least, most) = (least.as_f64().unwrap_or(0.0), most.as_f64().unwrap_or(0.0));
    if most - least < 1.0 { length(least) } else { format!("{} to {}", length(least), length(most)) }
}

/// `8 s`, `7 min 5 s`, `2 h 3 min`.
pub(super) fn length(seconds: f64) -> String {
    let whole = seconds.round() as u64;
    match (whole / 3600, whole / 60 % 60, whole % 60) {
        (0, 0, s) => format!("{s} s"),
        (0, m, 0) => format!("{m} min"),
        (0, m, s) => format!("{m} min {s} s"),
        (h, m, _) => format!("{h} h {m} min"),
    }
}
