//! `models eval` and `read` for faces, with the public packs on pictures cut out of the public clips: whole scenes and
//! small grey crops, as data sets hold them. Without the shared folder the tests say so and pass.

#![cfg(all(feature = "onnx", feature = "opencv"))]
#![allow(clippy::unwrap_used, clippy::print_stderr, reason = "a test fails where it stands, and says what it skipped")]

#[path = "support/faces.rs"]
mod support;

use std::path::Path;
use std::process::{Command, Output};

use forecourt::camera::open_clip;
use forecourt::config::Privacy;
use forecourt::domain::face::FaceObservation;
use forecourt::domain::frame::Frame;
use forecourt::domain::observation::StageTimes;
use forecourt::inference::{FaceReader, Wanted};
use forecourt::store::keys::KeyRing;
use forecourt::store::members::{ImportOptions, MemberStore, NewTemplate};
use serde_json::Value;
use support::{crop, grey, reader, shared};

const PACKS: [&str; 3] = ["face-detect-yunet", "face-embed-retail0095", "face-expression-ferplus"];

fn forecourt(shared: &Path, folder: &Path, words: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_forecourt"));
    command.args(words).current_dir(folder).env("FORECOURT_SHARED", shared);
    PACKS.iter().for_each(|pack| {
        command.args(["--pack", pack]);
    });
    command.output().unwrap()
}

fn told(output: &Output) -> Value {
    let words = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{words}");
    serde_json::from_slice(&output.stdout).unwrap()
}

/// Every second frame of a clip with its faces from left to right, where there are so many.
fn faces_of(shared: &Path, clip: &str, people: usize, reader: &mut FaceReader) -> Vec<(Frame, Vec<FaceObservation>)> {
    let mut source = open_clip(&shared.join("data/clips").join(clip)).unwrap();
    let mut found = Vec::new();
    while let Some(frame) = source.next().unwrap() {
        if frame.seq % 2 == 0 {
            let mut faces = reader.observe(&frame, &mut |_| Wanted::default(), &mut StageTimes::default()).unwrap();
            faces.sort_by(|a, b| a.rect.x1.total_cmp(&b.rect.x1));
            if faces.len() == people {
                found.push((frame, faces));
            }
        }
    }
    found
}

/// Pictures `P-N.png` of four people in turn as scenes, colour crops and grey crops; how many there are of each.
fn album(shared: &Path, folder: &Path) -> [usize; 4] {
    let mut reader = reader(shared, PACKS[1]);
    let mut counts = [0; 4];
    for (clip, people, first) in
        [("face-demographics-walking-and-pause.mp4", 3, 0), ("head-pose-face-detection-male.mp4", 1, 3)]
    {
        for (frame, faces) in faces_of(shared, clip, people, &mut reader) {
            for (place, face) in faces.iter().enumerate() {
                let person = first + place;
                let number = counts[person];
                let picture = match number % 3 {
                    0 => crop(&frame, &face.rect, 1.2, 250, 250),
                    1 => grey(&crop(&frame, &face.rect, 0.15, 94, 125)),
                    _ => grey(&crop(&frame, &face.rect, 0.15, 47, 62)),
                };
                picture.save(folder.join(format!("{person}-{number}.png"))).unwrap();
                counts[person] += 1;
            }
        }
    }
    assert!(counts.iter().all(|&count| count >= 12), "{counts:?}");
    counts
}

fn write(folder: &Path, name: &str, header: &str, lines: &[String]) {
    std::fs::write(folder.join(name), format!("{header}\n{}\n", lines.join("\n"))).unwrap();
}

