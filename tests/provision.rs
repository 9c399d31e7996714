//! From a stick to a working box through the real binary: applied whole or not at all, a result for the installer, a
//! certificate by token from a server on loopback or by stick, reset. And T30: sticks that are damaged in every way.
//!
//! T30 was seen to fail on a break of one line: settings with findings are staged all the same; the files are written into
//! the settings in use and not into their copy.

#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a test may panic; a skipped one says so")]

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use forecourt::provision::stick::{SITE, Stick};
use forecourt::provision::{Places, site};
use rcgen::{CertificateParams, CertificateSigningRequestParams, Issuer, KeyPair};

const SERIAL: &str = "TEST0001";
const GOOD: &str = "[site]\ntenant = \"acme\"\nsite = \"shanghai-07\"\ndevice = \"box-1\"\n\
    [[camera]]\nid = \"gate\"\nsource = \"rtsp://127.0.0.1:9/stream\"\ncredentials_file = \"gate.credentials\"\n";

struct Box {
    root: tempfile::TempDir,
    stick: tempfile::TempDir,
}

impl Box {
    fn new() -> Self {
        Self { root: tempfile::tempdir().unwrap(), stick: tempfile::tempdir().unwrap() }
    }

    fn put(&self, name: &str, bytes: impl AsRef<[u8]>) {
        std::fs::write(self.stick.path().join(name), bytes).unwrap();
    }

    fn provision(&self, arguments: &[&str]) -> Output {
        let mut command = Command::new(env!("CARGO_BIN_EXE_forecourt"));
        command.arg("provision").args(["--serial", SERIAL, "--root"]).arg(self.root.path());
        command.args(arguments).env_remove("FORECOURT_CONFIG").stdin(Stdio::null()).output().unwrap()
    }

    fn apply(&self) -> (i32, String) {
        let output = self.provision(&["apply", "--no-checks", self.stick.path().to_str().unwrap()]);
        let result = std::fs::read_to_string(self.stick.path().join(format!("RESULT-{SERIAL}.txt"))).unwrap();
        assert_eq!(String::from_utf8_lossy(&output.stdout), result.replace("\r\n", "\n"));
        (output.status.code().unwrap(), result)
    }

    fn settings(&self, name: &str) -> PathBuf {
        self.root.path().join("etc/forecourt").join(name)
    }
}

/// Every file below a folder with its bytes.
fn tree(folder: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut found = BTreeMap::new();
    for entry in std::fs::read_dir(folder).into_iter().flatten() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(tree(&path));
        } else {
            found.insert(path.clone(), std::fs::read(&path).unwrap());
        }
    }
    found
}

#[test]
fn settings_written_on_windows_are_applied_with_the_files_that_they_name() {
    let here = Box::new();
    let windows: Vec<u8> =
        format!("\u{feff}{}", GOOD.replace('\n', "\r\n")).encode_utf16().flat_map(u16::to_le_bytes).collect();
    here.put("Forecourt-Site.TOML.txt", windows);
    here.put("gate.credentials", "admin:secret\n");
    let (code, result) = here.apply();
    assert_eq!(code, 0, "{result}");
    assert!(
        result.contains("OK   settings") && result.ends_with("ALL IS WELL\r\n") && !result.contains("secret"),
        "{result}"
    );
    assert_eq!(std::fs::read_to_string(here.settings("forecourt.toml")).unwrap(), GOOD);
    assert_eq!(std::fs::read_to_string(here.settings("gate.credentials")).unwrap(), "admin:secret\n");
    // For the platform: the request and the label came back on the stick, the key did not.
    let csr = std::fs::read_to_string(here.stick.path().join(format!("{SERIAL}.csr"))).unwrap();
    assert!(csr.contains("CERTIFICATE REQUEST"));
    assert!(tree(here.stick.path()).values().all(|bytes| !String::from_utf8_lossy(bytes).contains("PRIVATE KEY")));
}

#[test]
fn wrong_settings_change_nothing_and_every_finding_is_in_the_result() {
    let here = Box::new();
    here.put(SITE, GOOD);
    here.put("gate.credentials", "admin:secret\n");
    assert_eq!(here.apply().0, 0);
    let before = tree(&here.root.path().join("etc"));
    here.put(SITE, GOOD.replace("gate.credentials", "other.credentials").replace("tenant = \"acme\"", "tenant = \"\""));
    let (code, result) = here.apply();
    assert_eq!(code, 5);
    assert!(
        result.contains("FC-CFG-008") && result.contains("FC-CFG-018") && result.contains("nothing was changed"),
        "{result}"
    );
    // Named as the installer knows it, not as the box had it for a moment.
    assert!(result.contains("`other.credentials` does not exist; put it on the stick, beside `forecourt-site.toml`"));
    assert!(!result.contains(here.root.path().to_str().unwrap()), "{result}");
    assert_eq!(tree(&here.root.path().join("etc")), before);
    std::fs::remove_file(here.stick.path().join(SITE)).unwrap();
    let (code, result) = here.apply();
    assert!(code == 5 && result.contains("there is no `forecourt-site.toml`"), "{result}");
}

