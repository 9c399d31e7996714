//! `forecourt models bench`: milliseconds of each model by itself, one thread, several packs side by side.
//!
//! Models take turns, so that a machine that is busy for a while slows them all alike. The least time says most
//! about the model, the 95th percentile most about the machine.

use std::path::Path;

use comfy_table::{Table, presets::UTF8_FULL_CONDENSED};
use indicatif::ProgressBar;
use serde_json::{Value, json};

use super::super::Exit;
use super::super::vision::Setup;
use super::stages::{percentile, rounded, sorted};
use crate::domain::Uptime;
use crate::domain::frame::Frame;
use crate::domain::geometry::{Point, Rect};
use crate::inference::pack::{Chosen, Task};
use crate::inference::{Solo, still};

/// Turns before anything is counted.
const WARM_UP: u32 = 3;

struct Entry {
    pack: String,
    task: Task,
    file: String,
    solo: Solo,
    /// Milliseconds before, in and after the network, a turn each.
    times: Vec<[f32; 3]>,
}

/// Measures the packs.
pub fn run(packs: &[String], image: Option<&Path>, turns: u32, setup: Setup, as_json: bool) -> anyhow::Result<Exit> {
    let mut entries = open(packs, &setup)?;
    let frame = image.map(still::picture).transpose()?.unwrap_or_else(drawn);
    let centre = Point::new(frame.width as f32 / 2.0, frame.height as f32 / 2.0);
    let plate = Rect::centred(centre, 150.0_f32.min(frame.width as f32), 48.0_f32.min(frame.height as f32));
    let face = Rect::centred(centre, 90.0_f32.min(frame.width as f32), 120.0_f32.min(frame.height as f32));
    let bar = ProgressBar::new(u64::from(turns));
    for turn in 0..WARM_UP + turns {
        for entry in &mut entries {
            let times = entry.solo.time(&frame, if entry.task.is_face() { face } else { plate })?;
            if turn >= WARM_UP {
                entry.times.push(times);
            }
        }
        bar.inc(1);
    }
    bar.finish_and_clear();
    let told = report(&entries, &frame, turns);
    if as_json {
        println!("{}", serde_json::to_string_pretty(&told)?)
    } else {
        tell(&told)
    }
    Ok(Exit::Ok)
}

fn open(packs: &[String], setup: &Setup) -> anyhow::Result<Vec<Entry>> {
    let here = std::env::current_dir()?;
    let own = [&setup.config.plates.packs[..], &setup.config.faces.packs].concat();
    let (names, base) = if packs.is_empty() { (&own[..], &setup.base) } else { (packs, &here) };
    let mut entries = Vec::new();
    for (name, pack) in names.iter().zip(Chosen::open(names, &setup.folders(), base)?.packs()) {
        for model in &pack.manifest.models {
            let solo = Solo::load(pack, model, &setup.config.inference, &setup.base)?;
            let (pack, file) = (name.clone(), model.file.clone());
            entries.push(Entry { pack, task: model.task, file, solo, times: Vec::new() });
        }
    }
    Ok(entries)
}

/// A drawn street of 1920 by 1080: shades, edges, and the noise of a sensor.
fn drawn() -> Frame {
    let (width, height) = (1920, 1080);
    let mut random = fastrand::Rng::with_seed(1);
    let shade = |x: u32, y: u32| ((x / 40 + y / 30) % 7 * 30) as u8;
    let mut bgr = Vec::with_capacity((width * height * 3) as usize);
    for y in 0..height {
        for x in 0..width {
            bgr.extend(
                [shade(x, y), shade(x + 9, y), shade(x, y + 9)].map(|value| value.saturating_add(random.u8(..20))),
            );
        }
    }
    Frame::new(0, Uptime::ZERO, width, height, bgr).expect("three bytes were written for each pixel")
}

