//! Cameras and their zones.

use std::collections::HashSet;
use std::net::IpAddr;
use std::time::Duration;

use super::{Code, MINUTE, Report, is_word};
use crate::config::{Camera, Zone};
use crate::domain::geometry::{Point, Polygon};

const SOURCES: &str = "write `rtsp://HOST/PATH`, `file:PATH`, `images:FOLDER`, `v4l2:/dev/video0` or `gst:PIPELINE`";
/// Share of the picture below which an outline encloses nothing.
const LEAST_AREA: f32 = 1e-5;

pub(super) fn check(cameras: &[Camera], report: &mut Report) {
    let mut names = HashSet::new();
    for (index, camera) in cameras.iter().enumerate() {
        let key = format!("camera[{index}]");
        let id = format!("{key}.id");
        if !is_word(&camera.id, "-_") {
            let remedy = "use 1 to 64 letters, digits, `-` and `_`";
            report.add(Code::CameraId, &id, named(&camera.id), remedy);
        } else if !names.insert(camera.id.as_str()) {
            let problem = format!("two cameras are called `{}`", camera.id);
            report.add(Code::CameraId, &id, problem, "give each camera its own name");
        }
        one(camera, &key, report);
    }
    report.number("camera", cameras.len(), 0..=64);
}

fn named(id: &str) -> String {
    if id.is_empty() { "there is no name".to_owned() } else { format!("`{id}` is not allowed as a name") }
}

fn one(camera: &Camera, key: &str, report: &mut Report) {
    if let Err((problem, remedy)) = source(&camera.source) {
        report.add(Code::CameraSource, &format!("{key}.source"), problem, remedy);
    }
    let senses: HashSet<_> = camera.read.iter().collect();
    if camera.read.is_empty() || senses.len() < camera.read.len() {
        let problem = if camera.read.is_empty() { "there is nothing to read" } else { "a word stands there twice" };
        report.add(
            Code::CameraRead,
            &format!("{key}.read"),
            problem,
            "write `read = [\"plate\"]`, `[\"face\"]` or both",
        );
    }
    report.number(&format!("{key}.analysis_fps"), camera.analysis_fps, 0.1..=60.0);
    report.time(&format!("{key}.stall_after"), camera.stall_after, Duration::from_millis(500)..=10 * MINUTE);
    report.time(&format!("{key}.reconnect_max"), camera.reconnect_max, Duration::from_secs(1)..=60 * MINUTE);
    let mut names = HashSet::new();
    for (index, zone) in camera.zones.iter().enumerate() {
        let key = format!("{key}.zone[{index}]");
        if !is_word(&zone.id, "-_") {
            let remedy = "use 1 to 64 letters, digits, `-` and `_`";
            report.add(Code::ZoneId, &format!("{key}.id"), named(&zone.id), remedy);
        } else if !names.insert(zone.id.as_str()) {
            let problem = format!("two zones of this camera are called `{}`", zone.id);
            report.add(Code::ZoneId, &format!("{key}.id"), problem, "give each zone its own name");
        }
        outline(zone, &format!("{key}.polygon"), report);
    }
}

fn source(text: &str) -> Result<(), (String, String)> {
    let fault = |problem: String, remedy: &str| Err((problem, remedy.to_owned()));
    if text.is_empty() {
        return fault("there is no source".to_owned(), SOURCES);
    }
    if is_address(text) {
        return fault(format!("`{text}` is the address of a machine"), &format!("write `rtsp://{text}`"));
    }
    let Some((kind, rest)) = text.split_once(':') else { return Ok(()) };
    match kind.to_ascii_lowercase().as_str() {
        "rtsp" | "rtsps" => rtsp(rest).or_else(|(problem, remedy)| fault(problem, remedy)),
        "file" | "images" | "v4l2" | "gst" if rest.trim().is_empty() => {
            fault(format!("nothing stands after `{kind}:`"), SOURCES)
        }
        "file" | "images" | "v4l2" | "gst" => Ok(()),
        _ => fault(format!("`{kind}:` is no kind of source"), SOURCES),
    }
}

