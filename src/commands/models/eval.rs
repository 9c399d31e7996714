//! `forecourt models eval`: how much of labelled pictures is found and read; tasks for faces are in `faces`.
//!
//! The figures are the models' own: no plate is left out for its size, and `exact` compares the reader's most
//! probable string; `with_grammar` is what the box makes of the same evidence under the region's grammar.

use std::path::PathBuf;

use anyhow::Context;
use clap::ValueEnum;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use serde_json::{Map, Value, json};

use super::super::vision::Setup;
use super::super::{Exit, usage};
use super::faces;
use super::labels::{self, Label, Picture};
use super::plate_match;
use super::score::{Outcome, Scores};
use super::stages::Stages;
use crate::domain::frame::Frame;
use crate::domain::geometry::Rect;
use crate::domain::observation::{FrameObservation, PlateObservation, StageTimes};
use crate::domain::plate::PlateColour;
use crate::domain::plate::calibration::Calibration;
use crate::domain::plate::confusion::Confusions;
use crate::domain::plate::evaluation::Sample;
use crate::domain::plate::evidence::Evidence;
use crate::domain::plate::reading::{Interpreter, Pool};
use crate::inference::pack;
use crate::inference::{CropReader, Place, PlateReader, still};

/// Overlap from which a box counts as the labelled plate.
const FOUND_IOU: f32 = 0.5;

/// What was typed after `models eval`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// What is judged.
    #[arg(long, value_enum)]
    pub task: Task,
    /// Table of labelled pictures: file,plate,x1,y1,x2,y2,corners,colour; for `face-expression` file,class.
    #[arg(long, value_name = "FILE")]
    pub labels: Option<PathBuf>,
    /// Table of pairs for `face-verify`: file_a,file_b,same.
    #[arg(long, value_name = "FILE")]
    pub pairs: Option<PathBuf>,
    /// Table of members for `face-identify`: file,identity.
    #[arg(long, value_name = "FILE")]
    pub gallery: Option<PathBuf>,
    /// Table of those who are looked for: file,identity; an empty identity is a stranger.
    #[arg(long, value_name = "FILE")]
    pub probes: Option<PathBuf>,
    /// Pack, by name or folder; repeatable.
    #[arg(long, value_name = "NAME|DIR")]
    pack: Vec<String>,
    /// Seed of the random lists of `plate-match`.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// For `plate-match`: print the thresholds that were found as a table for the reader's `pack.toml`.
    #[arg(long)]
    calibration: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Task {
    /// Plates are found in whole pictures and read.
    PlateRead,
    /// Plates are cut out by their labels, or the pictures are ready crops, and read.
    PlateOcr,
    /// The same crops against a list: how many members are told from strangers, by three ways to match.
    PlateMatch,
    /// Are two pictures of one person?
    FaceVerify,
    /// Are members found in a gallery, and strangers not?
    FaceIdentify,
    /// Is the expression the labelled one?
    FaceExpression,
}

impl Task {
    /// Models that it takes.
    fn needed(self) -> &'static [pack::Task] {
        match self {
            Self::PlateRead => &[pack::Task::PlateDetect, pack::Task::PlateOcr],
            Self::PlateOcr | Self::PlateMatch => &[pack::Task::PlateOcr],
            Self::FaceVerify | Self::FaceIdentify => &[pack::Task::FaceDetect, pack::Task::FaceEmbed],
            Self::FaceExpression => &[pack::Task::FaceDetect, pack::Task::FaceExpression],
        }
    }

    fn is_face(self) -> bool {
        self.needed().iter().all(|task| task.is_face())
    }
}

/// What a reader saw in one labelled plate.
#[derive(Clone, Debug, Default)]
pub struct Seen {
    /// A box met it; always so when it was cut out by its label.
    pub found: bool,
    /// `None` when it was not found or not read.
    pub evidence: Option<Evidence>,
    /// Shares of colours in falling order.
    pub colours: Vec<(PlateColour, f32)>,
}

