//! Stories of `forecourt members`, told through the real binary.

#![allow(clippy::unwrap_used, reason = "a story that cannot be told has failed")]

use std::fs;
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};

use serde_json::Value;
use tempfile::TempDir;

const OK: i32 = 0;
const NOT_FOUND: i32 = 4;
const REFUSED: i32 = 5;

/// A box with settings and an empty storage folder.
struct Site {
    folder: TempDir,
}

impl Site {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let settings = "[site]\ntenant = \"acme\"\nsite = \"here\"\ndevice = \"box-1\"\ntime_zone = \"Asia/Shanghai\"\n\n\
                        [storage]\nfolder = \"state\"\n\n[[camera]]\nid = \"gate\"\nsource = \"images:none\"\n";
        fs::write(folder.path().join("forecourt.toml"), settings).unwrap();
        Self { folder }
    }

    fn file(&self, name: &str, content: impl AsRef<[u8]>) -> String {
        let path = self.path(name);
        fs::write(&path, content).unwrap();
        path.to_str().unwrap().to_owned()
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn members(&self, words: &[&str]) -> Output {
        Command::new(env!("CARGO_BIN_EXE_forecourt"))
            .arg("--config")
            .arg(self.path("forecourt.toml"))
            .arg("members")
            .args(words)
            .env_remove("FORECOURT_CONFIG")
            .env_remove("FORECOURT_LOG")
            .output()
            .unwrap()
    }

    /// Runs it, expects the exit code, and returns what stands on stdout.
    fn told(&self, words: &[&str], exit: i32) -> String {
        let output = self.members(words);
        let (out, err) = (String::from_utf8(output.stdout).unwrap(), String::from_utf8(output.stderr).unwrap());
        assert_eq!(output.status.code(), Some(exit), "{words:?}\n{out}\n{err}");
        out
    }

    fn json(&self, words: &[&str], exit: i32) -> Value {
        serde_json::from_str(&self.told(&[words, &["--json"]].concat(), exit)).unwrap()
    }

    /// The list as it is, a line each; empty when there is none.
    fn list(&self) -> Vec<String> {
        let output = self.members(&["export", "--format", "csv"]);
        String::from_utf8(output.stdout).unwrap().lines().skip(1).map(str::to_owned).collect()
    }
}

const GOOD: &str = "member_ref,plate,tier,list,organisation,valid_from,valid_until,consents,external_ids\n\
    m-1,皖A·12345;皖AD12345,gold,vip,dealer-7,2026-01-01,2026-12-31,plate;dwell,oneid=77;crm=A-9\n\
    m-2,苏B-67890,silver,member,,,,plate,\n\
    m-2,苏B67891,,,,,,,\n";

#[test]
fn a_good_file_is_imported_and_shown() {
    let here = Site::new();
    let report = here.json(&["import", &here.file("list.csv", GOOD)], OK);
    assert_eq!(report["outcome"], "applied");
    assert_eq!(
        (report["added"].as_u64(), report["plates"].as_u64(), report["lines"].as_u64()),
        (Some(2), Some(4), Some(4))
    );
    // Days are the site's: the year begins eight hours before it does in UTC, and its last day counts.
    assert_eq!(
        here.list(),
        [
            "m-1,皖A12345;皖AD12345,gold,vip,dealer-7,2025-12-31T16:00:00Z,2026-12-31T16:00:00Z,plate;dwell,crm=A-9;oneid=77",
            "m-2,苏B67890;苏B67891,silver,member,,,,plate,",
        ]
    );
    let shown = here.json(&["show", "m-1"], OK);
    assert_eq!(shown["external_ids"]["oneid"], "77");
    assert_eq!(shown["plate"][1], "皖AD12345");
    let table = here.told(&["list", "--tier", "silver"], OK);
    assert!(table.contains("苏B67890 苏B67891") && !table.contains("m-1"), "{table}");
    assert!(here.told(&["show", "m-1"], OK).contains("dealer-7"));
    here.told(&["show", "m-9"], NOT_FOUND);
}

