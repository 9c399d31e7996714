//! `privacy report`: what an impact assessment asks for (GDPR art. 35, PIPIA under China's PIPL art. 55), as far as the box
//! knows it. Everything is read from the settings and the list; lines in [brackets] are for the operator to fill in.

use std::fmt::Write;
use std::path::PathBuf;

use anyhow::Context;
use jiff::Timestamp;
use serde::Serialize;
use serde_json::json;

use super::super::Exit;
use super::Place;
use crate::config::{Config, Sense, duration};
use crate::store::keys::Custody;
use crate::store::members::{Action, ConsentCounts, Counts, MemberStore, Signage, SpaceCount, Verified};

/// Enrolled persons of one operator from which the report warns; from 100,000 China wants a filing.
const MANY_FACES: u64 = 80_000;

/// What was typed after `privacy report`.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Write it to a file instead of standard output.
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
}

/// All that the report says.
#[derive(Debug, Serialize)]
struct Report {
    made_at: Timestamp,
    program: &'static str,
    tenant: String,
    site: String,
    device: String,
    cameras: Vec<Watched>,
    faces_on: bool,
    signage: Option<Signage>,
    members: Counts,
    consents: ConsentCounts,
    enrolled_persons: u64,
    templates: Vec<SpaceCount>,
    key: Key,
    broker: Option<String>,
    plate_in_events: bool,
    keep: Keep,
    audit: Verified,
    findings: Vec<Finding>,
}

/// A camera as the report tells it.
#[derive(Debug, Serialize)]
struct Watched {
    id: String,
    role: String,
    reads: Vec<String>,
    zones: usize,
}

/// The key of the templates.
#[derive(Debug, Serialize)]
struct Key {
    custody: Option<Custody>,
    words: String,
}

/// How long what is kept.
#[derive(Debug, Serialize)]
struct Keep {
    arrivals: String,
    dwell: String,
    expression: String,
    expired_members: String,
    audit: String,
    default_lease: String,
}

/// Something that should not stay as it is.
#[derive(Debug, Serialize)]
struct Finding {
    code: &'static str,
    seen: String,
    way_out: &'static str,
}

/// Runs it.
pub(super) fn run(args: &Args, place: &Place, json: bool) -> anyhow::Result<Exit> {
    let mut store = place.open()?;
    let report = collect(place, &store)?;
    let text = if json { format!("{}\n", serde_json::to_string_pretty(&report)?) } else { markdown(&report) };
    match &args.out {
        Some(file) => {
            std::fs::write(file, text).with_context(|| format!("cannot write `{}`", file.display()))?;
            eprintln!("Report written to {}.", file.display());
        }
        None => print!("{text}"),
    }
    store.record(Action::Reported, "", &json!({ "findings": report.findings.len() }))?;
    Ok(Exit::Ok)
}

fn collect(place: &Place, store: &MemberStore) -> anyhow::Result<Report> {
    let config = place.config();
    let key = match place.keys() {
        Ok(ring) => Key { custody: Some(ring.custody()), words: ring.custody().words().to_owned() },
        Err(error) => Key { custody: None, words: error.to_string() },
    };
    let word = |value: serde_json::Value| value.as_str().unwrap_or_default().to_owned();
    let watched = |camera: &crate::config::Camera| -> anyhow::Result<Watched> {
        let reads = camera.read.iter().map(serde_json::to_value).collect::<Result<Vec<_>, _>>()?;
        let role = word(serde_json::to_value(camera.role)?);
        Ok(Watched {
            id: camera.id.clone(),
            role,
            reads: reads.into_iter().map(word).collect(),
            zones: camera.zones.len(),
        })
    };
    let mut report = Report {
        made_at: Timestamp::now(),
        program: env!("CARGO_PKG_VERSION"),
        tenant: config.site.tenant.clone(),
        site: config.site.site.clone(),
        device: config.site.device.clone(),
        cameras: config.cameras.iter().map(watched).collect::<Result<_, _>>()?,
        faces_on: config.cameras.iter().any(|camera| camera.read.contains(&Sense::Face))
            && !config.faces.packs.is_empty(),
        signage: store.signage_confirmed()?,
        members: store.counts()?,
        consents: store.consent_counts()?,
        enrolled_persons: store.enrolled()?,
        templates: store.spaces()?,
        key,
        broker: Some(config.mqtt.url.clone()).filter(|url| !url.is_empty()),
        plate_in_events: config.privacy.plate_in_events,
        keep: keep(config),
        audit: store.verify_audit(None)?,
        findings: Vec::new(),
    };
    report.findings = findings(&report);
    Ok(report)
}