#[test]
fn people_are_told_apart_also_on_small_grey_crops() {
    let Some(shared) = shared() else { return };
    let folder = tempfile::tempdir().unwrap();
    let counts = album(&shared, folder.path());
    let mut pairs = Vec::new();
    for person in 0..4 {
        for n in 0..counts[person] - 4 {
            pairs.push(format!("{person}-{n}.png,{person}-{}.png,1", n + 4));
            let other = (person + 1 + n % 3) % 4;
            pairs.push(format!("{person}-{n}.png,{other}-{}.png,0", n % counts[other]));
        }
    }
    write(folder.path(), "pairs.csv", "file_a,file_b,same", &pairs);
    let words = ["models", "eval", "--json", "--task", "face-verify", "--pairs", "pairs.csv"];
    let verify = told(&forecourt(&shared, folder.path(), &words));
    eprintln!("{verify}");
    assert_eq!((&verify["refused"], verify["n"].as_u64().unwrap() as usize), (&Value::from(0), pairs.len()));
    assert!(verify["accuracy"].as_f64().unwrap() > 0.97 && verify["auc"].as_f64().unwrap() > 0.99);
    assert!(verify["tar_at_far_1e3"].as_f64().unwrap() > 0.9);

    // Two are members, two are strangers; a member's gallery holds three pictures.
    let gallery: Vec<String> = [0, 3].iter().flat_map(|p| (0..3).map(move |n| format!("{p}-{n}.png,m{p}"))).collect();
    let probe = |p: usize, n: usize| {
        format!("{p}-{n}.png,{}", if p.is_multiple_of(3) { format!("m{p}") } else { String::new() })
    };
    let probes: Vec<String> = (0..4).flat_map(|p| (3..counts[p]).map(move |n| probe(p, n))).collect();
    write(folder.path(), "gallery.csv", "file,identity", &gallery);
    write(folder.path(), "probes.csv", "file,identity", &probes);
    let words =
        ["models", "eval", "--json", "--task", "face-identify", "--gallery", "gallery.csv", "--probes", "probes.csv"];
    let identify = told(&forecourt(&shared, folder.path(), &words));
    eprintln!("{identify}");
    assert_eq!(identify["enrolled"], 2);
    assert!(identify["tpir_at_fpir_1pct"].as_f64().unwrap() > 0.9);
    assert!(identify["tpir_at_fpir_0_1pct"].as_f64().unwrap() > 0.9);
}

#[test]
fn the_man_who_smiles_is_told_from_those_who_do_not() {
    let Some(shared) = shared() else { return };
    let folder = tempfile::tempdir().unwrap();
    let counts = album(&shared, folder.path());
    let class = |person: usize| if person == 3 { "happy" } else { "neutral" };
    let labels: Vec<String> =
        (0..4).flat_map(|p| (0..counts[p]).map(move |n| format!("{p}-{n}.png,{}", class(p)))).collect();
    write(folder.path(), "labels.csv", "file,class", &labels);
    let words = ["models", "eval", "--json", "--task", "face-expression", "--labels", "labels.csv"];
    let expression = told(&forecourt(&shared, folder.path(), &words));
    eprintln!("{expression}");
    assert!(expression["auc_positive"].as_f64().unwrap() > 0.9);
    assert!(expression["accuracy"].as_f64().unwrap() > 0.8);
    assert_eq!(expression["by_class"]["happiness"]["n"], counts[3]);
}

#[test]
fn a_picture_that_is_none_is_named_and_the_rest_is_judged() {
    let Some(shared) = shared() else { return };
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("bad.png"), "no picture").unwrap();
    image::RgbImage::from_pixel(60, 80, image::Rgb([90, 90, 90])).save(folder.path().join("flat.png")).unwrap();
    let lines = vec!["flat.png,bad.png,1".to_owned(), "flat.png,flat.png,0".to_owned()];
    write(folder.path(), "pairs.csv", "file_a,file_b,same", &lines);
    let words = ["models", "eval", "--json", "--task", "face-verify", "--pairs", "pairs.csv"];
    let output = forecourt(&shared, folder.path(), &words);
    assert_eq!(output.status.code(), Some(5));
    assert!(String::from_utf8_lossy(&output.stderr).contains("bad.png"));
    let found: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!((&found["n"], &found["assumed"], &found["accuracy"]), (&1.into(), &1.into(), &Value::Null));
    let table = forecourt(&shared, folder.path(), &["models", "eval", "--task", "face-verify", "--pairs", "pairs.csv"]);
    assert!(String::from_utf8_lossy(&table.stdout).contains("tar_at_far_1e3"));
    let missing = forecourt(&shared, folder.path(), &["models", "eval", "--task", "face-identify"]);
    assert!(String::from_utf8_lossy(&missing.stderr).contains("--gallery"));
}

#[test]
fn read_tells_boxes_points_quality_and_expression_and_no_vector() {
    let Some(shared) = shared() else { return };
    let folder = tempfile::tempdir().unwrap();
    let image = shared.join("packs/golden/head_pose_male_frame30.png");
    let output = forecourt(&shared, folder.path(), &["read", "--faces", "--json", image.to_str().unwrap()]);
    let seen = told(&output);
    let face = &seen["faces"][0];
    assert_eq!((seen["faces"].as_array().unwrap().len(), face["points"].as_array().unwrap().len()), (1, 5));
    assert!((face["box"][0].as_f64().unwrap() - 213.0).abs() < 2.0);
    assert!(face["quality"]["score"].as_f64().unwrap() > 0.5 && face["rejected"].is_null());
    assert!(face["expression"]["positive"].as_f64().unwrap() > 0.9);
    assert_eq!(face["recognisable"], true);
    assert!(!String::from_utf8_lossy(&output.stdout).contains("embedding"));
    let table = forecourt(&shared, folder.path(), &["read", "--faces", image.to_str().unwrap()]);
    assert!(String::from_utf8_lossy(&table.stdout).contains("happiness"));
}

