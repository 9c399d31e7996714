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
pub const CODES: [(&str, &str); 20] = [
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
    ("FC-DOC-014", "The broker refuses what the box sends or asks for."),
    ("FC-DOC-015", "Faces are not looked at, or not all of them matched."),
    ("FC-DOC-016", "The member list is empty."),
    ("FC-DOC-017", "The member list was damaged or cannot be read."),
    ("FC-DOC-018", "A database is damaged or of another program."),
    ("FC-DOC-019", "This user may not look into the folder of the data."),
    ("FC-DOC-020", "The health of the box is less than full."),
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
    databases(facts, &mut found);
    machine(facts, &mut found);
    found.0
}

/// While no service runs that could tell of them.
fn databases(facts: &Facts, found: &mut Findings) {
    for words in &facts.bad_databases {
        let next = "start the service: it sets a damaged file aside and begins a new one; keep the file for an inquiry";
        found.wrong(17, words, next);
    }
    if let Some(words) = &facts.storage_closed {
        found.note(18, words, "run forecourt doctor as root; what lies there was not judged");
    }
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
    refusals(&status["mqtt"], found);
    list(facts, &status["recognition"], found);
    reasons(&status["platform"]["health"], found);
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
        "nc -zv HOST PORT tries the line, forecourt provision apply DIR name, port and certificate one by one; events wait meanwhile"
    } else {
        "the box has no way out of its network: cable, switch, DHCP; events wait on the box meanwhile"
    };
    found.wrong(6, &format!("{} is {}: {error}", word(&mqtt["broker"]), word(&mqtt["state"])), next);
}

/// What the broker refused and has not taken since.
fn refusals(mqtt: &Value, found: &mut Findings) {
    let time = |value: &Value| value.as_str().and_then(|text| text.parse::<jiff::Timestamp>().ok());
    let (taken, failed) = (time(&mqtt["last_acked_at"]), time(&mqtt["last_error_at"]));
    let refused = mqtt["refused"].as_u64().unwrap_or(0) > 0 && taken.is_none_or(|taken| failed >= Some(taken));
    if refused || mqtt["subscription"] == "refused" {
        let error = mqtt["last_error"].as_str().unwrap_or("refused");
        let next = "let this box publish and subscribe below its own topics in the broker's access list; events wait meanwhile";
        found.wrong(13, error, next);
    }
}

/// The member list, and what keeps faces from being read.
fn list(facts: &Facts, seen: &Value, found: &mut Findings) {
    if let Some(words) = seen["faces_trouble"].as_str().filter(|_| facts.reads_faces) {
        found.wrong(14, words, "docs/faces.md names what face mode needs: a pack, the signs, the device key");
    }
    let trouble = &seen["list_trouble"];
    if !trouble.is_null() {
        let next = "forecourt members import FILE, or wait for the platform; if it stays, systemctl restart forecourt";
        return found.wrong(16, word(&trouble["detail"]), next);
    }
    if seen["listed_plates"] == 0 && seen["templates"].as_u64().unwrap_or(0) == 0 {
        let next = "forecourt members import FILE, or let the platform send a list: forecourt members sync status";
        found.note(15, "nobody can be recognised: no plate and no face is listed", next);
    }
}

/// Reasons of the score that have no finding of their own.
fn reasons(health: &Value, found: &mut Findings) {
    const TOLD: [&str; 5] = ["camera-down", "picture", "outbox", "clock", "member-list"];
    let reasons = health["reasons"].as_array().into_iter().flatten();
    for reason in reasons.filter(|reason| !TOLD.contains(&word(&reason["code"]))) {
        let evidence = format!("{} of 100 points: {}", health["score"], word(&reason["words"]));
        found.note(19, &evidence, "docs/health.md explains each reason");
    }
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
                "recognition": { "listed_plates": 12, "templates": 0, "list_trouble": null },
                "platform": { "health": { "score": 100, "reasons": [] } },
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

    /// A box that is well but for this part of its status.
    fn with(path: &str, value: Value) -> Vec<&'static str> {
        let mut facts = Facts { reads_faces: true, ..well() };
        *facts.status.as_mut().unwrap().pointer_mut(path).unwrap() = value;
        codes(&facts)
    }

    #[test]
    fn a_box_that_runs_and_recognises_or_delivers_nothing_is_not_well() {
        let mqtt = |taken: Value| {
            json!({ "state": "connected", "refused": 3, "last_error": "the broker refused an event: NotAuthorized",
                    "last_error_at": "2026-03-01T09:00:00Z", "last_acked_at": taken })
        };
        assert_eq!(with("/mqtt", mqtt(Value::Null)), ["FC-DOC-014"]);
        assert_eq!(with("/mqtt", mqtt("2026-03-01T08:59:00Z".into())), ["FC-DOC-014"]);
        // It took an event since: overcome.
        assert_eq!(with("/mqtt", mqtt("2026-03-01T09:01:00Z".into())), Vec::<&str>::new());
        assert_eq!(with("/mqtt", json!({ "state": "connected", "subscription": "refused" })), ["FC-DOC-014"]);
        let list = |trouble: Value, faces: Value| json!({ "listed_plates": 0, "templates": 0, "list_trouble": trouble, "faces_trouble": faces });
        assert_eq!(with("/recognition", list(Value::Null, Value::Null)), ["FC-DOC-016"]);
        let damaged = json!({ "damaged": true, "detail": "it was damaged and set aside" });
        assert_eq!(with("/recognition", list(damaged, "confirm the signs".into())), ["FC-DOC-015", "FC-DOC-017"]);
        let reason =
            |code: &str| json!({ "score": 80, "reasons": [{ "code": code, "words": "in words", "weight": 20 }] });
        assert_eq!(with("/platform/health", reason("disk-wear")), ["FC-DOC-020"]);
        assert_eq!(with("/platform/health", reason("outbox")), Vec::<&str>::new(), "it has a finding of its own");
    }

    #[test]
    fn what_a_stopped_service_cannot_tell_is_told_all_the_same() {
        let stopped = Facts { status: None, ..well() };
        let damaged = Facts { bad_databases: vec!["`spool.db` cannot be trusted".into()], ..stopped.clone() };
        assert_eq!(codes(&damaged), ["FC-DOC-003", "FC-DOC-018"]);
        let closed = Facts { storage_closed: Some("Permission denied".into()), ..stopped };
        assert_eq!(codes(&closed), ["FC-DOC-003", "FC-DOC-019"]);
    }
}
