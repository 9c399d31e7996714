//! `forecourt replay`: a recording instead of a camera; one event a line.

use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use indicatif::{ProgressBar, ProgressStyle};
use jiff::Timestamp;

use super::Exit;
use crate::cli::Global;
use crate::config::Config;
use crate::inference::pack::{self, Task};
use crate::pipeline::replay::{self, Replay};
use crate::pipeline::rules::{RulesStatus, time_zone};
use crate::store::members::{self, ImportOptions, MemberStore};
use crate::store::spool::StoredEvent;

/// What was typed after `replay`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Recordings, or folders of pictures, played one after the other.
    #[arg(required = true, value_name = "CLIP")]
    clips: Vec<PathBuf>,
    /// Camera whose role, zones and rate hold; needed when the settings have several. Settings without a camera take
    /// the clip for an entrance.
    #[arg(long, value_name = "ID")]
    camera: Option<String>,
    /// Members from a CSV or JSON Lines file instead of the box's list.
    #[arg(long, value_name = "FILE")]
    members: Option<PathBuf>,
    /// Pack to use instead of the settings' packs, by name or folder; repeat for detector and reader.
    #[arg(long = "pack", value_name = "NAME_OR_DIR")]
    packs: Vec<String>,
    /// When the first clip began; the time its file was last written when absent.
    #[arg(long, value_name = "TIME", value_parser = super::instant)]
    start: Option<Timestamp>,
}

/// Runs it.
pub fn run(args: Args, global: &Global) -> anyhow::Result<Exit> {
    let loaded = global.settings()?;
    let (mut config, base) = (loaded.config, loaded.base);
    pack::prefer(&mut config.plates, &args.packs, &base, &[Task::PlateDetect, Task::PlateOcr])?;
    pack::prefer_faces(&mut config.faces, &args.packs, &base, &[Task::FaceDetect, Task::FaceEmbed])?;
    if config.cameras.is_empty() && args.camera.is_none() {
        config.cameras.push(replay::stand_in(&config, &args.clips[0]));
    }
    let start = replay::start_of(&args.clips[0], args.start)?;
    let members = open_members(&config, &base, args.members.as_deref(), start)?;
    let mut replay = Replay::new(&config, &base, args.camera.as_deref(), members, start)?;
    let (mut told, mut skipped) = (Told::default(), 0);
    let mut say = |event: &StoredEvent| told.event(event, global.json);
    for clip in &args.clips {
        let mut source = replay::open(clip)?;
        let bar = bar(clip, global.json);
        replay.play(source.as_mut(), &mut say, &mut |progress| {
            bar.set_position(progress.analysed);
            bar.set_message(format!("{:.1} s of the clip", progress.at.as_secs_f32()));
        })?;
        bar.finish_and_clear();
        skipped += source.skipped();
    }
    let status = replay.finish(&mut say)?;
    if !global.json {
        told.summary(&status);
    }
    if skipped > 0 {
        let were = if skipped == 1 { "picture was" } else { "pictures were" };
        eprintln!("{skipped} {were} passed over as unreadable; the warnings name them.");
        return Ok(Exit::Refused);
    }
    Ok(Exit::Ok)
}

/// The members of a file, or those of the box.
pub(super) fn open_members(
    config: &Config,
    base: &Path,
    file: Option<&Path>,
    now: Timestamp,
) -> anyhow::Result<MemberStore> {
    let Some(file) = file else {
        let path = base.join(&config.storage.folder).join(members::FILE_NAME);
        return MemberStore::open_existing(&path)
            .context("whom to recognise is not known; name a file with `--members`, or import one");
    };
    let options = ImportOptions {
        default_lease: config.members.default_lease,
        zone: time_zone(config)?,
        max_members: config.members.max_members,
        ..ImportOptions::at(now)
    };
    let mut store = MemberStore::in_memory()?;
    let reader = std::fs::File::open(file).with_context(|| format!("cannot read `{}`", file.display()))?;
    let report = store.import(std::io::BufReader::new(reader), &options, &mut |_| {})?;
    if report.unreadable || report.bad_lines > 0 {
        let first = report.problems.first();
        let first = first.map(|at| format!("line {}: {}; {}", at.line, at.wrong, at.way_out)).unwrap_or_default();
        bail!(
            "`{}` has {} bad lines; see them all with `forecourt members import --dry-run`. The first: {first}",
            file.display(),
            report.bad_lines
        );
    }
    Ok(store)
}

/// What was told so far.
#[derive(Default)]
struct Told {
    arrivals: usize,
    dwells: usize,
    departures: usize,
}

impl Told {
    fn event(&mut self, event: &StoredEvent, json: bool) -> anyhow::Result<()> {
        match event.kind.as_str() {
            "arrival" => self.arrivals += 1,
            "dwell" => self.dwells += 1,
            "departure" => self.departures += 1,
            _ => {}
        }
        let mut out = super::closed::stdout();
        if json {
            out.write_all(&event.payload)?;
            out.write_all(b"\n")?;
        } else {
            writeln!(out, "{}", super::events::line(&event.payload))?;
        }
        Ok(())
    }

    fn summary(&self, status: &RulesStatus) {
        let (mut vehicles, mut frames) = (0, 0);
        for counts in status.cameras.values() {
            vehicles += counts.vehicles;
            frames += counts.frames;
        }
        eprintln!();
        eprintln!("{frames} frames, {vehicles} vehicles; {} plates listed.", status.listed_plates);
        eprintln!("{} arrivals, {} dwell events, {} departures.", self.arrivals, self.dwells, self.departures);
        for (camera, counts) in &status.cameras {
            let rejected: Vec<_> = counts.rejected.iter().map(|(why, count)| format!("{why} {count}")).collect();
            if !rejected.is_empty() {
                eprintln!("Not read at {camera}: {}.", rejected.join(", "));
            }
        }
    }
}

fn bar(clip: &Path, quiet: bool) -> ProgressBar {
    if quiet {
        return ProgressBar::hidden();
    }
    let style = ProgressStyle::with_template("{spinner} {prefix}: {pos} frames, {per_sec}, {msg}");
    let name = clip.file_name().map_or_else(String::new, |name| name.to_string_lossy().into_owned());
    ProgressBar::new_spinner().with_style(style.unwrap_or_else(|_| ProgressStyle::default_spinner())).with_prefix(name)
}
