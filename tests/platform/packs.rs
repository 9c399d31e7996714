//! `pack-install`: fetched over a line that breaks, verified, tried, kept or taken back, also for reading worse; answered with
//! what became of it.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use minisign::KeyPair;
use serde_json::{Value, json};

use crate::site::PATIENCE;
use crate::stage::Stage;

/// Serves a file; every second answer breaks off in the middle. How often it was asked.
fn serve(file: PathBuf) -> (u16, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let asked = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&asked);
    std::thread::spawn(move || {
        for client in listener.incoming().flatten() {
            let number = counted.fetch_add(1, Ordering::Relaxed);
            let _ = answer(client, &std::fs::read(&file).unwrap(), number.is_multiple_of(2));
        }
    });
    (port, asked)
}

fn answer(mut client: TcpStream, bytes: &[u8], breaks: bool) -> std::io::Result<()> {
    let (mut head, mut byte) = (Vec::new(), [0]);
    while !head.ends_with(b"\r\n\r\n") {
        client.read_exact(&mut byte)?;
        head.extend(byte);
    }
    let head = String::from_utf8_lossy(&head).to_lowercase();
    let from = head.split_once("range: bytes=").and_then(|(_, rest)| rest.split('-').next()?.parse().ok()).unwrap_or(0);
    let rest = &bytes[from..];
    write!(client, "HTTP/1.1 206 Partial Content\r\nContent-Length: {}\r\nConnection: close\r\n\r\n", rest.len())?;
    client.write_all(if breaks { &rest[..rest.len() / 2] } else { rest })
}

/// A distributor of packs, and a box that trusts it.
struct Shop {
    stage: Stage,
    folder: tempfile::TempDir,
    port: u16,
    asked: Arc<AtomicUsize>,
}

impl Shop {
    fn new(probation: &str) -> Option<Self> {
        let stage = Stage::new()?;
        let folder = tempfile::tempdir().unwrap();
        let keys = KeyPair::generate_unencrypted_keypair().unwrap();
        std::fs::create_dir(stage.site.path("trust")).unwrap();
        std::fs::write(stage.site.path("trust/a.pub"), keys.pk.to_box().unwrap().into_string()).unwrap();
        std::fs::write(folder.path().join("secret.key"), keys.sk.to_box(None).unwrap().into_string()).unwrap();
        let shipped = Path::new(env!("CARGO_MANIFEST_DIR")).join("models/packs");
        stage.site.add(&format!(
            "probation = \"{probation}\"\npack_keys = [\"trust\"]\n[plates]\npack_folders = [\"packs\", \"{}\"]\n",
            shipped.display()
        ));
        let (port, asked) = serve(folder.path().join("pack.tar"));
        Some(Self { stage, folder, port, asked })
    }

    /// Arguments of a command that installs a release of `plate-cn`.
    fn release(&self, ratchet: u32) -> Value {
        self.release_of(&Path::new(env!("CARGO_MANIFEST_DIR")).join("models/packs/plate-cn"), ratchet)
    }

    /// The same pack with another value of a key that stands once in its manifest.
    fn spoilt(&self, key: &str, value: &str) -> PathBuf {
        let sound = Path::new(env!("CARGO_MANIFEST_DIR")).join("models/packs/plate-cn");
        let spoilt = self.folder.path().join("plate-cn");
        std::fs::create_dir(&spoilt).unwrap();
        for file in std::fs::read_dir(&sound).unwrap().flatten() {
            std::fs::copy(file.path(), spoilt.join(file.file_name())).unwrap();
        }
        let manifest = std::fs::read_to_string(sound.join("pack.toml")).unwrap();
        let is_it = |line: &&str| line.split(" = ").next() == Some(key);
        assert_eq!(manifest.lines().filter(is_it).count(), 1, "{manifest}");
        let line = |line| if is_it(&line) { format!("{key} = {value}\n") } else { format!("{line}\n") };
        std::fs::write(spoilt.join("pack.toml"), manifest.lines().map(line).collect::<String>()).unwrap();
        spoilt
    }

    fn release_of(&self, pack: &Path, ratchet: u32) -> Value {
        let at = |name: &str| self.folder.path().join(name).to_str().unwrap().to_owned();
        let (bundle, pack) = (at("pack.tar"), pack.to_str().unwrap());
        self.stage.site.ok(&["models", "pack", pack, "--out", &bundle]);
        let ratchet = ratchet.to_string();
        let key = at("secret.key");
        self.stage.site.ok(&["models", "sign", &bundle, "--key", &key, "--pack", pack, "--ratchet", &ratchet]);
        json!({
            "url": format!("http://127.0.0.1:{}/pack.tar", self.port),
            "bytes": std::fs::metadata(&bundle).unwrap().len(),
            "signature": std::fs::read_to_string(format!("{bundle}.minisig")).unwrap(),
        })
    }

    fn order(&self, id: &str, args: Value) -> String {
        self.stage.request("pack-install", id, args, Some("platform")).to_string()
    }

    /// The version in use, as the link has it.
    fn in_use(&self) -> Option<String> {
        let target = std::fs::read_link(self.stage.site.path("packs/plate-cn")).ok()?;
        Some(target.file_name()?.to_str()?.to_owned())
    }
}

