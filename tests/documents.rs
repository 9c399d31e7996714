//! Documents that repeat what the program knows are compared with the program.
//!
//! `make docs` writes the generated ones anew (it sets `FORECOURT_WRITE`).

#![allow(clippy::unwrap_used, reason = "a test may panic, also in its helpers")]

use std::path::{Path, PathBuf};

use forecourt::config::{self, Code, Config, document};

const MARK: &str = "<!-- From here on written by `make docs`. -->\n";

fn file(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(name)
}

fn text(name: &str) -> String {
    let path = file(name);
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// Compares a file with what it should hold, or writes it when asked to.
fn is_current(name: &str, wanted: &str) {
    if std::env::var_os("FORECOURT_WRITE").is_some() {
        return std::fs::write(file(name), wanted).unwrap();
    }
    assert!(text(name) == wanted, "`{name}` is out of date; run `make docs`");
}

#[test]
fn the_settings_that_ship_are_the_defaults() {
    is_current("firmware-config/forecourt.toml", &document::commented_default());
    assert_eq!(config::from_text(&text("firmware-config/forecourt.toml")), Ok(Config::default()));
}

#[test]
fn the_manual_of_the_settings_holds_every_key() {
    let name = "docs/configuration.md";
    let (head, _) = text(name).split_once(MARK).map(|(a, b)| (a.to_owned(), b.to_owned())).expect("the mark");
    is_current(name, &format!("{head}{MARK}{}", document::markdown()));
}

#[test]
fn the_examples_start_a_service() {
    let examples: Vec<PathBuf> =
        std::fs::read_dir(file("firmware-config/examples")).unwrap().map(|entry| entry.unwrap().path()).collect();
    assert!(examples.len() >= 2, "{examples:?}");
    for example in examples {
        let loaded = config::load(&example).unwrap_or_else(|errors| panic!("{errors}"));
        assert_eq!(loaded.check_service(false), [], "{}", example.display());
        assert!(loaded.config.cameras.iter().any(|camera| !camera.zones.is_empty()), "{}", example.display());
    }
}

#[test]
fn every_code_of_a_finding_is_explained() {
    let manual = text("docs/troubleshooting.md");
    for code in Code::ALL {
        assert!(manual.contains(&format!("| `{code}` | {} |", code.meaning())), "{code}: {}", code.meaning());
    }
}

#[test]
fn every_exit_code_is_explained() {
    let manual = text("docs/commands.md");
    let source = text("src/commands/mod.rs");
    let body = source.split_once("pub enum Exit {").unwrap().1.split_once("\n}").unwrap().0;
    let variants = body.lines().filter_map(|line| line.trim().strip_suffix(',')?.split_once(" = "));
    let numbers: Vec<&str> = variants.map(|(_, number)| number).collect();
    assert!(numbers.len() >= 7, "{numbers:?}");
    for number in numbers {
        assert!(manual.contains(&format!("\n| {number} | ")), "exit code {number} is missing from docs/commands.md");
    }
}
