//! Values that the types allow and the box does not.
//!
//! Three questions, asked apart: are the values sound ([`values`]), is there enough to start the service
//! ([`service`]), do the named files exist ([`files`])?

mod cameras;
mod files;
mod mqtt;
#[cfg(test)]
mod tests;

use std::fmt::Display;
use std::ops::RangeInclusive;
use std::time::Duration;

use super::finding::{Code, Finding};
use super::{Config, Faces, Outbox, Plates, Privacy, Provider, Sense, Site, Storage, Visits, duration};
use crate::domain::plate::grammar::Grammar;
use crate::domain::sync::TrustedKey;
pub(super) use files::files;

const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(3_600);
const DAY: Duration = Duration::from_secs(86_400);

/// Are all values in their ranges? What is merely absent is no finding here.
pub(super) fn values(config: &Config) -> Vec<Finding> {
    let mut report = Report::default();
    site(&config.site, &mut report);
    cameras::check(&config.cameras, &mut report);
    plates(&config.plates, &mut report);
    faces(&config.faces, &mut report);
    visits(&config.visits, &config.site, &mut report);
    storage(&config.storage, &mut report);
    report.number("members.max_members", config.members.max_members, 1..=5_000_000);
    report.time("health.interval", config.health.interval, Duration::from_secs(5)..=HOUR);
    trusted_keys("members", &config.members.trusted_keys, &mut report);
    trusted_keys("commands", &config.commands.trusted_keys, &mut report);
    report.time("commands.probation", config.commands.probation, Duration::from_secs(5)..=HOUR);
    outbox(&config.outbox, &mut report);
    mqtt::check(&config.mqtt, &mut report);
    privacy(&config.privacy, &mut report);
    report.number("inference.threads", config.inference.threads, 1..=64);
    providers(&config.inference.providers, &mut report);
    report.0
}

/// Is there enough to start the service?
pub(super) fn service(config: &Config) -> Vec<Finding> {
    let mut report = Report::default();
    let words = [("tenant", &config.site.tenant), ("site", &config.site.site), ("device", &config.site.device)];
    for (name, _) in words.iter().filter(|(_, word)| word.is_empty()) {
        let remedy = "write the word by which the platform knows it";
        report.add(Code::SiteWord, &format!("site.{name}"), "it is missing", remedy);
    }
    if config.cameras.is_empty() {
        let remedy = "add a table `[[camera]]` with `id` and `source`";
        report.add(Code::NoCamera, "camera", "there is no camera", remedy);
    }
    let faceless = config.cameras.iter().position(|camera| camera.read.contains(&Sense::Face));
    if let Some(index) = faceless.filter(|_| config.faces.packs.is_empty()) {
        let problem = "faces are to be read, and `faces.packs` names no pack";
        let remedy = "add `[faces]` with `packs = [\"NAME\"]`, or take \"face\" out of `read`";
        report.add(Code::CameraRead, &format!("camera[{index}].read"), problem, remedy);
    }
    report.0
}

/// Collects findings.
#[derive(Default)]
struct Report(Vec<Finding>);

impl Report {
    fn add(&mut self, code: Code, key: &str, problem: impl Into<String>, remedy: impl Into<String>) {
        self.0.push(Finding::new(code, key, problem, remedy));
    }

    fn number<N: PartialOrd + Display>(&mut self, key: &str, value: N, range: RangeInclusive<N>) {
        if !range.contains(&value) {
            let remedy = format!("write a number from {} to {}", range.start(), range.end());
            self.add(Code::OutOfRange, key, format!("{value} is outside its range"), remedy);
        }
    }

    fn time(&mut self, key: &str, value: Duration, range: RangeInclusive<Duration>) {
        if !range.contains(&value) {
            let [shown, least, most] = [value, *range.start(), *range.end()].map(duration::format);
            let remedy = format!("write a length of time from \"{least}\" to \"{most}\"");
            self.add(Code::Time, key, format!("\"{shown}\" is outside its range"), remedy);
        }
    }
}

/// Letters, digits and the given marks, 1 to 64 of them.
fn is_word(text: &str, marks: &str) -> bool {
    (1..=64).contains(&text.len()) && text.chars().all(|c| c.is_ascii_alphanumeric() || marks.contains(c))
}