#[test]
fn a_file_with_bad_lines_changes_nothing_and_each_is_reported_with_its_way_out() {
    let here = Site::new();
    here.told(&["import", &here.file("list.csv", GOOD)], OK);
    let before = here.list();
    let bad = "plate,member_ref,valid_until,consents\n皖C12345,m-7,,plate\n皖C1,m-8,,plate\n皖C12347,m-9,tomorrow,smell\n\
               \"皖C12348,m-10,,plate\n皖C12349,m-11,,plate\n";
    let file = here.file("bad.csv", bad);
    let report = here.json(&["import", &file], REFUSED);
    assert_eq!((report["outcome"].as_str(), report["bad_lines"].as_u64()), (Some("refused"), Some(3)));
    let problems = report["problems"].as_array().unwrap();
    let told: Vec<_> = problems.iter().map(|p| (p["line"].as_u64().unwrap(), p["field"].as_str())).collect();
    assert_eq!(told, [(3, Some("plate")), (4, Some("valid_until")), (4, Some("consents")), (5, None)]);
    assert!(problems.iter().all(|p| !p["way_out"].as_str().unwrap().is_empty()));
    assert_eq!(here.list(), before);

    let words = here.told(&["import", &file], REFUSED);
    for part in ["tomorrow", "RFC 3339", "smell", "not closed", "--skip-bad", "nothing was changed"] {
        assert!(words.contains(part), "{part}\n{words}");
    }

    let words = here.told(&["import", "--skip-bad", &file], OK);
    assert!(words.contains("3 bad lines; the good lines were applied"), "{words}");
    assert_eq!(here.list().len(), before.len() + 2);
}

#[test]
fn a_trial_changes_nothing_and_a_replaced_list_is_exactly_the_file() {
    let here = Site::new();
    here.told(&["import", &here.file("list.csv", GOOD)], OK);
    let next = here.file("next.jsonl", "{\"member_ref\": \"m-3\", \"plate\": [\"粤B12345\"]}\n");
    assert!(here.told(&["import", "--replace", "--dry-run", &next], OK).contains("would be 1 members"));
    assert_eq!(here.list().len(), 2);
    assert_eq!(here.json(&["import", "--replace", &next], OK)["removed"], 2);
    assert_eq!(here.list(), ["m-3,粤B12345,,member,,,,plate;dwell,"]);
    let empty = here.file("empty.csv", "");
    assert!(here.told(&["import", "--replace", &empty], REFUSED).contains("the file is empty"));
    assert_eq!(here.list().len(), 1);
}

#[test]
fn files_as_other_programs_save_them() {
    let here = Site::new();
    let utf16: Vec<u8> = format!("\u{FEFF}{GOOD}").encode_utf16().flat_map(u16::to_le_bytes).collect();
    let words = here.told(&["import", &here.file("excel-unicode.txt", utf16)], REFUSED);
    assert!(words.contains("UTF-16") && words.contains("CSV UTF-8"), "{words}");
    assert!(here.list().is_empty());
    let marked = format!("\u{FEFF}{}", GOOD.replace('\n', "\r\n"));
    here.told(&["import", &here.file("excel-utf8.csv", marked)], OK);
    assert_eq!(here.list().len(), 2);
    let words = here.told(&["import", &here.file("typo.csv", "member_ref,plate,teir\nm-1,皖A12345,gold\n")], REFUSED);
    assert!(words.contains("did you mean `tier`?"), "{words}");
    let missing = here.members(&["import", "no-such-file.csv"]);
    assert_eq!(missing.status.code(), Some(1));
    assert!(String::from_utf8(missing.stderr).unwrap().contains("no-such-file.csv"));
}

#[test]
fn an_exported_list_is_imported_to_the_same_list_in_both_formats() {
    let here = Site::new();
    here.told(&["import", &here.file("list.csv", GOOD)], OK);
    for name in ["out.csv", "out.jsonl"] {
        let there = Site::new();
        let out = here.path(name);
        here.told(&["export", out.to_str().unwrap()], OK);
        there.told(&["import", out.to_str().unwrap()], OK);
        let again = there.path(name);
        there.told(&["export", again.to_str().unwrap()], OK);
        assert_eq!(fs::read(&out).unwrap(), fs::read(&again).unwrap(), "{name}");
        assert_eq!(here.list(), there.list());
    }
}

#[test]
fn a_reader_that_has_seen_enough_is_no_failure() {
    let here = Site::new();
    let many: String = (0..20_000).map(|n| format!("m-{n},皖A{n:05}\n")).collect();
    here.told(&["import", &here.file("list.csv", format!("member_ref,plate\n{many}"))], OK);
    for words in [["members", "export", "--format", "jsonl"], ["members", "list", "--limit", "0"]] {
        let mut child = Command::new(env!("CARGO_BIN_EXE_forecourt"))
            .arg("--config")
            .arg(here.path("forecourt.toml"))
            .args(words)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        drop(child.stdout.take());
        let output = child.wait_with_output().unwrap();
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(OK), "{said}");
        assert!(!said.contains("panicked") && !said.contains("pipe"), "{said}");
    }
}

