//! Packs that are not sound are refused with words that name the file; sound ones find and read.

#![allow(clippy::unwrap_used, reason = "a test fails where it stands")]
#![cfg(feature = "onnx")]

#[path = "common/onnx.rs"]
#[allow(dead_code, reason = "shared by several tests, each of which uses a part")]
mod onnx;

use std::path::Path;

use forecourt::config::{Inference, Plates};
use forecourt::domain::Uptime;
use forecourt::domain::frame::Frame;
use forecourt::domain::geometry::Rect;
use forecourt::domain::observation::{RejectReason, Rows};
use forecourt::inference::PlateReader;
use onnx::{CHARSET, HEADER, Output};

fn load(folder: &Path) -> anyhow::Result<PlateReader> {
    let plates = Plates { packs: vec![folder.display().to_string()], ..Plates::default() };
    PlateReader::load(&plates, &Inference::default(), folder)
}

/// The words with which a pack is refused.
fn refusal(folder: &Path) -> String {
    format!("{:#}", load(folder).expect_err("the pack is not sound"))
}

fn pack() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    onnx::write_pack(folder.path(), "皖A12345");
    folder
}

/// Replaces the reader of a pack, with its true hash.
fn replace_reader(folder: &Path, bytes: &[u8], charset: &str) {
    let detector = std::fs::read(folder.join("detector.onnx")).unwrap();
    std::fs::write(folder.join("reader.onnx"), bytes).unwrap();
    let found = onnx::detector_words("detector.onnx", &onnx::sha256(&detector));
    let read = onnx::reader_words("reader.onnx", &onnx::sha256(bytes), charset);
    std::fs::write(folder.join("pack.toml"), format!("{HEADER}{found}{read}")).unwrap();
}

fn edit(folder: &Path, from: &str, to: &str) {
    let path = folder.join("pack.toml");
    let text = std::fs::read_to_string(&path).unwrap();
    assert!(text.contains(from), "{from}");
    std::fs::write(path, text.replacen(from, to, 1)).unwrap();
}

fn frame(width: u32, height: u32) -> Frame {
    let bgr = (0..width * height * 3).map(|value| (value % 251) as u8).collect();
    Frame::new(7, Uptime::from_millis(280), width, height, bgr).unwrap()
}

#[test]
fn a_sound_pack_finds_a_plate_in_pixels_of_the_frame_and_reads_it() {
    let folder = pack();
    let mut reader = load(folder.path()).unwrap();
    let seen = reader.observe("gate", &frame(640, 320)).unwrap();
    assert_eq!((seen.camera.as_str(), seen.seq, seen.size), ("gate", 7, (640, 320)));
    let plate = &seen.plates[0];
    // 640 x 320 lies at rows 16..48 of the 64 x 64 input, ten pixels of the frame each.
    assert_eq!(plate.rect, Rect::new(160.0, 80.0, 480.0, 240.0));
    assert_eq!(plate.corners.unwrap().0[2].y, 240.0);
    assert_eq!((plate.rows, plate.rejected), (Rows::Single, None));
    assert_eq!(plate.evidence.as_ref().unwrap().greedy().text, "皖A12345");
    assert!(plate.quality.sharpness > 0.0 && seen.timing.detect_ms > 0.0 && seen.timing.read_ms > 0.0);
}

#[test]
fn a_plate_that_the_caller_has_decided_or_that_is_too_small_is_not_read() {
    let folder = pack();
    let mut reader = load(folder.path()).unwrap();
    let seen = reader.observe_with("gate", &frame(640, 320), &mut |_| false).unwrap();
    assert!(seen.plates[0].evidence.is_none() && seen.plates[0].rejected.is_none());
    assert_eq!(seen.timing.read_ms, 0.0);
    let small = reader.observe("gate", &frame(64, 64)).unwrap();
    assert_eq!(small.plates[0].rejected, Some(RejectReason::TooSmall));
}

#[test]
fn a_missing_file_is_named() {
    let folder = pack();
    std::fs::remove_file(folder.path().join("reader.onnx")).unwrap();
    let words = refusal(folder.path());
    assert!(words.contains("reader.onnx") && words.contains("No such file"), "{words}");
}

#[test]
fn a_file_of_another_hash_is_refused_before_it_is_parsed() {
    let folder = pack();
    std::fs::write(folder.path().join("reader.onnx"), "anything").unwrap();
    let words = refusal(folder.path());
    assert!(words.contains("reader.onnx") && words.contains("sha256"), "{words}");
}

