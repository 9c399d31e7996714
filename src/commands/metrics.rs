//! `forecourt metrics`: Prometheus text, for the textfile collector of the node exporter.
//!
//! `forecourt metrics > FILE.part && mv FILE.part FILE.prom`, from a timer. No port is open.

use std::fmt::Write;

use serde_json::Value;

use super::Exit;
use crate::cli::Global;
use crate::pipeline::control::{self, Question};

/// What was typed after `metrics`.
#[derive(Debug, clap::Args)]
pub struct Args {}

/// Runs it.
pub fn run(_: Args, global: &Global) -> anyhow::Result<Exit> {
    let loaded = global.settings()?;
    let socket = loaded.base.join(&loaded.config.storage.control_socket);
    match control::question(&socket, &Question::Status)? {
        Some(status) => {
            print!("{}", text(&status));
            Ok(Exit::Ok)
        }
        None => {
            // An absent service is what an alarm waits for.
            println!("# HELP forecourt_up 1 while the service answers.\n# TYPE forecourt_up gauge\nforecourt_up 0");
            Ok(Exit::NotRunning)
        }
    }
}

/// Collects metrics in the order of their names.
#[derive(Default)]
struct Page(String);

impl Page {
    fn metric(&mut self, name: &str, kind: &str, help: &str, values: &[(String, Option<f64>)]) {
        if values.iter().all(|(_, value)| value.is_none()) {
            return;
        }
        let _ = writeln!(self.0, "# HELP forecourt_{name} {help}\n# TYPE forecourt_{name} {kind}");
        for (labels, value) in values {
            if let Some(value) = value {
                let _ = writeln!(self.0, "forecourt_{name}{labels} {value}");
            }
        }
    }

    fn one(&mut self, name: &str, kind: &str, help: &str, value: Option<f64>) {
        self.metric(name, kind, help, &[(String::new(), value)]);
    }
}

fn label(name: &str, value: &str) -> String {
    let escaped = value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n");
    format!("{{{name}=\"{escaped}\"}}")
}

fn text(status: &Value) -> String {
    let mut page = Page::default();
    let health = &status["platform"]["health"];
    let number = |value: &Value| value.as_f64();
    page.one("up", "gauge", "1 while the service answers.", Some(1.0));
    page.one("health_score", "gauge", "100: nothing is wrong.", number(&health["score"]));
    page.one("uptime_seconds", "gauge", "Since the service started.", number(&status["uptime_s"]));
    cameras(&mut page, status);
    let inference = &health["inference"];
    let times = [("0.5", "p50_ms"), ("0.95", "p95_ms")]
        .map(|(quantile, field)| (label("quantile", quantile), number(&inference[field]).map(|ms| ms / 1000.0)));
    page.metric("inference_seconds", "gauge", "Time of a frame, over the last frames.", &times);
    page.one("inference_frames_total", "counter", "Frames that were looked at.", number(&inference["frames"]));
    let given_up = number(&health["governor"]["given_up"]);
    page.one("governor_frames_total", "counter", "Frames given up under heat, load or want of memory.", given_up);
    let share = number(&health["governor"]["share_percent"]).map(|percent| percent / 100.0);
    page.one("governor_share", "gauge", "Share of the frames that is looked at.", share);
    let waiting = status["outbox"]["waiting"].as_object();
    let classes: Vec<_> = ["P0", "P1", "P2", "P3"]
        .map(|class| {
            (label("class", class), Some(waiting.and_then(|all| all.get(class)?["count"].as_f64()).unwrap_or(0.0)))
        })
        .into();
    page.metric("outbox_events", "gauge", "Events that wait for the broker.", &classes);
    page.one("outbox_oldest_seconds", "gauge", "Age of the oldest of them.", number(&health["outbox"]["oldest_s"]));
    let ok = status["outbox"]["condition"].as_str().map(|word| f64::from(u8::from(word == "ok")));
    page.one("outbox_ok", "gauge", "1 while events can be written.", ok);
    let mqtt = &status["mqtt"];
    let connected = mqtt["state"].as_str().map(|word| f64::from(u8::from(word == "connected")));
    page.one("mqtt_connected", "gauge", "1 while the broker is there.", connected);
    for (name, help) in [
        ("acked", "Events that the broker has taken over."),
        ("refused", "Events that the broker would not have."),
        ("reconnects", "Connections that were lost."),
    ] {
        page.one(&format!("mqtt_{name}_total"), "counter", help, number(&mqtt[name]));
    }
    page.one("members_plates", "gauge", "Plates that are matched.", number(&health["members"]["plates"]));
    page.one("members_revision", "gauge", "Revision of the platform's list.", number(&health["members"]["rev"]));
    page.one("members_age_seconds", "gauge", "How long it has been in force.", number(&health["members"]["age_s"]));
    device(&mut page, &health["device"]);
    page.0
}

