//! A pack from the distributor to a box through the real binary: packed, signed, installed with its own test in a child
//! process, rolled back.

#![cfg(feature = "onnx")]
#![allow(clippy::unwrap_used, reason = "a test may panic, also in its helpers")]

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use minisign::KeyPair;

fn forecourt(arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_forecourt"));
    command.args(arguments).env_remove("FORECOURT_CONFIG").stdin(Stdio::null()).output().unwrap()
}

fn word(path: &Path) -> &str {
    path.to_str().unwrap()
}

/// A copy of the pack that ships with the program, changed.
fn source(folder: &Path, change: impl Fn(String) -> String) -> PathBuf {
    let (from, to) = (Path::new(env!("CARGO_MANIFEST_DIR")).join("models/packs/plate-cn"), folder.join("plate-cn"));
    std::fs::create_dir_all(&to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        std::fs::copy(entry.path(), to.join(entry.file_name())).unwrap();
    }
    let manifest = to.join("pack.toml");
    std::fs::write(&manifest, change(std::fs::read_to_string(&manifest).unwrap())).unwrap();
    to
}

#[test]
fn a_pack_is_packed_signed_tried_installed_and_rolled_back() {
    let folder = tempfile::tempdir().unwrap();
    let (trust, packs) = (folder.path().join("trust"), folder.path().join("packs"));
    std::fs::create_dir(&trust).unwrap();
    let keys = KeyPair::generate_unencrypted_keypair().unwrap();
    std::fs::write(trust.join("a.pub"), keys.pk.to_box().unwrap().into_string()).unwrap();
    let key = folder.path().join("secret.key");
    std::fs::write(&key, keys.sk.to_box(None).unwrap().into_string()).unwrap();

    let bundle = folder.path().join("pack.tar");
    let prepare = |pack: &Path, ratchet: &str| {
        assert!(forecourt(&["models", "pack", word(pack), "--out", word(&bundle)]).status.success());
        let output = forecourt(&[
            "models",
            "sign",
            word(&bundle),
            "--key",
            word(&key),
            "--pack",
            word(pack),
            "--ratchet",
            ratchet,
        ]);
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    };
    let install =
        || forecourt(&["models", "install", word(&bundle), "--packs", word(&packs), "--trust", word(&trust), "--json"]);

    prepare(&source(&folder.path().join("good"), |text| text), "1");
    let output = install();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let told: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(told["installed"]["name"], "plate-cn");
    let installed = std::fs::read_link(packs.join("plate-cn")).unwrap();

    // Signed by the right key, but the sample does not come out as the manifest says: its own test stops it.
    let spoiled =
        source(&folder.path().join("bad"), |text| text.replacen("boxes = [[", "boxes = [[1.0, 1.0, 9.0, 9.0], [", 1));
    prepare(&spoiled, "2");
    let output = install();
    assert_eq!(output.status.code(), Some(5));
    assert!(
        String::from_utf8_lossy(&output.stderr).contains("fails its own test"),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    assert_eq!(std::fs::read_link(packs.join("plate-cn")).unwrap(), installed);

    let output = forecourt(&["models", "rollback", "plate-cn", "--packs", word(&packs)]);
    assert!(output.status.success());
    assert!(!packs.join("plate-cn").exists());
}