#[test]
fn a_file_that_is_cut_off_is_refused_at_every_length() {
    let folder = pack();
    let whole = onnx::reader_model("皖A12345");
    for length in [0, 1, 7, whole.len() / 2, whole.len() - 1] {
        replace_reader(folder.path(), &whole[..length], CHARSET);
        let words = refusal(folder.path());
        assert!(words.contains("cut off") || words.contains("not an ONNX model"), "{length}: {words}");
    }
}

#[test]
fn a_model_that_keeps_its_weights_elsewhere_is_refused() {
    let folder = pack();
    let location = onnx::bytes(13, &[onnx::bytes(1, b"location"), onnx::bytes(2, b"/etc/passwd")].concat());
    let elsewhere = onnx::bytes(5, &[onnx::number(1, 4), onnx::number(2, 1), location, onnx::number(14, 1)].concat());
    let (shape, numbers) = onnx::spelling("皖A12345", CHARSET);
    let outputs = [Output { name: "logits", shape: &shape, numbers }];
    replace_reader(folder.path(), &onnx::model(("input", &[1, 3, 24, 94]), &outputs, &elsewhere), CHARSET);
    let words = refusal(folder.path());
    assert!(words.contains("reader.onnx") && words.contains("external_data"), "{words}");
}

#[test]
fn an_input_of_another_shape_or_name_is_refused_in_numbers() {
    let folder = pack();
    edit(folder.path(), "width = 94", "width = 96");
    let words = refusal(folder.path());
    assert!(words.contains("[1, 3, 24, 94]") && words.contains("[1, 3, 24, 96]"), "{words}");
    edit(folder.path(), "width = 96", "width = 94");
    edit(folder.path(), "name = \"logits\"", "name = \"text\"");
    let words = refusal(folder.path());
    assert!(words.contains("no output `text`") && words.contains("logits"), "{words}");
}

#[test]
fn a_charset_of_another_length_is_refused_in_numbers() {
    let folder = pack();
    replace_reader(folder.path(), &onnx::reader_model("皖A12345"), &format!("{CHARSET}Z"));
    let words = refusal(folder.path());
    assert!(words.contains("reader.onnx") && words.contains("22 classes") && words.contains("22 symbols"), "{words}");
}

#[test]
fn an_unknown_adaptor_is_refused_with_those_that_are_known() {
    let folder = pack();
    edit(folder.path(), "adaptor = \"ctc\"", "adaptor = \"attention\"");
    let words = refusal(folder.path());
    assert!(words.contains("`attention`") && words.contains("slots"), "{words}");
}

#[test]
fn an_unknown_key_is_named() {
    let folder = pack();
    edit(folder.path(), "height = 24", "height = 24\nheigth = 24");
    let words = refusal(folder.path());
    assert!(words.contains("heigth") && words.contains("pack.toml"), "{words}");
}

#[test]
fn a_link_that_leaves_the_pack_is_refused() {
    let (folder, outside) = (pack(), tempfile::tempdir().unwrap());
    let (inside, moved) = (folder.path().join("reader.onnx"), outside.path().join("reader.onnx"));
    std::fs::rename(&inside, &moved).unwrap();
    std::os::unix::fs::symlink(&moved, &inside).unwrap();
    assert!(refusal(folder.path()).contains("leaves the pack"));
    edit(folder.path(), "\"reader.onnx\"", "\"../reader.onnx\"");
    assert!(refusal(folder.path()).contains("without `..`"));
}

#[test]
fn noise_in_the_place_of_a_model_is_an_error_and_no_crash() {
    let folder = pack();
    let mut random = fastrand::Rng::with_seed(3);
    let whole = onnx::reader_model("皖A12345");
    for _ in 0..40 {
        let mut twisted = whole.clone();
        for _ in 0..6 {
            let place = random.usize(..twisted.len());
            twisted[place] = random.u8(..);
        }
        replace_reader(folder.path(), &twisted, CHARSET);
        // Some bytes are names or numbers whose change is no fault; then it loads.
        if let Ok(mut reader) = load(folder.path()) {
            let _ = reader.observe("gate", &frame(640, 320));
        }
    }
}