fn site(site: &Site, report: &mut Report) {
    for (name, word) in [("tenant", &site.tenant), ("site", &site.site), ("device", &site.device)] {
        if !word.is_empty() && !is_word(word, "-_.") {
            let remedy = "use 1 to 64 letters, digits, `-`, `_` and `.`: the word becomes part of every topic";
            report.add(Code::SiteWord, &format!("site.{name}"), format!("`{word}` is not allowed"), remedy);
        }
    }
    if let Some(zone) = &site.time_zone
        && jiff::tz::TimeZone::get(zone).is_err()
    {
        let remedy = "write a name of the IANA list, such as `Asia/Shanghai` or `Europe/Berlin`";
        report.add(Code::TimeZone, "site.time_zone", format!("`{zone}` is no known time zone"), remedy);
    }
}

fn plates(plates: &Plates, report: &mut Report) {
    if plates.packs.iter().all(|name| name.trim().is_empty()) {
        report.add(Code::NoPack, "plates.packs", "no pack is named", "leave the key out, or name a pack or its folder");
    }
    report.number("plates.min_width_px", plates.min_width_px, 1.0..=4_096.0);
    if let Some(threshold) = plates.detection_threshold {
        report.number("plates.detection_threshold", threshold, 0.0..=1.0);
    }
    let rate = plates.false_accept_rate;
    if !(rate > 0.0 && rate < 1.0) {
        let remedy = "write a share above 0 and below 1, such as 0.001";
        report.add(Code::OutOfRange, "plates.false_accept_rate", format!("{rate} is outside its range"), remedy);
    }
    report.number("plates.min_frames", plates.min_frames, 1..=100);
    report.time("plates.track_lost_after", plates.track_lost_after, Duration::from_millis(100)..=MINUTE);
    if !super::paths::is_path(&plates.region) && !Grammar::BUILT_IN.iter().any(|(name, _)| *name == plates.region) {
        let known: Vec<String> = Grammar::BUILT_IN.iter().map(|(name, _)| format!("`{name}`")).collect();
        let remedy = format!("write {}, or a file with its folder, such as `./region.toml`", known.join(", "));
        report.add(Code::Region, "plates.region", format!("`{}` is no known region", plates.region), remedy);
    }
}

fn faces(faces: &Faces, report: &mut Report) {
    report.number("faces.min_height_px", faces.min_height_px, 1.0..=4_096.0);
    report.number("faces.min_quality", faces.min_quality, 0.0..=1.0);
    report.number("faces.max_yaw", faces.max_yaw, 1.0..=90.0);
    if let Some(threshold) = faces.detection_threshold {
        report.number("faces.detection_threshold", threshold, 0.0..=1.0);
    }
    let rate = faces.false_positive_identification_rate;
    if !(rate > 0.0 && rate < 1.0) {
        let (key, remedy) =
            ("faces.false_positive_identification_rate", "write a share above 0 and below 1, such as 0.01");
        report.add(Code::OutOfRange, key, format!("{rate} is outside its range"), remedy);
    }
    report.number("faces.min_frames", faces.min_frames, 1..=100);
    report.number("faces.best_frames", faces.best_frames, 1..=100);
    report.time("faces.expression_window", faces.expression_window, Duration::from_millis(100)..=MINUTE);
    report.time("faces.track_lost_after", faces.track_lost_after, Duration::from_millis(100)..=MINUTE);
}

fn providers(providers: &[Provider], report: &mut Report) {
    let (key, remedy) = ("inference.providers", "write each provider once, `cpu` last, such as [\"xnnpack\", \"cpu\"]");
    if providers.is_empty() {
        report.add(Code::Providers, key, "there is none", remedy);
    }
    for (index, provider) in providers.iter().enumerate() {
        let (before, word) = (&providers[..index], provider.word());
        if before.contains(provider) {
            report.add(Code::Providers, key, format!("`{word}` stands there twice"), remedy);
        } else if before.contains(&Provider::Cpu) {
            report.add(
                Code::Providers,
                key,
                format!("`{word}` stands after `cpu`, which leaves nothing to it"),
                remedy,
            );
        }
    }
}

