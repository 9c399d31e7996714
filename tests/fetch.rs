//! Models of a catalog from a server on loopback that breaks off, lies and knows ranges; the real addresses are not tried.

#![allow(clippy::unwrap_used, reason = "a test may panic, also in its helpers")]

#[cfg(feature = "onnx")]
#[path = "common/onnx.rs"]
#[allow(dead_code, reason = "shared by several tests, each of which uses a part")]
mod onnx;

use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::thread::JoinHandle;

use sha2::{Digest, Sha256};

/// Answers so many requests, each with at most `most` bytes from where it was asked; returns where that was.
fn server(body: Vec<u8>, requests: usize, most: usize) -> (u16, JoinHandle<Vec<usize>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let serve = move || {
        let mut asked = Vec::new();
        for stream in listener.incoming().take(requests) {
            let stream = stream.unwrap();
            let mut from = 0;
            for line in BufReader::new(&stream).lines() {
                let line = line.unwrap().to_lowercase();
                if line.is_empty() {
                    break;
                }
                if let Some(range) = line.strip_prefix("range: bytes=") {
                    from = range.trim_end_matches('-').parse().unwrap();
                }
            }
            asked.push(from);
            let rest = &body[from..];
            let head =
                format!("HTTP/1.1 206 Partial Content\r\nContent-Length: {}\r\nConnection: close\r\n\r\n", rest.len());
            (&stream).write_all(head.as_bytes()).unwrap();
            (&stream).write_all(&rest[..rest.len().min(most)]).unwrap();
        }
        asked
    };
    (port, std::thread::spawn(serve))
}

fn fetch(folder: &Path, port: u16, body: &[u8], sha256: &str) -> Output {
    fetch_with(folder, port, body, sha256, "")
}

/// `manifest`: a line of the catalog.
fn fetch_with(folder: &Path, port: u16, body: &[u8], sha256: &str, manifest: &str) -> Output {
    let catalog = folder.join("catalog.toml");
    let text = format!(
        "format = 1\n[[pack]]\nname = \"toy\"\ntask = \"face-detect\"\nlicence = \"MIT\"\nsource = \"here\"\n{manifest}[[pack.file]]\n\
         name = \"toy.onnx\"\nurl = \"http://127.0.0.1:{port}/toy.onnx\"\nbytes = {}\nsha256 = \"{sha256}\"\n",
        body.len()
    );
    std::fs::write(&catalog, text).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_forecourt"));
    command.args(["models", "fetch", "toy", "--into"]).arg(folder).arg("--catalog").arg(&catalog);
    command.stdin(Stdio::null()).output().unwrap()
}

fn sha256(body: &[u8]) -> String {
    Sha256::digest(body).iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(feature = "onnx")]
#[test]
fn what_was_fetched_is_a_pack_that_is_verified() {
    let folder = tempfile::tempdir().unwrap();
    let body = onnx::reader_model("皖A12345");
    let words = |sha256: &str| {
        let model = onnx::reader_words("toy.onnx", sha256, onnx::CHARSET);
        format!("manifest = '''\nformat = 1\nname = \"toy\"\nversion = \"1\"\nlicence = \"MIT\"\n{model}'''\n")
    };
    let (port, _server) = server(body.clone(), 1, body.len());
    let output = fetch_with(folder.path(), port, &body, &sha256(&body), &words(&sha256(&body)));
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(
        output.status.success() && said.contains("plate-ocr runs"),
        "{said}{}",
        String::from_utf8_lossy(&output.stderr)
    );

    // The file is there already; a manifest that does not fit it is told.
    let wrong = words(&sha256(&body)).replace("height = 24", "height = 48");
    let output = fetch_with(folder.path(), port, &body, &sha256(&body), &wrong);
    assert_eq!(output.status.code(), Some(5), "{}", String::from_utf8_lossy(&output.stdout));
    assert!(String::from_utf8_lossy(&output.stderr).contains("pack.toml"));
}

#[test]
fn a_broken_line_is_resumed_where_it_broke() {
    let folder = tempfile::tempdir().unwrap();
    let body: Vec<u8> = (0..200_000_u32).flat_map(u32::to_le_bytes).collect();
    let (port, server) = server(body.clone(), 3, 300_000);
    let output = fetch(folder.path(), port, &body, &sha256(&body));
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(server.join().unwrap(), [0, 300_000, 600_000]);
    assert_eq!(std::fs::read(folder.path().join("toy/toy.onnx")).unwrap(), body);
    // Once more: nobody is asked.
    assert!(fetch(folder.path(), port, &body, &sha256(&body)).status.success());
}

#[test]
fn a_file_with_another_hash_never_gets_its_name() {
    let folder = tempfile::tempdir().unwrap();
    let body = vec![7; 1000];
    let (port, server) = server(body.clone(), 1, 1000);
    let output = fetch(folder.path(), port, &body, &sha256(b"other"));
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&output.stderr).contains("thrown away"));
    assert_eq!(server.join().unwrap(), [0]);
    assert_eq!(std::fs::read_dir(folder.path().join("toy")).unwrap().count(), 0);
}
