//! `forecourt camera`: what is configured, what a camera delivers, and what the box sees in its picture.

mod canvas;
mod probe;
mod snapshot;

use std::path::{Path, PathBuf};

use clap::Subcommand;
use comfy_table::{Table, presets::UTF8_FULL_CONDENSED};
use serde_json::json;

use super::Exit;
use crate::camera::SourceSpec;
use crate::cli::Global;
use crate::config::{Camera, Loaded};

/// What was typed after `camera`.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// List the cameras of the settings.
    List,
    /// Open cameras and tell what they deliver; exit code 1 when one gives no good picture.
    Probe(probe::Args),
    /// Take a picture and draw in zones, plates and readings, to aim a camera by.
    Snapshot(snapshot::Args),
}

/// Which camera: one of the settings, or a source that stands in none.
#[derive(Debug, clap::Args)]
struct Choice {
    /// Id of a camera in the settings, or a source such as `rtsp://10.0.0.5/stream1`.
    #[arg(value_name = "ID|SOURCE")]
    camera: Option<String>,
    /// File with `user:password` for an RTSP source that stands in no settings.
    #[arg(long, value_name = "FILE")]
    credentials_file: Option<PathBuf>,
}

/// Runs it.
pub fn run(args: Args, global: &Global) -> anyhow::Result<Exit> {
    let loaded = global.settings()?;
    match args.action {
        Action::List => list(&loaded, global.json),
        Action::Probe(args) => probe::run(args, &loaded, global.json),
        Action::Snapshot(args) => snapshot::run(args, &loaded, global.json),
    }
}

impl Choice {
    /// The cameras that are meant: all of the settings when none was named. None when there is no such camera, which
    /// is then told.
    fn cameras(&self, loaded: &Loaded) -> anyhow::Result<Vec<Camera>> {
        let known = &loaded.config.cameras;
        let Some(wanted) = &self.camera else {
            if known.is_empty() {
                eprintln!("No camera is configured; name a settings file with `--config FILE`, or a source.");
            }
            return Ok(known.clone());
        };
        if let Some(camera) = known.iter().find(|camera| camera.id == *wanted) {
            return Ok(vec![camera.clone()]);
        }
        let is_source = wanted.contains([':', '/']) || Path::new(wanted).exists();
        if !is_source {
            let ids: Vec<&str> = known.iter().map(|camera| camera.id.as_str()).collect();
            match ids.as_slice() {
                [] => eprintln!(
                    "There is no camera `{wanted}`: none is configured; name a settings file with `--config FILE`, or a source."
                ),
                ids => eprintln!("There is no camera `{wanted}` in the settings, which know: {}.", ids.join(", ")),
            }
            return Ok(Vec::new());
        }
        let here = std::path::absolute(".")?;
        let spec = SourceSpec::parse(wanted, &here)?;
        let credentials_file = self.credentials_file.as_deref().map(std::path::absolute).transpose()?;
        Ok(vec![Camera { id: spec.to_string(), source: spec.to_string(), credentials_file, ..Camera::default() }])
    }
}

fn list(loaded: &Loaded, as_json: bool) -> anyhow::Result<Exit> {
    let cameras = &loaded.config.cameras;
    if as_json {
        let shown: Vec<_> = cameras.iter().map(|camera| described(camera, &loaded.base)).collect();
        println!("{}", serde_json::to_string_pretty(&shown)?);
        return Ok(Exit::Ok);
    }
    if cameras.is_empty() {
        eprintln!("No camera is configured; name a settings file with `--config FILE`.");
        return Ok(Exit::Ok);
    }
    let mut table = Table::new();
    table.load_style(UTF8_FULL_CONDENSED).set_header(["camera", "source", "role", "reads", "looks", "zones"]);
    for camera in cameras {
        let one = described(camera, &loaded.base);
        let words = |key: &str| one[key].as_str().unwrap_or_default().to_owned();
        let senses: Vec<&str> = one["read"].as_array().into_iter().flatten().filter_map(|each| each.as_str()).collect();
        let zones: Vec<&str> = camera.zones.iter().map(|zone| zone.id.as_str()).collect();
        let looks = format!("{} a second", camera.analysis_fps);
        table.add_row([words("id"), words("source"), words("role"), senses.join(", "), looks, zones.join(", ")]);
    }
    println!("{table}");
    Ok(Exit::Ok)
}

/// A camera of the settings as it may be shown.
fn described(camera: &Camera, base: &Path) -> serde_json::Value {
    let source = SourceSpec::parse(&camera.source, base).map(|spec| spec.to_string());
    json!({
        "id": camera.id,
        "source": source.unwrap_or_else(|_| crate::camera::source::redacted(&camera.source)),
        "role": camera.role,
        "read": camera.read,
        "analysis_fps": camera.analysis_fps,
        "motion_gate": camera.motion_gate,
        "credentials_file": camera.credentials_file,
        "zones": camera.zones,
    })
}
