//! `forecourt models pack|sign|install|rollback`: packs on their way to a box.

use std::path::{Path, PathBuf};

use anyhow::Context;
use jiff::Timestamp;
use minisign::{SecretKey, SecretKeyBox};
use serde_json::json;

use super::super::Exit;
use crate::inference::pack::install::{Installer, Label, Trust, bundle, roll_back, trust};
use crate::inference::pack::{self, PackFolders};
use crate::pipeline::packs::{knowledge, try_out};

/// Where a box keeps installed packs.
const PACKS: &str = "/var/lib/forecourt/packs";
/// Whose signatures a box trusts: keys of the site before those of the image.
const TRUST: [&str; 2] = ["/etc/forecourt/trust", "/usr/share/forecourt/trust"];

/// What was typed after `models pack`.
#[derive(Debug, clap::Args)]
pub struct PackArgs {
    /// Folder of the pack, with its `pack.toml`.
    folder: PathBuf,
    /// The bundle to write; `NAME-VERSION.tar` when there is none.
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
}

/// What was typed after `models sign`.
#[derive(Debug, clap::Args)]
pub struct SignArgs {
    /// The bundle that `models pack` made.
    bundle: PathBuf,
    /// Secret key of minisign (`minisign -G` makes one).
    #[arg(long, value_name = "FILE")]
    key: PathBuf,
    /// Folder that the bundle was made of: its name and version are signed.
    #[arg(long, value_name = "DIR")]
    pack: PathBuf,
    /// Number of the release; counts up, a box takes no lower one.
    #[arg(long, value_name = "NUMBER")]
    ratchet: u64,
    /// Instant after which no box installs it any more, such as `2027-06-30T00:00:00Z`.
    #[arg(long, value_name = "TIME", value_parser = crate::commands::instant)]
    expires: Option<Timestamp>,
}

/// What was typed after `models install`.
#[derive(Debug, clap::Args)]
pub struct InstallArgs {
    /// The bundle; its signature lies beside it, `.minisig` appended.
    bundle: PathBuf,
    /// Folder of installed packs.
    #[arg(long, value_name = "DIR", default_value = PACKS)]
    packs: PathBuf,
    /// Folder of trusted public keys, `*.pub`; repeatable. `/etc/forecourt/trust` and `/usr/share/forecourt/trust` when there is none.
    #[arg(long, value_name = "DIR")]
    trust: Vec<PathBuf>,
}

/// What was typed after `models rollback`.
#[derive(Debug, clap::Args)]
pub struct RollbackArgs {
    /// Name of the pack.
    name: String,
    /// Folder of installed packs.
    #[arg(long, value_name = "DIR", default_value = PACKS)]
    packs: PathBuf,
}

/// Makes a bundle.
pub fn pack(args: &PackArgs) -> anyhow::Result<Exit> {
    let about = manifest(&args.folder)?;
    let out = args.out.clone().unwrap_or_else(|| format!("{}-{}.tar", about.name, about.version).into());
    bundle::make(&args.folder, &out)?;
    eprintln!(
        "Packed `{}` {} into `{}`; sign it next: forecourt models sign",
        about.name,
        about.version,
        out.display()
    );
    Ok(Exit::Ok)
}

/// Signs a bundle.
pub fn sign(args: &SignArgs) -> anyhow::Result<Exit> {
    let about = manifest(&args.pack)?;
    let key = secret(&args.key)?;
    let id = trust::key_id(key.keynum());
    let label =
        Label { name: about.name, version: about.version, ratchet: args.ratchet, expires: args.expires, key: id };
    let file = std::fs::File::open(&args.bundle).with_context(|| format!("no bundle `{}`", args.bundle.display()))?;
    let signed = minisign::sign(None, &key, file, Some(&label.comment()), Some("signature of a forecourt pack"));
    let signed = signed.map_err(|error| anyhow::anyhow!("{error}"))?;
    let path = bundle::signature_of(&args.bundle);
    std::fs::write(&path, signed.into_string()).with_context(|| format!("cannot write `{}`", path.display()))?;
    eprintln!("Signed with the key {}: {}", label.key, label.comment());
    Ok(Exit::Ok)
}

fn manifest(folder: &Path) -> anyhow::Result<pack::Manifest> {
    let folder = std::path::absolute(folder)?;
    let name = folder.file_name().and_then(|name| name.to_str()).context("name the folder of the pack")?;
    let above = folder.parent().context("name the folder of the pack")?;
    anyhow::ensure!(folder.is_dir(), "there is no folder `{}`; name the one that holds `pack.toml`", folder.display());
    Ok(pack::open(name, &PackFolders::only(vec![above.to_owned()]), above)?.manifest)
}

/// Asks for the password at the terminal when the key has one.
fn secret(path: &Path) -> anyhow::Result<SecretKey> {
    let words = |error: minisign::PError| anyhow::anyhow!("the key `{}`: {error}", path.display());
    let text = std::fs::read_to_string(path).with_context(|| format!("cannot read the key `{}`", path.display()))?;
    let plain = SecretKeyBox::from_string(&text).map_err(words)?.into_unencrypted_secret_key();
    match plain {
        Ok(key) => Ok(key),
        Err(_) => SecretKeyBox::from_string(&text).map_err(words)?.into_secret_key(None).map_err(words),
    }
}

/// Installs a bundle.
pub fn install(args: &InstallArgs, as_json: bool) -> anyhow::Result<Exit> {
    let folders = if args.trust.is_empty() { TRUST.map(PathBuf::from).to_vec() } else { args.trust.clone() };
    let trust = Trust::of(&folders)?;
    std::fs::create_dir_all(&args.packs).with_context(|| format!("cannot make `{}`", args.packs.display()))?;
    let installer =
        Installer { packs: &args.packs, trust: &trust, knowledge: knowledge(), try_out: &try_out, after: &|_| Ok(()) };
    let installed = match installer.install(&args.bundle) {
        Ok(installed) => installed,
        Err(error) => {
            eprintln!("forecourt: {error:#}; nothing was changed");
            return Ok(Exit::Refused);
        }
    };
    if as_json {
        println!("{}", json!({ "installed": installed.label, "before": installed.before }));
    } else {
        let label = &installed.label;
        println!(
            "Pack `{}` {} is in use from the next start of the service on: systemctl restart forecourt",
            label.name, label.version
        );
        println!(
            "It is on probation for `commands.probation` of service; until then it is rolled back when the service falls."
        );
    }
    Ok(Exit::Ok)
}

/// Goes back to the version before.
pub fn rollback(args: &RollbackArgs) -> anyhow::Result<Exit> {
    let before = roll_back(&args.packs, &args.name)?;
    println!("Pack `{}`: {before} is in use from the next start of the service on.", args.name);
    Ok(Exit::Ok)
}
