//! `forecourt camera snapshot`: a picture with zones, plates and readings drawn in.
//!
//! It holds the plates of whoever stands there: it is written only where it was asked for, and only then.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, bail, ensure};
use comfy_table::{Table, presets::UTF8_FULL_CONDENSED};
use image::RgbImage;
use serde::Serialize;
use serde_json::json;

use super::Choice;
use super::canvas::Canvas;
use crate::camera::probe::shot;
use crate::commands::Exit;
use crate::config::{Camera, Loaded, Zone};
use crate::domain::frame::Frame;
use crate::domain::geometry::Point;
use crate::domain::observation::PlateObservation;
use crate::inference::PlateReader;

const ZONE: [u8; 3] = [80, 200, 255];
const IGNORED: [u8; 3] = [150, 150, 150];
const READ: [u8; 3] = [60, 255, 90];
const UNREAD: [u8; 3] = [255, 170, 40];

/// What was typed after `snapshot`.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    choice: Choice,
    /// The picture to write, `.png` or `.jpg`.
    #[arg(long, short, value_name = "FILE")]
    output: PathBuf,
    /// Of a recording: the picture at so many seconds of its own time.
    #[arg(long, default_value_t = 0.0, value_name = "SECONDS")]
    at: f64,
    /// Leave plates alone; draw zones only.
    #[arg(long)]
    no_plates: bool,
}

/// A plate as it stands in the picture.
#[derive(Debug, Serialize)]
struct Seen {
    text: Option<String>,
    /// Mean over the characters, 0..1.
    confidence: Option<f32>,
    colour: Option<&'static str>,
    rejected: Option<&'static str>,
    detection: f32,
    /// Left, top, right, bottom in pixels.
    r#box: [f32; 4],
}

pub(super) fn run(args: Args, loaded: &Loaded, as_json: bool) -> anyhow::Result<Exit> {
    ensure_picture_file(&args.output)?;
    let at = Duration::try_from_secs_f64(args.at).context("`--at` takes seconds, 0 or more")?;
    let cameras = args.choice.cameras(loaded)?;
    let camera = match cameras.as_slice() {
        [] => return Ok(Exit::NotFound),
        [camera] => camera,
        many => bail!("{} cameras are configured; name one", many.len()),
    };
    let frame = shot(camera, &loaded.base, at)?;
    let plates = if args.no_plates { Ok(Vec::new()) } else { plates(camera, &frame, loaded) };
    if let Err(error) = &plates {
        eprintln!("No plates are drawn: {error:#}");
    }
    let plates = plates.unwrap_or_default();
    let image = drawn(camera, &frame, &plates)?;
    image.save(&args.output).with_context(|| format!("cannot write the picture `{}`", args.output.display()))?;
    let seen: Vec<Seen> = plates.iter().map(Seen::from).collect();
    tell(&args.output, camera, &frame, &seen, as_json)
}

fn ensure_picture_file(path: &Path) -> anyhow::Result<()> {
    let ending = path.extension().map(|ending| ending.to_string_lossy().to_ascii_lowercase()).unwrap_or_default();
    let known = ["png", "jpg", "jpeg"].contains(&ending.as_str());
    ensure!(known, "`{}` ends in neither .png nor .jpg", path.display());
    Ok(())
}

fn plates(camera: &Camera, frame: &Frame, loaded: &Loaded) -> anyhow::Result<Vec<PlateObservation>> {
    let mut reader = PlateReader::load(&loaded.config.plates, &loaded.config.inference, &loaded.base)?;
    Ok(reader.observe(&camera.id, frame)?.plates)
}

fn drawn(camera: &Camera, frame: &Frame, plates: &[PlateObservation]) -> anyhow::Result<RgbImage> {
    let rgb = frame.bgr.chunks_exact(3).flat_map(|pixel| [pixel[2], pixel[1], pixel[0]]).collect();
    let image = RgbImage::from_raw(frame.width, frame.height, rgb).context("the picture has too few bytes")?;
    let mut canvas = Canvas::new(image);
    for zone in &camera.zones {
        draw_zone(&mut canvas, zone, frame);
    }
    for plate in plates {
        draw_plate(&mut canvas, plate);
    }
    Ok(canvas.into_image())
}