#[test]
fn who_is_removed_is_gone_at_once_and_a_mistyped_name_removes_nobody() {
    let here = Site::new();
    here.told(&["import", &here.file("list.csv", GOOD)], OK);
    here.told(&["match", "皖AD12345", "--at", "2026-06-01T00:00:00Z"], OK);
    here.told(&["remove", "m-1", "m-99"], NOT_FOUND);
    assert_eq!(here.list().len(), 2);
    here.told(&["remove", "m-1"], OK);
    assert_eq!(here.json(&["match", "皖AD12345"], NOT_FOUND)["verdict"], "not-listed");
    for file in fs::read_dir(here.path("state")).unwrap() {
        let bytes = fs::read(file.unwrap().path()).unwrap();
        assert!(!bytes.windows(8).any(|part| part == b"dealer-7"));
    }
    here.told(&["remove", "--all"], OK);
    assert!(here.list().is_empty());
}

#[test]
fn match_says_what_a_plate_would_match_and_why_not() {
    let here = Site::new();
    let list = format!(
        "{GOOD}m-3,皖A12845,gold,,,,,dwell,\nm-4,皖A99999,,,,,,plate,\nm-5,皖A99999,,,,,,plate,\nm-6,皖A12346,,,,,,plate,\n"
    );
    here.told(&["import", &here.file("list.csv", list)], OK);
    let asked = |plate: &str, at: &str, exit: i32| here.json(&["match", plate, "--at", at], exit);
    let summer = "2026-06-01T00:00:00Z";

    let listed = asked("皖A·12345", summer, OK);
    assert_eq!((&listed["verdict"], &listed["members"][0]["member_ref"]), (&"listed".into(), &"m-1".into()));
    assert_eq!((&listed["near"][0]["plate"], &listed["near"][0]["places"][0]), (&"皖A12346".into(), &7.into()));

    let expired = asked("皖A12345", "2026-12-31T16:00:00Z", NOT_FOUND);
    assert_eq!((&expired["verdict"], &expired["members"][0]["why_not"]), (&"not-matchable".into(), &"expired".into()));
    assert_eq!(asked("皖A12845", summer, NOT_FOUND)["members"][0]["why_not"], "no-consent");
    assert_eq!(asked("皖A99999", summer, NOT_FOUND)["verdict"], "ambiguous");

    let stranger = asked("皖A12344", summer, NOT_FOUND);
    assert_eq!((&stranger["verdict"], stranger["near"].as_array().unwrap().len()), (&"not-listed".into(), 2));
    let words = here.told(&["match", "皖A99999", "--at", summer], NOT_FOUND);
    assert!(words.contains("m-4 and m-5 have it, so nobody is told of"), "{words}");
}

#[test]
fn a_file_that_is_no_member_list_is_left_as_it_is() {
    let here = Site::new();
    fs::create_dir(here.path("state")).unwrap();
    let notes = "not a database, but somebody's notes\n".repeat(40);
    let file = here.file("state/members.db", &notes);
    for words in [vec!["list"], vec!["import", "list.csv"]] {
        here.file("list.csv", GOOD);
        let import = here.path("list.csv");
        let words: Vec<&str> =
            words.into_iter().map(|w| if w == "list.csv" { import.to_str().unwrap() } else { w }).collect();
        let output = here.members(&words);
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(1), "{said}");
        assert!(said.contains("was left as it is"), "{said}");
    }
    assert_eq!(fs::read_to_string(file).unwrap(), notes);
    let fresh = Site::new().members(&["list"]);
    assert!(String::from_utf8(fresh.stderr).unwrap().contains("make one with `forecourt members import FILE`"));
}

#[test]
fn no_plate_is_logged_however_much_is_logged() {
    let here = Site::new();
    let file = here.file("list.csv", format!("{GOOD}m-9,皖Q7,,,,,,plate,\n"));
    for words in [vec!["import", "--skip-bad", &file], vec!["match", "皖A12345"], vec!["remove", "m-1"]] {
        let output = here.members(&[words.as_slice(), &["--log", "trace"]].concat());
        let log = String::from_utf8(output.stderr).unwrap();
        assert!(!log.contains("12345") && !log.contains("皖"), "{log}");
    }
}

#[test]
fn export_as_json_is_one_object_a_line_and_a_file_keeps_its_endings_word() {
    let site = Site::new();
    let file = site.file("list.csv", "member_ref,plate,tier\nm1,皖A12345,gold\nm2,皖A12346,\n");
    site.told(&["import", &file], OK);
    let lines = site.told(&["export", "--json"], OK);
    let members: Vec<Value> = lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!((members.len(), &members[0]["member_ref"]), (2, &"m1".into()));
    assert!(site.told(&["export"], OK).starts_with("member_ref,plate"));
    let out = site.path("out.csv");
    let said = site.told(&["export", out.to_str().unwrap(), "--json"], OK);
    assert_eq!(serde_json::from_str::<Value>(&said).unwrap()["written"], 2);
    assert!(fs::read_to_string(&out).unwrap().starts_with("member_ref,plate"));
}
