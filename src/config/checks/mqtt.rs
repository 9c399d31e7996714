//! The connection to the platform.

use std::time::Duration;

use super::{Code, DAY, HOUR, MINUTE, Report};
use crate::config::Mqtt;

const URLS: &str = "write `mqtt://HOST:1883` or, encrypted, `mqtts://HOST:8883`";

pub(super) fn check(mqtt: &Mqtt, report: &mut Report) {
    if !mqtt.url.is_empty()
        && let Err(problem) = url(&mqtt.url)
    {
        report.add(Code::MqttUrl, "mqtt.url", problem, URLS);
    }
    for (index, fallback) in mqtt.fallback_urls.iter().enumerate() {
        let key = format!("mqtt.fallback_urls[{index}]");
        if mqtt.url.is_empty() {
            report.add(Code::MqttUrl, &key, "`mqtt.url` is empty", "write the preferred broker there");
        } else if let Err(problem) = url(fallback) {
            report.add(Code::MqttUrl, &key, problem, URLS);
        }
    }
    words(mqtt, report);
    credentials(mqtt, report);
    report.time("mqtt.keep_alive", mqtt.keep_alive, Duration::from_secs(5)..=HOUR);
    report.time("mqtt.session_expiry", mqtt.session_expiry, MINUTE..=366 * DAY);
    report.time("mqtt.reconnect_max", mqtt.reconnect_max, Duration::from_secs(1)..=HOUR);
    report.number("mqtt.max_inflight", mqtt.max_inflight, 1..=20);
    report.number("mqtt.drain_per_second", mqtt.drain_per_second, 0..=100_000);
}

/// Scheme, host, optional port and nothing else.
fn url(url: &str) -> Result<(), String> {
    let (scheme, rest) = url.split_once("://").ok_or("there is no `mqtt://` or `mqtts://` in front")?;
    if !matches!(scheme, "mqtt" | "mqtts") {
        return Err(format!("`{scheme}://` is no known scheme"));
    }
    let rest = rest.trim_end_matches('/');
    if rest.contains('@') {
        return Err("the address holds a password; use `username` and `password_file`".to_owned());
    }
    if rest.contains(['/', '?', '#', ' ']) {
        return Err("something stands after the port".to_owned());
    }
    let (host, port) = host_and_port(rest);
    if host.is_empty() {
        return Err("it names no host".to_owned());
    }
    match port.map(str::parse::<u16>) {
        Some(Err(_) | Ok(0)) => Err("the port is no number from 1 to 65535".to_owned()),
        _ => Ok(()),
    }
}

/// `[::1]:1883` keeps its colons.
fn host_and_port(text: &str) -> (&str, Option<&str>) {
    match text.rfind(']') {
        Some(end) => (&text[..=end], text[end + 1..].strip_prefix(':')),
        None => text.split_once(':').map_or((text, None), |(host, port)| (host, Some(port))),
    }
}

fn words(mqtt: &Mqtt, report: &mut Report) {
    let levels = || mqtt.topic_root.split('/');
    let wild = mqtt.topic_root.contains(['+', '#', '\0', ' ']) || mqtt.topic_root.starts_with('$');
    if wild || mqtt.topic_root.len() > 128 || levels().any(str::is_empty) {
        let problem = format!("`{}` cannot begin a topic", mqtt.topic_root);
        report.add(
            Code::TopicWord,
            "mqtt.topic_root",
            problem,
            "write words with `/` between, without `+`, `#` or `$`",
        );
    }
    if mqtt.client_id.len() > 256 || mqtt.client_id.contains(|each: char| each.is_control()) {
        let remedy = "write at most 256 bytes of printable text, or leave it empty";
        report.add(Code::TopicWord, "mqtt.client_id", "it is too long or holds a control character", remedy);
    }
}

fn credentials(mqtt: &Mqtt, report: &mut Report) {
    let mut alone = |key: &str, partner: &str| {
        let key = format!("mqtt.{key}");
        report.add(Code::MqttCredentials, &key, format!("it stands without `{partner}`"), "write both or none");
    };
    if mqtt.password_file.is_some() && mqtt.username.is_none() {
        alone("password_file", "username");
    }
    match (&mqtt.certificate_file, &mqtt.key_file) {
        (Some(_), None) => alone("certificate_file", "key_file"),
        (None, Some(_)) => alone("key_file", "certificate_file"),
        _ => {}
    }
    let mut urls = std::iter::once(&mqtt.url).chain(&mqtt.fallback_urls);
    let encrypted = mqtt.url.is_empty() || urls.any(|url| url.starts_with("mqtts://"));
    let tls_files = [("ca_file", &mqtt.ca_file), ("certificate_file", &mqtt.certificate_file)];
    for (key, _) in tls_files.iter().filter(|(_, file)| file.is_some() && !encrypted) {
        let problem = "the address is not an encrypted one";
        report.add(Code::MqttCredentials, &format!("mqtt.{key}"), problem, "write `mqtts://` in `mqtt.url`");
    }
}
