//! Encrypted, with a certificate of the box; a wrong authority and a wrong password are told in words, without the
//! password.

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use forecourt::config;
use forecourt::domain::event::EventClass;
use forecourt::store::spool::Spool;

use crate::broker::{Mosquitto, mosquitto_with};
use crate::harness::{PlantedBug, append, deliver_with, mqtt, open};

const PASSWORD: &str = "correct-horse-battery";

/// An authority, and certificates for the broker and the box; `false` when there is no openssl.
fn make_certificates(folder: &Path) -> bool {
    let script = r#"set -e
        for ca in ca other; do
          openssl ecparam -name prime256v1 -genkey -noout -out $ca.key
          openssl req -x509 -new -key $ca.key -sha256 -days 30 -subj "/CN=$ca" -out $ca.crt
        done
        for n in server client renewed; do
          openssl ecparam -name prime256v1 -genkey -noout | openssl pkcs8 -topk8 -nocrypt -out $n.key
          openssl req -new -key $n.key -subj "/CN=$n" -out $n.csr
        done
        printf "subjectAltName=DNS:localhost,IP:127.0.0.1\n" > s.ext
        printf "subjectAltName=URI:urn:box\n" > c.ext
        openssl x509 -req -in server.csr -CA ca.crt -CAkey ca.key -CAcreateserial -days 30 -extfile s.ext -out server.crt
        for n in client renewed; do
          openssl x509 -req -in $n.csr -CA ca.crt -CAkey ca.key -CAcreateserial -days 30 -extfile c.ext -out $n.crt
        done
        chmod a+r *"#;
    let mut shell = Command::new("sh");
    shell.arg("-c").arg(script).current_dir(folder).stdout(Stdio::null()).stderr(Stdio::null());
    let done = shell.status().is_ok_and(|status| status.success());
    if !done {
        eprintln!("SKIPPED: openssl is not installed");
    }
    done
}

/// A broker that speaks TLS, wants a certificate of the authority and a password.
fn strict_broker(folder: &Path) -> Option<Mosquitto> {
    let passwords = folder.join("passwords");
    let mut tool = Command::new("mosquitto_passwd");
    tool.args(["-c", "-b"]).arg(&passwords).args(["box", PASSWORD]);
    if !tool.status().is_ok_and(|status| status.success()) {
        eprintln!("SKIPPED: mosquitto_passwd is not installed (apt-get install mosquitto)");
        return None;
    }
    let at = folder.display();
    let text = format!(
        "allow_anonymous false\npassword_file {at}/passwords\ncafile {at}/ca.crt\ncertfile {at}/server.crt\n\
         keyfile {at}/server.key\nrequire_certificate true\n"
    );
    mosquitto_with(folder, &text)
}

fn settings(folder: &Path, port: u16) -> config::Mqtt {
    config::Mqtt {
        url: format!("mqtts://localhost:{port}"),
        username: Some("box".into()),
        password_file: Some(folder.join("password")),
        ca_file: Some(folder.join("ca.crt")),
        certificate_file: Some(folder.join("client.crt")),
        key_file: Some(folder.join("client.key")),
        ..mqtt(port, "box")
    }
}

/// Delivers one event with these settings; on failure what the status says.
fn delivered(spool: &mut Spool, settings: config::Mqtt) -> Result<(), String> {
    append(spool, EventClass::P1, 1).unwrap();
    let (delivery, mut acknowledgements) = deliver_with(spool, settings, PlantedBug::None, u64::MAX);
    let until = Instant::now() + Duration::from_secs(15);
    let outcome = loop {
        acknowledgements.apply(spool).unwrap();
        let status = delivery.status();
        if spool.queued(1).unwrap().is_empty() {
            break Ok(());
        }
        if let Some(words) = status.last_error {
            break Err(words);
        }
        assert!(Instant::now() < until, "neither delivered nor failed");
        std::thread::sleep(Duration::from_millis(5));
    };
    delivery.stop(Duration::from_secs(3));
    outcome
}

#[test]
fn a_box_with_certificate_and_password_delivers_and_others_are_told_why_not() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    if !make_certificates(at) {
        return;
    }
    let Some(broker) = strict_broker(at) else { return };
    let mut spool = open(&at.join("spool"), 8, PlantedBug::None);
    let good = settings(at, broker.port);

    let words = delivered(&mut spool, good.clone()).unwrap_err();
    assert!(words.contains("mqtt.password_file") && words.contains("password`"), "no file yet: {words}");
    std::fs::write(at.join("password"), "wrong\n").unwrap();
    let words = delivered(&mut spool, good.clone()).unwrap_err();
    assert!(words.contains("NotAuthorized") || words.contains("BadUserNamePassword"), "{words}");
    std::fs::write(at.join("password"), format!("{PASSWORD}\n")).unwrap();
    let foreign = config::Mqtt { ca_file: Some(at.join("other.crt")), ..good.clone() };
    let words = delivered(&mut spool, foreign).unwrap_err();
    assert!(words.contains("UnknownIssuer"), "{words}");
    assert!(!words.contains(PASSWORD), "{words}");
    let half = config::Mqtt { key_file: None, ..good.clone() };
    assert!(delivered(&mut spool, half).unwrap_err().contains("belong together"));
    delivered(&mut spool, good).unwrap();
}

/// A broker that goes by the name in the certificate, and writes down who connects.
fn broker_that_notes_names(folder: &Path) -> Option<Mosquitto> {
    let at = folder.display();
    let text = format!(
        "cafile {at}/ca.crt\ncertfile {at}/server.crt\nkeyfile {at}/server.key\nrequire_certificate true\n\
         use_identity_as_username true\nlog_dest file {at}/log\nlog_type notice\n"
    );
    mosquitto_with(folder, &text)
}

#[test]
fn a_renewed_certificate_is_used_without_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    if !make_certificates(at) {
        return;
    }
    let Some(broker) = broker_that_notes_names(at) else { return };
    let connected = |name: &str| {
        let log = std::fs::read_to_string(at.join("log")).unwrap_or_default();
        log.matches(&format!("u'{name}'")).count()
    };
    let mut spool = open(&at.join("spool"), 8, PlantedBug::None);
    let settings = config::Mqtt { username: None, password_file: None, ..settings(at, broker.port) };
    let (delivery, mut acknowledgements) = deliver_with(&mut spool, settings, PlantedBug::None, u64::MAX);
    let mut goes_through = |n: u64, limit: u64, enough: &dyn Fn() -> bool| {
        append(&mut spool, EventClass::P1, n).unwrap();
        delivery.wake();
        let until = Instant::now() + Duration::from_secs(limit);
        loop {
            acknowledgements.apply(&mut spool).unwrap();
            if spool.queued(1).unwrap().is_empty() && enough() {
                return true;
            }
            if Instant::now() >= until {
                return false;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
    };
    assert!(goes_through(1, 20, &|| connected("client") == 1), "{:?}", delivery.status());
    assert!(!goes_through(2, 3, &|| connected("client") > 1 || connected("renewed") > 0), "it connects anew by itself");
    for end in ["crt", "key"] {
        std::fs::rename(at.join(format!("renewed.{end}")), at.join(format!("client.{end}"))).unwrap();
    }
    let began = Instant::now();
    assert!(goes_through(3, 45, &|| connected("renewed") == 1), "{:?}", delivery.status());
    println!("A renewed certificate was in use, and an event through with it, after {:?}", began.elapsed());
    assert_eq!(connected("client"), 1);
    delivery.stop(Duration::from_secs(3));
}
