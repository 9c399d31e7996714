//! `members sign` and `members publish`: the platform's side, for whoever has no platform.

use std::io::IsTerminal;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context;
use indicatif::{ProgressBar, ProgressStyle};
use jiff::Timestamp;
use serde_json::{Value, json};
use zeroize::Zeroizing;

use super::super::Exit;
use super::Place;
use crate::config::{Mqtt, Site};
use crate::domain::sync::{SigningKey, audience_holds};
use crate::mqtt::{Remote, Topics};
use crate::pipeline::publish::{self, Progress, Signing};
use crate::store::members::{self, ImportOptions};

/// What was typed after `members sign`.
#[derive(Debug, clap::Args)]
pub(super) struct SignArgs {
    /// The list, CSV or JSON Lines as `members import` reads it.
    list: PathBuf,
    /// Secret key: a file of `members keygen` or openssl.
    #[arg(long, value_name = "FILE")]
    key: PathBuf,
    /// For which boxes: `TENANT`, `TENANT/SITE` or `TENANT/SITE/DEVICE`.
    #[arg(long)]
    audience: String,
    /// Name of this line of revisions.
    #[arg(long)]
    epoch: String,
    /// Revision; greater than the one before.
    #[arg(long)]
    rev: u64,
    /// Folder for the signed pieces.
    #[arg(long, value_name = "FOLDER")]
    out: PathBuf,
    /// The list as it was at revision `--from`: makes a delta too.
    #[arg(long, value_name = "FILE", requires = "from")]
    previous: Option<PathBuf>,
    /// Revision of `--previous`.
    #[arg(long, value_name = "REV", requires = "previous")]
    from: Option<u64>,
    /// Largest chunk, in KiB; a box takes up to 240.
    #[arg(long, default_value_t = 64, value_parser = clap::value_parser!(u16).range(4..=240))]
    chunk_kib: u16,
}

/// What was typed after `members publish`.
#[derive(Debug, clap::Args)]
pub(super) struct PublishArgs {
    /// Folder of signed pieces, from `members sign`.
    folder: PathBuf,
    /// The box, `TENANT/SITE/DEVICE`; without it the one of the settings.
    #[arg(long, value_name = "BOX")]
    to: Option<String>,
    /// Broker; without it that of the settings, with its user, password and certificates.
    #[arg(long)]
    url: Option<String>,
    /// Seconds to wait for the box to say that the list is in force.
    #[arg(long, default_value_t = 600)]
    wait: u64,
}

/// Runs `members sign`.
pub(super) fn sign(args: &SignArgs, place: &Place, json: bool) -> anyhow::Result<Exit> {
    let text = std::fs::read_to_string(&args.key).map(Zeroizing::new);
    let text = text.with_context(|| format!("cannot read the key `{}`", args.key.display()))?;
    let key = SigningKey::parse(&text).with_context(|| format!("`{}`", args.key.display()))?;
    let Some(members) = read(&args.list, place)? else { return Ok(Exit::Refused) };
    let previous = match (&args.previous, args.from) {
        (Some(file), Some(from)) => {
            let Some(members) = read(file, place)? else { return Ok(Exit::Refused) };
            Some((from, members))
        }
        _ => None,
    };
    let signing = Signing {
        audience: &args.audience,
        epoch: &args.epoch,
        rev: args.rev,
        issued: Timestamp::now(),
        chunk_bytes: usize::from(args.chunk_kib) * 1024,
    };
    let previous = previous.as_ref().map(|(from, members)| (*from, members.as_slice()));
    let signed = publish::sign(&members, previous, &signing, &key, &args.out)?;
    if json {
        println!("{}", json!(signed));
    } else {
        let delta = signed.changes.map(|changes| format!(", a delta of {changes} lines")).unwrap_or_default();
        println!(
            "{} members, {} chunks{delta} in {}; digest {}.",
            signed.count,
            signed.chunks,
            args.out.display(),
            signed.digest
        );
    }
    Ok(Exit::Ok)
}

/// The members of a file as objects; `None`: it has bad lines, which were told.
fn read(file: &Path, place: &Place) -> anyhow::Result<Option<Vec<Value>>> {
    let options = ImportOptions { zone: place.zone.clone(), ..ImportOptions::at(Timestamp::now()) };
    let (members, report) = members::read_objects(file, &options)?;
    if report.bad_lines > 0 {
        for problem in &report.problems {
            let field = problem.field.map(|field| format!(" {field}:")).unwrap_or_default();
            eprintln!("{} line {}:{field} {}; {}", file.display(), problem.line, problem.wrong, problem.way_out);
        }
        return Ok(None);
    }
    Ok(Some(members))
}

/// Runs `members publish`.
pub(super) fn publish(args: &PublishArgs, place: &Place) -> anyhow::Result<Exit> {
    let site = match &args.to {
        None => place.config().site.clone(),
        Some(to) => {
            let [tenant, site, device] = to.split('/').collect::<Vec<_>>()[..] else {
                anyhow::bail!("`--to {to}` is no box; write TENANT/SITE/DEVICE");
            };
            Site { tenant: tenant.into(), site: site.into(), device: device.into(), ..Site::default() }
        }
    };
    let own = format!("{}/{}/{}", site.tenant, site.site, site.device);
    anyhow::ensure!(!own.contains("//") && !own.starts_with('/'), "name the box with `--to TENANT/SITE/DEVICE`");
    warn_of_audience(&args.folder, &own);
    let settings =
        Mqtt { url: args.url.clone().unwrap_or(place.config().mqtt.url.clone()), ..place.config().mqtt.clone() };
    anyhow::ensure!(!settings.url.is_empty(), "name the broker with `--url mqtt://HOST:1883`, or set `mqtt.url`");
    let root = Topics::new(&site, &settings).root().to_owned();
    let mut remote = Remote::connect(&settings).map_err(anyhow::Error::msg)?;
    let bar = bar();
    let mut refused = None;
    let limit = Duration::from_secs(args.wait);
    let reached = publish::publish(&mut remote, &root, &args.folder, limit, &mut |progress| match progress {
        Progress::Staged(staged, chunks) => {
            bar.set_length(chunks.into());
            bar.set_position(staged.into());
        }
        Progress::Refused(words) => {
            bar.suspend(|| eprintln!("the box refused a piece: {words}"));
            refused = Some(words);
        }
    });
    bar.finish_and_clear();
    let reached = reached?;
    remote.leave();
    match (reached, refused) {
        (true, _) => {
            println!("The list is in force on {own}.");
            Ok(Exit::Ok)
        }
        (false, Some(_)) => Ok(Exit::Refused),
        (false, None) => {
            eprintln!(
                "{own} did not say within {} s that the list is in force; its manifest stays with the broker, publish again.",
                args.wait
            );
            Ok(Exit::Failed)
        }
    }
}

/// On a terminal only.
fn bar() -> ProgressBar {
    if !std::io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let template = "publishing {bar:30} {pos}/{len} chunks  {eta} left";
    ProgressBar::new(1).with_style(ProgressStyle::with_template(template).expect("the template is tested by every run"))
}

fn warn_of_audience(folder: &Path, own: &str) {
    let manifest = std::fs::read(folder.join("manifest.json")).ok();
    let head: Option<Value> = manifest.and_then(|bytes| serde_json::from_slice(&bytes).ok());
    if let Some(audience) = head.as_ref().and_then(|head| head["audience"].as_str())
        && !audience_holds(audience, own)
    {
        eprintln!("note: the list is signed for `{audience}`; {own} will refuse it");
    }
}
