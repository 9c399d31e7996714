//! Loading and running models calls nobody and leaves nothing behind.

#![allow(clippy::unwrap_used, reason = "a test fails where it stands")]
#![cfg(feature = "onnx")]

#[path = "common/onnx.rs"]
#[allow(dead_code, reason = "shared by several tests, each of which uses a part")]
mod onnx;

use std::path::Path;
use std::process::Command;

/// `models verify` loads and runs every model of a pack.
fn verify(home: &Path, pack: &Path, before: &[&str]) -> std::process::Output {
    let program = env!("CARGO_BIN_EXE_forecourt");
    let mut words: Vec<&str> = before.to_vec();
    let pack = pack.display().to_string();
    words.extend([program, "models", "verify", &pack, "--json"]);
    Command::new(words[0])
        .args(&words[1..])
        .env("HOME", home)
        .env_remove("XDG_CACHE_HOME")
        .env_remove("ORT_DISABLE_TELEMETRY")
        .current_dir(home)
        .output()
        .unwrap()
}

#[test]
fn running_models_opens_no_socket_and_writes_no_file() {
    let (home, pack, trace) =
        (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    onnx::write_pack(pack.path(), "京A12345");
    let log = trace.path().join("calls");
    let log_name = log.display().to_string();
    let has_strace = Command::new("strace").arg("-V").output().is_ok_and(|output| output.status.success());
    let strace = ["strace", "-f", "-qq", "-o", &log_name, "-e", "trace=socket,connect,sendto,sendmsg"];
    let output = verify(home.path(), pack.path(), if has_strace { &strace } else { &[] });
    let told = String::from_utf8_lossy(&output.stdout);
    assert!(
        output.status.success() && told.contains("\"ok\": true"),
        "{told}{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let left: Vec<_> = std::fs::read_dir(home.path()).unwrap().flatten().map(|entry| entry.path()).collect();
    assert!(left.is_empty(), "left behind: {left:?}");
    if has_strace {
        let calls = std::fs::read_to_string(&log).unwrap();
        let sockets: Vec<&str> = calls.lines().filter(|line| line.contains('(')).collect();
        assert!(sockets.is_empty(), "{sockets:?}");
    } else {
        eprintln!("strace is not installed: only the files were checked, not the sockets");
    }
}