/// Runs it; exit code 5 when a picture could not be read.
pub fn run(args: Args, setup: Setup, as_json: bool) -> anyhow::Result<Exit> {
    if args.calibration && args.task != Task::PlateMatch {
        return Err(usage("`--calibration` goes with `--task plate-match`, which measures the thresholds"));
    }
    if args.task.is_face() {
        let setup = setup.prefer_faces(&args.pack, args.task.needed())?;
        return faces::run(&args, setup, as_json);
    }
    let Some(labels) = args.labels.as_deref() else {
        return Err(usage("this task needs labelled pictures; name their table with `--labels`"));
    };
    let mut setup = setup.prefer(&args.pack, args.task.needed())?;
    setup.config.plates.min_width_px = 0.0;
    let pictures = labels::read(labels)?;
    let mut eyes = Eyes::open(args.task, &setup)?;
    let mut interpreter = Interpreter::new(setup.grammar()?, eyes.confusions());
    let (mut scores, mut stages, mut refused) = (Scores::default(), Stages::default(), 0);
    let mut samples = Vec::new();
    let bar = progress(pictures.len() as u64);
    for picture in &pictures {
        bar.inc(1);
        match eyes.look(picture) {
            Ok(Looked { seen, standing, times }) => {
                times.into_iter().for_each(|times| stages.add(times));
                if picture.plates.is_empty() {
                    scores.add_empty(standing > 0);
                }
                for (label, seen) in picture.plates.iter().zip(seen) {
                    if args.task == Task::PlateMatch {
                        samples.push(sample(label, &seen, &mut interpreter));
                    } else {
                        scores.add(label, &outcome(seen, &mut interpreter));
                    }
                }
            }
            Err(error) => {
                refused += 1;
                bar.suspend(|| eprintln!("forecourt: {error:#}"));
            }
        }
    }
    bar.finish_and_clear();
    let mut told = match args.task {
        Task::PlateMatch => plate_match::curves(&samples, args.seed, eyes.calibration(), &labels::name(labels)),
        task => scores.json(task == Task::PlateRead),
    };
    told.insert("refused".to_owned(), json!(refused));
    told.insert("ms".to_owned(), stages.json());
    if args.calibration {
        println!("{}", plate_match::as_toml(&told).context("there are too few plates to measure thresholds on")?)
    } else if as_json {
        println!("{}", serde_json::to_string_pretty(&told)?)
    } else if args.task == Task::PlateMatch {
        plate_match::tell(&told)
    } else {
        tell(&told)
    }
    Ok(if refused > 0 { Exit::Refused } else { Exit::Ok })
}

/// A bar on stderr with rate and time left, on a terminal only.
pub fn progress(length: u64) -> ProgressBar {
    let style = ProgressStyle::with_template("{bar:30} {pos}/{len} pictures, {per_sec}, {eta} left");
    let bar = ProgressBar::with_draw_target(Some(length), ProgressDrawTarget::stderr());
    bar.with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()))
}

/// What was seen in one picture.
struct Looked {
    /// One for each label.
    seen: Vec<Seen>,
    /// What counts as a plate, labelled or not; 0 when the task looks for none.
    standing: usize,
    /// Of each run.
    times: Vec<StageTimes>,
}

/// What looks at the pictures of a task.
enum Eyes {
    Frames(Box<PlateReader>),
    Crops(Box<CropReader>),
}

impl Eyes {
    fn open(task: Task, setup: &Setup) -> anyhow::Result<Self> {
        let (config, base) = (&setup.config, &setup.base);
        Ok(match task {
            Task::PlateRead => Self::Frames(Box::new(PlateReader::load(&config.plates, &config.inference, base)?)),
            _ => Self::Crops(Box::new(CropReader::open(&config.plates, &config.inference, base)?)),
        })
    }

    fn confusions(&self) -> Confusions {
        match self {
            Self::Frames(reader) => reader.crops().confusions().clone(),
            Self::Crops(reader) => reader.confusions().clone(),
        }
    }

    /// Thresholds of the known-plate test in the reader's pack.
    fn calibration(&self) -> Option<&Calibration> {
        match self {
            Self::Frames(reader) => reader.crops().calibration(),
            Self::Crops(reader) => reader.calibration(),
        }
    }

    fn look(&mut self, picture: &Picture) -> anyhow::Result<Looked> {
        let frame = still::picture(&picture.path)?;
        match self {
            Self::Frames(reader) => {
                let observation = reader.observe("eval", &frame)?;
                let times = vec![observation.timing];
                let standing = observation.plates.iter().filter(|plate| plate.stands()).count();
                Ok(Looked { seen: matched(&picture.plates, observation), standing, times })
            }
            Self::Crops(reader) => {
                let read = picture.plates.iter().map(|label| read_crop(reader, &frame, label));
                let (seen, times) = read.collect::<anyhow::Result<Vec<_>>>()?.into_iter().unzip();
                Ok(Looked { seen, standing: 0, times })
            }
        }
    }
}

fn read_crop(reader: &mut CropReader, frame: &Frame, label: &Label) -> anyhow::Result<(Seen, StageTimes)> {
    let place = match (label.corners, label.rect) {
        (Some(corners), _) => Place::Corners(corners),
        (None, Some(rect)) => Place::Box(rect),
        (None, None) => Place::Whole,
    };
    let mut times = StageTimes::default();
    let reading = reader.read(frame, place, Some(label.rows), &mut times)?;
    Ok((Seen { found: true, evidence: reading.evidence, colours: reading.colours }, times))
}

