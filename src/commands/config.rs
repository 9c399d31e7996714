//! `forecourt config`: settings as the program understands them.

use std::path::PathBuf;

use clap::Subcommand;
use serde_json::json;

use super::Exit;
use crate::cli::{Global, INSTALLED};
use crate::config::{self, Config, Finding, document};
use crate::inference::pack;

/// What was typed after `config`.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Check a settings file; all findings at once, exit code 3 when there is one.
    Check {
        /// The file; without it the one of `--config`, else `/etc/forecourt/forecourt.toml`.
        file: Option<PathBuf>,
        /// Do not ask whether the files and packs exist that the settings name.
        #[arg(long)]
        no_files: bool,
    },
    /// Print every key with its meaning and default, as a settings file.
    Default {
        /// As the tables of the manual instead.
        #[arg(long, conflicts_with = "json")]
        markdown: bool,
    },
    /// Print the JSON Schema of the settings file.
    Schema,
}

/// Runs it.
pub fn run(args: Args, global: &Global) -> anyhow::Result<Exit> {
    match args.action {
        Action::Check { file, no_files } => {
            let file = file.or_else(|| global.config.clone()).unwrap_or_else(|| INSTALLED.into());
            Ok(check(file, !no_files, global.json))
        }
        Action::Default { markdown } => {
            print!("{}", default(markdown, global.json)?);
            Ok(Exit::Ok)
        }
        Action::Schema => {
            println!("{}", serde_json::to_string_pretty(&config::schema())?);
            Ok(Exit::Ok)
        }
    }
}

fn default(markdown: bool, json: bool) -> anyhow::Result<String> {
    Ok(match (markdown, json) {
        (true, _) => document::markdown(),
        (_, true) => serde_json::to_string_pretty(&Config::default())? + "\n",
        _ => document::commented_default(),
    })
}

fn check(file: PathBuf, files: bool, json: bool) -> Exit {
    let loaded = config::load(&file);
    let findings = match &loaded {
        Ok(loaded) => {
            let mut findings = loaded.check_service(files);
            if files {
                findings.extend(pack::faults(&loaded.config, &loaded.base));
            }
            loaded.placed(findings)
        }
        Err(errors) => errors.findings.clone(),
    };
    if json {
        println!("{}", json!({ "file": file, "ok": findings.is_empty(), "findings": findings }));
    } else {
        tell(&file.display().to_string(), loaded.map(|loaded| loaded.config).ok().as_ref(), &findings);
    }
    if findings.is_empty() { Exit::Ok } else { Exit::Config }
}

fn tell(file: &str, config: Option<&Config>, findings: &[Finding]) {
    for finding in findings {
        eprintln!("{finding}");
    }
    match (config, findings.len()) {
        (Some(config), 0) => {
            let (site, cameras) = (&config.site, config.cameras.len());
            let zones: usize = config.cameras.iter().map(|camera| camera.zones.len()).sum();
            let who = format!("{}/{}/{}", site.tenant, site.site, site.device);
            println!("`{file}` is in order: {who}, cameras: {cameras}, zones: {zones}.");
        }
        (_, count) => eprintln!("`{file}`: {count} to correct; `docs/troubleshooting.md` explains each code."),
    }
}
