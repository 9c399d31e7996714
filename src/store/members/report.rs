//! What an import says about a file: what was wrong in which line, what is worth a look, what was done.
//!
//! The words may quote plates: they are for the owner of the list at the terminal and must not be logged.

use serde::Serialize;

/// Bad lines and findings kept word for word; the rest is counted.
const KEPT: usize = 1_000;

/// One thing that is wrong in one line.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Problem {
    /// From 1; the header is a line.
    pub line: u64,
    /// Name of the field, `None` when the whole line is meant.
    pub field: Option<&'static str>,
    /// What was wrong.
    pub wrong: String,
    /// What to do about it.
    pub way_out: String,
}

/// What a bad field has to say before its line is known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Fault {
    pub field: Option<&'static str>,
    pub wrong: String,
    pub way_out: String,
}

impl Fault {
    pub fn new(field: Option<&'static str>, wrong: impl Into<String>, way_out: impl Into<String>) -> Self {
        Self { field, wrong: wrong.into(), way_out: way_out.into() }
    }
}

/// Worth a look, but not wrong.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// Line in the file, when one is meant.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub line: Option<u64>,
    /// What was seen.
    pub seen: String,
}

/// How it ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    /// The list was changed.
    Applied,
    /// Everything was in order; nothing was changed because only a trial was asked for.
    WouldApply,
    /// Nothing was changed, because of bad lines.
    #[default]
    Refused,
}

/// What an import found and did.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Report {
    /// How it ended.
    pub outcome: Outcome,
    /// Lines that were read, with the header.
    pub lines: u64,
    /// Members that were not in the list before.
    pub added: u64,
    /// Members that were in the list and in the file.
    pub updated: u64,
    /// Members that left the list because the file replaces it.
    pub removed: u64,
    /// Plates that were read from good lines.
    pub plates: u64,
    /// Face templates that were read from good lines.
    pub templates: u64,
    /// Members in the list afterwards.
    pub total: u64,
    /// Lines with something wrong; also those not kept in `problems`.
    pub bad_lines: u64,
    /// The first thousand.
    pub problems: Vec<Problem>,
    /// Findings, also those not kept.
    pub finding_count: u64,
    /// The first thousand.
    pub findings: Vec<Finding>,
    /// The file as a whole cannot be read as a member list; no option makes it pass.
    pub unreadable: bool,
    /// Revision of the list afterwards.
    pub revision: u64,
}

impl Report {
    /// A bad line with all that is wrong in it.
    pub(super) fn bad_line(&mut self, line: u64, faults: Vec<Fault>) {
        self.bad_lines += 1;
        let room = KEPT.saturating_sub(self.problems.len());
        self.problems.extend(faults.into_iter().take(room).map(|fault| Problem {
            line,
            field: fault.field,
            wrong: fault.wrong,
            way_out: fault.way_out,
        }));
    }

    /// The file as a whole is no member list.
    pub(super) fn unreadable(&mut self, line: u64, fault: Fault) {
        self.unreadable = true;
        self.bad_line(line, vec![fault]);
    }

    pub(super) fn finding(&mut self, line: Option<u64>, seen: String) {
        self.finding_count += 1;
        if self.findings.len() < KEPT {
            self.findings.push(Finding { line, seen });
        }
    }
}
