//! `forecourt read`: the plates of picture files; with `--faces` their faces.

use std::path::PathBuf;
use std::time::Instant;

use comfy_table::{Table, presets::UTF8_FULL_CONDENSED};
use serde_json::{Map, Value, json};

use super::Exit;
use super::models::stages::{named, rounded};
use super::read_faces;
use super::vision::Setup;
use crate::cli::Global;
use crate::domain::geometry::Rect;
use crate::domain::observation::{FrameObservation, PlateObservation, RejectReason, Rows};
use crate::domain::plate::reading::{Interpreter, Pool, Reading};
use crate::inference::pack::Task;
use crate::inference::{PlateReader, still};

/// What was typed after `read`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Pictures: JPEG, PNG, BMP or PNM.
    #[arg(required = true, value_name = "IMAGE")]
    images: Vec<PathBuf>,
    /// Pack that finds or reads, by name or folder; repeatable, the first that has a task serves it.
    #[arg(long, value_name = "NAME|DIR")]
    pack: Vec<String>,
    /// Look for faces instead of plates.
    #[arg(long)]
    faces: bool,
    /// With `--faces`: the member list in which to look whose face it is, such as `/var/lib/forecourt/members.db`.
    #[arg(long, value_name = "DB", requires = "faces")]
    members: Option<PathBuf>,
}

/// One picture with what was seen in it.
struct Seen {
    observation: FrameObservation,
    readings: Vec<Option<Reading>>,
    decode_ms: f32,
}

impl Seen {
    /// Plates with what was read, or the places that might be one and are not for sure.
    fn those(&self, stand: bool) -> impl Iterator<Item = (&PlateObservation, Option<&Reading>)> {
        let all = self.observation.plates.iter().zip(&self.readings);
        all.filter(move |(plate, _)| plate.stands() == stand).map(|(plate, reading)| (plate, reading.as_ref()))
    }
}

/// Runs it; exit code 5 when a picture could not be read, 4 when there was no plate in any, doubtful ones not counted.
pub fn run(args: Args, global: &Global) -> anyhow::Result<Exit> {
    if args.faces {
        let members = args.members.as_deref();
        return read_faces::run(&args.images, &args.pack, members, Setup::new(global)?, global.json);
    }
    let setup = Setup::new(global)?.prefer(&args.pack, &[Task::PlateDetect, Task::PlateOcr])?;
    let mut reader = PlateReader::load(&setup.config.plates, &setup.config.inference, &setup.base)?;
    let mut interpreter = Interpreter::new(setup.grammar()?, reader.crops().confusions().clone());
    let (mut plates, mut refused) = (0, 0);
    for path in &args.images {
        let name = path.display().to_string();
        let seen = look(path, &mut reader, &mut interpreter);
        match &seen {
            Ok(seen) => plates += seen.those(true).count(),
            Err(error) => {
                refused += 1;
                eprintln!("forecourt: {error:#}");
            }
        }
        if global.json {
            let told = seen.map_or_else(
                |error| json!({ "image": name, "error": format!("{error:#}") }),
                |seen| json(&name, &seen),
            );
            println!("{told}");
        } else if let Ok(seen) = seen {
            tell(&name, &seen);
        }
    }
    Ok(match (refused, plates) {
        (0, 0) => Exit::NotFound,
        (0, _) => Exit::Ok,
        _ => Exit::Refused,
    })
}

fn look(path: &std::path::Path, reader: &mut PlateReader, interpreter: &mut Interpreter) -> anyhow::Result<Seen> {
    let begun = Instant::now();
    let frame = still::picture(path)?;
    let decode_ms = begun.elapsed().as_secs_f32() * 1e3;
    let observation = reader.observe("read", &frame)?;
    let readings = observation.plates.iter().map(|plate| read(plate, interpreter)).collect();
    Ok(Seen { observation, readings, decode_ms })
}

fn read(plate: &PlateObservation, interpreter: &mut Interpreter) -> Option<Reading> {
    let mut pool = Pool::default();
    pool.add(interpreter, plate.evidence.as_ref()?, &plate.colours);
    pool.reading()
}

fn json(name: &str, seen: &Seen) -> Value {
    let those = |stand| seen.those(stand).map(|(plate, reading)| plate_json(plate, reading)).collect::<Vec<_>>();
    let (plates, doubtful) = (those(true), those(false));
    let (width, height) = seen.observation.size;
    let mut ms: Map<String, Value> = Map::new();
    ms.insert("decode".to_owned(), json!(rounded(seen.decode_ms)));
    let of_plates = named(&seen.observation.timing).into_iter().filter(|(word, _)| !word.starts_with("face"));
    ms.extend(of_plates.map(|(word, ms)| (word.to_owned(), json!(rounded(ms)))));
    json!({ "image": name, "width": width, "height": height, "plates": plates, "doubtful": doubtful, "ms": ms })
}

