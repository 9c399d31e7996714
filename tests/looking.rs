//! Commands that only look, told through the real binary: they tell damage, and make, mend and rename nothing, so that a
//! service of another user can start after root has looked.

#![allow(clippy::unwrap_used, reason = "a story that cannot be told has failed")]

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::Duration;

use forecourt::clock::{Boot, Clock};
use forecourt::config::Config;
use forecourt::pipeline::rules::compose_drops;
use forecourt::store::spool::{Limits, Spool, VisitRow};
use tempfile::TempDir;

const FAILED: i32 = 1;

struct Site(TempDir);

impl Site {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let text = "[site]\ntenant = \"acme\"\nsite = \"here\"\ndevice = \"box-1\"\n\
                    [storage]\nfolder = \"state\"\ncontrol_socket = \"control.sock\"\n\
                    [[camera]]\nid = \"gate\"\nsource = \"images:none\"\n";
        fs::write(folder.path().join("forecourt.toml"), text).unwrap();
        Self(folder)
    }

    fn state(&self, name: &str) -> PathBuf {
        self.0.path().join("state").join(name)
    }

    /// A spool with one visit.
    fn spool(&self) -> Spool {
        let limits = Limits { max_mib: 8, keep_visits: Duration::from_secs(86_400) };
        let compose = compose_drops(&Config::default(), Clock::system(), Boot::system());
        let mut spool = Spool::open(&self.state(""), limits, compose).unwrap();
        let row = VisitRow {
            visit_id: "v-1".into(),
            member_ref: "m-1".into(),
            opened_ms: 1_780_000_000_000,
            closed_ms: None,
            state: b"{}".to_vec(),
        };
        spool.transaction(|tx| tx.put_visit(&row)).unwrap();
        spool
    }

    fn run(&self, words: &[&str]) -> Output {
        let mut command = Command::new(env!("CARGO_BIN_EXE_forecourt"));
        command.arg("--config").arg(self.0.path().join("forecourt.toml")).args(words);
        command.env_remove("FORECOURT_CONFIG").env_remove("FORECOURT_LOG").stdin(Stdio::null()).output().unwrap()
    }

    /// Names and bytes of all files; SQLite may write into the index of a log that is there already.
    fn files(&self) -> BTreeMap<String, Vec<u8>> {
        let entries = fs::read_dir(self.state("")).unwrap().map(|entry| entry.unwrap().path());
        let name = |path: &Path| path.file_name().unwrap().to_str().unwrap().to_owned();
        let bytes = |path: &Path| if name(path).ends_with("-shm") { Vec::new() } else { fs::read(path).unwrap() };
        entries.map(|path| (name(&path), bytes(&path))).collect()
    }
}

fn words(output: &Output) -> String {
    [&output.stdout[..], &output.stderr[..]].map(String::from_utf8_lossy).concat()
}

#[test]
fn a_spool_without_its_lock_is_looked_into_and_nothing_is_made() {
    let site = Site::new();
    drop(site.spool());
    for name in ["spool.db-lock", "spool.db-ballast", "spool.db-wal", "spool.db-shm"] {
        let _ = fs::remove_file(site.state(name));
    }
    let before = site.files();
    let visits = site.run(&["visits", "--json"]);
    assert!(visits.status.success() && words(&visits).contains("\"m-1\""), "{}", words(&visits));
    assert!(site.run(&["events", "outbox"]).status.success());
    assert_eq!(site.files(), before);
}

#[test]
fn what_a_killed_service_left_in_its_log_is_seen() {
    let site = Site::new();
    let alive = site.spool();
    let left = Site::new();
    fs::create_dir(left.state("")).unwrap();
    for name in ["spool.db", "spool.db-wal", "spool.db-shm"] {
        fs::copy(site.state(name), left.state(name)).unwrap();
    }
    drop(alive);
    assert!(fs::metadata(left.state("spool.db-wal")).unwrap().len() > 0);
    let before = left.files();
    let visits = left.run(&["visits", "--json"]);
    assert!(visits.status.success() && words(&visits).contains("\"m-1\""), "{}", words(&visits));
    assert_eq!(left.files(), before);
}

#[test]
fn damage_is_told_and_left_for_the_service() {
    let site = Site::new();
    drop(site.spool());
    let mut bytes = fs::read(site.state("spool.db")).unwrap();
    bytes[4096..3 * 4096].fill(0xEE);
    for damaged in [bytes, b"a letter to a friend, and no database at all".repeat(40), Vec::new()] {
        let _ = fs::remove_file(site.state("spool.db-wal"));
        fs::write(site.state("spool.db"), damaged).unwrap();
        let before = site.files();
        for command in [vec!["visits"], vec!["events", "outbox"], vec!["events", "explain", "e1-1"]] {
            let output = site.run(&command);
            let said = words(&output);
            assert_eq!(output.status.code(), Some(FAILED), "{said}");
            assert!(said.contains("cannot be trusted") && said.contains("nothing was changed"), "{said}");
        }
        assert_eq!(site.files(), before);
        // The same in the words of the doctor, beside what it says of a box whose service is stopped.
        let told = words(&site.run(&["doctor"]));
        assert!(told.contains("[FC-DOC-018]") && told.contains("spool.db"), "{told}");
        assert_eq!(site.files(), before);
    }
}

#[test]
fn a_key_that_is_there_already_is_told_once_with_the_way_out() {
    let site = Site::new();
    let file = site.0.path().join("k.key");
    let file = file.to_str().unwrap();
    assert!(site.run(&["privacy", "new-key", file]).status.success());
    let key = fs::read(file).unwrap();
    let said = words(&site.run(&["privacy", "new-key", file]));
    assert!(said.contains("[FC-KEY-010] there is a key already") && said.contains("privacy rekey"), "{said}");
    assert_eq!(fs::read(file).unwrap(), key);
    // What the system said stands once in every error.
    let said = words(&site.run(&["members", "sign", "nope.csv", "--key", file, "--out", "x"]));
    assert!(said.matches("os error").count() <= 1, "{said}");
    fs::create_dir(site.0.path().join("folder.key")).unwrap();
    let said = words(&site.run(&["privacy", "new-key", &format!("{file}/below.key")]));
    assert!(said.contains("[FC-KEY-002]") && said.matches("os error").count() == 1, "{said}");
}
