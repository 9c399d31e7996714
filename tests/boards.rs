//! The boards' files: settings that the program accepts, drop-ins that systemd knows, and honesty about what was tried.

#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a test may panic; a skipped one says so")]

use std::path::{Path, PathBuf};
use std::process::Command;

fn boards() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("firmware-config/boards");
    let mut boards: Vec<PathBuf> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    boards.retain(|path| path.is_dir());
    assert!(boards.len() >= 4);
    boards
}

#[test]
fn settings_are_accepted_and_say_what_was_not_tried() {
    for board in boards() {
        let text = std::fs::read_to_string(board.join("settings.toml")).unwrap();
        forecourt::config::from_text(&text).unwrap_or_else(|findings| panic!("{}: {findings:?}", board.display()));
        for name in ["settings.toml", "board.conf"] {
            let text = std::fs::read_to_string(board.join(name)).unwrap();
            assert!(text.contains("Not tried on the metal"), "{}/{name}", board.display());
        }
    }
}

#[test]
fn systemd_knows_every_word_of_the_drop_ins() {
    if !Command::new("systemd-analyze").arg("--version").output().is_ok_and(|output| output.status.success()) {
        return println!("SKIPPED: systemd-analyze is not installed; apt-get install systemd");
    }
    let unit = Path::new(env!("CARGO_MANIFEST_DIR")).join("systemd/forecourt.service");
    let unit = std::fs::read_to_string(unit).unwrap().replace("/usr/bin/forecourt", "/bin/true");
    let unit: String =
        unit.lines().filter(|line| !line.starts_with("Requires=")).map(|line| format!("{line}\n")).collect();
    for board in boards() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("forecourt.service");
        let drop_in = std::fs::read_to_string(board.join("board.conf")).unwrap();
        std::fs::write(&path, format!("{unit}\n{drop_in}")).unwrap();
        let output = Command::new("systemd-analyze").args(["verify", "--man=no"]).arg(&path).output().unwrap();
        let words = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success() && !words.contains("forecourt.service:"), "{}: {words}", board.display());
    }
}