fn keep(config: &Config) -> Keep {
    let lease = config.members.default_lease;
    Keep {
        arrivals: duration::format(config.outbox.keep_arrivals),
        dwell: duration::format(config.outbox.keep_dwell),
        expression: duration::format(config.outbox.keep_expression),
        expired_members: duration::format(config.privacy.keep_expired),
        audit: duration::format(config.privacy.keep_audit),
        default_lease: if lease.is_zero() { "none".to_owned() } else { duration::format(lease) },
    }
}

/// What the operator should do something about; the codes stand in `docs/privacy.md`.
fn findings(report: &Report) -> Vec<Finding> {
    let mut found = Vec::new();
    let mut add = |wrong: bool, code, seen: String, way_out| {
        if wrong {
            found.push(Finding { code, seen, way_out });
        }
    };
    let enrolled = report.enrolled_persons;
    add(
        report.faces_on && report.signage.is_none(),
        "FC-PRV-001",
        "faces are switched on, but nobody confirmed the signs; no face is read".to_owned(),
        "hang the signs, then `forecourt provision confirm-signage --photo-id ID`",
    );
    add(
        enrolled > 0 && report.key.custody.is_none_or(Custody::reduced),
        "FC-PRV-002",
        format!("reduced protection of the templates: {}", report.key.words),
        "hand the key over as a systemd credential, on a board with a TPM bound to it",
    );
    add(
        enrolled >= MANY_FACES,
        "FC-PRV-003",
        format!("{enrolled} persons are enrolled; from 100,000 of one operator a filing is due in China"),
        "add up all boxes of the operator and prepare the filing",
    );
    add(
        report.members.members > report.consents.leased,
        "FC-PRV-004",
        format!("{} members have no consent lease", report.members.members - report.consents.leased),
        "set `members.default_lease`, such as \"14d\", so that a box that is cut off stops matching",
    );
    add(
        report.broker.as_ref().is_some_and(|url| !url.starts_with("mqtts://")),
        "FC-PRV-005",
        "events go to the broker unencrypted".to_owned(),
        "use `mqtts://` in `mqtt.url`",
    );
    add(
        report.audit.fault.is_some(),
        "FC-PRV-006",
        "the audit log is broken".to_owned(),
        "look at `forecourt privacy audit verify`",
    );
    found
}