fn report(entries: &[Entry], frame: &Frame, turns: u32) -> Value {
    let models: Vec<Value> = entries
        .iter()
        .map(|entry| {
            let first = entries.iter().find(|other| other.task == entry.task).unwrap_or(entry);
            let [pre, net, post] = [0, 1, 2].map(|stage| summary(entry.times.iter().map(|times| times[stage])));
            let total = totals(entry);
            let around = percentile(&sorted(entry.times.iter().map(|t| t[0] + t[2]).collect()), 0.5);
            let inside = percentile(&sorted(entry.times.iter().map(|t| t[1]).collect()), 0.5);
            json!({
                "pack": entry.pack,
                "task": entry.task.word(),
                "file": entry.file,
                "ms": { "pre": pre, "network": net, "post": post, "total": summary(total.iter().copied()) },
                "around_network": rounded(around / inside.max(1e-6)),
                "fps": rounded(1e3 / percentile(&total, 0.5).max(1e-6)),
                "times_faster_than_first": rounded(percentile(&totals(first), 0.5) / percentile(&total, 0.5).max(1e-6)),
            })
        })
        .collect();
    let mut told = json!({ "frame": [frame.width, frame.height], "turns": turns, "models": models });
    let chains = [
        ("frame_with_one_plate", &[Task::PlateDetect, Task::PlateOcr][..]),
        ("frame_with_one_face", &[Task::FaceDetect, Task::FaceEmbed, Task::FaceExpression][..]),
    ];
    for (word, tasks) in chains {
        if entries.iter().any(|entry| entry.task == tasks[0]) {
            told[word] = chain(entries, tasks);
        }
    }
    told
}

/// A frame through the first model of each task.
fn chain(entries: &[Entry], tasks: &[Task]) -> Value {
    let served = tasks.iter().filter_map(|&task| entries.iter().find(|entry| entry.task == task));
    let median = |values: Vec<f32>| percentile(&sorted(values), 0.5);
    let (mut total, mut network) = (0.0, 0.0);
    for entry in served {
        total += percentile(&totals(entry), 0.5);
        network += median(entry.times.iter().map(|times| times[1]).collect());
    }
    let around = (total - network).max(0.0) / network.max(1e-6);
    json!({ "ms": rounded(total), "fps": rounded(1e3 / total.max(1e-6)), "around_network": rounded(around) })
}

fn totals(entry: &Entry) -> Vec<f32> {
    sorted(entry.times.iter().map(|times| times.iter().sum()).collect())
}

fn summary(values: impl Iterator<Item = f32>) -> Value {
    let values = sorted(values.collect());
    let at = |share| rounded(percentile(&values, share));
    json!({ "min": at(0.0), "p50": at(0.5), "p95": at(0.95) })
}

fn tell(told: &Value) {
    let mut table = Table::new();
    table.load_style(UTF8_FULL_CONDENSED);
    table.set_header([
        "pack",
        "task",
        "pre ms",
        "network ms",
        "post ms",
        "total p50",
        "least",
        "p95",
        "fps",
        "× first",
    ]);
    for model in told["models"].as_array().into_iter().flatten() {
        let ms = |stage: &str, what: &str| format!("{:.2}", model["ms"][stage][what].as_f64().unwrap_or_default());
        let words = ["pack", "task"].map(|key| model[key].as_str().unwrap_or_default().to_owned());
        let times =
            [("pre", "p50"), ("network", "p50"), ("post", "p50"), ("total", "p50"), ("total", "min"), ("total", "p95")];
        let shares =
            ["fps", "times_faster_than_first"].map(|key| format!("{:.2}", model[key].as_f64().unwrap_or_default()));
        let times = times.map(|(stage, what)| ms(stage, what));
        table.add_row(words.into_iter().chain(times).chain(shares));
    }
    println!("{table}");
    for (word, what) in [("frame_with_one_plate", "plate"), ("frame_with_one_face", "face")] {
        let Some(whole) = told.get(word) else { continue };
        let around = whole["around_network"].as_f64().unwrap_or_default() * 100.0;
        println!(
            "A frame with one {what}, first model of each task: {} ms, {} frames a second; outside the networks {around:.1} %.",
            whole["ms"], whole["fps"]
        );
    }
}
