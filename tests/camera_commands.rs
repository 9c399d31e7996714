//! `forecourt camera list|probe|snapshot` through the real program, on folders of pictures.
#![allow(clippy::unwrap_used, reason = "a test fails where it stands")]

use std::path::Path;
use std::process::{Command, Output};

use serde_json::Value;
use tempfile::TempDir;

const SETTINGS: &str = r#"
[plates]
packs = ["no-such-pack"]

[[camera]]
id = "gate"
source = "images:good"
[[camera.zone]]
id = "lane"
kind = "lane"
polygon = [[0.25, 0.25], [0.75, 0.25], [0.75, 0.75], [0.25, 0.75]]

[[camera]]
id = "lot"
source = "images:covered"

[[camera]]
id = "street"
source = "rtsp://10.0.0.5/stream1"
credentials_file = "street.credentials"
"#;

/// Settings, a folder of six seconds of a moving pattern, and one of an even grey.
fn site() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("forecourt.toml"), SETTINGS).unwrap();
    write_pictures(
        &folder.path().join("good"),
        |x, y, n| if (x / 20 + y / 20 + n).is_multiple_of(2) { 30 } else { 120 },
    );
    write_pictures(&folder.path().join("covered"), |_, _, _| 90);
    folder
}

fn write_pictures(folder: &Path, value: impl Fn(u32, u32, u32) -> u8) {
    std::fs::create_dir(folder).unwrap();
    for n in 0..61 {
        let picture = image::RgbImage::from_fn(320, 180, |x, y| image::Rgb([value(x, y, n); 3]));
        picture.save(folder.join(format!("{n:03}.bmp"))).unwrap();
    }
}

fn camera(site: &TempDir, arguments: &[&str]) -> Output {
    let mut program = Command::new(env!("CARGO_BIN_EXE_forecourt"));
    program.current_dir(site.path()).env_remove("FORECOURT_CONFIG");
    program.args(["--config", "forecourt.toml", "camera"]).args(arguments).output().unwrap()
}

fn json(output: &Output) -> Value {
    serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("no JSON: {output:?}"))
}

fn words(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr)
}

#[test]
fn list_tells_every_camera() {
    let site = site();
    let listed = json(&camera(&site, &["list", "--json"]));
    let ids: Vec<&str> = listed.as_array().unwrap().iter().map(|one| one["id"].as_str().unwrap()).collect();
    assert_eq!(ids, ["gate", "lot", "street"]);
    assert_eq!(listed[0]["zones"][0]["kind"], "lane");
    assert_eq!(listed[2]["source"], "rtsp://10.0.0.5/stream1");
    let table = camera(&site, &["list"]);
    assert!(table.status.success() && words(&table).contains("rtsp://10.0.0.5/stream1"), "{}", words(&table));
}

#[test]
fn probe_measures_a_good_camera_and_fails_for_a_covered_one() {
    let site = site();
    let good = camera(&site, &["probe", "gate", "--seconds", "6", "--json"]);
    let probe = &json(&good)[0];
    assert_eq!(good.status.code(), Some(0), "{}", words(&good));
    assert_eq!((&probe["width"], &probe["height"], &probe["picture"]), (&320.into(), &180.into(), &"good".into()));
    assert!((probe["fps"].as_f64().unwrap() - 10.0).abs() < 0.01, "{probe}");
    let covered = camera(&site, &["probe", "lot", "--seconds", "6"]);
    assert_eq!(covered.status.code(), Some(1));
    assert!(words(&covered).contains("covered"), "{}", words(&covered));
}

#[test]
fn a_source_that_stands_in_no_settings_can_be_probed_and_an_unknown_camera_is_told() {
    let site = site();
    let good = camera(&site, &["probe", "images:good", "--seconds", "5", "--json"]);
    assert_eq!(good.status.code(), Some(0), "{}", words(&good));
    let gone = camera(&site, &["probe", "images:gone"]);
    assert_eq!(gone.status.code(), Some(1));
    assert!(words(&gone).contains("gone"), "{}", words(&gone));
    let unknown = camera(&site, &["probe", "gates"]);
    assert_eq!(unknown.status.code(), Some(4));
    assert!(words(&unknown).contains("gate, lot, street"), "{}", words(&unknown));
}

#[test]
fn snapshot_draws_the_zones_even_when_no_pack_loads() {
    let site = site();
    let taken = camera(&site, &["snapshot", "gate", "-o", "gate.png", "--at", "1.5", "--json"]);
    assert!(taken.status.success(), "{}", words(&taken));
    assert!(
        words(&taken).contains("No plates are drawn") && words(&taken).contains("no-such-pack"),
        "{}",
        words(&taken)
    );
    let told = json(&taken);
    assert_eq!((&told["zones"][0], &told["size"]), (&"lane".into(), &serde_json::json!([320, 180])));
    let drawn = image::open(site.path().join("gate.png")).unwrap().into_rgb8();
    let original = image::open(site.path().join("good/015.bmp")).unwrap().into_rgb8();
    for (x, y) in [(160, 135), (240, 90), (80, 110)] {
        assert_eq!(drawn.get_pixel(x, y).0, [80, 200, 255], "the zone's edge at {x}, {y}");
    }
    for (x, y) in [(10, 170), (160, 90), (310, 10)] {
        assert_eq!(drawn.get_pixel(x, y), original.get_pixel(x, y), "nothing is drawn at {x}, {y}");
    }
}

#[test]
fn snapshot_refuses_what_is_no_picture_file_before_it_opens_a_camera() {
    let site = site();
    let refused = camera(&site, &["snapshot", "street", "-o", "gate.txt"]);
    assert_eq!(refused.status.code(), Some(1));
    assert!(words(&refused).contains("neither .png nor .jpg"), "{}", words(&refused));
}

#[test]
fn a_camera_is_asked_for_and_none_is_configured() {
    let folder = tempfile::tempdir().unwrap();
    let empty = folder.path().join("forecourt.toml");
    std::fs::write(&empty, "").unwrap();
    let mut program = Command::new(env!("CARGO_BIN_EXE_forecourt"));
    let output =
        program.arg("--config").arg(&empty).args(["camera", "snapshot", "gate", "-o", "a.png"]).output().unwrap();
    assert_eq!(output.status.code(), Some(4));
    assert!(words(&output).contains("There is no camera `gate`: none is configured"), "{}", words(&output));
}
