//! `read` and `models` as a person or a script calls them, with packs that find one plate and read a fixed text.

#![allow(clippy::unwrap_used, reason = "a test fails where it stands")]
#![cfg(feature = "onnx")]

#[path = "common/onnx.rs"]
#[allow(dead_code, reason = "shared by several tests, each of which uses a part")]
mod onnx;

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::Value;

/// A folder with a pack that reads `皖A12345` and a picture in which it finds it at 160,80 to 480,240.
fn desk() -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let pack = folder.path().join("pack");
    std::fs::create_dir(&pack).unwrap();
    onnx::write_pack(&pack, "皖A12345");
    let picture = folder.path().join("gate.png");
    let noise = |x: u32, y: u32| image::Rgb([(x * 7 + y * 3) as u8, (x * 5) as u8, (y * 11) as u8]);
    image::RgbImage::from_fn(640, 320, noise).save(&picture).unwrap();
    (folder, picture)
}

fn run(folder: &Path, words: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_forecourt")).args(words).current_dir(folder).output().unwrap()
}

fn told(output: &Output) -> Value {
    serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {}", text(&output.stderr)))
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[test]
fn read_tells_each_plate_with_its_place_its_certainty_and_what_it_cost() {
    let (folder, _) = desk();
    let output = run(folder.path(), &["read", "gate.png", "--pack", "pack", "--json"]);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    let picture = told(&output);
    let plate = &picture["plates"][0];
    assert_eq!(plate["text"], "皖A12345");
    assert_eq!(plate["raw"], "皖A12345");
    assert_eq!(plate["box"], serde_json::json!([160.0, 80.0, 480.0, 240.0]));
    assert_eq!(plate["corners"].as_array().unwrap().len(), 4);
    assert_eq!(plate["char_confidence"].as_array().unwrap().len(), 7);
    assert!(plate["candidates"][0]["confidence"].as_f64().unwrap() > 0.5);
    assert!(picture["ms"]["detect"].as_f64().unwrap() > 0.0 && picture["ms"]["read"].as_f64().unwrap() > 0.0);
    let table = run(folder.path(), &["read", "gate.png", "--pack", "./pack"]);
    assert!(text(&table.stdout).contains("皖A12345"));
}

#[test]
fn a_picture_that_cannot_be_read_is_named_and_the_next_one_is_read() {
    let (folder, picture) = desk();
    let whole = std::fs::read(&picture).unwrap();
    std::fs::write(folder.path().join("cut.png"), &whole[..whole.len() / 2]).unwrap();
    let output = run(folder.path(), &["read", "cut.png", "none.jpg", "gate.png", "--pack", "pack", "--json"]);
    assert_eq!(output.status.code(), Some(5));
    let lines: Vec<Value> = text(&output.stdout).lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert!(lines[0]["error"].as_str().unwrap().contains("cut.png"));
    assert!(lines[1]["error"].as_str().unwrap().contains("none.jpg"));
    assert_eq!(lines[2]["plates"][0]["text"], "皖A12345");
    assert!(text(&output.stderr).contains("cut.png"));
}

#[test]
fn eval_counts_what_was_found_and_read() {
    let (folder, _) = desk();
    let labels = "file,plate,x1,y1,x2,y2,corners,colour\n\
        gate.png,皖A12345,150,80,480,250,,blue\n\
        gate.png,京B00000,0,0,60,20,,green\n";
    std::fs::write(folder.path().join("labels.csv"), labels).unwrap();
    let words = ["models", "eval", "--labels", "labels.csv", "--pack", "pack", "--json", "--task"];
    let found = told(&run(folder.path(), &[&words[..], &["plate-read"]].concat()));
    assert_eq!((&found["n"], &found["recall"], &found["exact"]), (&2.into(), &0.5.into(), &0.5.into()));
    assert_eq!(found["by_colour"]["blue"]["exact"], 1.0);
    assert!(found["ms"]["detect"]["p50"].as_f64().unwrap() > 0.0);
    let read = told(&run(folder.path(), &[&words[..], &["plate-ocr"]].concat()));
    assert_eq!((&read["n"], &read["exact"], read.get("recall")), (&2.into(), &0.5.into(), None));
    assert!(read["ms"].get("detect").is_none());
}

#[test]
fn bench_compares_packs_and_verify_tells_a_broken_one_from_a_sound_one() {
    let (folder, _) = desk();
    let broken = folder.path().join("broken");
    std::fs::create_dir(&broken).unwrap();
    onnx::write_pack(&broken, "京B00000");
    let words = ["models", "bench", "--turns", "5", "--pack", "pack", "--pack", "broken", "--json"];
    let bench = told(&run(folder.path(), &words));
    assert_eq!(bench["models"].as_array().unwrap().len(), 4);
    assert_eq!(bench["models"][0]["times_faster_than_first"], 1.0);
    assert!(bench["frame_with_one_plate"]["fps"].as_f64().unwrap() > 0.0);
    let file = broken.join("reader.onnx");
    let whole = std::fs::read(&file).unwrap();
    std::fs::write(&file, &whole[..40]).unwrap();
    let output = run(folder.path(), &["models", "verify", "pack", "broken", "--json"]);
    assert_eq!(output.status.code(), Some(5));
    let checks = told(&output);
    let bad = |check: &&Value| check["ok"] == false;
    let faults: Vec<&Value> = checks["checks"].as_array().unwrap().iter().filter(bad).collect();
    assert!(!faults.is_empty() && faults.iter().all(|check| check["pack"] == "broken"), "{faults:?}");
    assert!(faults[0]["fault"].as_str().unwrap().contains("sha256"));
}

#[test]
fn a_golden_sample_that_no_longer_holds_is_told() {
    let (folder, _) = desk();
    let pack = folder.path().join("pack");
    std::fs::copy(folder.path().join("gate.png"), pack.join("gate.png")).unwrap();
    let words = std::fs::read_to_string(pack.join("pack.toml")).unwrap();
    for (expected, fine) in [("皖A12345", true), ("皖A12346", false)] {
        let golden = format!("{words}[[model.golden]]\nimage = \"gate.png\"\ntext = \"{expected}\"\n");
        std::fs::write(pack.join("pack.toml"), golden).unwrap();
        let output = run(folder.path(), &["models", "verify", "pack", "--json"]);
        assert_eq!(told(&output)["ok"], fine, "{}", text(&output.stdout));
    }
}

#[test]
fn eval_of_matching_measures_thresholds_that_a_pack_can_carry() {
    let (folder, _) = desk();
    // The pack reads the same plate in every picture: right in the first, wrong in the others.
    let labels: String = (0..12).map(|n| format!("gate.png,皖A123{:02},150,80,480,250,,blue\n", 45 + n)).collect();
    std::fs::write(folder.path().join("labels.csv"), format!("file,plate,x1,y1,x2,y2,corners,colour\n{labels}"))
        .unwrap();
    let words = ["models", "eval", "--labels", "labels.csv", "--pack", "pack", "--task", "plate-match"];
    let found = told(&run(folder.path(), &[&words[..], &["--json"]].concat()));
    assert_eq!(found["in_use"]["from"], "default");
    let points = found["calibration"]["points"].as_array().unwrap();
    assert_eq!(points.iter().map(|point| point[0].as_f64().unwrap()).collect::<Vec<_>>(), [0.0001, 0.001, 0.01]);
    let table = run(folder.path(), &[&words[..], &["--calibration"]].concat());
    assert_eq!(table.status.code(), Some(0), "{}", text(&table.stderr));
    assert!(text(&table.stdout).starts_with("[model.calibration]\non = \""));

    let manifest = folder.path().join("pack/pack.toml");
    let without = std::fs::read_to_string(&manifest).unwrap();
    std::fs::write(&manifest, format!("{without}\n{}", text(&table.stdout))).unwrap();
    let found = told(&run(folder.path(), &[&words[..], &["--json"]].concat()));
    assert_eq!(found["in_use"]["from"], "pack");
    assert_eq!(found["in_use"]["threshold"], points[1][1]);

    for (points, complaint) in
        [("[[0.001, -20.0]]", "-6.5 or more"), ("[]", "calibration.points"), ("[[2.0, 1.0]]", "between 0 and 1")]
    {
        std::fs::write(&manifest, format!("{without}\n[model.calibration]\non = \"x\"\npoints = {points}\n")).unwrap();
        let refused = run(folder.path(), &words);
        assert_ne!(refused.status.code(), Some(0));
        assert!(text(&refused.stderr).contains(complaint), "{}", text(&refused.stderr));
    }
    let misplaced =
        run(folder.path(), &["models", "eval", "--labels", "labels.csv", "--task", "plate-ocr", "--calibration"]);
    assert!(text(&misplaced.stderr).contains("plate-match"));
}

#[test]
fn pictures_without_a_plate_are_counted_apart() {
    let (folder, picture) = desk();
    // The pack finds its plate in every picture: in one that shows none it is a false plate.
    std::fs::copy(&picture, folder.path().join("yard.png")).unwrap();
    let labels = "file,plate,x1,y1,x2,y2,corners,colour\n\
        gate.png,皖A12345,150,80,480,250,,blue\n\
        yard.png,,,,,,,\n";
    std::fs::write(folder.path().join("labels.csv"), labels).unwrap();
    let words = ["models", "eval", "--labels", "labels.csv", "--pack", "pack", "--task"];
    let found = told(&run(folder.path(), &[&words[..], &["plate-read", "--json"]].concat()));
    assert_eq!((&found["n"], &found["recall"], &found["exact"]), (&1.into(), &1.0.into(), &1.0.into()));
    assert_eq!((&found["pictures_without_plate"], &found["false_plates"]), (&1.into(), &1.into()));
    let table = run(folder.path(), &[&words[..], &["plate-read"]].concat());
    let wanted = "1 pictures without a plate; in 1 of them something was taken for one.";
    assert!(text(&table.stdout).contains(wanted), "{}", text(&table.stdout));
    // Nothing that could be measured is left.
    std::fs::write(folder.path().join("labels.csv"), "file,plate\ngone.png,皖A12345\n").unwrap();
    let output = run(folder.path(), &[&words[..], &["plate-read", "--json"]].concat());
    let nothing = told(&output);
    assert_eq!((output.status.code(), &nothing["n"], &nothing["refused"]), (Some(5), &0.into(), &1.into()));
    assert!(nothing["recall"].is_null() && nothing["exact"].is_null(), "{nothing}");
}

#[test]
fn a_recording_is_replayed_without_a_camera_in_the_settings() {
    let (folder, picture) = desk();
    std::fs::write(folder.path().join("forecourt.toml"), "").unwrap();
    std::fs::write(folder.path().join("members.csv"), "member_ref,plate\nm-1,皖A12345\n").unwrap();
    let clip = folder.path().join("my gate.d");
    std::fs::create_dir(&clip).unwrap();
    for n in 0..12 {
        std::fs::copy(&picture, clip.join(format!("{n:02}.png"))).unwrap();
    }
    let words = ["-c", "forecourt.toml", "replay", "my gate.d", "--members", "members.csv", "--pack", "pack", "--json"];
    let output = run(folder.path(), &words);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    let events: Vec<Value> = text(&output.stdout).lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let data = &events[0]["data"];
    assert_eq!((&data["member_ref"], &data["camera"]), (&"m-1".into(), &"my-gate".into()), "{events:?}");
}

#[test]
fn what_does_not_exist_and_what_cannot_be_meant_have_exit_codes_of_their_own() {
    let (folder, _) = desk();
    std::fs::create_dir(folder.path().join("empty")).unwrap();
    std::fs::write(folder.path().join("forecourt.toml"), "[[camera]]\nid = \"gate\"\nsource = \"rtsp://cam/1\"\n")
        .unwrap();
    std::fs::write(folder.path().join("members.csv"), "member_ref,plate\nm-1,皖A12345\n").unwrap();
    let replay = ["-c", "forecourt.toml", "replay", "gate.png", "--members", "members.csv", "--pack"];
    for (words, code, told) in [
        (&["models", "verify", "nosuch"][..], 4, "no pack `nosuch`"),
        (&["models", "verify", "empty"], 5, "the folder holds no"),
        (&["models", "verify", "nosuch", "empty"], 5, "no pack `nosuch`"),
        (&["models", "pack", "nosuch"], 1, "there is no folder"),
        (&["models", "eval", "--task", "face-verify", "--labels", "x"], 2, "`--pairs`"),
        (&["models", "eval", "--task", "plate-read"], 2, "`--labels`"),
        (&["models", "eval", "--task", "plate-ocr", "--labels", "x", "--calibration"], 2, "plate-match"),
        (&[&replay[..], &["nosuch"]].concat(), 4, "no pack `nosuch`"),
        (&[&replay[..], &["pack", "--camera", "nope"]].concat(), 4, "no camera `nope`; they have gate"),
    ] {
        let output = run(folder.path(), words);
        let all = text(&output.stdout) + &text(&output.stderr);
        assert_eq!(output.status.code(), Some(code), "{words:?}: {all}");
        assert!(all.replace(['\n', '│'], " ").split_whitespace().collect::<Vec<_>>().join(" ").contains(told), "{all}");
    }
}