#[test]
fn a_stick_brings_every_file_that_the_settings_name() {
    let here = Box::new();
    std::fs::create_dir(here.stick.path().join("keys")).unwrap();
    // The first public key of RFC 8032, 7.1.
    let key = "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a";
    here.put("keys/plat.pub", key);
    here.put("ca.pem", "an authority");
    here.put("gate.credentials", "admin:secret\n");
    let named = "[members]\ntrusted_keys = [\"./keys/plat.pub\"]\n\
        [mqtt]\nurl = \"mqtts://broker.example.com\"\nca_file = \"./ca.pem\"\n";
    here.put(SITE, format!("{GOOD}{named}"));
    let (code, result) = here.apply();
    assert_eq!(code, 0, "{result}");
    assert_eq!(std::fs::read_to_string(here.settings("keys/plat.pub")).unwrap(), key);
    assert_eq!(std::fs::read_to_string(here.settings("ca.pem")).unwrap(), "an authority");
    // What would be executed, or must be signed, does not come this way, and is not asked for on the stick.
    here.put("lib.so", "a library");
    here.put(SITE, format!("{GOOD}{named}[inference]\nlibrary = \"lib.so\"\n"));
    let (code, result) = here.apply();
    assert!(code == 5 && result.contains("`lib.so` does not exist; this does not come by stick"), "{result}");
    assert!(!here.settings("lib.so").exists());
}

#[test]
fn a_folder_that_does_not_exist_is_refused() {
    let here = Box::new();
    let output = here.provision(&["apply", here.stick.path().join("gone").to_str().unwrap()]);
    let words = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(5), "{words}");
    assert!(words.contains("gone") && words.contains("nothing was changed"), "{words}");
}

/// A server that signs the request of whoever knows the token, once.
fn enrolment(token: &'static str) -> (u16, std::thread::JoinHandle<Vec<String>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let serve = move || {
        let key = KeyPair::generate().unwrap();
        let authority = Issuer::new(CertificateParams::new(Vec::new()).unwrap(), key);
        let (mut used, mut log) = (false, Vec::new());
        for stream in listener.incoming().take(2) {
            let stream = stream.unwrap();
            let mut reader = BufReader::new(&stream);
            let (mut length, mut known) = (0, false);
            loop {
                let mut line = String::new();
                reader.read_line(&mut line).unwrap();
                let line = line.trim_end().to_lowercase();
                if line.is_empty() {
                    break;
                }
                length = line.strip_prefix("content-length: ").map_or(length, |value| value.parse().unwrap());
                known |= line == format!("authorization: bearer {token}");
            }
            let mut body = vec![0; length];
            reader.read_exact(&mut body).unwrap();
            let (status, answer) = if known && !used {
                used = true;
                let request = CertificateSigningRequestParams::from_pem(&String::from_utf8(body).unwrap()).unwrap();
                ("200 OK", request.signed_by(&authority).unwrap().pem())
            } else {
                ("403 Forbidden", String::new())
            };
            log.push(status.to_owned());
            write!(
                &stream,
                "HTTP/1.1 {status}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{answer}",
                answer.len()
            )
            .unwrap();
        }
        log
    };
    (port, std::thread::spawn(serve))
}

#[test]
fn a_token_buys_one_certificate_and_does_not_stay_on_the_stick() {
    let (port, server) = enrolment("0ne-time");
    let here = Box::new();
    let url = format!("http://127.0.0.1:{port}/enrol");
    here.put("ENROL.TXT", format!("url = \"{url}\"\r\ntoken = \"0ne-time\"\r\n"));
    here.put("gate.credentials", "admin:secret\n");
    let with_identity = format!(
        "{GOOD}[mqtt]\nurl = \"mqtts://broker.example.com\"\ncertificate_file = \"identity/device.pem\"\nkey_file = \"identity/device.key\"\n"
    );
    here.put(SITE, &with_identity);
    let (code, result) = here.apply();
    assert_eq!(code, 0, "{result}");
    assert!(result.contains("OK   identity") && !result.contains("0ne-time"), "{result}");
    assert!(std::fs::read_to_string(here.settings("identity/device.pem")).unwrap().contains("BEGIN CERTIFICATE"));
    assert!(!here.stick.path().join("ENROL.TXT").exists());
    // The same token again, from another box: refused, and nothing is applied.
    let other = Box::new();
    other.put("enrol.txt", format!("url = \"{url}\"\ntoken = \"0ne-time\"\n"));
    other.put("gate.credentials", "admin:secret\n");
    other.put(SITE, &with_identity);
    let (code, result) = other.apply();
    assert!(code == 5 && result.contains("refuses the token"), "{result}");
    assert!(!other.settings("forecourt.toml").exists() && other.stick.path().join("enrol.txt").exists());
    assert_eq!(server.join().unwrap(), ["200 OK", "403 Forbidden"]);
}