/// Does it begin with the number of a machine, as a camera's address does without its `rtsp://`?
fn is_address(text: &str) -> bool {
    text.split(['/', ':']).next().is_some_and(|host| host.parse::<IpAddr>().is_ok())
}

fn rtsp(rest: &str) -> Result<(), (String, &'static str)> {
    let host = rest.strip_prefix("//").map(|rest| rest.split(['/', '?']).next().unwrap_or_default());
    match host {
        Some(host) if host.contains('@') => {
            let remedy = "put `user:password` into a file of its own and name it with `credentials_file`";
            Err(("the address holds a password".to_owned(), remedy))
        }
        Some(host) if !host.is_empty() && !host.starts_with(':') => Ok(()),
        _ => Err(("the address names no host".to_owned(), "write `rtsp://HOST/PATH`")),
    }
}

fn outline(zone: &Zone, key: &str, report: &mut Report) {
    let corners: Vec<Point> = zone.polygon.iter().map(|&[x, y]| Point::new(x, y)).collect();
    let inside = |corner: &Point| (0.0..=1.0).contains(&corner.x) && (0.0..=1.0).contains(&corner.y);
    let mut bad = |problem: String, remedy: &str| report.add(Code::ZoneOutline, key, problem, remedy);
    if !(3..=64).contains(&corners.len()) {
        return bad(format!("the outline has {} corners", corners.len()), "write 3 to 64 corners, each `[x, y]`");
    }
    if let Some(at) = corners.iter().position(|corner| !inside(corner)) {
        let problem = format!("corner {} lies outside the picture", at + 1);
        return bad(problem, "write fractions from 0 to 1 of width and height, not pixels");
    }
    if let Some((a, b)) = crossing(&corners) {
        let problem = format!("the edges after corners {} and {} cross or touch", a + 1, b + 1);
        return bad(problem, "write the corners in order around the area");
    }
    if Polygon::new(corners).is_none_or(|shape| shape.area().abs() < LEAST_AREA) {
        bad("the outline encloses nothing".to_owned(), "write corners that do not lie on one line");
    }
}

/// The first two edges that meet anywhere but at the corner they share, by the corners where they begin.
fn crossing(corners: &[Point]) -> Option<(usize, usize)> {
    let count = corners.len();
    let edge = |at: usize| (corners[at], corners[(at + 1) % count]);
    (0..count).flat_map(|a| (a + 1..count).map(move |b| (a, b))).find(|&(a, b)| {
        let neighbours = b == a + 1 || (a == 0 && b == count - 1);
        if neighbours { folds_back(edge(a), edge(b)) } else { meet(edge(a), edge(b)) }
    })
}

type Edge = (Point, Point);

/// Which side of the line through `a` and `b` the point lies on; 0 on it.
fn side((a, b): Edge, point: Point) -> f32 {
    (b.x - a.x) * (point.y - a.y) - (b.y - a.y) * (point.x - a.x)
}

fn between((a, b): Edge, point: Point) -> bool {
    let within = |low: f32, high: f32, value: f32| (low.min(high)..=low.max(high)).contains(&value);
    within(a.x, b.x, point.x) && within(a.y, b.y, point.y)
}

fn meet(one: Edge, other: Edge) -> bool {
    let sides = [side(one, other.0), side(one, other.1), side(other, one.0), side(other, one.1)];
    if sides[0] * sides[1] < 0.0 && sides[2] * sides[3] < 0.0 {
        return true;
    }
    let ends = [(one, other.0), (one, other.1), (other, one.0), (other, one.1)];
    sides.iter().zip(ends).any(|(side, (edge, end))| *side == 0.0 && between(edge, end))
}

/// Two edges that share a corner lie on one another, or one has no length.
fn folds_back(one: Edge, other: Edge) -> bool {
    let (shared, away, beyond) = if one.1 == other.0 { (one.1, one.0, other.1) } else { (one.0, one.1, other.0) };
    let along = (away.x - shared.x) * (beyond.x - shared.x) + (away.y - shared.y) * (beyond.y - shared.y);
    away == shared || beyond == shared || (side((shared, away), beyond) == 0.0 && along > 0.0)
}