/// Labels and boxes in pairs, best overlap first; each box serves one plate, which a table may hold twice. What is no
/// plate for sure is not found.
fn matched(labels: &[Label], mut observation: FrameObservation) -> Vec<Seen> {
    observation.plates.retain(PlateObservation::stands);
    let boxes: Vec<Rect> = observation.plates.iter().map(|plate| plate.rect).collect();
    let mut owners: Vec<Option<&Label>> = vec![None; boxes.len()];
    let mut pairs: Vec<(f32, usize, usize)> = Vec::new();
    for (place, label) in labels.iter().enumerate() {
        let overlap = |rect: &Rect| label.rect.map_or(0.0, |wanted| wanted.iou(rect));
        pairs.extend(boxes.iter().enumerate().map(|(plate, rect)| (overlap(rect), place, plate)));
    }
    pairs.retain(|pair| pair.0 >= FOUND_IOU);
    pairs.sort_by(|a, b| b.0.total_cmp(&a.0));
    let mut seen = vec![Seen::default(); labels.len()];
    for (_, label, plate) in pairs {
        let free = owners[plate].is_none_or(|owner| *owner == labels[label]);
        if free && !seen[label].found {
            owners[plate] = Some(&labels[label]);
            let PlateObservation { evidence, colours, .. } = observation.plates[plate].clone();
            seen[label] = Seen { found: true, evidence, colours };
        }
    }
    seen
}

fn outcome(seen: Seen, interpreter: &mut Interpreter) -> Outcome {
    let colour = seen.colours.first().map(|(colour, _)| colour.word());
    let Some(evidence) = seen.evidence else { return Outcome { found: seen.found, colour, ..Outcome::default() } };
    let mut pool = Pool::default();
    pool.add(interpreter, &evidence, &seen.colours);
    let text = pool.reading().map(|reading| reading.text).unwrap_or_default();
    Outcome { found: seen.found, raw: evidence.greedy().text, text, colour }
}

fn sample(label: &Label, seen: &Seen, interpreter: &mut Interpreter) -> Sample {
    let mut pool = Pool::default();
    if let Some(evidence) = &seen.evidence {
        pool.add(interpreter, evidence, &seen.colours);
    }
    Sample { truth: label.plate.clone(), pool }
}

fn tell(told: &Map<String, Value>) {
    use comfy_table::{Table, presets::UTF8_FULL_CONDENSED};
    let percent =
        |row: &Value, key: &str| row[key].as_f64().map_or("–".to_owned(), |share| format!("{:.1} %", share * 100.0));
    let mut table = Table::new();
    table.load_style(UTF8_FULL_CONDENSED);
    table.set_header([
        "plates",
        "n",
        "found",
        "exact",
        "without province",
        "characters",
        "exact with grammar",
        "colour",
    ]);
    let all = Value::Object(told.clone());
    let colours = told["by_colour"].as_object().into_iter().flatten();
    for (word, row) in std::iter::once((&"all".to_owned(), &all)).chain(colours) {
        table.add_row([
            word.clone(),
            row["n"].to_string(),
            percent(row, "recall"),
            percent(row, "exact"),
            percent(row, "exact_without_province"),
            percent(row, "char_accuracy"),
            percent(&row["with_grammar"], "exact"),
            percent(row, "colour_accuracy"),
        ]);
    }
    println!("{table}");
    if let Some(without) = told.get("pictures_without_plate").filter(|count| **count != 0) {
        println!(
            "{without} pictures without a plate; in {} of them something was taken for one.",
            told["false_plates"]
        );
    }
    let stage = |(word, ms): (&String, &Value)| format!("{word} {} / {}", ms["p50"], ms["p95"]);
    let stages: Vec<String> = told["ms"].as_object().into_iter().flatten().map(stage).collect();
    println!("ms p50 / p95: {}", stages.join(", "));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::Uptime;
    use crate::domain::observation::{CropQuality, Rows};

    fn plate(rect: Rect) -> PlateObservation {
        PlateObservation {
            rect,
            corners: None,
            rows: Rows::Single,
            detection: 0.9,
            certain: true,
            evidence: None,
            colours: vec![(PlateColour::Blue, 1.0)],
            quality: CropQuality::default(),
            rejected: None,
        }
    }

    #[test]
    fn one_box_cannot_be_two_plates_and_unlabelled_plates_are_no_fault() {
        let label = |x: f32| Label {
            plate: "皖A12345".to_owned(),
            rect: Some(Rect::new(x, 0.0, x + 100.0, 30.0)),
            corners: None,
            colour: None,
            rows: Rows::Single,
        };
        let observation = FrameObservation {
            camera: String::new(),
            seq: 0,
            at: Uptime::ZERO,
            size: (640, 480),
            plates: vec![plate(Rect::new(2.0, 0.0, 102.0, 30.0)), plate(Rect::new(400.0, 0.0, 500.0, 30.0))],
            faces: Vec::new(),
            timing: StageTimes::default(),
        };
        let found =
            |labels: &[Label]| matched(labels, observation.clone()).iter().map(|seen| seen.found).collect::<Vec<_>>();
        assert_eq!(found(&[label(20.0), label(0.0), label(200.0)]), [false, true, false]);
        // A row that stands in the table twice is one plate.
        assert_eq!(found(&[label(0.0), label(0.0)]), [true, true]);
    }
}