#[test]
fn a_certificate_comes_by_stick_and_one_of_another_box_is_refused() {
    let here = Box::new();
    here.put(SITE, GOOD);
    here.put("gate.credentials", "admin:secret\n");
    assert_eq!(here.apply().0, 0);
    let csr = std::fs::read_to_string(here.stick.path().join(format!("{SERIAL}.csr"))).unwrap();
    let authority = Issuer::new(CertificateParams::new(Vec::new()).unwrap(), KeyPair::generate().unwrap());
    let own = CertificateSigningRequestParams::from_pem(&csr).unwrap().signed_by(&authority).unwrap().pem();
    let key = KeyPair::generate().unwrap();
    let strange = CertificateParams::new(Vec::new()).unwrap().self_signed(&key).unwrap().pem();
    here.put(&format!("{SERIAL}.pem"), strange);
    let (code, result) = here.apply();
    assert!(code == 5 && result.contains("another key"), "{result}");
    here.put(&format!("{SERIAL}.pem"), &own);
    assert_eq!(here.apply().0, 0);
    assert_eq!(std::fs::read_to_string(here.settings("identity/device.pem")).unwrap(), own);
}

#[test]
fn a_reset_wants_the_serial_and_leaves_no_key() {
    let here = Box::new();
    here.put(SITE, GOOD);
    here.put("gate.credentials", "admin:secret\n");
    assert_eq!(here.apply().0, 0);
    let label = here.provision(&["show", "--label", here.stick.path().to_str().unwrap()]);
    assert!(label.status.success());
    assert!(here.stick.path().join(format!("label-{SERIAL}.png")).exists());
    let proof = here.stick.path().join("proof.json");
    let reset = |serial: &str| here.provision(&["reset", "--destroy", serial, "--proof", proof.to_str().unwrap()]);
    assert_eq!(reset("OTHER").status.code(), Some(5));
    assert!(here.settings("identity/device.key").exists());
    assert_eq!(reset(SERIAL).status.code(), Some(0));
    assert_eq!(tree(&here.root.path().join("etc/forecourt")), BTreeMap::new());
    let proof: serde_json::Value = serde_json::from_slice(&std::fs::read(proof).unwrap()).unwrap();
    assert_eq!(proof["serial"], SERIAL);
    assert!(
        proof["keys"]
            .as_array()
            .unwrap()
            .iter()
            .any(|key| key["path"].as_str().unwrap().ends_with("identity/device.key"))
    );
}

#[test]
fn a_reset_finds_what_the_settings_keep_elsewhere() {
    let here = Box::new();
    here.put(SITE, format!("{GOOD}[storage]\nfolder = \"/data/box\"\n[privacy]\nkey_file = \"/data/box.key\"\n"));
    here.put("gate.credentials", "admin:secret\n");
    let data = here.root.path().join("data");
    std::fs::create_dir_all(data.join("box")).unwrap();
    // Named on this machine they would not be found; on the box that is made they are below its root.
    for (name, text) in [("box.key", "key"), ("box/members.db", "members"), ("box/spool.db", "events")] {
        std::fs::write(data.join(name), text).unwrap();
    }
    std::fs::create_dir_all(here.settings("")).unwrap();
    std::fs::copy(here.stick.path().join(SITE), here.settings("forecourt.toml")).unwrap();
    let proof = here.stick.path().join("proof.json");
    let reset = || here.provision(&["reset", "--destroy", SERIAL, "--proof", proof.to_str().unwrap()]);
    let output = reset();
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(tree(&data), BTreeMap::new());
    let told: serde_json::Value = serde_json::from_slice(&std::fs::read(&proof).unwrap()).unwrap();
    assert!(told["keys"][0]["path"].as_str().unwrap().ends_with("data/box.key"), "{told}");
    // The same settings, and the disk with the key is away: that is told, and not passed over.
    std::fs::copy(here.stick.path().join(SITE), here.settings("forecourt.toml")).unwrap();
    let output = reset();
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&output.stderr).contains("box.key: `privacy.key_file` is not there"));
}

