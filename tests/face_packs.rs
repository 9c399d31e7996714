//! The public packs for faces give through this pipeline what they give in their makers' hands.
//!
//! The figures are those of an independent pipeline (OpenCV and ONNX Runtime from Python), `golden/golden.json`. Agreed
//! within: boxes an overlap of 0.95, points 7 % of the box's width (a bit of rounding when the picture is scaled may let the
//! neighbouring place win), scores 0.005, aligned crops a mean of 0.5 grey values, vectors a cosine
//! of 0.999, shares of expressions 0.06. Without the shared folder the tests say so and pass.

#![cfg(feature = "onnx")]
#![allow(clippy::unwrap_used, clippy::print_stderr, reason = "a test fails where it stands, and says what it skipped")]

#[path = "support/faces.rs"]
mod support;

use std::path::Path;

use forecourt::config::{Faces, Inference};
use forecourt::domain::face::{Embedding, FaceObservation};
use forecourt::domain::frame::Frame;
use forecourt::domain::geometry::{Point, Rect};
use forecourt::domain::observation::StageTimes;
use forecourt::inference::{FaceReader, How, Wanted, still};
use serde_json::Value;
use support::{crop, grey, reader, shared};

fn observe(reader: &mut FaceReader, frame: &Frame) -> Vec<FaceObservation> {
    reader.observe(frame, &mut |_| Wanted::ALL, &mut StageTimes::default()).unwrap()
}

/// Pictures that are there, with their faces.
fn golden(shared: &Path) -> Vec<(Frame, Vec<Value>)> {
    let folder = shared.join("packs/golden");
    let told: Value = serde_json::from_slice(&std::fs::read(folder.join("golden.json")).unwrap()).unwrap();
    let images = told["images"].as_array().unwrap().iter();
    let there = images.filter(|image| folder.join(image["file"].as_str().unwrap()).is_file());
    let read = |image: &Value| {
        let frame = still::picture(&folder.join(image["file"].as_str().unwrap())).unwrap();
        (frame, image["faces"].as_array().unwrap().clone())
    };
    let found: Vec<_> = there.map(read).collect();
    assert!(found.len() >= 2);
    found
}

fn numbers(value: &Value) -> Vec<f32> {
    value.as_array().unwrap().iter().map(|number| number.as_f64().unwrap() as f32).collect()
}

fn points(value: &Value) -> [Point; 5] {
    let rows = value.as_array().unwrap();
    std::array::from_fn(|n| Point::new(numbers(&rows[n])[0], numbers(&rows[n])[1]))
}

fn rect(face: &Value) -> Rect {
    let sides = numbers(&face["box_xyxy"]);
    Rect::new(sides[0], sides[1], sides[2], sides[3])
}

#[test]
fn the_detector_finds_the_golden_faces_where_they_are_and_the_shares_of_expressions_are_theirs() {
    let Some(shared) = shared() else { return };
    let mut reader = reader(&shared, "face-embed-retail0095");
    for (frame, faces) in golden(&shared) {
        let found = observe(&mut reader, &frame);
        assert_eq!(found.len(), faces.len());
        for (found, face) in found.iter().zip(&faces) {
            let score = face["score"].as_f64().unwrap() as f32;
            assert!((found.detection - score).abs() < 0.005, "{} for {score}", found.detection);
            let overlap = found.rect.iou(&rect(face));
            assert!(overlap > 0.95, "{overlap}");
            for (found, point) in found.points.iter().zip(points(&face["yunet_kps"])) {
                assert!(found.distance(point) < 0.07 * rect(face).width(), "{found:?} for {point:?}");
            }
            let told = found.expression.as_ref().unwrap();
            for (word, share) in &told.classes {
                let wanted = face["expr_probs"][word].as_f64().unwrap() as f32;
                assert!((share - wanted).abs() < 0.06, "{word}: {share} for {wanted}");
            }
            assert!((told.classes.iter().map(|(_, share)| share).sum::<f32>() - 1.0).abs() < 1e-4);
        }
    }
}

#[test]
fn aligned_crops_and_vectors_are_the_golden_ones() {
    let Some(shared) = shared() else { return };
    let mut reader = reader(&shared, "face-embed-retail0095");
    assert_eq!((reader.space().unwrap().name.as_str(), reader.space().unwrap().numbers), ("retail0095", 256));
    let mut vectors: Vec<Embedding> = Vec::new();
    for (frame, faces) in golden(&shared) {
        for face in &faces {
            // The golden crops were cut by the points of a landmark network, not by those of the detector.
            let points = points(&face["lm09_kps"]);
            let wanted =
                still::picture(&shared.join("packs/golden").join(face["aligned_png"].as_str().unwrap())).unwrap();
            let crop = reader.crop_at(&frame, &points).unwrap();
            let off = crop.bgr.iter().zip(&wanted.bgr).map(|(a, b)| f64::from(a.abs_diff(*b))).sum::<f64>();
            let mean = off / crop.bgr.len() as f64;
            assert!(mean < 0.5, "crops differ by {mean:.2} in the mean");
            let found = reader.embed_at(&frame, &points, false, &mut StageTimes::default()).unwrap().unwrap();
            let cosine = found.cosine(&Embedding::new(&numbers(&face["embedding_l2norm"])).unwrap());
            assert!(cosine > 0.999, "the vectors have a cosine of {cosine:.5}");
            vectors.push(found);
        }
    }
    for (place, one) in vectors.iter().enumerate() {
        assert!(vectors[..place].iter().all(|other| one.cosine(other) < 0.38), "different people look alike");
    }
}

