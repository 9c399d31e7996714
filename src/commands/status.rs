//! `forecourt status`: how the running service is, on one screen.

use comfy_table::{Table, presets};
use serde_json::Value;

use super::Exit;
use crate::cli::Global;
use crate::pipeline::control::{self, Question};

/// What was typed after `status`.
#[derive(Debug, clap::Args)]
pub struct Args {}

/// Runs it.
pub fn run(_: Args, global: &Global) -> anyhow::Result<Exit> {
    let loaded = global.settings()?;
    let socket = loaded.base.join(&loaded.config.storage.control_socket);
    let Some(status) = control::question(&socket, &Question::Status)? else {
        eprintln!("No service answers on `{}`; start it with `forecourt run`.", socket.display());
        return Ok(Exit::NotRunning);
    };
    if global.json {
        println!("{}", serde_json::to_string_pretty(&status)?);
    } else {
        show(&status);
    }
    Ok(Exit::Ok)
}

fn show(status: &Value) {
    let number = |value: &Value| value.as_u64().unwrap_or(0);
    let word = |value: &Value| value.as_str().unwrap_or("-").to_owned();
    let (seen, outbox, mqtt) = (&status["recognition"], &status["outbox"], &status["mqtt"]);
    println!(
        "forecourt {}, up {}",
        word(&status["version"]),
        super::events::length(status["uptime_s"].as_f64().unwrap_or(0.0))
    );
    println!(
        "Members: {} plates listed (revision {}), {} open visits, {} vehicles in the pictures",
        number(&seen["listed_plates"]),
        number(&seen["list_revision"]),
        number(&seen["open_visits"]),
        number(&seen["vehicles"])
    );
    let trouble = &seen["list_trouble"];
    if !trouble.is_null() {
        let what = if trouble["damaged"] == true { "DAMAGED" } else { "out of reach" };
        println!("Member list: {what} since {}: {}", word(&trouble["since"]), word(&trouble["detail"]));
    }
    let waiting: Vec<String> = outbox["waiting"]
        .as_object()
        .into_iter()
        .flatten()
        .map(|(class, each)| format!("{class} {}", number(&each["count"])))
        .collect();
    let waiting = if waiting.is_empty() { "nothing".to_owned() } else { waiting.join(", ") };
    println!("Inference: {}", inference_line(&status["inference"]));
    println!("Outbox: {}, waiting: {waiting}", word(&outbox["condition"]));
    println!("MQTT: {}", mqtt_line(mqtt));
    let health = &status["platform"]["health"];
    if let Some(score) = health["score"].as_u64() {
        let reasons: Vec<String> =
            health["reasons"].as_array().into_iter().flatten().map(|reason| word(&reason["words"])).collect();
        let reasons = if reasons.is_empty() { "nothing is wrong".to_owned() } else { reasons.join("; ") };
        println!("Health: {score} of 100: {reasons}");
    }
    let mut table = Table::new();
    table.load_style(presets::UTF8_HORIZONTAL_ONLY);
    table.set_header(["camera", "state", "picture", "size", "fps", "dropped", "reconnects/h", "last error"]);
    for camera in status["cameras"].as_array().into_iter().flatten() {
        table.add_row([
            word(&camera["id"]),
            word(&camera["state"]),
            word(&camera["picture"]),
            format!("{}x{}", number(&camera["width"]), number(&camera["height"])),
            format!("{:.1}", camera["camera_fps"].as_f64().unwrap_or(0.0)),
            number(&camera["dropped"]).to_string(),
            number(&camera["reconnects_last_hour"]).to_string(),
            word(&camera["last_error"]),
        ]);
    }
    println!("{table}");
}

/// `xnnpack, cpu`, and what was asked for and is not in use.
fn inference_line(inference: &Value) -> String {
    let words = |value: &Value| value.as_str().unwrap_or("-").to_owned();
    let list = |key: &str| inference[key].as_array().cloned().unwrap_or_default();
    let used: Vec<String> = list("providers").iter().map(words).collect();
    let used = if used.is_empty() { "no network was loaded".to_owned() } else { used.join(", ") };
    let left_out = list("left_out")
        .iter()
        .map(|each| format!("{} ({})", words(&each["provider"]), words(&each["why"])))
        .collect::<Vec<_>>();
    if left_out.is_empty() { used } else { format!("{used}; LEFT OUT: {}", left_out.join(", ")) }
}

fn mqtt_line(mqtt: &Value) -> String {
    let pairs = mqtt.as_object().into_iter().flatten().filter(|(_, value)| !value.is_null());
    let text = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    pairs.map(|(key, value)| format!("{} {}", key.replace('_', " "), text(value))).collect::<Vec<_>>().join(", ")
}
