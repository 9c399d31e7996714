//! Execution providers that the library at hand lacks are left out with a warning that names them, and the CPU reads the
//! same; the running service says what it runs on.

#![cfg(all(feature = "opencv", feature = "onnx"))]
#![allow(clippy::unwrap_used, reason = "a test may panic, also in its helpers")]

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

/// The ONNX Runtime that ships has none of these.
const ABSENT: [&str; 5] = ["tensorrt", "cuda", "rknpu", "acl", "xnnpack"];

fn bundled(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("models").join(name)
}

fn forecourt(folder: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_forecourt"));
    command.args(arguments).arg("--config").arg(folder.join("forecourt.toml"));
    command.env_remove("FORECOURT_CONFIG").env_remove("FORECOURT_LOG").stdin(Stdio::null());
    command
}

fn settings(folder: &Path, providers: &str) {
    let text = format!(
        "[site]\ntenant = \"acme\"\nsite = \"test\"\ndevice = \"box-1\"\n\
         [storage]\nfolder = \"state\"\ncontrol_socket = \"control.sock\"\n\
         [[camera]]\nid = \"gate\"\nsource = \"file:{}\"\n[inference]\n{providers}\n",
        bundled("demo/gate.mp4").display()
    );
    std::fs::write(folder.join("forecourt.toml"), text).unwrap();
}

fn all() -> String {
    format!("providers = {:?}", [&ABSENT[..], &["cpu"]].concat())
}

/// The plates of a picture with their scores.
fn plates(output: &Output) -> Value {
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let mut seen: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert!(!seen["plates"].as_array().unwrap().is_empty(), "{seen}");
    seen["plates"].take()
}

#[test]
fn what_the_library_lacks_is_named_and_the_cpu_reads_the_same() {
    let folder = tempfile::tempdir().unwrap();
    let picture = bundled("packs/plate-cn/golden-scene.png");
    let read = || forecourt(folder.path(), &["read", "--json", picture.to_str().unwrap()]).output().unwrap();
    settings(folder.path(), "");
    let plain = read();
    assert!(!String::from_utf8_lossy(&plain.stderr).contains("provider"), "the default asks for nothing");
    settings(folder.path(), &all());
    let asked = read();
    let words = String::from_utf8_lossy(&asked.stderr);
    for provider in ABSENT {
        let lines: Vec<&str> =
            words.lines().filter(|line| line.contains("left out") && line.contains(provider)).collect();
        assert_eq!(lines.len(), 1, "{provider}: {words}");
        assert!(lines[0].contains("this build of ONNX Runtime does not have it"), "{}", lines[0]);
    }
    assert_eq!(plates(&asked), plates(&plain));
}

#[test]
fn a_provider_that_does_not_exist_is_a_finding() {
    let folder = tempfile::tempdir().unwrap();
    settings(folder.path(), "providers = [\"npu\", \"cpu\"]");
    let output = forecourt(folder.path(), &["config", "check"]).output().unwrap();
    let words = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.code() == Some(3) && words.contains("FC-CFG-007") && words.contains("xnnpack"), "{words}");
}

#[test]
fn the_service_says_what_it_runs_on() {
    let folder = tempfile::tempdir().unwrap();
    settings(folder.path(), &all());
    let mut service = forecourt(folder.path(), &["run"]).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    let deadline = Instant::now() + Duration::from_secs(60);
    let status = loop {
        let output = forecourt(folder.path(), &["status", "--json"]).output().unwrap();
        if output.status.success() {
            break serde_json::from_slice::<Value>(&output.stdout).unwrap();
        }
        assert!(Instant::now() < deadline, "the service does not answer");
        std::thread::sleep(Duration::from_millis(200));
    };
    let table = forecourt(folder.path(), &["status"]).output().unwrap();
    service.kill().unwrap();
    service.wait().unwrap();
    assert_eq!(status["inference"]["providers"], serde_json::json!(["cpu"]));
    let left_out: Vec<&str> = status["inference"]["left_out"]
        .as_array()
        .unwrap()
        .iter()
        .map(|each| each["provider"].as_str().unwrap())
        .collect();
    assert_eq!(left_out, ABSENT);
    let table = String::from_utf8_lossy(&table.stdout);
    assert!(table.contains("Inference: cpu; LEFT OUT: tensorrt (this build of ONNX Runtime"), "{table}");
}
