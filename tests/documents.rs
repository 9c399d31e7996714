//! Documents that repeat what the program knows are compared with the program.
//!
//! `make docs` writes the generated ones anew (it sets `FORECOURT_WRITE`).

#![allow(clippy::unwrap_used, reason = "a test may panic, also in its helpers")]

use std::path::{Path, PathBuf};

use clap::{Command, CommandFactory};
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

#[test]
#[cfg_attr(not(feature = "broker"), ignore = "`forecourt demo` is not part of this build")]
fn every_command_line_in_the_documents_exists() {
    let mut pages: Vec<PathBuf> = vec![file("README.md"), file("CHANGELOG.md"), file("CONTRIBUTING.md")];
    pages.extend(std::fs::read_dir(file("docs")).unwrap().map(|entry| entry.unwrap().path()));
    let program = forecourt::cli::Cli::command();
    let mut seen = 0;
    for page in pages.iter().filter(|page| page.extension().is_some_and(|end| end == "md")) {
        for line in command_lines(&std::fs::read_to_string(page).unwrap()) {
            seen += 1;
            if let Err(word) = follow(&program, &line) {
                panic!("{}: `forecourt {line}`: there is no `{word}`", page.display());
            }
        }
    }
    assert!(seen > 30, "only {seen} command lines were found");
}

#[test]
fn a_command_line_that_does_not_exist_is_caught() {
    let program = forecourt::cli::Cli::command();
    let text = "Try `forecourt config check --no-files x`, `forecourt models list|lost`:\n```\nforecourt replay a.mp4 --fast # no\n```\n";
    let lines = command_lines(text);
    assert_eq!(lines, ["config check --no-files x", "models list|lost", "replay a.mp4 --fast"]);
    let outcome: Vec<_> = lines.iter().map(|line| follow(&program, line)).collect();
    assert_eq!(outcome, [Ok(()), Err("lost".to_owned()), Err("--fast".to_owned())]);
}

/// What follows `forecourt ` in code, without remarks.
fn command_lines(text: &str) -> Vec<String> {
    let mut fenced = false;
    let mut found = Vec::new();
    for line in text.lines() {
        if line.trim_start().starts_with("```") {
            fenced = !fenced;
        } else if fenced {
            found.push(line.trim_start_matches("$ ").to_owned());
        } else {
            found.extend(line.split('`').skip(1).step_by(2).map(str::to_owned));
        }
    }
    let lines = found.iter().filter_map(|line| line.strip_prefix("forecourt "));
    lines.map(|line| line.split("  ").next().unwrap_or("").split(" #").next().unwrap_or("").trim().to_owned()).collect()
}

/// Walks down the subcommands and looks up the options; alternatives are separated by `|`.
fn follow(program: &Command, line: &str) -> Result<(), String> {
    let mut here = program;
    for word in line.split_whitespace().take_while(|word| !["…", ">", "|", "<"].contains(word)) {
        if let Some(option) = word.strip_prefix("--") {
            let name = option.split('=').next().unwrap_or(option);
            let known = here.get_arguments().chain(program.get_arguments()).any(|each| each.get_long() == Some(name));
            let built_in = ["help", "version"].contains(&name);
            if !known && !built_in {
                return Err(word.to_owned());
            }
        } else if here.has_subcommands() && word.starts_with(|c: char| c.is_ascii_lowercase()) && !word.contains('.') {
            let names: Vec<&str> = word.split('|').collect();
            if let Some(wrong) = names.iter().find(|name| here.find_subcommand(name).is_none()) {
                return Err((*wrong).to_owned());
            }
            here = here.find_subcommand(names[0]).expect("it was just found");
        }
    }
    Ok(())
}
