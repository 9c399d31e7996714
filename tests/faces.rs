//! Members known by face, through the real binary on real recordings: enrolled by a photograph, told once, followed in a
//! zone, gone; the look on leaving; nobody else.
//!
//! The recordings and the models are public and lie beside the repository; without them these tests say so and pass.

#![cfg(all(feature = "opencv", feature = "onnx"))]
#![allow(clippy::unwrap_used, clippy::print_stderr, reason = "tests, and the line that says what was skipped")]

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use forecourt::camera::open_clip;
use forecourt::domain::frame::Frame;
use serde_json::Value;

const PACKS: [&str; 3] = ["face-detect-yunet", "face-embed-retail0095", "face-expression-ferplus"];
const START: &str = "2026-03-01T08:00:00Z";

fn shared() -> Option<PathBuf> {
    let beside = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared");
    let shared = std::env::var_os("FORECOURT_SHARED").map_or(beside, PathBuf::from);
    let whole = shared.join("data/clips").is_dir() && PACKS.iter().all(|pack| shared.join("packs").join(pack).is_dir());
    if !whole {
        eprintln!("skipped: the public clips and face packs are not beside the repository (FORECOURT_SHARED)");
    }
    whole.then_some(shared)
}

/// A box with one camera, its state in a folder of its own.
struct Site {
    folder: tempfile::TempDir,
    shared: PathBuf,
    clip: PathBuf,
}

impl Site {
    fn new(shared: &Path, clip: &str, role: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let packs = PACKS.map(|pack| format!("\"{pack}\"")).join(", ");
        let text = format!(
            "[site]\ntenant = \"acme\"\nsite = \"test\"\ndevice = \"box-1\"\n\
             [storage]\nfolder = \"state\"\ncontrol_socket = \"control.sock\"\n\
             [[camera]]\nid = \"hall\"\nsource = \"file:unused.mp4\"\nrole = \"{role}\"\nread = [\"face\"]\n\
             [[camera.zone]]\nid = \"corridor\"\nkind = \"display\"\nproduct = \"ev-9\"\n\
             polygon = [[0.0, 0.2], [1.0, 0.2], [1.0, 0.9], [0.0, 0.9]]\n\
             [faces]\npacks = [{packs}]\n[privacy]\ninsecure_key = true\n\
             [visits]\ndwell_min = \"1s\"\nabsent_after = \"30s\"\ndwell_gap = \"3s\"\n"
        );
        std::fs::write(folder.path().join("forecourt.toml"), text).unwrap();
        let site = Self { folder, shared: shared.to_owned(), clip: shared.join("data/clips").join(clip) };
        let list = "member_ref,plate,tier,consents\n\
                    M-1,沪A12345,gold,face;dwell;expression\nM-2,沪B23456,silver,face;dwell\nM-3,沪C34567,,plate\n";
        std::fs::write(site.path("members.csv"), list).unwrap();
        site.done(&["members", "import", &site.path("members.csv")]);
        site
    }

    fn path(&self, name: &str) -> String {
        self.folder.path().join(name).to_string_lossy().into_owned()
    }

    fn run(&self, arguments: &[&str]) -> Output {
        Command::new(env!("CARGO_BIN_EXE_forecourt"))
            .args(arguments)
            .args(["--config", &self.path("forecourt.toml")])
            .env_remove("FORECOURT_CONFIG")
            .env_remove("FORECOURT_LOG")
            .env("FORECOURT_SHARED", &self.shared)
            .stdin(Stdio::null())
            .output()
            .unwrap()
    }

    fn done(&self, arguments: &[&str]) -> String {
        let output = self.run(arguments);
        assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    }

    /// A part of one frame of the clip as a photograph.
    fn photo(&self, number: usize, [x, y, width, height]: [u32; 4]) -> String {
        let frame = frame(&self.clip, number);
        let pixel = |column: u32, row: u32| {
            let [blue, green, red] = frame.pixel(x + column, y + row);
            image::Rgb([red, green, blue])
        };
        let path = self.path(&format!("photo-{number}.png"));
        image::RgbImage::from_fn(width, height, pixel).save(&path).unwrap();
        path
    }

    fn events(&self) -> Vec<Value> {
        let output = self.done(&["replay", &self.clip.to_string_lossy(), "--json", "--start", START]);
        output.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }
}

fn frame(clip: &Path, number: usize) -> Frame {
    let mut source = open_clip(clip).unwrap();
    for _ in 0..number {
        source.grab().unwrap().unwrap();
    }
    let grabbed = source.grab().unwrap().unwrap();
    source.picture().unwrap().to_frame(grabbed).unwrap()
}

fn kinds(events: &[Value]) -> Vec<&str> {
    events.iter().map(|event| event["type"].as_str().unwrap().rsplit('.').next().unwrap()).collect()
}

/// The third person of the recording, who comes from the left of the picture's middle.
const WALKER: (usize, [u32; 4]) = (36, [335, 81, 236, 245]);

