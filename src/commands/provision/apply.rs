//! `forecourt provision apply DIR`.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Context;

use super::super::Exit;
use super::report::{Outcome, Report};
use super::{Here, checks, is_this_machine};
use crate::cli::Global;
use crate::config;
use crate::provision::enrol::Ticket;
use crate::provision::identity::Identity;
use crate::provision::label;
use crate::provision::site::{self, Refused};
use crate::provision::stick::{ENROL, SITE, Stick};

/// What was typed after `provision apply`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Folder with `forecourt-site.toml`: the top of the stick.
    folder: PathBuf,
    /// Do not look at cameras, broker and models afterwards.
    #[arg(long)]
    no_checks: bool,
    /// Do not start or restart the service.
    #[arg(long)]
    no_restart: bool,
}

/// Applies, checks, writes the result. Exit code 5 when nothing was applied, 1 when a check failed.
pub fn run(args: &Args, here: &Here, global: &Global) -> anyhow::Result<Exit> {
    let stick = match Stick::open(&args.folder) {
        Ok(stick) => stick,
        Err(words) => {
            eprintln!("forecourt: {words}; nothing was changed");
            return Ok(Exit::Refused);
        }
    };
    let mut report = Report::default();
    let applied = apply(&stick, here, &mut report);
    if applied && is_this_machine(&here.places) && !args.no_restart {
        restart(&mut report);
    }
    if applied && !args.no_checks {
        look_around(here, &mut report)?;
    }
    tell(&report, here, global.json)?;
    report.write(stick.folder(), &here.serial)?;
    Ok(match (applied, report.is_good()) {
        (false, _) => Exit::Refused,
        (true, false) => Exit::Failed,
        (true, true) => Exit::Ok,
    })
}

/// Was it put in place?
fn apply(stick: &Stick, here: &Here, report: &mut Report) -> bool {
    let result = try_apply(stick, here, report);
    match &result {
        Ok(()) => report.add(Outcome::Ok, "settings", "applied"),
        Err(Refused::Words(words)) => report.add(Outcome::Fail, "settings", format!("nothing was changed: {words}")),
        Err(Refused::Findings(findings)) => {
            for finding in findings {
                report.add(Outcome::Fail, "settings", finding.to_string());
            }
            report.add(Outcome::Fail, "settings", format!("nothing was changed: {} to correct", findings.len()));
        }
    }
    result.is_ok()
}

fn try_apply(stick: &Stick, here: &Here, report: &mut Report) -> Result<(), Refused> {
    let text = stick.text(SITE).map_err(Refused::Words)?;
    let text = text.ok_or_else(|| Refused::Words(format!("there is no `{SITE}` on the stick")))?;
    // Wrong settings must not use up a token.
    config::from_text(&text).map_err(Refused::Findings)?;
    let identity = Identity::of(&here.places.identity())?;
    let request = identity.request(&here.serial)?;
    leave_on(stick, here, &identity, &request)?;
    let certificate = certificate(stick, here, &identity, &request, report)?;
    let extra: Vec<(&str, Vec<u8>)> = certificate.map(|pem| ("identity/device.pem", pem)).into_iter().collect();
    let staged = site::stage(&here.places, &text, stick, &extra)?;
    Ok(staged.switch()?)
}

/// What the platform needs to know of the box, for those who carry it there by stick.
fn leave_on(stick: &Stick, here: &Here, identity: &Identity, request: &str) -> anyhow::Result<()> {
    let folder = stick.folder();
    let words = || format!("cannot write to `{}`; is the stick write-protected?", folder.display());
    std::fs::write(folder.join(format!("{}.csr", here.serial)), request).with_context(words)?;
    std::fs::write(folder.join(format!("label-{}.txt", here.serial)), label::text(&here.serial, identity))
        .with_context(words)
}

/// The certificate that came on the stick, or one that the token buys; `None` when there is neither.
fn certificate(
    stick: &Stick,
    here: &Here,
    identity: &Identity,
    request: &str,
    report: &mut Report,
) -> Result<Option<Vec<u8>>, Refused> {
    let brought = stick.named(format!("{}.pem", here.serial).as_ref()).map_err(Refused::Words)?;
    if let Some(pem) = brought {
        identity.check(&pem).with_context(|| format!("`{}.pem` on the stick", here.serial))?;
        report.add(Outcome::Ok, "identity", "the certificate on the stick is for this box");
        return Ok(Some(pem));
    }
    let Some(text) = stick.text(ENROL).map_err(Refused::Words)? else { return Ok(None) };
    let ticket = Ticket::parse(&text).map_err(Refused::Words)?;
    let authority = match &ticket.ca_file {
        Some(name) => {
            let found = stick.named(name.as_ref()).map_err(Refused::Words)?;
            Some(found.ok_or_else(|| Refused::Words(format!("`{name}`, named in `{ENROL}`, is not on the stick")))?)
        }
        None => None,
    };
    let pem = ticket.redeem(request, &here.serial, authority.as_deref())?;
    identity.check(pem.as_bytes()).context("the endpoint's answer")?;
    // Kept at once: a token is good for one certificate, and the settings may still be refused.
    identity.keep(pem.as_bytes())?;
    consume(stick)?;
    report.add(Outcome::Ok, "identity", format!("a certificate came from {}", ticket.url));
    Ok(Some(pem.into_bytes()))
}

/// The token is used up; it does not stay on a stick that lies around.
fn consume(stick: &Stick) -> Result<(), Refused> {
    let Some(path) = stick.find(ENROL).map_err(Refused::Words)? else { return Ok(()) };
    let length = std::fs::metadata(&path).map_or(0, |about| about.len());
    let blank = vec![b' '; usize::try_from(length).unwrap_or(0)];
    let overwritten = std::fs::write(&path, blank).and_then(|()| std::fs::File::open(&path)?.sync_all());
    overwritten
        .and_then(|()| std::fs::remove_file(&path))
        .context("the used token cannot be removed from the stick")?;
    Ok(())
}

fn look_around(here: &Here, report: &mut Report) -> anyhow::Result<()> {
    let file = here.places.settings_file();
    let loaded = config::load(&file)?;
    checks::all(&loaded, &here.places, &file, report);
    Ok(())
}

/// Only where systemd runs: in an image that is being made there is nothing to start.
fn restart(report: &mut Report) {
    if !Path::new("/run/systemd/system").is_dir() {
        return;
    }
    let result = Command::new("systemctl").args(["restart", "forecourt.service"]).status();
    report.end(
        "service",
        match result {
            Ok(status) if status.success() => Ok("runs".to_owned()),
            Ok(_) => Err("did not start; `forecourt doctor` says why".to_owned()),
            Err(error) => Err(format!("systemctl: {error}")),
        },
    );
}

fn tell(report: &Report, here: &Here, as_json: bool) -> anyhow::Result<()> {
    if as_json {
        let whole = serde_json::json!({ "serial": here.serial, "ok": report.is_good(), "checks": report.lines() });
        println!("{}", serde_json::to_string_pretty(&whole)?);
    } else {
        print!("{}", report.text(&here.serial).replace("\r\n", "\n"));
    }
    Ok(())
}
