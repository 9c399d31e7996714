//! The public packs beside the checkout give through this pipeline what they give in their makers' hands.
//!
//! The figures are those of an independent pipeline (OpenCV and ONNX Runtime from Python) on the same pictures, which agree with each
//! pack's `model.md` on its larger set. Without the shared folder the tests say so and pass.

#![cfg(feature = "onnx")]
#![allow(clippy::unwrap_used, clippy::print_stderr, reason = "a test fails where it stands, and says what it skipped")]

use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

/// `$FORECOURT_SHARED`, else `../shared` beside the checkout.
fn shared() -> Option<PathBuf> {
    let beside = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared");
    let folder = std::env::var_os("FORECOURT_SHARED").map_or(beside, PathBuf::from);
    let there = folder.join("packs").is_dir() && folder.join("data").is_dir();
    if !there {
        eprintln!("skipped: there are no public packs and pictures in `{}`", folder.display());
    }
    there.then_some(folder)
}

fn eval(shared: &Path, task: &str, labels: &str, packs: &[&str]) -> Value {
    let labels = shared.join("data").join(labels).join("labels.csv");
    let mut command = Command::new(env!("CARGO_BIN_EXE_forecourt"));
    command.args(["models", "eval", "--json", "--task", task, "--labels"]).arg(labels).env("FORECOURT_SHARED", shared);
    packs.iter().for_each(|pack| {
        command.args(["--pack", pack]);
    });
    let output = command.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

/// Within a point of what is expected.
fn close(told: &Value, key: &str, expected: f64) {
    let found = told[key].as_f64().unwrap();
    assert!((found - expected).abs() <= 0.01, "{key}: {found}, expected {expected}");
}

#[test]
fn readers_of_crops_read_as_their_makers_say() {
    let Some(shared) = shared() else { return };
    for (pack, exact, without_province) in
        [("plate-ocr-cn-lprnet0007", 0.868, 0.930), ("plate-ocr-cn-lprnet-sirius", 0.886, 0.894)]
    {
        let told = eval(&shared, "plate-ocr", "cn_crops", &[pack]);
        assert_eq!(told["n"], 499);
        close(&told, "exact", exact);
        close(&told, "exact_without_province", without_province);
    }
    // Cut out of photographs by their labelled corners, with the margin of the manifest.
    for (pack, exact) in [("plate-ocr-cn-lprnet0007", 0.905), ("plate-ocr-cn-lprnet-sirius", 0.571)] {
        close(&eval(&shared, "plate-ocr", "cn_scenes", &[pack]), "exact", exact);
    }
}

#[test]
fn fixed_places_are_read_and_the_graphs_own_suppression_is_understood() {
    let Some(shared) = shared() else { return };
    // Latin letters only: the province is always wrong, the rest is what counts.
    let told = eval(&shared, "plate-ocr", "cn_scenes", &["plate-ocr-latin-cct-xs-v2"]);
    close(&told, "char_accuracy", 0.772);
    close(&told, "exact_without_province", 0.177);
    let told = eval(&shared, "plate-read", "cn_ccpd", &["plate-detect-yolov9t", "plate-ocr-cn-lprnet0007"]);
    close(&told, "recall", 12.0 / 13.0);
}

#[test]
fn the_corner_detector_finds_as_its_maker_says() {
    let Some(shared) = shared() else { return };
    let packs = ["plate-detect-y5fu", "plate-ocr-cn-lprnet0007", "plate-colour"];
    let told = eval(&shared, "plate-read", "cn_scenes", &packs);
    close(&told, "recall", 0.952);
    assert!(told["by_colour"]["blue"]["colour_accuracy"].as_f64().unwrap() > 0.98);
    assert!(told["ms"]["detect"]["p95"].as_f64().unwrap() > 0.0);
}
