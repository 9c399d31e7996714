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
        for n in server client; do
          openssl ecparam -name prime256v1 -genkey -noout | openssl pkcs8 -topk8 -nocrypt -out $n.key
          openssl req -new -key $n.key -subj "/CN=$n" -out $n.csr
        done
        printf "subjectAltName=DNS:localhost,IP:127.0.0.1\n" > s.ext
        printf "subjectAltName=URI:urn:box\n" > c.ext
        openssl x509 -req -in server.csr -CA ca.crt -CAkey ca.key -CAcreateserial -days 30 -extfile s.ext -out server.crt
        openssl x509 -req -in client.csr -CA ca.crt -CAkey ca.key -CAcreateserial -days 30 -extfile c.ext -out client.crt
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
