//! What the facts mean. Pure: the same judgement on a box and on a bundle that came from one.

use serde::Serialize;
use serde_json::Value;

use super::facts::Facts;
use crate::clock::TimeQuality;

/// How bad it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// Recognition or delivery does not work as it should.
    Wrong,
    /// Somebody should know.
    Note,
}

/// One thing that was found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// Stands in `docs/troubleshooting.md`.
    pub code: &'static str,
    /// How bad it is.
    pub severity: Severity,
    /// What was seen.
    pub evidence: String,
    /// What to do next.
    pub next: String,
}

/// Every code and what it means.
pub const CODES: [(&str, &str); 13] = [
    ("FC-DOC-001", "This box was never given settings."),
    ("FC-DOC-002", "The settings cannot be used."),
    ("FC-DOC-003", "The service does not run."),
    ("FC-DOC-004", "The service was restarted by systemd."),
    ("FC-DOC-005", "A camera delivers no pictures."),
    ("FC-DOC-006", "A camera's picture is not fit to be looked at."),
    ("FC-DOC-007", "The broker is not reached."),
    ("FC-DOC-008", "Events cannot be written down."),
    ("FC-DOC-009", "The disk is nearly full."),
    ("FC-DOC-010", "Memory is short."),
    ("FC-DOC-011", "The box is hot."),
    ("FC-DOC-012", "No time server has confirmed the clock."),
    ("FC-DOC-013", "A pack of models cannot be used."),
];

const LEAST_DISK_MIB: u64 = 256;
const LEAST_MEMORY_KIB: u64 = 64 << 10;
const HOT: f32 = 85.0;

/// All findings, what stops everything first.
pub fn all(facts: &Facts) -> Vec<Finding> {
    let mut found = Findings(Vec::new());
    if facts.settings.is_none() {
        found.wrong(
            0,
            "there is no settings file",
            "bring a stick with forecourt-site.toml: forecourt provision apply DIR",
        );
    } else {
        for finding in &facts.settings_findings {
            found.wrong(1, finding, "correct the settings; forecourt config check says all of it");
        }
        service(facts, &mut found);
    }
    for pack in &facts.bad_packs {
        found.wrong(12, pack, "forecourt models verify; install the pack again, or correct `packs` in the settings");
    }
    machine(facts, &mut found);
    found.0
}

fn service(facts: &Facts, found: &mut Findings) {
    let Some(status) = &facts.status else {
        let state = facts.unit.get("ActiveState").map(|state| format!(", systemd says `{state}`")).unwrap_or_default();
        let why = facts.status_error.as_ref().map(|why| format!(": {why}")).unwrap_or_default();
        let next = "systemctl start forecourt; journalctl -u forecourt -n 50 says why it ended";
        return found.wrong(2, &format!("no service answers{state}{why}"), next);
    };
    if let Some(times) = facts.unit.get("NRestarts").filter(|times| *times != "0") {
        found.note(3, &format!("{times} times since the box started"), "journalctl -u forecourt | grep -B20 Started");
    }
    cameras(status, found);
    broker(facts, status, found);
    let outbox = &status["outbox"];
    if let Some(condition) = outbox["condition"].as_str().filter(|condition| *condition != "ok") {
        let detail = outbox["detail"].as_str().unwrap_or_default();
        found.wrong(
            7,
            &format!("the outbox is {condition} {detail}"),
            "free the disk, or replace it: docs/delivery.md",
        );
    }
}

fn cameras(status: &Value, found: &mut Findings) {
    for camera in status["cameras"].as_array().into_iter().flatten() {
        let (id, state) = (word(&camera["id"]), word(&camera["state"]));
        let error = camera["last_error"].as_str().map(|words| format!(": {words}")).unwrap_or_default();
        if matches!(state, "failed" | "stalled" | "connecting") {
            let next = format!("forecourt camera probe {id}; is it on, and can this box reach it?");
            found.wrong(4, &format!("camera `{id}` is {state}{error}"), &next);
        } else if let picture @ ("black" | "covered" | "blurred" | "frozen") = word(&camera["picture"]) {
            let next = format!("forecourt camera snapshot {id}; look at lens and light");
            found.wrong(5, &format!("camera `{id}`: the picture is {picture}"), &next);
        }
    }
}

fn broker(facts: &Facts, status: &Value, found: &mut Findings) {
    let mqtt = &status["mqtt"];
    if !facts.broker_set || word(&mqtt["state"]) == "connected" {
        return;
    }
    let error = mqtt["last_error"].as_str().unwrap_or("no error yet");
    let next = if facts.default_route {
        "forecourt provision apply tries name, port and certificate one by one; events wait on the box meanwhile"
    } else {
        "the box has no way out of its network: cable, switch, DHCP; events wait on the box meanwhile"
    };
    found.wrong(6, &format!("{} is {}: {error}", word(&mqtt["broker"]), word(&mqtt["state"])), next);
}