#[test]
fn the_signs_are_confirmed_below_the_root_that_was_named() {
    let here = Box::new();
    let words = ["confirm-signage", "--photo-id", "p-1", "--by", "nobody"];
    // Without settings there is no telling where the list lies: nothing is made, least of all on this machine.
    assert_ne!(here.provision(&words).status.code(), Some(0));
    assert_eq!(tree(here.root.path()), BTreeMap::new());
    std::fs::create_dir_all(here.settings("")).unwrap();
    std::fs::write(here.settings("forecourt.toml"), GOOD).unwrap();
    let output = here.provision(&words);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let list = here.root.path().join("var/lib/forecourt/members.db");
    let store = forecourt::store::members::MemberStore::open_existing(&list).unwrap();
    assert_eq!(store.signage_confirmed().unwrap().unwrap().photo_id, "p-1");
}

#[test]
fn a_box_without_a_number_asks_for_one_and_a_key_that_is_made_is_told() {
    let here = Box::new();
    let show = |more: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_forecourt"));
        command.args(["provision", "show", "--root"]).arg(here.root.path()).args(more);
        command.env_remove("FORECOURT_CONFIG").stdin(Stdio::null()).output().unwrap()
    };
    let refused = show(&[]);
    assert_eq!(refused.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&refused.stderr).contains("--serial WORD"));
    assert_eq!(tree(here.root.path()), BTreeMap::new());
    let settings = here.stick.path().join("own.toml");
    std::fs::write(&settings, GOOD).unwrap();
    let first = show(&["--serial", SERIAL, "--config", settings.to_str().unwrap()]);
    assert!(String::from_utf8_lossy(&first.stderr).contains("Key and claim of this box were made in"));
    assert!(String::from_utf8_lossy(&first.stdout).contains("site: acme/shanghai-07/box-1"));
    assert!(show(&["--serial", SERIAL]).stderr.is_empty());
}

/// T30. `FORECOURT_SOAK` tries ten times as many.
#[test]
fn a_damaged_stick_never_panics_and_never_half_applies() {
    let turns = if std::env::var_os("FORECOURT_SOAK").is_some() { 2_000 } else { 200 };
    let here = Box::new();
    let places = Places::below(here.root.path());
    here.put("gate.credentials", "admin:secret\n");
    let stick = Stick::open(here.stick.path()).unwrap();
    site::stage(&places, GOOD, &stick, &[]).unwrap().switch().unwrap();
    let mut random = fastrand::Rng::with_seed(30);
    let (mut applied, mut refused) = (0, 0);
    for turn in 0..turns {
        let bytes = damaged(&mut random, turn);
        here.put(SITE, &bytes);
        let before = tree(&places.settings);
        let outcome = stick.text(SITE).map(Option::unwrap_or_default);
        let outcome = outcome.and_then(|text| {
            let staged = site::stage(&places, &text, &stick, &[]).map_err(|why| format!("{why:?}"))?;
            staged.switch().map_err(|error| format!("{error:#}"))?;
            Ok(text)
        });
        match outcome {
            Ok(text) => {
                applied += 1;
                assert_eq!(std::fs::read_to_string(places.settings_file()).unwrap(), text);
                let loaded = forecourt::config::load(&places.settings_file()).unwrap();
                assert_eq!(loaded.check_service(true), []);
            }
            Err(words) => {
                refused += 1;
                assert!(!words.is_empty());
                assert_eq!(tree(&places.settings), before, "turn {turn}: {words}");
            }
        }
        assert!(!places.settings.with_extension("next").exists());
    }
    println!("{applied} applied, {refused} refused");
    assert!(applied > 0 && refused > turns / 2, "{applied} applied, {refused} refused");
}

fn damaged(random: &mut fastrand::Rng, turn: usize) -> Vec<u8> {
    let mut bytes = GOOD.as_bytes().to_vec();
    match turn % 8 {
        0 => bytes.truncate(random.usize(..bytes.len())),
        1 => {
            for _ in 0..random.usize(1..8) {
                let at = random.usize(..bytes.len());
                bytes[at] ^= 1 << random.u8(..8);
            }
        }
        2 => bytes = GOOD.encode_utf16().flat_map(u16::to_be_bytes).skip(random.usize(..3)).collect(),
        3 => bytes.extend(GOOD.as_bytes()),
        4 => bytes = (0..random.usize(..5_000)).map(|_| random.u8(..)).collect(),
        5 => bytes = vec![b'a'; random.usize((1 << 20) - 2..(1 << 20) + 3)],
        6 => {
            let lines: Vec<&str> = GOOD.lines().collect();
            bytes = (0..lines.len())
                .map(|_| format!("{}\r\n", lines[random.usize(..lines.len())]))
                .collect::<String>()
                .into();
        }
        _ => {
            let at = random.usize(..bytes.len());
            let inserted = random.choice(["\"", "\u{feff}", "[[", "= ", "\0", "é", "\n"]).unwrap();
            bytes.splice(at..at, inserted.bytes());
        }
    }
    bytes
}