#[test]
fn models_of_other_tasks_stay_in_the_manifest_and_their_files_are_verified() {
    use forecourt::inference::pack::{self, PackFolders};
    let folder = pack();
    let path = folder.path().join("pack.toml");
    let other = format!(
        "[[model]]\ntask = \"vehicle-make\"\nfile = \"f.onnx\"\nsha256 = \"{}\"\nshape = [1, 2]\n",
        "0".repeat(64)
    );
    let text = std::fs::read_to_string(&path).unwrap() + &other;
    std::fs::write(&path, text).unwrap();
    let name = folder.path().display().to_string();
    let opened = pack::open(&name, &PackFolders::only(vec![]), Path::new("/")).unwrap();
    assert_eq!(opened.manifest.others[0].task, "vehicle-make");
    let faults: Vec<bool> = opened.files().map(|file| file.read().is_err()).collect();
    assert_eq!(faults, [false, false, true]);
    assert!(load(folder.path()).is_ok());
}

#[test]
fn a_name_that_is_nowhere_tells_where_it_was_looked_for() {
    let folder = tempfile::tempdir().unwrap();
    let plates = Plates {
        packs: vec!["plate-xx".to_owned()],
        pack_folders: vec![folder.path().to_owned()],
        ..Plates::default()
    };
    let error = PlateReader::load(&plates, &Inference::default(), folder.path()).expect_err("there is no such pack");
    let words = format!("{error:#}");
    assert!(words.contains("plate-xx") && words.contains(&folder.path().display().to_string()), "{words}");
}

/// The catalog's own manifest over a network that gives outputs of the shape of OpenCV's; its file was never at hand.
#[test]
fn the_catalogs_manifest_of_opencvs_plate_detector_finds_the_corners_that_the_outputs_tell() {
    let catalog: toml::Table = include_str!("../models/catalog.toml").parse().unwrap();
    let named = |pack: &&toml::Value| pack["name"].as_str() == Some("opencv-zoo-plate-yunet");
    let entry = catalog["pack"].as_array().unwrap().iter().find(named).unwrap();
    let word = |value: &toml::Value| value.as_str().unwrap().to_owned();
    let (file, hash) = (word(&entry["file"][0]["name"]), word(&entry["file"][0]["sha256"]));

    // Row 1, column 1 of stride 16, the smaller of its squares: centre 24, 24, and an offset of 1 is 3.2 pixels.
    let (priors, place) = (4_385, 3_600 + 20 * 2 + 2);
    let (mut offsets, mut scores, mut overlaps) =
        (vec![0.0; priors * 14], [1.0, 0.0].repeat(priors), vec![0.0; priors]);
    let corners = [-5.0, -2.5, 5.0, -2.5, 0.0, 0.0, 5.0, 2.5, -5.0, 2.5];
    offsets[place * 14 + 4..][..10].copy_from_slice(&corners);
    (scores[place * 2 + 1], overlaps[place]) = (0.95, 0.9);
    let outputs = [
        Output { name: "loc", shape: &[4_385, 14], numbers: offsets },
        Output { name: "conf", shape: &[4_385, 2], numbers: scores },
        Output { name: "iou", shape: &[4_385, 1], numbers: overlaps },
    ];
    let folder = tempfile::tempdir().unwrap();
    let (detector, reader) = (onnx::model(("input", &[1, 3, 240, 320]), &outputs, &[]), onnx::reader_model("皖A12345"));
    std::fs::write(folder.path().join(file), &detector).unwrap();
    std::fs::write(folder.path().join("reader.onnx"), &reader).unwrap();
    let manifest = word(&entry["manifest"]).replace(&hash, &onnx::sha256(&detector));
    let read = onnx::reader_words("reader.onnx", &onnx::sha256(&reader), CHARSET);
    std::fs::write(folder.path().join("pack.toml"), format!("{manifest}{read}")).unwrap();

    let seen = load(folder.path()).unwrap().observe("gate", &frame(640, 480)).unwrap();
    let [plate] = seen.plates.as_slice() else { panic!("{} plates", seen.plates.len()) };
    // The frame is twice as large as the input.
    let wanted = Rect::new(16.0, 32.0, 80.0, 64.0);
    for (is, is_wanted) in plate.corners.unwrap().0.into_iter().zip(wanted.quad().0) {
        assert!(is.distance(is_wanted) < 0.5, "{is:?}, not {is_wanted:?}");
    }
    assert!(plate.rect.iou(&wanted) > 0.95, "{:?}", plate.rect);
    assert!((plate.detection - 0.855_f32.sqrt()).abs() < 1e-4, "{}", plate.detection);
}
