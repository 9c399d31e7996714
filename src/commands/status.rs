//! `forecourt status`: how the running service is, on one screen.

use comfy_table::{Table, presets};
use jiff::Timestamp;
use serde_json::Value;

use super::Exit;
use crate::cli::Global;
use crate::mqtt::{self, ConnectionState, Refusal, Subscription};
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
    if let Some(words) = seen["faces_trouble"].as_str() {
        let state = if seen["faces_allowed"] == true { "not all matched" } else { "OFF" };
        println!("Faces: {state}: {words}");
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
    if let Ok(mqtt) = serde_json::from_value::<mqtt::Status>(mqtt.clone()) {
        println!("MQTT: {}", mqtt_lines(&mqtt, Timestamp::now()).join("\n      "));
    }
    let health = &status["platform"]["health"];
    if let Some(score) = health["score"].as_u64() {
        let reasons: Vec<String> =
            health["reasons"].as_array().into_iter().flatten().map(|reason| word(&reason["words"])).collect();
        let reasons = if reasons.is_empty() { "nothing is wrong".to_owned() } else { reasons.join("; ") };
        println!("Health: {score} of 100: {reasons}");
    }
    let rolled_back = &status["platform"]["changes"]["rolled_back"];
    if !rolled_back.is_null() {
        println!(
            "Taken back: the change of command `{}`: {}",
            word(&rolled_back["command"]),
            word(&rolled_back["why"])
        );
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

/// To which broker, since when, what went through, and what went wrong last.
fn mqtt_lines(mqtt: &mqtt::Status, now: Timestamp) -> Vec<String> {
    let ago = |at: Timestamp| super::events::length(now.duration_since(at).as_secs_f64().max(0.0));
    let broker = if mqtt.broker.is_empty() { "a broker" } else { &mqtt.broker };
    let state = match mqtt.state {
        ConnectionState::Unset => return vec!["no broker is set (mqtt.url); events wait in the outbox".to_owned()],
        ConnectionState::Connected => format!("connected to {broker} for {}", ago(mqtt.since)),
        ConnectionState::Connecting => format!("connecting to {broker} for {}", ago(mqtt.since)),
        ConnectionState::Waiting => format!("NOT CONNECTED for {}, {broker} is tried again", ago(mqtt.since)),
        ConnectionState::Stopped => "stopped".to_owned(),
    };
    let mut parts = vec![state, format!("{} events delivered", mqtt.acked)];
    parts.extend(mqtt.last_acked_at.map(|at| format!("the last {} ago", ago(at))));
    parts.extend((mqtt.in_flight > 0).then(|| format!("{} under way", mqtt.in_flight)));
    parts.extend((mqtt.reconnects > 0).then(|| format!("{} connections lost", mqtt.reconnects)));
    parts.extend(match mqtt.subscription {
        Subscription::Refused => Some("commands and lists: REFUSED by the broker".to_owned()),
        Subscription::Asked => Some("commands and lists: asked for".to_owned()),
        Subscription::Confirmed | Subscription::None => None,
    });
    let mut lines = vec![parts.join(", ")];
    let kind = |kind: &Refusal| serde_json::to_value(kind).ok().and_then(|word| Some(word.as_str()?.to_owned()));
    let refusals = mqtt.refusals.iter().map(|(each, count)| format!("{} {count}", kind(each).unwrap_or_default()));
    let refusals: Vec<String> = refusals.collect();
    lines.extend((!refusals.is_empty()).then(|| format!("refused by the broker: {}", refusals.join(", "))));
    let last = mqtt.last_error.as_ref().map(|words| match mqtt.last_error_at {
        Some(at) => format!("last trouble, {} ago: {words}", ago(at)),
        None => format!("last trouble: {words}"),
    });
    lines.extend(last);
    lines
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn lines(more: Value) -> Vec<String> {
        let mut status = json!({
            "state": "connected", "since": "2026-03-01T08:00:00Z", "broker": "broker.example:8883", "subscription": "confirmed",
            "last_error": null, "last_error_at": null, "session": 1_000_001, "in_flight": 0, "acked": 12, "refused": 0,
            "refusals": {}, "received": 3, "reconnects": 0, "last_acked_at": "2026-03-01T08:59:55Z",
        });
        status.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        let status: mqtt::Status = serde_json::from_value(status).unwrap();
        mqtt_lines(&status, "2026-03-01T09:00:00Z".parse().unwrap())
    }

    #[test]
    fn the_connection_is_told_in_words() {
        let good = lines(json!({}));
        assert_eq!(good, ["connected to broker.example:8883 for 1 h 0 min, 12 events delivered, the last 5 s ago"]);
        let bad = lines(json!({
            "state": "waiting", "since": "2026-03-01T08:59:00Z", "reconnects": 2, "last_error": "the broker closed the line",
            "last_error_at": "2026-03-01T08:59:00Z", "last_acked_at": null, "acked": 0, "subscription": "none",
        }));
        let wanted =
            "NOT CONNECTED for 1 min, broker.example:8883 is tried again, 0 events delivered, 2 connections lost";
        assert_eq!(bad, [wanted, "last trouble, 1 min ago: the broker closed the line"]);
        assert!(lines(json!({ "state": "unset" }))[0].contains("mqtt.url"));
        assert!(lines(json!({ "subscription": "refused" }))[0].contains("REFUSED"));
    }
}