#[test]
fn a_pack_comes_over_a_line_that_breaks_and_is_kept_and_a_wrong_one_changes_nothing() {
    let Some(mut shop) = Shop::new("5s") else { return };
    let _service = shop.stage.start();
    let args = shop.release(1);
    let order = shop.order("i1", args.clone());
    let answer = shop.stage.answer("pack-install", "i1", order.as_bytes());
    assert_eq!((&answer["state"], &answer["result"]["name"]), (&json!("successful"), &json!("plate-cn")), "{answer}");
    let version = shop.in_use().unwrap();
    assert!(version.ends_with("-1"), "{version}");
    assert_eq!(
        (shop.asked.load(Ordering::Relaxed), shop.stage.starts()),
        (2, 2),
        "broken once, resumed; begun anew once"
    );
    assert_eq!(shop.stage.answer("pack-install", "i1", order.as_bytes()), answer, "the stored answer");
    assert_eq!(shop.asked.load(Ordering::Relaxed), 2, "nothing was fetched again");

    let mut swapped = shop.release(2);
    swapped["signature"] = args["signature"].clone();
    let order = shop.order("i2", swapped);
    let refused = shop.stage.answer("pack-install", "i2", order.as_bytes());
    // The bundle has the same bytes: with the older signature it is the older release, which is in use.
    assert_eq!((&refused["state"], &refused["result"]["in_use"]), (&json!("successful"), &json!(true)), "{refused}");
    let mut damaged = shop.release(3);
    let bundle = shop.folder.path().join("pack.tar");
    let mut bytes = std::fs::read(&bundle).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    std::fs::write(&bundle, &bytes).unwrap();
    let order = shop.order("i3", damaged.clone());
    let refused = shop.stage.answer("pack-install", "i3", order.as_bytes());
    assert_eq!(
        (&refused["state"], &refused["reason"]["code"]),
        (&json!("failed"), &json!("pack-refused")),
        "{refused}"
    );
    damaged["bytes"] = json!(bytes.len() + 9);
    let order = shop.order("i4", damaged.clone());
    let refused = shop.stage.answer("pack-install", "i4", order.as_bytes());
    assert_eq!((&refused["state"], &refused["reason"]["code"]), (&json!("failed"), &json!("not-fetched")), "{refused}");
    damaged["url"] = json!("http://elsewhere.example/pack.tar");
    let request = shop.stage.request("pack-install", "i5", damaged, Some("platform"));
    assert_eq!(shop.stage.reason("pack-install", "i5", &request), "not-readable");
    assert_eq!((shop.in_use(), shop.stage.starts()), (Some(version), 2));
}

#[test]
fn a_box_that_is_killed_again_and_again_with_a_pack_goes_back_and_says_so() {
    let Some(mut shop) = Shop::new("10m") else { return };
    let mut service = shop.stage.start();
    let args = shop.release(1);
    let order = shop.order("r1", args);
    shop.stage.send("pack-install", "r1", order.as_bytes());
    let begun = shop.stage.ear.until(PATIENCE, |ear| ear.has("state/config", |state| state["probation"] == "r1"));
    assert!(begun && shop.in_use().is_some(), "{}", shop.stage.site.log());
    let starts = shop.stage.starts();
    for kill in 0..3 {
        service.kill();
        service = shop.stage.site.start();
        let site = &shop.stage.site;
        let again = shop.stage.ear.until(PATIENCE, |_| site.log().matches("Started.").count() > starts + kill);
        assert!(again, "{}", site.log());
    }
    let answer = shop.stage.last_answer("pack-install", "r1", 0);
    assert_eq!((&answer["state"], &answer["reason"]["code"]), (&json!("failed"), &json!("rolled-back")), "{answer}");
    assert_eq!(shop.in_use(), None, "the pack that ships with the program serves again");
}

/// A reader that is never sure: it passes its own samples, runs without a fault, and the site would hear of nobody.
#[test]
fn a_pack_that_reads_worse_than_the_one_before_is_taken_back_with_the_figures_of_both() {
    // The clip takes 30 s; a start on a busy machine some more.
    let Some(mut shop) = Shop::new("45s") else { return };
    let _service = shop.stage.start();
    let enough = |status: Option<Value>| {
        let gate = status.map(|status| status["recognition"]["cameras"]["gate"].clone()).unwrap_or_default();
        let unread: u64 = gate["rejected"].as_object().into_iter().flatten().filter_map(|(_, n)| n.as_u64()).sum();
        gate["vehicles"].as_u64().unwrap_or(0).saturating_sub(unread) >= 4
    };
    let read = shop.stage.ear.until(PATIENCE, |_| enough(shop.stage.site.status()));
    assert!(read, "{:?}", shop.stage.site.status());
    let args = shop.release_of(&shop.spoilt("temperature", "90.0"), 1);
    let order = shop.order("w1", args);
    shop.stage.send("pack-install", "w1", order.as_bytes());
    let begun = shop.stage.ear.until(PATIENCE, |ear| ear.has("state/config", |state| state["probation"] == "w1"));
    assert!(begun && shop.in_use().is_some(), "{}", shop.stage.site.log());
    let answer = shop.stage.last_answer("pack-install", "w1", 0);
    assert_eq!((&answer["state"], &answer["reason"]["code"]), (&json!("failed"), &json!("rolled-back")), "{answer}");
    let words = answer["reason"]["words"].as_str().unwrap();
    assert!(words.contains("plates were read, before"), "{words}");
    assert_eq!(shop.in_use(), None, "the pack that ships with the program serves again");
    let told = |status: Option<Value>| status.is_some_and(|s| s["platform"]["changes"]["rolled_back"]["why"] == words);
    let shown = shop.stage.ear.until(PATIENCE, |_| told(shop.stage.site.status()));
    assert!(shown, "{:?}", shop.stage.site.status());
    assert!(shop.stage.site.ok(&["status"]).contains("Taken back: the change of command `w1`"));
}