#[test]
fn one_walker_of_three_is_a_member_and_nobody_else_produces_anything() {
    let Some(shared) = shared() else { return };
    let site = Site::new(&shared, "face-demographics-walking-and-pause.mp4", "showroom");
    let photo = site.photo(WALKER.0, WALKER.1);
    site.done(&["members", "enroll", "M-2", "--photo", &photo]);
    let events = site.events();
    assert_eq!(kinds(&events), ["arrival", "dwell", "departure"], "{events:#?}");
    for event in &events {
        assert_eq!((&event["data"]["member_ref"], &event["data"]["modality"]), (&"M-2".into(), &"face".into()));
        assert!(event["data"].get("plate").is_none());
    }
    let dwell = &events[1]["data"];
    assert_eq!((&dwell["zone"]["id"], &dwell["zone"]["product"]), (&"corridor".into(), &"ev-9".into()));
    assert!(dwell["seconds_min"].as_f64().unwrap() > 1.5, "{dwell}");
    assert_eq!(site.events(), events, "a replay is the same each time");
}

#[test]
fn the_smile_on_leaving_is_told_of_who_agreed_and_of_nobody_else() {
    let Some(shared) = shared() else { return };
    let told = |member: &str| {
        let site = Site::new(&shared, "head-pose-face-detection-male.mp4", "exit");
        let photo = site.photo(4, [300, 20, 380, 400]);
        site.done(&["members", "enroll", member, "--photo", &photo]);
        site.events()
    };
    let agreed = told("M-1");
    assert_eq!(kinds(&agreed), ["arrival", "dwell", "exit-expression", "departure"], "{agreed:#?}");
    assert_eq!(agreed[2]["data"]["expression"], "positive");
    assert!(agreed[2]["data"]["frames"].as_u64().unwrap() >= 3);
    assert_eq!(agreed[3]["data"]["closed_by"], "exit");
    let silent = told("M-2");
    assert!(!kinds(&silent).contains(&"exit-expression") && kinds(&silent).contains(&"departure"));
}

#[test]
fn without_the_consent_there_is_no_template_and_after_removal_no_event() {
    let Some(shared) = shared() else { return };
    let site = Site::new(&shared, "face-demographics-walking-and-pause.mp4", "showroom");
    let photo = site.photo(WALKER.0, WALKER.1);
    let refused = site.run(&["members", "enroll", "M-3", "--photo", &photo]);
    assert!(!refused.status.success());
    assert!(site.events().is_empty());
    site.done(&["members", "enroll", "M-2", "--photo", &photo]);
    assert!(!site.events().is_empty());
    site.done(&["members", "remove", "M-2"]);
    assert!(site.events().is_empty());
}

#[test]
fn the_service_looks_at_no_face_before_the_signs_are_confirmed() {
    let Some(shared) = shared() else { return };
    let site = Site::new(&shared, "face-demographics-walking-and-pause.mp4", "showroom");
    let photo = site.photo(WALKER.0, WALKER.1);
    site.done(&["members", "enroll", "M-2", "--photo", &photo]);
    let config = std::fs::read_to_string(site.path("forecourt.toml")).unwrap();
    let clip = format!("file:{}", site.clip.display());
    std::fs::write(site.path("forecourt.toml"), config.replace("file:unused.mp4", &clip)).unwrap();
    let log = site.path("log");
    let run = |log: &str| {
        Command::new(env!("CARGO_BIN_EXE_forecourt"))
            .args(["run", "--log", "info", "--config", &site.path("forecourt.toml")])
            .env_remove("FORECOURT_CONFIG")
            .env_remove("FORECOURT_LOG")
            .env("FORECOURT_SHARED", &site.shared)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(std::fs::File::options().create(true).append(true).open(log).unwrap())
            .spawn()
            .unwrap()
    };
    let status = |until: &dyn Fn(&Value) -> bool| {
        let deadline = std::time::Instant::now() + std::time::Duration::from_secs(90);
        loop {
            let output = site.run(&["status", "--json"]);
            if let Ok(status) = serde_json::from_slice::<Value>(&output.stdout)
                && until(&status)
            {
                return status;
            }
            assert!(std::time::Instant::now() < deadline, "{}", std::fs::read_to_string(&log).unwrap_or_default());
            std::thread::sleep(std::time::Duration::from_millis(200));
        }
    };
    let ended = |status: &Value| status["cameras"][0]["state"] == "ended";
    let mut service = run(&log);
    let closed = status(&ended);
    service.kill().unwrap();
    service.wait().unwrap();
    assert_eq!(closed["recognition"]["faces_allowed"], false);
    assert_eq!(closed["recognition"]["people"]["hall"]["members"], 0);
    assert!(closed["recognition"]["faces_trouble"].as_str().unwrap().contains("confirm-signage"));

    site.done(&["provision", "confirm-signage", "--photo-id", "signs-2026-03-01"]);
    let mut service = run(&log);
    let open = status(&|status| status["recognition"]["people"]["hall"]["members"] == 1);
    service.kill().unwrap();
    service.wait().unwrap();
    assert_eq!(open["recognition"]["faces_allowed"], true);
}