#[test]
fn the_packs_for_faces_are_listed_verified_and_measured() {
    let Some(shared) = shared() else { return };
    let folder = tempfile::tempdir().unwrap();
    let bench = forecourt(&shared, folder.path(), &["models", "bench", "--json", "--turns", "5"]);
    let bench = told(&bench);
    assert_eq!(bench["models"].as_array().unwrap().len(), 3);
    assert!(bench["frame_with_one_face"]["fps"].as_f64().unwrap() > 0.0);
    let mut command = Command::new(env!("CARGO_BIN_EXE_forecourt"));
    command.args(["models", "verify", "--json"]).args(PACKS).env("FORECOURT_SHARED", &shared);
    let verified = told(&command.current_dir(folder.path()).output().unwrap());
    assert_eq!(verified["ok"], true, "{verified}");
}

/// A list with two members who agreed, each with one photograph, and its settings.
fn enrolled(shared: &Path, folder: &Path, reader: &mut FaceReader) {
    let privacy = Privacy { insecure_key: true, ..Privacy::default() };
    let ring = KeyRing::load(&privacy, folder).unwrap();
    let mut store = MemberStore::open(&folder.join("members.db")).unwrap();
    let line =
        |name: &str, n: u32| format!("{{\"member_ref\":\"{name}\",\"plate\":[\"皖A{n}\"],\"consents\":[\"face\"]}}\n");
    let list = line("smith", 10000) + &line("jones", 20000);
    let options = ImportOptions::at("2026-05-01T00:00:00Z".parse().unwrap());
    store.import(list.as_bytes(), &options, &mut |_| {}).unwrap();
    for (name, clip, people) in
        [("smith", "head-pose-face-detection-male.mp4", 1), ("jones", "face-demographics-walking-and-pause.mp4", 3)]
    {
        let (frame, faces) = faces_of(shared, clip, people, reader).swap_remove(2);
        let vector = reader.embed_at(&frame, &faces[0].points, true, &mut StageTimes::default()).unwrap().unwrap();
        let template = NewTemplate { space: reader.space().unwrap().name.clone(), vector, quality: Some(0.9) };
        store.enrol(&ring, name, &[template], false).unwrap();
    }
    std::fs::write(folder.join("box.toml"), "[privacy]\ninsecure_key = true\n").unwrap();
}

fn save(frame: &Frame, path: &Path) {
    let bgr = |x: u32, y: u32| frame.pixel(x, y);
    let rgb = image::RgbImage::from_fn(frame.width, frame.height, |x, y| {
        let [b, g, r] = bgr(x, y);
        image::Rgb([r, g, b])
    });
    rgb.save(path).unwrap();
}

#[test]
fn a_member_is_known_at_another_moment_and_those_beside_him_are_nobody() {
    let Some(shared) = shared() else { return };
    let folder = tempfile::tempdir().unwrap();
    let mut reader = reader(&shared, PACKS[1]);
    enrolled(&shared, folder.path(), &mut reader);
    let clips = [("head-pose-face-detection-male.mp4", 1), ("face-demographics-walking-and-pause.mp4", 3)];
    for (place, (clip, people)) in clips.into_iter().enumerate() {
        let (frame, _) = faces_of(&shared, clip, people, &mut reader).pop().unwrap();
        save(&frame, &folder.path().join(format!("{place}.png")));
    }
    let words = ["--config", "box.toml", "read", "--faces", "--members", "members.db", "--json", "0.png", "1.png"];
    let output = forecourt(&shared, folder.path(), &words);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let lines = String::from_utf8(output.stdout).unwrap();
    let pictures: Vec<Value> = lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let smith = &pictures[0]["faces"][0]["member"];
    assert_eq!((&smith["verdict"], &smith["member_ref"]), (&"member".into(), &"smith".into()));
    assert!(smith["score"].as_f64().unwrap() > smith["threshold"].as_f64().unwrap());
    let faces = pictures[1]["faces"].as_array().unwrap();
    let known: Vec<&Value> = faces.iter().filter(|face| !face["member"]["member_ref"].is_null()).collect();
    assert_eq!((faces.len(), known.len(), &known[0]["member"]["member_ref"]), (3, 1, &"jones".into()));
    assert!(faces.iter().all(|face| !face["member"]["why"].as_str().unwrap().is_empty()));
    let table = forecourt(&shared, folder.path(), &words.map(|word| if word == "--json" { "1.png" } else { word }));
    assert!(String::from_utf8_lossy(&table.stdout).contains("smith"));
    // Without the key nobody is known, and the reason is told.
    let locked = forecourt(&shared, folder.path(), &words[2..]);
    assert!(!locked.status.success() && String::from_utf8_lossy(&locked.stderr).contains("key"));
}