fn plate_json(plate: &PlateObservation, reading: Option<&Reading>) -> Value {
    let raw = plate.evidence.as_ref().map(|evidence| evidence.greedy().text);
    let colour = plate.colours.first();
    let quality = plate.quality;
    let share = |values: &[f32]| values.iter().map(|&value| rounded(value)).collect::<Vec<_>>();
    json!({
        "text": reading.map(|reading| &reading.text),
        "colour": colour.map(|(colour, _)| colour.word()),
        "kind": reading.map(|reading| &reading.kind),
        "box": share(&sides(&plate.rect)),
        "corners": plate.corners.map(|quad| quad.0.map(|corner| [rounded(corner.x), rounded(corner.y)])),
        "rows": if plate.rows == Rows::Double { 2 } else { 1 },
        "confidence": reading.map(|reading| rounded(reading.confidence)),
        "char_confidence": reading.map(|reading| share(&reading.char_confidence)),
        "candidates": reading.map_or_else(Vec::new, |reading| {
            reading.candidates.iter().map(|(text, share)| json!({ "text": text, "confidence": rounded(*share) })).collect()
        }),
        "raw": raw,
        "colour_confidence": colour.map(|(_, share)| rounded(*share)),
        "colour_conflict": reading.is_some_and(|reading| reading.conflict.is_some()),
        "detection": rounded(plate.detection),
        "quality": {
            "width_px": rounded(quality.width_px),
            "height_px": rounded(quality.height_px),
            "sharpness": rounded(quality.sharpness),
            "brightness": rounded(quality.brightness),
            "saturated": rounded(quality.saturated),
        },
        "rejected": rejected(plate, reading),
    })
}

fn rejected(plate: &PlateObservation, reading: Option<&Reading>) -> Option<&'static str> {
    let ungrammatical = (reading.is_none() && plate.evidence.is_some()).then(|| {
        let reason = if plate.quality.is_washed_out() { RejectReason::Glare } else { RejectReason::Grammar };
        reason.word()
    });
    plate.rejected.map(|reason| reason.word()).or(ungrammatical)
}

fn sides(rect: &Rect) -> [f32; 4] {
    [rect.x1, rect.y1, rect.x2, rect.y2]
}

fn tell(name: &str, seen: &Seen) {
    let (width, height) = seen.observation.size;
    let total: f32 = named(&seen.observation.timing).iter().map(|(_, ms)| ms).sum();
    println!("{name}  {width}x{height}, decoded in {:.1} ms, seen in {total:.1} ms", seen.decode_ms);
    let doubtful = seen.those(false).count();
    if doubtful > 0 {
        println!(
            "  {doubtful} more that might be a plate: a low score and nothing to read (all about them with --json)"
        );
    }
    if doubtful == seen.observation.plates.len() {
        println!("  no plate\n");
        return;
    }
    let mut table = Table::new();
    table.load_style(UTF8_FULL_CONDENSED);
    table.set_header(["plate", "sure", "characters", "colour", "kind", "box", "else it may be"]);
    for (plate, reading) in seen.those(true) {
        let told = |value: Option<String>| value.unwrap_or_else(|| "–".to_owned());
        let percent = |share: f32| format!("{:.0}", share * 100.0);
        let sure =
            |reading: &Reading| reading.char_confidence.iter().map(|&c| percent(c)).collect::<Vec<_>>().join(" ");
        let rival = |(text, share): &(String, f32)| format!("{text} {} %", percent(*share));
        table.add_row([
            told(
                reading
                    .map(|reading| reading.text.clone())
                    .or_else(|| rejected(plate, None).map(|word| format!("({word})"))),
            ),
            told(reading.map(|reading| format!("{} %", percent(reading.confidence)))),
            told(reading.map(sure)),
            told(plate.colours.first().map(|(colour, share)| format!("{} {} %", colour.word(), percent(*share)))),
            told(reading.map(|reading| reading.kind.clone())),
            sides(&plate.rect).map(|side| format!("{side:.0}")).join(" "),
            reading
                .map(|reading| reading.candidates.iter().skip(1).take(2).map(rival).collect::<Vec<_>>().join(", "))
                .unwrap_or_default(),
        ]);
    }
    println!("{table}\n");
}