fn cameras(page: &mut Page, status: &Value) {
    let all = || status["cameras"].as_array().into_iter().flatten();
    let of = |value: &dyn Fn(&Value) -> Option<f64>| -> Vec<(String, Option<f64>)> {
        all().map(|each| (label("camera", each["id"].as_str().unwrap_or("")), value(each))).collect()
    };
    let up = |each: &Value| Some(f64::from(u8::from(each["state"] == "streaming")));
    page.metric("camera_up", "gauge", "1 while its pictures come.", &of(&up));
    page.metric("camera_fps", "gauge", "Frames a second that come in.", &of(&|each| each["camera_fps"].as_f64()));
    page.metric(
        "camera_fps_expected",
        "gauge",
        "Frames a second that it says it has.",
        &of(&|each| each["expected_fps"].as_f64()),
    );
    page.metric("camera_frames_total", "counter", "Frames that came in.", &of(&|each| each["frames"].as_f64()));
    page.metric(
        "camera_dropped_total",
        "counter",
        "Frames replaced by a newer one.",
        &of(&|each| each["dropped"].as_f64()),
    );
    let reconnects = of(&|each| each["reconnects_last_hour"].as_f64());
    page.metric("camera_reconnects_last_hour", "gauge", "Times it was opened again.", &reconnects);
    let counts = &status["recognition"]["cameras"];
    let counted = |field: &'static str| move |each: &Value| counts[each["id"].as_str()?][field].as_f64();
    page.metric("camera_vehicles_total", "counter", "Vehicles that were followed.", &of(&counted("vehicles")));
    page.metric("camera_members_total", "counter", "Vehicles of members.", &of(&counted("members")));
}

fn device(page: &mut Page, device: &Value) {
    let mib = |field: &str| device[field].as_f64().map(|mib| mib * 1_048_576.0);
    page.one("temperature_celsius", "gauge", "The hottest place.", device["temperature_c"].as_f64());
    let throttled = device["throttled"].as_bool().map(|on| f64::from(u8::from(on)));
    page.one("throttled", "gauge", "1 while the processor is slowed down.", throttled);
    page.one("memory_free_bytes", "gauge", "Memory that programs can still have.", mib("memory_free_mib"));
    page.one("program_bytes", "gauge", "Memory of this program.", mib("program_mib"));
    page.one("disk_free_bytes", "gauge", "Room on the disk with the data.", mib("disk_free_mib"));
    let wear = device["disk_wear_percent"].as_f64().map(|percent| percent / 100.0);
    page.one("disk_wear_ratio", "gauge", "Share of the disk's life that is used up.", wear);
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn every_metric_has_its_help_and_what_is_not_known_is_left_out() {
        let status = json!({
            "uptime_s": 12, "mqtt": {"state": "connected", "acked": 3}, "outbox": {"condition": "ok", "waiting": {"P1": {"count": 2}}},
            "cameras": [{"id": "ga\"te", "state": "streaming", "camera_fps": 12.5}],
            "recognition": {"cameras": {"ga\"te": {"vehicles": 7, "members": 2}}},
            "platform": {"health": {"score": 85, "device": {"memory_free_mib": 2}}},
        });
        let page = text(&status);
        for line in [
            "forecourt_health_score 85",
            "forecourt_camera_fps{camera=\"ga\\\"te\"} 12.5",
            "forecourt_camera_vehicles_total{camera=\"ga\\\"te\"} 7",
            "forecourt_outbox_events{class=\"P1\"} 2",
            "forecourt_memory_free_bytes 2097152",
            "forecourt_mqtt_connected 1",
        ] {
            assert!(page.lines().any(|each| each == line), "{line}\n{page}");
        }
        assert!(!page.contains("temperature") && !page.contains("null"));
        for line in page.lines().filter(|line| !line.starts_with('#')) {
            let name = line.split(['{', ' ']).next().unwrap();
            assert!(page.contains(&format!("# TYPE {name} ")), "{line}");
        }
    }
}