#[test]
fn the_other_embedding_has_its_own_size_template_and_space() {
    let Some(shared) = shared() else { return };
    let mut reader = reader(&shared, "face-embed-mobileface-v2");
    assert_eq!(reader.space().unwrap().name, "mobileface-v2");
    for (frame, faces) in golden(&shared) {
        let found = observe(&mut reader, &frame);
        assert_eq!(found.len(), faces.len());
        for one in &found {
            let vector = one.embedding.as_ref().unwrap();
            assert_eq!(vector.values().len(), 256);
            let alike = found.iter().filter(|other| vector.cosine(other.embedding.as_ref().unwrap()) > 0.75);
            assert_eq!(alike.count(), 1);
        }
    }
}

/// What is around a face at another size, grey.
fn grey_crop(frame: &Frame, face: &Rect, margin: f32, width: u32, height: u32) -> Frame {
    let rgb = grey(&crop(frame, face, margin, width, height));
    Frame::new(0, std::time::Duration::ZERO, width, height, rgb.into_raw()).unwrap()
}

#[test]
fn a_small_grey_crop_is_still_the_same_person_and_no_other() {
    let Some(shared) = shared() else { return };
    let mut reader = reader(&shared, "face-embed-retail0095");
    let times = &mut StageTimes::default();
    for (margin, width, height) in [(1.2, 250, 250), (0.15, 94, 125), (0.15, 47, 62), (0.1, 64, 64)] {
        let (mut whole, mut crops) = (Vec::new(), Vec::new());
        for (frame, faces) in golden(&shared) {
            for face in &faces {
                whole.push(reader.embed_at(&frame, &points(&face["yunet_kps"]), true, times).unwrap().unwrap());
                let crop = grey_crop(&frame, &rect(face), margin, width, height);
                let portrait = reader.portrait(&crop, false, true, times).unwrap().unwrap();
                assert_eq!(portrait.how, How::Found, "{width}x{height}");
                crops.push(portrait.embedding.unwrap());
            }
        }
        for (place, crop) in crops.iter().enumerate() {
            let own = crop.cosine(&whole[place]);
            let others = whole.iter().enumerate().filter(|(other, _)| *other != place);
            let best = others.map(|(_, other)| crop.cosine(other)).fold(-1.0, f32::max);
            eprintln!("{width}x{height}: own {own:.2}, best other {best:.2}");
            assert!(own > best + 0.1, "{width}x{height}: own {own:.2}, best other {best:.2}");
        }
    }
}

#[test]
fn a_picture_without_a_face_is_told_or_assumed_as_asked() {
    let Some(shared) = shared() else { return };
    let mut reader = reader(&shared, "face-embed-retail0095");
    let times = &mut StageTimes::default();
    for (width, height, step) in [(1, 1, 7), (3, 200, 7), (60, 40, 0), (1500, 900, 7)] {
        let bgr = (0..width * height * 3).map(|place| (127 + place * step % 90) as u8).collect();
        let frame = Frame::new(0, std::time::Duration::ZERO, width as u32, height as u32, bgr).unwrap();
        assert!(reader.portrait(&frame, false, false, times).unwrap().is_none());
        let assumed = reader.portrait(&frame, true, true, times).unwrap().unwrap();
        assert!(assumed.embedding.is_some() && assumed.expression.is_some());
        if step == 0 {
            assert_eq!(assumed.how, How::Assumed);
        }
    }
}

#[test]
fn faces_that_are_too_small_have_no_vector_and_what_is_not_wanted_is_not_made() {
    let Some(shared) = shared() else { return };
    let packs = ["face-detect-yunet", "face-embed-retail0095"].map(str::to_owned).to_vec();
    let faces = Faces { packs, pack_folders: vec![shared.join("packs")], min_height_px: 80.0, ..Faces::default() };
    let mut reader = FaceReader::load(&faces, &Inference::default(), Path::new("")).unwrap();
    let (mut asked, times) = (0, &mut StageTimes::default());
    let (frame, _) = golden(&shared).remove(0);
    let found = reader
        .observe(
            &frame,
            &mut |_| {
                asked += 1;
                Wanted::ALL
            },
            times,
        )
        .unwrap();
    assert_eq!((found.len(), asked), (3, 0));
    assert!(found.iter().all(|face| face.rejected.unwrap().word() == "too-small" && face.embedding.is_none()));
    let (frame, _) = golden(&shared).remove(1);
    let found = reader.observe(&frame, &mut |_| Wanted::default(), times).unwrap();
    assert!(found[0].rejected.is_none() && found[0].embedding.is_none() && found[0].quality.score > 0.5);
    assert!(times.face_ms > 0.0 && times.face_work_ms > 0.0);
}
