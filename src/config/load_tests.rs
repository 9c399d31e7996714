//! Stories of whole settings files.

use std::path::Path;

use super::*;

fn refused(text: &str) -> Vec<String> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("forecourt.toml");
    std::fs::write(&path, text).unwrap();
    load(&path).unwrap_err().findings.iter().map(ToString::to_string).collect()
}

#[test]
fn an_empty_file_means_the_defaults_also_with_a_mark_of_windows_in_front() {
    assert_eq!(from_text(""), Ok(Config::default()));
    assert_eq!(from_text("\u{feff}\r\n[site]\r\ntenant = \"\"\r\n"), Ok(Config::default()));
}

#[test]
fn the_smallest_file_that_works_is_enough_for_the_service() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("forecourt.toml");
    let text = "[site]\ntenant = \"acme\"\nsite = \"shanghai-07\"\ndevice = \"box-1\"\n\n\
                [[camera]]\nid = \"gate\"\nsource = \"rtsp://10.0.0.5/stream1\"\nrole = \"entrance\"\nread = [\"plate\"]\n";
    std::fs::write(&path, text).unwrap();
    let loaded = load(&path).unwrap();
    assert_eq!(loaded.check_service(true), []);
    assert_eq!(loaded.base, folder.path());
}

#[test]
fn every_fault_is_told_at_once_with_its_line_and_its_way_out() {
    let text = "[site]\ntenant = \"a b\"\ndevise = \"x\"\n\n[[camera]]\nid = \"gate\"\nsource = \"rtsp://cam/1\"\n\
                analysis-fps = 8\nrole = \"entrace\"\nstall_after = 5\n\n[[camera.zone]]\nid = \"bay\"\n\
                poligon = []\nkind = \"bay\"\n\n[mqqt]\nurl = \"mqtt://b\"\n\n[visits]\nkeep_alive = \"30s\"\n\
                absent_after = \"soon\"\n";
    let words = refused(text);
    let wanted = [
        "[FC-CFG-008] line 2: `site.tenant`",
        "[FC-CFG-006] line 3: `site.devise`: there is no such key in `site`; did you mean `device`?",
        "[FC-CFG-006] line 8: `camera[0].analysis-fps`",
        "[FC-CFG-007] line 9: `camera[0].role`: `entrace` is none of the words that are known here; did you mean \"entrance\"?",
        "[FC-CFG-007] line 10: `camera[0].stall_after`: `5` has no unit; write \"5s\"",
        "[FC-CFG-015] line 12: `camera[0].zone[0].polygon`",
        "[FC-CFG-006] line 14: `camera[0].zone[0].poligon`: there is no such key in `camera[0].zone[0]`; did you mean `polygon`?",
        "[FC-CFG-006] line 17: `mqqt`: there is no such key at the top of the file; did you mean `mqtt`?",
        "[FC-CFG-006] line 21: `visits.keep_alive`: there is no such key in `visits`; it belongs in `[mqtt]`",
        "[FC-CFG-007] line 22: `visits.absent_after`: `soon` is not a length of time",
    ];
    assert_eq!(words.len(), wanted.len(), "{words:#?}");
    for (word, start) in words.iter().zip(wanted) {
        assert!(word.starts_with(start), "{word}\nshould begin\n{start}");
    }
}

#[test]
fn a_value_of_the_wrong_type_is_named_wherever_it_stands() {
    for (text, key) in [
        ("camera = 5", "camera"),
        ("site = \"x\"", "site"),
        ("[site]\ntenant = 5", "site.tenant"),
        ("[[camera]]\nid = \"a\"\nsource = \"a.mp4\"\nread = [\"plate\", \"soul\"]", "camera[0].read[1]"),
        ("[visits]\ndwell_marks = [\"60s\", 300]", "visits.dwell_marks[1]"),
        ("[mqtt]\nmax_inflight = -1", "mqtt.max_inflight"),
        ("[mqtt]\nmax_inflight = 99999999999999999999999", "mqtt.max_inflight"),
    ] {
        let findings = from_text(text).unwrap_err();
        let keys: Vec<&str> = findings.iter().map(|finding| finding.key.as_str()).collect();
        assert_eq!(keys, [key], "{text}: {findings:?}");
        assert_eq!(findings[0].code, Code::BadValue);
    }
}

#[test]
fn what_is_no_toml_is_told_with_its_line() {
    let words = refused("[site]\ntenant = \"a\ndevice = \"b\"\n");
    assert!(words[0].starts_with("[FC-CFG-005] line 2: this is not TOML"), "{words:?}");
    let twice = refused("[site]\ntenant = \"a\"\ntenant = \"b\"\n");
    assert!(twice[0].starts_with("[FC-CFG-005] line 3"), "{twice:?}");
}

#[test]
fn what_is_no_settings_file_is_refused_with_words_that_say_what_it_is() {
    let folder = tempfile::tempdir().unwrap();
    let code = |path: &Path| load(path).unwrap_err().findings[0].code;
    assert_eq!(code(&folder.path().join("none.toml")), Code::Missing);
    assert_eq!(code(folder.path()), Code::Unreadable);
    let file = folder.path().join("f");
    std::fs::write(&file, vec![b'#'; 10 << 20]).unwrap();
    assert_eq!(code(&file), Code::TooLarge);
    std::fs::write(&file, b"# ok\n\xff\xfe\x00\x01").unwrap();
    let finding = load(&file).unwrap_err().findings[0].clone();
    assert_eq!((finding.code, finding.line), (Code::NotText, Some(2)));
    std::fs::write(&file, "\u{0}\u{1}ELF").unwrap();
    assert_eq!(code(&file), Code::Syntax);
    let pipe = folder.path().join("pipe");
    nix::unistd::mkfifo(&pipe, nix::sys::stat::Mode::S_IRWXU).unwrap();
    assert_eq!(code(&pipe), Code::Unreadable);
}

#[test]
fn without_a_file_the_defaults_hold_and_paths_start_here() {
    let loaded = load_or_default(None).unwrap();
    assert_eq!(loaded.path, None);
    assert!(loaded.config.plates.pack_folders.iter().all(|folder| folder.is_absolute()));
    let lacking = loaded.check_service(false);
    assert!(lacking.iter().any(|finding| finding.code == Code::NoCamera), "{lacking:?}");
}

proptest::proptest! {
    /// A damaged file is refused or understood; the program does not fall over it, and says what to do.
    #[test]
    fn a_damaged_file_is_refused_with_words(at in 0.0..1.0_f64, length in 0_usize..40, put in "[\\[\\]{}\"'=.,#\\n a-z0-9-]{0,12}") {
        let whole = EVERYTHING.replace('\r', "");
        let start = whole.floor_char_boundary((whole.len() as f64 * at) as usize);
        let end = whole.floor_char_boundary((start + length).min(whole.len()));
        let damaged = format!("{}{put}{}", &whole[..start], &whole[end..]);
        if let Err(findings) = from_text(&damaged) {
            proptest::prop_assert!(!findings.is_empty());
            proptest::prop_assert!(findings.iter().all(|finding| !finding.remedy.is_empty()), "{findings:?}");
        }
    }
}

/// A file with tables, lists of tables and lists of lists.
const EVERYTHING: &str = include_str!("../../firmware-config/examples/dealer.toml");