fn markdown(report: &Report) -> String {
    let mut out = String::new();
    let yes = |on: bool| if on { "yes" } else { "no" };
    let _ = writeln!(out, "# Processing of personal data by the box {} at {}\n", report.device, report.site);
    let _ = writeln!(
        out,
        "Made {} by forecourt {} from the settings and the member list of the box. Lines in [brackets] are the operator's \
         to fill in. Base of an impact assessment (GDPR art. 35; PIPL art. 55 and 56).\n",
        report.made_at, report.program
    );
    let _ = writeln!(out, "## 1. Who and why\n");
    let _ =
        writeln!(out, "- Operator: {} [legal name, address, contact of the data protection officer]", report.tenant);
    let _ =
        writeln!(out, "- Purpose: greeting and serving members who agreed to be recognised [legal basis, per purpose]");
    let _ = writeln!(out, "- Necessity: [why a plate, a card or a phone alone does not do]");
    let _ = writeln!(out, "- Alternative for whoever does not agree: [card, phone, counter]\n");
    section_cameras(&mut out, report);
    let _ = writeln!(out, "## 3. Whose data, and with what consent\n");
    let consents = &report.consents;
    let _ = writeln!(out, "| | members |\n|---|---|");
    for (what, count) in [
        ("listed", report.members.members),
        ("agreed to be matched by plate", consents.plate),
        ("agreed to be matched by face", consents.face),
        ("enrolled with a face template", report.enrolled_persons),
        ("agreed to dwell", consents.dwell),
        ("agreed to expression", consents.expression),
        ("with a consent lease", consents.leased),
    ] {
        let _ = writeln!(out, "| {what} | {count} |");
    }
    for space in &report.templates {
        let _ = writeln!(
            out,
            "\nEmbedding space `{}`: {} templates of {} members.",
            space.space, space.templates, space.members
        );
    }
    let _ = writeln!(
        out,
        "\nPeople who are no members: their plates and faces are compared in memory and forgotten with their track; nothing of \
         them is written. [How consents are obtained, recorded and withdrawn; members under age]\n"
    );
    section_protection(&mut out, report, yes);
    let _ = writeln!(out, "## 6. Open points\n");
    if report.findings.is_empty() {
        let _ = writeln!(out, "None that the box can see.");
    }
    for finding in &report.findings {
        let _ = writeln!(out, "- [{}] {}: {}.", finding.code, finding.seen, finding.way_out);
    }
    let _ = writeln!(
        out,
        "\n## 7. Judgement\n\n[Risks to the people concerned, measures, remaining risk, date, signature]"
    );
    out
}

fn section_cameras(out: &mut String, report: &Report) {
    let _ = writeln!(out, "## 2. What is observed\n\n| camera | role | reads | zones |\n|---|---|---|---|");
    for camera in &report.cameras {
        let _ = writeln!(out, "| {} | {} | {} | {} |", camera.id, camera.role, camera.reads.join(", "), camera.zones);
    }
    let signs = report.signage.as_ref().map_or_else(
        || "not confirmed; no face is read without it".to_owned(),
        |signs| format!("confirmed by {} at {} (photo {})", signs.confirmed_by, signs.confirmed_at, signs.photo_id),
    );
    let faces = if report.faces_on { "switched on" } else { "switched off" };
    let _ = writeln!(out, "\nFace recognition is {faces}. Signs: {signs}.\n");
}

fn section_protection(out: &mut String, report: &Report, yes: impl Fn(bool) -> &'static str) {
    let _ = writeln!(out, "## 4. Where it is and who gets it\n");
    let broker = report.broker.as_deref().unwrap_or("nobody yet (no broker is named)");
    let _ = writeln!(
        out,
        "- Recognition happens on the box; no picture and no face vector leaves it or is written to its disk."
    );
    let _ = writeln!(out, "- Recipient of events: {broker} [operator of the platform, country, contract]");
    let _ = writeln!(out, "- Plate strings in events: {}", yes(report.plate_in_events));
    let _ = writeln!(
        out,
        "- Face templates: sealed with XChaCha20-Poly1305, a key for each member; device key: {}",
        report.key.words
    );
    let _ = writeln!(out, "\n## 5. How long\n\n| what | kept |\n|---|---|");
    let keep = &report.keep;
    for (what, length) in [
        ("arrivals, departures and closed visits", &keep.arrivals),
        ("dwell events", &keep.dwell),
        ("expressions on leaving", &keep.expression),
        ("members after the end of validity or lease", &keep.expired_members),
        ("audit records", &keep.audit),
        ("consent lease when a member has none of its own", &keep.default_lease),
    ] {
        let _ = writeln!(out, "| {what} | {length} |");
    }
    let audit = &report.audit;
    let state = if audit.fault.is_none() { "sound" } else { "BROKEN" };
    let _ = writeln!(out, "\nAudit log: {state}, {} records, newest {}:{}.\n", audit.records, audit.last, audit.head);
}