fn machine(facts: &Facts, found: &mut Findings) {
    if let Some([free, _]) = facts.disk.filter(|[free, _]| free >> 20 < LEAST_DISK_MIB) {
        let evidence = format!("{} MiB are free where `storage.folder` is", free >> 20);
        found.wrong(8, &evidence, "remove what does not belong there; journalctl --vacuum-size=50M");
    }
    if let Some([available, all]) = facts.memory.filter(|[available, _]| *available < LEAST_MEMORY_KIB) {
        let evidence = format!("{} of {} MiB are available", available >> 10, all >> 10);
        found.note(9, &evidence, "fewer cameras, a lower `analysis_fps`, or a board with more memory");
    }
    if let Some(hottest) = facts.hottest.filter(|hottest| *hottest >= HOT) {
        found.note(10, &format!("{hottest:.0} °C"), "clear the air slots, shade the box; it slows down by itself");
    }
    if matches!(facts.clock, Some(TimeQuality::Unsynced | TimeQuality::Holdover)) {
        let next = "let UDP port 123 out, or name the site's time server in /etc/systemd/timesyncd.conf";
        found.note(11, &format!("the clock says {}", facts.now), next);
    }
}

fn word(value: &Value) -> &str {
    value.as_str().unwrap_or("-")
}

struct Findings(Vec<Finding>);

impl Findings {
    fn wrong(&mut self, code: usize, evidence: &str, next: &str) {
        self.add(code, Severity::Wrong, evidence, next);
    }

    fn note(&mut self, code: usize, evidence: &str, next: &str) {
        self.add(code, Severity::Note, evidence, next);
    }

    fn add(&mut self, code: usize, severity: Severity, evidence: &str, next: &str) {
        let (evidence, next) = (evidence.to_owned(), next.to_owned());
        self.0.push(Finding { code: CODES[code].0, severity, evidence, next });
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn well() -> Facts {
        Facts {
            settings: Some("/etc/forecourt/forecourt.toml".into()),
            status: Some(json!({
                "cameras": [{ "id": "gate", "state": "streaming", "picture": "good" }],
                "mqtt": { "state": "connected", "broker": "b:8883" },
                "outbox": { "condition": "ok" },
            })),
            broker_set: true,
            default_route: true,
            clock: Some(TimeQuality::Synced),
            disk: Some([10 << 30, 20 << 30]),
            memory: Some([1 << 20, 2 << 20]),
            ..Facts::default()
        }
    }

    fn codes(facts: &Facts) -> Vec<&'static str> {
        all(facts).iter().map(|finding| finding.code).collect()
    }

    #[test]
    fn a_box_that_is_well_has_no_finding() {
        assert_eq!(codes(&well()), Vec::<&str>::new());
    }

    #[test]
    fn each_trouble_has_its_code_and_a_next_step() {
        assert_eq!(codes(&Facts { settings: None, status: None, ..well() }), ["FC-DOC-001"]);
        assert_eq!(codes(&Facts { status: None, ..well() }), ["FC-DOC-003"]);
        let mut facts = well();
        facts.status = Some(json!({
            "cameras": [
                { "id": "a", "state": "failed", "last_error": "refused", "picture": "unknown" },
                { "id": "b", "state": "streaming", "picture": "covered" },
                { "id": "c", "state": "ended", "picture": "good" },
            ],
            "mqtt": { "state": "waiting", "broker": "b:8883", "last_error": "UnknownIssuer" },
            "outbox": { "condition": "full" },
        }));
        facts.disk = Some([1 << 20, 20 << 30]);
        facts.clock = Some(TimeQuality::Unsynced);
        facts.hottest = Some(91.0);
        let found = all(&facts);
        let seen: Vec<&str> = found.iter().map(|finding| finding.code).collect();
        assert_eq!(
            seen,
            ["FC-DOC-005", "FC-DOC-006", "FC-DOC-007", "FC-DOC-008", "FC-DOC-009", "FC-DOC-011", "FC-DOC-012"]
        );
        assert!(found.iter().all(|finding| !finding.next.is_empty()));
        assert!(found[2].evidence.contains("UnknownIssuer") && found[2].next.contains("one by one"));
        facts.default_route = false;
        assert!(all(&facts)[2].next.contains("cable"));
    }
}
