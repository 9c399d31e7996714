//! `forecourt read --faces`: the faces of picture files, and with `--members` whose they are. Vectors are compared, never
//! printed.

mod who;

use std::path::{Path, PathBuf};
use std::time::Instant;

use comfy_table::{Table, presets::UTF8_FULL_CONDENSED};
use serde_json::{Map, Value, json};

use self::who::{Answer, Who};
use super::Exit;
use super::models::stages::rounded;
use super::vision::Setup;
use crate::domain::face::{Expression, FaceObservation};
use crate::domain::observation::StageTimes;
use crate::inference::pack::Task;
use crate::inference::{FaceReader, Wanted, still};

/// One picture with the faces in it.
struct Seen {
    size: (u32, u32),
    faces: Vec<(FaceObservation, Option<Answer>)>,
    decode_ms: f32,
    times: StageTimes,
}

/// Runs it; exit code 5 when a picture could not be read, 4 when there was no face in any.
pub fn run(
    images: &[PathBuf],
    packs: &[String],
    members: Option<&Path>,
    setup: Setup,
    as_json: bool,
) -> anyhow::Result<Exit> {
    let setup = setup.prefer_faces(packs, &[Task::FaceDetect, Task::FaceEmbed])?;
    let mut reader = FaceReader::load(&setup.config.faces, &setup.config.inference, &setup.base)?;
    let who = members.map(|file| Who::open(file, &setup.config, &reader)).transpose()?;
    if let Some(who) = &who {
        eprintln!("{}", who.about());
    }
    let (mut faces, mut refused) = (0, 0);
    for path in images {
        let name = path.display().to_string();
        let seen = look(path, &mut reader, who.as_ref());
        match &seen {
            Ok(seen) => faces += seen.faces.len(),
            Err(error) => {
                refused += 1;
                eprintln!("forecourt: {error:#}");
            }
        }
        if as_json {
            let told = seen.map_or_else(
                |error| json!({ "image": name, "error": format!("{error:#}") }),
                |seen| picture_json(&name, &seen),
            );
            println!("{told}");
        } else if let Ok(seen) = seen {
            tell(&name, &seen);
        }
    }
    Ok(match (refused, faces) {
        (0, 0) => Exit::NotFound,
        (0, _) => Exit::Ok,
        _ => Exit::Refused,
    })
}

fn look(path: &Path, reader: &mut FaceReader, who: Option<&Who>) -> anyhow::Result<Seen> {
    let begun = Instant::now();
    let frame = still::picture(path)?;
    let decode_ms = begun.elapsed().as_secs_f32() * 1e3;
    let mut times = StageTimes::default();
    let mut faces = Vec::new();
    for face in reader.observe(&frame, &mut |_| Wanted::ALL, &mut times)? {
        let answer = match (who, &face.embedding) {
            (Some(who), Some(vector)) => Some(who.is(vector)?),
            _ => None,
        };
        faces.push((face, answer));
    }
    Ok(Seen { size: (frame.width, frame.height), faces, decode_ms, times })
}

fn picture_json(name: &str, seen: &Seen) -> Value {
    let faces: Vec<Value> = seen.faces.iter().map(|(face, answer)| face_json(face, answer.as_ref())).collect();
    let ms = json!({
        "decode": rounded(seen.decode_ms),
        "face_work": rounded(seen.times.face_work_ms),
        "face": rounded(seen.times.face_ms),
    });
    json!({ "image": name, "width": seen.size.0, "height": seen.size.1, "faces": faces, "ms": ms })
}

fn face_json(face: &FaceObservation, answer: Option<&Answer>) -> Value {
    let (quality, rect) = (&face.quality, &face.rect);
    let sides = [rect.x1, rect.y1, rect.x2, rect.y2].map(rounded);
    json!({
        "box": sides,
        "points": face.points.map(|point| [rounded(point.x), rounded(point.y)]),
        "detection": rounded(face.detection),
        "quality": {
            "score": rounded(quality.score),
            "eyes_px": rounded(quality.eyes_px),
            "height_px": rounded(quality.height_px),
            "sharpness": rounded(quality.sharpness),
            "brightness": rounded(quality.brightness),
            "yaw": rounded(quality.yaw),
            "pitch": rounded(quality.pitch),
            "roll": rounded(quality.roll),
        },
        "rejected": face.rejected.map(|reason| reason.word()),
        "recognisable": face.embedding.is_some(),
        "expression": face.expression.as_ref().map(expression_json),
        "member": answer.map(|answer| &answer.told),
    })
}

fn expression_json(expression: &Expression) -> Value {
    let classes = expression.classes.iter().map(|(word, share)| (word.clone(), json!(rounded(*share))));
    json!({
        "positive": rounded(expression.positive),
        "neutral": rounded(expression.neutral),
        "negative": rounded(expression.negative),
        "classes": classes.collect::<Map<String, Value>>(),
    })
}

fn tell(name: &str, seen: &Seen) {
    let total = seen.times.face_work_ms + seen.times.face_ms;
    let (width, height) = seen.size;
    println!("{name}  {width}x{height}, decoded in {:.1} ms, seen in {total:.1} ms", seen.decode_ms);
    if seen.faces.is_empty() {
        println!("  no face\n");
        return;
    }
    let mut table = Table::new();
    table.load_style(UTF8_FULL_CONDENSED);
    table.set_header(["box", "sure", "quality", "eyes", "turn, nod, tilt", "recognisable", "expression", "member"]);
    for (face, answer) in &seen.faces {
        let quality = &face.quality;
        let rect = face.rect;
        let likeliest =
            face.expression.as_ref().and_then(|each| each.classes.iter().max_by(|a, b| a.1.total_cmp(&b.1)));
        table.add_row([
            [rect.x1, rect.y1, rect.x2, rect.y2].map(|side| format!("{side:.0}")).join(" "),
            format!("{:.0} %", face.detection * 100.0),
            format!("{:.0} %", quality.score * 100.0),
            format!("{:.0} px", quality.eyes_px),
            [quality.yaw, quality.pitch, quality.roll].map(|angle| format!("{angle:.0}°")).join(" "),
            face.rejected.map_or("yes", |reason| reason.word()).to_owned(),
            likeliest.map_or("–".to_owned(), |(word, share)| format!("{word} {:.0} %", share * 100.0)),
            answer.as_ref().map_or("–".to_owned(), who_told),
        ]);
    }
    println!("{table}\n");
}

fn who_told(answer: &Answer) -> String {
    let who = answer.member_ref.as_deref().unwrap_or("no member");
    format!("{who}: {}", answer.why)
}
