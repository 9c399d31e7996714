//! `forecourt doctor`: what is wrong with this box, why, and what to do next; on one screen, without a network.

mod facts;
mod judge;

use std::path::{Path, PathBuf};

use anyhow::Context;
use serde_json::json;

use self::facts::Facts;
use self::judge::{Finding, Severity};
use super::Exit;
use crate::cli::Global;

/// What was typed after `doctor`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Write what was found into a file for support; it holds no plate, name, picture or password.
    #[arg(long, value_name = "FILE")]
    bundle: Option<PathBuf>,
    /// Judge a bundle of another box instead of this one.
    #[arg(long, value_name = "FILE", conflicts_with = "bundle")]
    from: Option<PathBuf>,
}

/// Runs it; exit code 1 when something is wrong.
pub fn run(args: &Args, global: &Global) -> anyhow::Result<Exit> {
    let facts = match &args.from {
        Some(file) => read(file)?,
        None => Facts::gather(global),
    };
    let findings = judge::all(&facts);
    if let Some(file) = &args.bundle {
        let text = serde_json::to_string_pretty(&json!({ "facts": facts, "findings": findings }))?;
        std::fs::write(file, text).with_context(|| format!("cannot write `{}`", file.display()))?;
        eprintln!("Written to `{}`.", file.display());
    }
    if global.json {
        println!("{}", serde_json::to_string_pretty(&json!({ "ok": is_well(&findings), "findings": findings }))?);
    } else {
        tell(&facts, &findings);
    }
    Ok(if is_well(&findings) { Exit::Ok } else { Exit::Failed })
}

fn is_well(findings: &[Finding]) -> bool {
    findings.iter().all(|finding| finding.severity != Severity::Wrong)
}

fn read(file: &Path) -> anyhow::Result<Facts> {
    let words = || format!("`{}` is no bundle of `forecourt doctor`", file.display());
    let text = std::fs::read_to_string(file).with_context(words)?;
    let whole: serde_json::Value = serde_json::from_str(&text).with_context(words)?;
    serde_json::from_value(whole["facts"].clone()).with_context(words)
}

fn tell(facts: &Facts, findings: &[Finding]) {
    println!("forecourt {}, box {}, {}", facts.version, facts.serial, facts.now);
    for finding in findings {
        let word = match finding.severity {
            Severity::Wrong => "WRONG",
            Severity::Note => "NOTE ",
        };
        println!("{word} [{}] {}", finding.code, finding.evidence);
        println!("      → {}", finding.next);
    }
    match findings.len() {
        0 => println!("Nothing is wrong."),
        count => println!("{count} findings; `docs/troubleshooting.md` explains each code."),
    }
}

#[cfg(test)]
mod tests {
    use super::judge::CODES;

    #[test]
    fn every_code_is_explained() {
        let manual = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/troubleshooting.md");
        let manual = std::fs::read_to_string(manual).unwrap();
        for (code, meaning) in CODES {
            assert!(manual.contains(&format!("| `{code}` | {meaning} |")), "{code}: {meaning}");
        }
    }
}