fn visits(visits: &Visits, site: &Site, report: &mut Report) {
    report.time("visits.absent_after", visits.absent_after, Duration::from_secs(1)..=30 * DAY);
    report.time("visits.exit_grace", visits.exit_grace, Duration::ZERO..=HOUR);
    report.time("visits.dwell_min", visits.dwell_min, Duration::ZERO..=DAY);
    report.time("visits.dwell_gap", visits.dwell_gap, Duration::ZERO..=DAY);
    for (index, mark) in visits.dwell_marks.iter().enumerate() {
        report.time(&format!("visits.dwell_marks[{index}]"), *mark, Duration::from_secs(1)..=30 * DAY);
    }
    if !visits.dwell_marks.is_sorted_by(|a, b| a < b) {
        report.add(Code::Time, "visits.dwell_marks", "the marks do not rise", "write each once, shortest first");
    }
    if visits.dwell_marks.len() > 32 {
        report.add(Code::OutOfRange, "visits.dwell_marks", "there are more than 32 marks", "write fewer");
    }
    closing(visits, site, report);
}

fn closing(visits: &Visits, site: &Site, report: &mut Report) {
    let Some(text) = &visits.closes_at else { return };
    if !is_time_of_day(text) {
        let problem = format!("`{text}` is no time of day");
        report.add(Code::ClosesAt, "visits.closes_at", problem, "write hours and minutes, such as \"21:30\"");
    }
    if site.time_zone.is_none() {
        let remedy = "write `time_zone` in `[site]`, such as \"Asia/Shanghai\"";
        report.add(Code::ClosesAt, "visits.closes_at", "the site has no time zone", remedy);
    }
}

fn is_time_of_day(text: &str) -> bool {
    let is_digits = |part: &str| part.len() == 2 && part.bytes().all(|byte| byte.is_ascii_digit());
    let digits = |part: &str, below: u8| is_digits(part) && part.parse::<u8>().is_ok_and(|number| number < below);
    text.split_once(':').is_some_and(|(hours, minutes)| digits(hours, 24) && digits(minutes, 60))
}

/// Keys that stand in the settings themselves; files are looked at apart.
fn trusted_keys(table: &str, keys: &[String], report: &mut Report) {
    for (index, key) in keys.iter().enumerate().filter(|(_, key)| !super::paths::is_path(key)) {
        if let Err(error) = TrustedKey::parse(key) {
            let remedy = "write 64 hexadecimal digits, or a file with its folder, such as `./platform.pub`";
            report.add(Code::TrustedKey, &format!("{table}.trusted_keys[{index}]"), error.to_string(), remedy);
        }
    }
}

fn storage(storage: &Storage, report: &mut Report) {
    for (name, path) in [("folder", &storage.folder), ("control_socket", &storage.control_socket)] {
        if path.as_os_str().is_empty() {
            let remedy = "write a path, or leave the key out";
            report.add(Code::BadValue, &format!("storage.{name}"), "the path is empty", remedy);
        }
    }
}

fn outbox(outbox: &Outbox, report: &mut Report) {
    report.number("outbox.max_mib", outbox.max_mib, 1..=65_536);
    report.time("outbox.keep_arrivals", outbox.keep_arrivals, MINUTE..=366 * DAY);
    report.time("outbox.keep_dwell", outbox.keep_dwell, MINUTE..=366 * DAY);
    report.time("outbox.late_after", outbox.late_after, Duration::from_secs(1)..=DAY);
}

fn privacy(privacy: &Privacy, report: &mut Report) {
    if privacy.key_file.is_some() && privacy.insecure_key {
        let remedy = "leave `insecure_key` out: the templates are then sealed with the key of `key_file`";
        report.add(Code::TwoKeys, "privacy.insecure_key", "`privacy.key_file` names a key already", remedy);
    }
    report.time("privacy.keep_expired", privacy.keep_expired, Duration::ZERO..=3_660 * DAY);
    report.time("privacy.keep_audit", privacy.keep_audit, DAY..=3_660 * DAY);
}
