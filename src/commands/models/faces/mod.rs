//! `models eval` for faces: two pictures of one person told from two of two people, members found among strangers,
//! expressions told apart.
//!
//! Every picture is looked at once, by as many threads as the machine has cores; figures do not depend on them. A face is looked for as
//! for enrolment, in several sizes; `assumed` counts the pictures in which none was found and which were taken as a face
//! by themselves.

mod expression;
mod identify;
mod tables;
mod verify;

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use anyhow::Context;
use serde_json::{Map, Value, json};

use super::super::vision::Setup;
use super::super::{Exit, usage};
use super::eval::{Args, Task, progress};
use super::stages::Stages;
use crate::domain::face::Embedding;
use crate::domain::observation::StageTimes;
use crate::inference::{FaceReader, How, still};

/// Runs it; exit code 5 when a picture could not be read.
pub fn run(args: &Args, mut setup: Setup, as_json: bool) -> anyhow::Result<Exit> {
    // The figures are the models' own: no face is left out for its size or quality.
    let faces = &mut setup.config.faces;
    (faces.min_height_px, faces.min_quality, faces.max_yaw) = (0.0, 0.0, 90.0);
    let (mut told, refused) = match args.task {
        Task::FaceVerify => verify::run(table(args.pairs.as_deref(), "--pairs")?, &setup)?,
        Task::FaceIdentify => {
            let gallery = table(args.gallery.as_deref(), "--gallery")?;
            identify::run(gallery, table(args.probes.as_deref(), "--probes")?, &setup)?
        }
        _ => expression::run(table(args.labels.as_deref(), "--labels")?, &setup)?,
    };
    told.insert("refused".to_owned(), json!(refused));
    if as_json {
        println!("{}", serde_json::to_string_pretty(&told)?)
    } else {
        tell(&told)
    }
    Ok(if refused > 0 { Exit::Refused } else { Exit::Ok })
}

fn table<'a>(path: Option<&'a Path>, option: &str) -> anyhow::Result<&'a Path> {
    path.ok_or_else(|| usage(format!("this task needs a table; name it with `{option}`")))
}

/// What was made of many pictures.
struct Looked<T> {
    /// Of each picture that could be read.
    seen: HashMap<PathBuf, T>,
    /// Pictures that could not be read.
    refused: usize,
    stages: Stages,
}

/// Looks at each picture once, on all cores; each thread has networks of its own.
fn look<T: Send>(
    mut files: Vec<PathBuf>,
    open: &(dyn Fn() -> anyhow::Result<FaceReader> + Sync),
    see: &(dyn Fn(&mut FaceReader, &Path, &mut StageTimes) -> anyhow::Result<T> + Sync),
) -> anyhow::Result<Looked<T>> {
    files.sort();
    files.dedup();
    let (next, bar) = (AtomicUsize::new(0), progress(files.len() as u64));
    let looked = Mutex::new(Looked { seen: HashMap::new(), refused: 0, stages: Stages::default() });
    let work = || -> anyhow::Result<()> {
        let mut reader = open()?;
        while let Some(file) = files.get(next.fetch_add(1, Ordering::Relaxed)) {
            let mut times = StageTimes::default();
            let outcome = see(&mut reader, file, &mut times);
            let mut looked = looked.lock().expect("no thread ends while it holds the lock");
            match outcome {
                Ok(seen) => {
                    looked.seen.insert(file.clone(), seen);
                    looked.stages.add(times);
                }
                Err(error) => {
                    looked.refused += 1;
                    bar.suspend(|| eprintln!("forecourt: {error:#}"));
                }
            }
            bar.inc(1);
        }
        Ok(())
    };
    let cores = std::thread::available_parallelism().map_or(1, usize::from).min(files.len().max(1));
    std::thread::scope(|scope| {
        let threads: Vec<_> = (0..cores).map(|_| scope.spawn(work)).collect();
        threads.into_iter().try_for_each(|thread| thread.join().expect("a thread ended in a panic"))
    })?;
    bar.finish_and_clear();
    Ok(looked.into_inner().expect("all threads have ended"))
}

/// A picture's face as a vector.
struct Vector {
    embedding: Embedding,
    quality: crate::domain::face::FaceQuality,
    assumed: bool,
}

/// The vectors of pictures.
fn vectors(files: Vec<PathBuf>, setup: &Setup) -> anyhow::Result<Looked<Vector>> {
    let open = || FaceReader::load(&setup.config.faces, &setup.config.inference, &setup.base);
    look(files, &open, &|reader, file, times| {
        let picture = still::picture(file)?;
        let portrait = reader.portrait(&picture, false, true, times)?;
        let portrait = portrait.context("a picture is always taken as a face")?;
        let embedding =
            portrait.embedding.with_context(|| format!("picture `{}`: the network gives no vector", file.display()))?;
        Ok(Vector { embedding, quality: portrait.quality, assumed: portrait.how == How::Assumed })
    })
}

/// Rounded to four places; `null` where there is none.
fn share(value: Option<f64>) -> Value {
    value.map_or(Value::Null, |value| json!((value * 1e4).round() / 1e4))
}

/// The figures as a person reads them.
fn tell(told: &Map<String, Value>) {
    use comfy_table::{Table, presets::UTF8_FULL_CONDENSED};
    let mut table = Table::new();
    table.load_style(UTF8_FULL_CONDENSED).set_header(["figure", "value"]);
    for (word, value) in told {
        match value {
            Value::Object(inner) if word == "by_class" => {
                for (class, row) in inner {
                    let percent =
                        row["accuracy"].as_f64().map_or("–".to_owned(), |share| format!("{:.1} %", share * 100.0));
                    table.add_row([format!("accuracy of {class}"), format!("{percent} of {}", row["n"])]);
                }
            }
            Value::Object(inner) => {
                let parts = inner.iter().map(|(stage, ms)| format!("{stage} {} / {}", ms["p50"], ms["p95"]));
                table.add_row([format!("{word}, p50 / p95"), parts.collect::<Vec<_>>().join(", ")]);
            }
            Value::Number(number) if number.is_f64() => {
                table.add_row([word.clone(), format!("{:.4}", number.as_f64().unwrap_or_default())]);
            }
            Value::Null => {
                table.add_row([word.clone(), "– (too few pictures)".to_owned()]);
            }
            other => {
                table.add_row([word.clone(), other.to_string()]);
            }
        }
    }
    println!("{table}");
}
