//! `forecourt provision show`.

use std::path::Path;

use anyhow::Context;
use serde_json::json;

use super::super::Exit;
use super::Here;
use crate::cli::Global;
use crate::config;
use crate::provision::identity::Identity;
use crate::provision::label;

/// Prints who the box is; makes its key when it has none yet, and says so. With a folder, writes the label there.
pub fn run(here: &Here, folder: Option<&Path>, global: &Global) -> anyhow::Result<Exit> {
    let place = here.places.identity();
    let had_one = place.join("device.key").exists();
    let identity = Identity::of(&place).map_err(|error| {
        let refused = |cause: &std::io::Error| cause.kind() == std::io::ErrorKind::PermissionDenied;
        let is_refused = error.chain().any(|cause| cause.downcast_ref().is_some_and(refused));
        if is_refused {
            error.context("only root may read or make the key of this box; try it with `sudo`")
        } else {
            error
        }
    })?;
    if !had_one {
        eprintln!("Key and claim of this box were made in `{}`.", place.display());
    }
    if let Some(folder) = folder {
        let name = |end: &str| folder.join(format!("label-{}.{end}", here.serial));
        let picture = label::picture(&label::payload(&here.serial, &identity))?;
        picture.save(name("png")).with_context(|| format!("cannot write `{}`", name("png").display()))?;
        std::fs::write(name("txt"), label::text(&here.serial, &identity))?;
    }
    let file = global.config.clone().unwrap_or_else(|| here.places.settings_file());
    let site = config::load(&file).ok().map(|loaded| loaded.config.site);
    let certified = identity.certificate().exists();
    if global.json {
        let site = site.map(|site| json!({ "tenant": site.tenant, "site": site.site, "device": site.device }));
        let about = json!({
            "serial": here.serial, "fingerprint": identity.fingerprint(), "claim": identity.claim,
            "certificate": certified, "settings": file, "site": site,
        });
        println!("{}", serde_json::to_string_pretty(&about)?);
        return Ok(Exit::Ok);
    }
    print!("{}", label::text(&here.serial, &identity));
    println!("fingerprint of the key: {}", identity.fingerprint());
    println!("certificate: {}", if certified { "there is one" } else { "none yet" });
    match site {
        Some(site) => println!("site: {}/{}/{}, from `{}`", site.tenant, site.site, site.device, file.display()),
        None => println!("site: not provisioned yet; `forecourt provision apply DIR` takes the settings of a stick"),
    }
    Ok(Exit::Ok)
}