fn draw_zone(canvas: &mut Canvas, zone: &Zone, frame: &Frame) {
    let (width, height) = (frame.width as f32, frame.height as f32);
    let corners: Vec<Point> = zone.polygon.iter().map(|[x, y]| Point::new(x * width, y * height)).collect();
    let kind = serde_json::to_value(zone.kind).unwrap_or_default();
    let kind = kind.as_str().unwrap_or_default();
    let colour = if kind == "ignore" { IGNORED } else { ZONE };
    canvas.outline(&corners, colour);
    if let Some(&first) = corners.first() {
        canvas.words(&format!("{} ({kind})", zone.id), first, colour);
    }
}

fn draw_plate(canvas: &mut Canvas, plate: &PlateObservation) {
    let seen = Seen::from(plate);
    let colour = if seen.text.is_some() { READ } else { UNREAD };
    let rect = plate.rect;
    let corners = plate.corners.map_or_else(|| box_corners(plate), |quad| quad.0.to_vec());
    canvas.outline(&corners, colour);
    canvas.words(&seen.words(), Point::new(rect.x1, rect.y1 - 4.0), colour);
}

fn box_corners(plate: &PlateObservation) -> Vec<Point> {
    let rect = plate.rect;
    [(rect.x1, rect.y1), (rect.x2, rect.y1), (rect.x2, rect.y2), (rect.x1, rect.y2)]
        .map(|(x, y)| Point::new(x, y))
        .into()
}

impl From<&PlateObservation> for Seen {
    fn from(plate: &PlateObservation) -> Self {
        let greedy = plate.evidence.as_ref().map(|evidence| evidence.greedy()).filter(|greedy| !greedy.text.is_empty());
        let colour = plate.colours.iter().max_by(|a, b| a.1.total_cmp(&b.1));
        let rect = plate.rect;
        Self {
            confidence: greedy.as_ref().map(|greedy| greedy.mean_confidence()),
            text: greedy.map(|greedy| greedy.text),
            colour: colour.map(|(colour, _)| colour.word()),
            rejected: plate.rejected.map(|reason| reason.word()),
            detection: plate.detection,
            r#box: [rect.x1, rect.y1, rect.x2, rect.y2],
        }
    }
}

impl Seen {
    /// `皖A12345 97%`, or why it was not read.
    fn words(&self) -> String {
        match (&self.text, self.confidence) {
            (Some(text), Some(confidence)) => format!("{text} {:.0}%", confidence * 100.0),
            _ => self.rejected.unwrap_or("not read").to_owned(),
        }
    }
}

fn tell(output: &Path, camera: &Camera, frame: &Frame, seen: &[Seen], as_json: bool) -> anyhow::Result<Exit> {
    if as_json {
        let size = [frame.width, frame.height];
        let zones: Vec<&str> = camera.zones.iter().map(|zone| zone.id.as_str()).collect();
        let value = json!({ "file": output, "camera": camera.id, "size": size, "zones": zones, "plates": seen });
        println!("{}", serde_json::to_string_pretty(&value)?);
        return Ok(Exit::Ok);
    }
    let (width, height) = (frame.width, frame.height);
    println!("`{}`: {width} × {height}, zones: {}, plates: {}.", output.display(), camera.zones.len(), seen.len());
    if seen.is_empty() {
        return Ok(Exit::Ok);
    }
    let mut table = Table::new();
    table.load_style(UTF8_FULL_CONDENSED).set_header(["plate", "colour", "width", "at", "detector"]);
    for plate in seen {
        let [left, top, right, _] = plate.r#box;
        let (width, place) = (format!("{:.0} px", right - left), format!("{left:.0}, {top:.0}"));
        let colour = plate.colour.unwrap_or("-").to_owned();
        table.add_row([plate.words(), colour, width, place, format!("{:.2}", plate.detection)]);
    }
    println!("{table}");
    Ok(Exit::Ok)
}
