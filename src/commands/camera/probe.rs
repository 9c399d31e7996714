//! `forecourt camera probe`: opens cameras and tells what they deliver.

use std::io::IsTerminal;
use std::path::Path;
use std::time::Duration;

use comfy_table::{Table, presets::UTF8_FULL_CONDENSED};
use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::Choice;
use crate::camera::probe::{Probe, SHORTEST, probe};
use crate::commands::Exit;
use crate::config::{Camera, Loaded};

/// What was typed after `probe`.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    choice: Choice,
    /// How long to watch, in seconds; from 10 on a frozen picture is told too.
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u64).range(SHORTEST.as_secs()..=600))]
    seconds: u64,
}

pub(super) fn run(args: Args, loaded: &Loaded, as_json: bool) -> anyhow::Result<Exit> {
    let cameras = args.choice.cameras(loaded)?;
    if cameras.is_empty() {
        return Ok(Exit::NotFound);
    }
    let probes = watch_all(&cameras, &loaded.base, Duration::from_secs(args.seconds));
    if as_json {
        println!("{}", serde_json::to_string_pretty(&probes)?);
    } else {
        tell(&probes);
    }
    Ok(if probes.iter().all(Probe::is_good) { Exit::Ok } else { Exit::Failed })
}

/// All at once: the network has to carry them together, too.
fn watch_all(cameras: &[Camera], base: &Path, watch_for: Duration) -> Vec<Probe> {
    let target = ProgressDrawTarget::stderr();
    let bars = MultiProgress::with_draw_target(if std::io::stderr().is_terminal() {
        target
    } else {
        ProgressDrawTarget::hidden()
    });
    std::thread::scope(|scope| {
        let watched: Vec<_> = cameras
            .iter()
            .map(|camera| {
                let bar = bars.add(bar(&camera.id, watch_for));
                scope.spawn(move || {
                    let probe = probe(camera, base, watch_for, &mut |at| bar.set_position(at.as_millis() as u64));
                    bar.finish_and_clear();
                    probe
                })
            })
            .collect();
        watched.into_iter().map(|thread| thread.join().expect("a probe does not panic")).collect()
    })
}

fn bar(id: &str, watch_for: Duration) -> ProgressBar {
    let style =
        ProgressStyle::with_template("{prefix:20} {bar:30} {elapsed}").unwrap_or_else(|_| ProgressStyle::default_bar());
    ProgressBar::new(watch_for.as_millis() as u64).with_style(style).with_prefix(id.to_owned())
}

fn tell(probes: &[Probe]) {
    let mut table = Table::new();
    let header = ["camera", "read by", "size", "frames/s", "of", "longest gap", "first picture", "picture"];
    table.load_style(UTF8_FULL_CONDENSED).set_header(header);
    for probe in probes.iter().filter(|probe| probe.frames > 0) {
        table.add_row(row(probe));
    }
    if !table.is_empty() {
        println!("{table}");
    }
    for probe in probes {
        if let Some(error) = &probe.error {
            eprintln!("{}: {error}", probe.id);
        } else if probe.frames == 0 {
            eprintln!("{}: no picture came", probe.id);
        }
    }
}

fn row(probe: &Probe) -> [String; 8] {
    let number = |value: Option<f32>| value.map_or_else(|| "?".to_owned(), |value| format!("{value:.1}"));
    [
        probe.id.clone(),
        probe.backend.clone().unwrap_or_default(),
        format!("{} × {}", probe.width, probe.height),
        number(probe.fps),
        number(probe.expected_fps),
        format!("{} ms", probe.longest_gap_ms),
        format!("{} ms", probe.first_picture_ms.unwrap_or_default()),
        format!("{:?}", probe.picture).to_lowercase(),
    ]
}
