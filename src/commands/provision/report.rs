//! The result of provisioning: one line a check, for the terminal and for the stick.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use anyhow::Context;
use serde::Serialize;

/// How a check ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Outcome {
    /// In order.
    Ok,
    /// Works, but somebody should know.
    Note,
    /// Does not work.
    Fail,
}

/// One line.
#[derive(Clone, Debug, Serialize)]
pub struct Line {
    /// How it ended.
    pub outcome: Outcome,
    /// What was checked.
    pub check: String,
    /// In words, one line.
    pub words: String,
}

/// All lines.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Report {
    lines: Vec<Line>,
}

impl Report {
    /// Adds a line.
    pub fn add(&mut self, outcome: Outcome, check: impl Into<String>, words: impl AsRef<str>) {
        let words = words.as_ref().split_whitespace().collect::<Vec<_>>().join(" ");
        self.lines.push(Line { outcome, check: check.into(), words });
    }

    /// Adds the end of a check.
    pub fn end(&mut self, check: impl Into<String>, result: Result<String, String>) {
        match result {
            Ok(words) => self.add(Outcome::Ok, check, words),
            Err(words) => self.add(Outcome::Fail, check, words),
        }
    }

    /// Did nothing fail?
    pub fn is_good(&self) -> bool {
        self.lines.iter().all(|line| line.outcome != Outcome::Fail)
    }

    /// The lines.
    pub fn lines(&self) -> &[Line] {
        &self.lines
    }

    /// As a text with lines of its own, the way Windows shows it best.
    pub fn text(&self, serial: &str) -> String {
        let mut text = format!("box {serial}, forecourt {}\r\n", env!("CARGO_PKG_VERSION"));
        for Line { outcome, check, words } in &self.lines {
            let word = match outcome {
                Outcome::Ok => "OK  ",
                Outcome::Note => "NOTE",
                Outcome::Fail => "FAIL",
            };
            let _ = write!(text, "{word} {check:<16} {words}\r\n");
        }
        text.push_str(if self.is_good() {
            "ALL IS WELL\r\n"
        } else {
            "SOMETHING IS WRONG: see the lines with FAIL\r\n"
        });
        text
    }

    /// Writes `RESULT-SERIAL.txt` to the stick.
    ///
    /// # Errors
    /// When the stick cannot be written.
    pub fn write(&self, folder: &Path, serial: &str) -> anyhow::Result<()> {
        let path = folder.join(format!("RESULT-{serial}.txt"));
        let words = || format!("the result cannot be written to `{}`; is the stick write-protected?", path.display());
        fs::write(&path, self.text(serial)).with_context(words)?;
        fs::File::open(&path).and_then(|file| file.sync_all()).with_context(words)
    }
}
