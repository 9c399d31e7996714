//! `forecourt config`, through the program itself.

#![allow(clippy::unwrap_used, reason = "a test may panic, also in its helpers")]

use std::path::Path;
use std::process::{Command, Output, Stdio};

use forecourt::clock::{Boot, Clock};
use forecourt::pipeline::rules::compose_drops;
use forecourt::store::spool::{Limits, Spool};
use serde_json::Value;

fn forecourt(args: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_forecourt"));
    command.args(args).env_remove("FORECOURT_CONFIG").output().unwrap()
}

fn stdout(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

fn example(name: &str) -> String {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("firmware-config/examples").join(name).to_string_lossy().into_owned()
}

#[test]
fn a_sound_file_is_told_so_and_its_missing_files_are_told_unless_nobody_asks() {
    let dealer = example("dealer.toml");
    let sound = forecourt(&["config", "check", "--no-files", &dealer]);
    assert_eq!(sound.status.code(), Some(0), "{}", String::from_utf8_lossy(&sound.stderr));
    assert!(stdout(&sound).contains("acme/shanghai-07/box-1, cameras: 3, zones: 3"), "{}", stdout(&sound));
    let missing = forecourt(&["config", "check", "--json", &dealer]);
    assert_eq!(missing.status.code(), Some(3));
    let report: Value = serde_json::from_str(&stdout(&missing)).unwrap();
    assert_eq!(report["ok"], false);
    let first = &report["findings"][0];
    assert_eq!((first["code"].as_str(), first["line"].as_u64()), (Some("FC-CFG-018"), Some(13)), "{first}");
    assert!(report["findings"].as_array().unwrap().iter().all(|each| each["code"] == "FC-CFG-018"));
}

#[test]
fn faults_go_to_stderr_all_at_once_and_the_exit_code_says_settings() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("forecourt.toml");
    std::fs::write(&file, "[site]\ntennant = \"a\"\n[mqtt]\nurl = \"http://x\"\n").unwrap();
    let file = file.to_string_lossy();
    for args in [vec!["config", "check", &file], vec!["--config", &file, "config", "check"]] {
        let output = forecourt(&args);
        assert_eq!(output.status.code(), Some(3), "{args:?}");
        assert_eq!(stdout(&output), "");
        let words = String::from_utf8_lossy(&output.stderr);
        assert!(words.contains("[FC-CFG-006] line 2: `site.tennant`"), "{words}");
        assert!(words.contains("did you mean `tenant`?"), "{words}");
        assert!(words.contains("[FC-CFG-021] line 4: `mqtt.url`"), "{words}");
    }
}

#[test]
fn the_default_file_fits_the_schema_as_toml_and_as_json() {
    let schema: Value = serde_json::from_str(&stdout(&forecourt(&["config", "schema"]))).unwrap();
    let validator = jsonschema::validator_for(&schema).unwrap();
    let json: Value = serde_json::from_str(&stdout(&forecourt(&["config", "default", "--json"]))).unwrap();
    let toml: Value = toml::from_str(&stdout(&forecourt(&["config", "default"]))).unwrap();
    for settings in [&json, &toml] {
        assert!(validator.is_valid(settings), "{:?}", validator.iter_errors(settings).map(|e| e.to_string()).next());
    }
    let wrong = serde_json::json!({ "site": { "tennant": "a" } });
    assert!(!validator.is_valid(&wrong));
}

#[test]
fn a_pack_that_does_not_exist_is_a_finding_with_the_one_that_was_meant() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("forecourt.toml");
    let site =
        "[site]\ntenant = \"a\"\nsite = \"b\"\ndevice = \"c\"\n[[camera]]\nid = \"g\"\nsource = \"rtsp://cam/1\"\n";
    std::fs::write(&file, format!("{site}[plates]\npacks = [\"plate-cm\"]\n")).unwrap();
    let file = file.to_string_lossy();
    let output = forecourt(&["config", "check", &file]);
    let words = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(3), "{words}");
    let wanted = "[FC-CFG-024] line 9: `plates.packs[0]`: there is no pack `plate-cm`; did you mean `plate-cn`?";
    assert!(words.contains(wanted), "{words}");
    assert_eq!(forecourt(&["config", "check", "--no-files", &file]).status.code(), Some(0));
}

#[test]
fn a_reader_that_goes_away_is_no_failure() {
    for args in [["config", "schema"], ["config", "default"]] {
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let mut command = Command::new(env!("CARGO_BIN_EXE_forecourt"));
        let output = command.args(args).stdout(Stdio::from(writer)).stderr(Stdio::piped()).output().unwrap();
        let words = String::from_utf8_lossy(&output.stderr);
        assert_eq!((output.status.code(), words.as_ref()), (Some(0), ""), "{args:?}");
    }
}

#[test]
fn what_is_not_there_and_who_does_not_answer_have_exit_codes_of_their_own() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("forecourt.toml");
    std::fs::write(&file, "[storage]\nfolder = \"data\"\ncontrol_socket = \"control.sock\"\n").unwrap();
    let told = |args: &[&str]| {
        let file = file.to_string_lossy().into_owned();
        let output = forecourt(&[&["--config", &file], args].concat());
        (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned())
    };
    for args in [&["visits"][..], &["events", "outbox"], &["events", "explain", "nope"]] {
        let (code, words) = told(args);
        assert!(code == Some(6) && words.contains("no service runs"), "{args:?}: {code:?} {words}");
    }
    let data = folder.path().join("data");
    std::fs::create_dir(&data).unwrap();
    let config = forecourt::config::Config::default();
    let compose = compose_drops(&config, Clock::system(), Boot::system());
    drop(Spool::open(&data, Limits::from(&config.outbox), compose).unwrap());
    for id in ["nope", "nope-1"] {
        let (code, words) = told(&["events", "explain", id]);
        assert!(code == Some(4) && words.contains(&format!("No event `{id}` waits")), "{code:?} {words}");
    }
    let clip = folder.path().to_string_lossy().into_owned();
    let (code, words) = told(&["replay", &clip, "--start", "yesterday"]);
    assert!(code == Some(2) && words.contains("2026-03-31T08:00:00+08:00"), "{code:?} {words}");
}
