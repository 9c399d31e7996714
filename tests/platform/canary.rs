//! T32: strangers drive through one clip and walk through the other; afterwards everything that the box wrote, said or still
//! holds in memory is searched for their plates, their pictures and their face vectors.
//!
//! The vectors are computed here from every frame of the clip, with the same pack, before the box sees it. That the search
//! would find them is shown while the strangers are in the picture: then they stand in the box's memory.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use forecourt::camera::open_clip;
use forecourt::config::{Faces, Inference};
use forecourt::domain::observation::StageTimes;
use forecourt::inference::{FaceReader, Wanted};
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use crate::broker;
use crate::clip::STRANGERS;
use crate::site::{Ear, PATIENCE, ROOT, Service, Site, publish};

/// How files of pictures begin: JPEG with its three usual second markers, PNG, and the boxes of an MP4.
const PICTURES: [(&str, &[u8]); 5] = [
    ("a JPEG", &[0xff, 0xd8, 0xff, 0xe0]),
    ("a JPEG", &[0xff, 0xd8, 0xff, 0xe1]),
    ("a JPEG", &[0xff, 0xd8, 0xff, 0xdb]),
    ("a PNG", b"\x89PNG\r\n\x1a\n"),
    ("a clip", b"ftypisom"),
];

fn bundled(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("models").join(path)
}

/// Pieces of face vectors, four numbers each, found by the first of them.
#[derive(Default)]
struct Vectors {
    /// Is there a piece whose first number ends in these bits?
    low: Vec<bool>,
    pieces: BTreeMap<u32, Vec<[u8; 16]>>,
}

impl Vectors {
    /// Of every face of a clip that is good enough to be recognised from: the beginning and the middle of its vector.
    fn of(clip: &Path) -> Self {
        let faces =
            Faces { packs: vec!["face-demo".to_owned()], pack_folders: vec![bundled("packs")], ..Faces::default() };
        let mut reader = FaceReader::load(&faces, &Inference::default(), Path::new("")).unwrap();
        let mut vectors = Self { low: vec![false; 1 << 16], pieces: BTreeMap::new() };
        let mut source = open_clip(clip).unwrap();
        while let Some(grabbed) = source.grab().unwrap() {
            let frame = source.picture().unwrap().to_frame(grabbed).unwrap();
            let found = reader.observe(&frame, &mut |_| Wanted::ALL, &mut StageTimes::default()).unwrap();
            for embedding in found.iter().filter_map(|face| face.embedding.as_ref()) {
                let values = embedding.values();
                vectors.add(&values[..4]);
                vectors.add(&values[values.len() / 2..values.len() / 2 + 4]);
            }
        }
        vectors
    }

    fn add(&mut self, values: &[f32]) {
        let first = values[0].to_bits();
        self.low[usize::from(first as u16)] = true;
        let bytes: Vec<u8> = values.iter().flat_map(|value| value.to_le_bytes()).collect();
        self.pieces.entry(first).or_default().push(bytes.try_into().unwrap());
    }

    /// How many pieces stand in `bytes`, at places that four divides.
    fn found_in(&self, bytes: &[u8]) -> usize {
        let at = |place: usize| bytes.get(place * 4..place * 4 + 16);
        let words = bytes.chunks_exact(4).enumerate();
        let close = words.filter(|(_, word)| self.low[usize::from(u16::from_le_bytes([word[0], word[1]]))]);
        close
            .filter(|(place, word)| {
                let pieces = self.pieces.get(&u32::from_le_bytes((*word).try_into().unwrap()));
                pieces.is_some_and(|pieces| at(*place).is_some_and(|here| pieces.iter().any(|piece| piece == here)))
            })
            .count()
    }

    /// The same at any place.
    fn found_anywhere_in(&self, bytes: &[u8]) -> usize {
        (0..4.min(bytes.len())).map(|skipped| self.found_in(&bytes[skipped..])).sum()
    }

    /// How many pieces stand in the memory that a process may write; `None` where it may not be looked at.
    fn found_in_memory_of(&self, service: &Service) -> Option<usize> {
        let folder = PathBuf::from(format!("/proc/{}", service.0.id()));
        let maps = fs::read_to_string(folder.join("maps")).ok()?;
        let memory = fs::File::open(folder.join("mem")).ok()?;
        let mut found = 0;
        for line in maps.lines().filter(|line| line.contains(" rw-p ")) {
            let (from, to) = line.split(' ').next()?.split_once('-')?;
            let (from, to) = (u64::from_str_radix(from, 16).ok()?, u64::from_str_radix(to, 16).ok()?);
            let mut bytes = vec![0; (to - from) as usize];
            // A range that has gone meanwhile holds nothing any more.
            if memory.read_exact_at(&mut bytes, from).is_ok() {
                found += self.found_in(&bytes);
            }
        }
        Some(found)
    }
}

/// What stands in `bytes` and must not, in words.
fn traces(bytes: &[u8], vectors: &Vectors) -> Vec<String> {
    let holds = |needle: &[u8]| bytes.windows(needle.len()).any(|window| window == needle);
    let mut found = Vec::new();
    for plate in STRANGERS {
        // Also without the province, and as two bytes a character.
        let short: String = plate.chars().skip(1).collect();
        let wide: Vec<u8> = short.encode_utf16().flat_map(u16::to_le_bytes).collect();
        if holds(plate.as_bytes()) || holds(short.as_bytes()) || holds(&wide) {
            found.push(format!("the plate {plate}"));
        }
    }
    found.extend(PICTURES.iter().filter(|(_, mark)| holds(mark)).map(|(name, _)| (*name).to_owned()));
    let vectors = vectors.found_anywhere_in(bytes);
    if vectors > 0 {
        found.push(format!("{vectors} pieces of face vectors"));
    }
    found
}

/// All files below a folder, with what is in them.
fn files(folder: &Path, into: &mut Vec<(PathBuf, Vec<u8>)>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        match fs::metadata(&path) {
            Ok(about) if about.is_dir() => files(&path, into),
            Ok(about) if about.is_file() => into.push((path.clone(), fs::read(&path).unwrap())),
            _ => {}
        }
    }
}

/// A box with a gate and a showroom; one member drives, walks and is known by face.
fn site(port: u16) -> Site {
    let site = Site::new(port);
    let clip = |name: &str| bundled(&format!("demo/{name}.mp4")).display().to_string();
    let text = format!(
        "[site]\ntenant = \"acme\"\nsite = \"test\"\ndevice = \"box-1\"\n\
         [storage]\nfolder = \"state\"\ncontrol_socket = \"control.sock\"\n\
         [[camera]]\nid = \"gate\"\nsource = \"file:{}\"\nmotion_gate = false\n\
         [[camera]]\nid = \"hall\"\nsource = \"file:{}\"\nrole = \"showroom\"\nread = [\"face\"]\nmotion_gate = false\n\
         [faces]\npacks = [\"face-demo\"]\n[privacy]\ninsecure_key = true\n\
         [visits]\nabsent_after = \"6s\"\ndwell_gap = \"3s\"\ndwell_min = \"1s\"\n\
         [mqtt]\nurl = \"mqtt://127.0.0.1:{port}\"\nreconnect_max = \"1s\"\n",
        clip("gate"),
        clip("showroom")
    );
    fs::write(site.path("forecourt.toml"), text).unwrap();
    site.ok(&["members", "import", &bundled("demo/members.csv").to_string_lossy()]);
    let photo = bundled("demo/photos/M-1001-1.jpg");
    site.ok(&["members", "enroll", "M-1001", "--photo", &photo.to_string_lossy()]);
    site.ok(&["provision", "confirm-signage", "--photo-id", "drawn-people"]);
    site
}

fn is_over(status: &Value) -> bool {
    let seen = &status["recognition"];
    let played = status["cameras"].as_array().is_some_and(|all| all.iter().all(|each| each["state"] == "ended"));
    played && seen["open_visits"] == 0 && seen["vehicles"] == 0 && seen["faces"] == 0
}

#[test]
fn t32_strangers_leave_nothing_behind() {
    let folder = tempfile::tempdir().unwrap();
    let Some(broker) = broker::mosquitto(folder.path(), true) else { return };
    let vectors = Vectors::of(&bundled("demo/showroom.mp4"));
    assert!(vectors.pieces.len() > 200, "only {} pieces to look for", vectors.pieces.len());
    let site = site(broker.port);
    let mut ear = Ear::listen(broker.port);
    let service = site.start();

    // While they are there they stand in memory: the search finds them.
    let mut most = 0;
    let until = Instant::now() + PATIENCE;
    let status = loop {
        let status = site.run(&["status", "--json"]);
        let status: Value = serde_json::from_slice(&status.stdout).unwrap_or_default();
        if is_over(&status) {
            break status;
        }
        assert!(Instant::now() < until, "the clips do not end: {status}\n{}", site.log());
        most = most.max(vectors.found_in_memory_of(&service).unwrap_or(0));
        ear.until(Duration::from_millis(500), |_| false);
    };
    let arrived =
        ear.all.iter().any(|(topic, event)| topic == "evt/arrival" && event["data"]["member_ref"] == "M-1001");
    assert!(arrived, "the member was not recognised: {status}\n{}", site.log());
    match vectors.found_in_memory_of(&service) {
        Some(left) => {
            assert!(most > 0, "the search of the memory sees nothing even while people are in the picture");
            assert_eq!(left, 0, "face vectors are still in memory after everybody has gone; at most there were {most}");
        }
        None => eprintln!(
            "SKIPPED: the memory of the service may not be read here (ptrace); files and messages are searched"
        ),
    }

    let now = Timestamp::now();
    let expires = now + SignedDuration::from_mins(10);
    let request = json!({ "name": "support-bundle", "id": "b1", "issued": now, "expires": expires, "args": {} });
    publish(broker.port, &format!("{ROOT}/cmd/support-bundle/b1"), request.to_string().as_bytes(), &[]);
    assert!(ear.until(PATIENCE, |ear| ear.has("cmdres/support-bundle/b1", |answer| answer["state"] == "successful")));
    let bundle = ear.newest["cmdres/support-bundle/b1"]["result"]["tar_base64"].as_str().unwrap().to_owned();
    drop(service);
    drop(broker);

    let mut searched = vec![(PathBuf::from("the support bundle"), STANDARD.decode(bundle).unwrap())];
    searched.extend(ear.raw.iter().map(|(topic, payload)| (PathBuf::from(topic), payload.clone())));
    files(&site.folder.path().join("state"), &mut searched);
    files(folder.path(), &mut searched);
    searched.push(("the log".into(), fs::read(site.path("log")).unwrap()));
    let held = |name: &str| searched.iter().any(|(path, bytes)| path.ends_with(name) && !bytes.is_empty());
    assert!(held("spool.db") && held("members.db") && held("mosquitto.db"), "not everything was searched");
    let known = searched.iter().filter(|(_, bytes)| bytes.windows(6).any(|window| window == b"M-1001"));
    assert!(known.count() >= 3, "a member's own name stands in the list, in the events and at the broker");
    for (path, bytes) in &searched {
        let found = traces(bytes, &vectors);
        assert!(found.is_empty(), "{}: {}", path.display(), found.join(", "));
    }
}

#[test]
fn t32_sees_what_a_box_that_forgets_the_rules_would_leave() {
    let mut vectors = Vectors { low: vec![false; 1 << 16], pieces: BTreeMap::new() };
    let numbers = [0.11_f32, -0.27, 0.03, 0.5];
    vectors.add(&numbers);
    let vector: Vec<u8> = numbers.iter().flat_map(|number| number.to_le_bytes()).collect();
    let planted = |bytes: &[u8]| traces(&[b"log ", bytes, b" end"].concat(), &vectors);
    assert_eq!(planted("seen 浙B7K319 twice".as_bytes()), ["the plate 浙B7K319"]);
    assert_eq!(planted(b"seen N5Q862"), ["the plate 京N5Q862"]);
    assert_eq!(planted(&[&[0xff, 0xd8, 0xff, 0xe0][..], b"JFIF"].concat()), ["a JPEG"]);
    for shift in 0..4 {
        assert_eq!(planted(&[vec![7; shift], vector.clone()].concat()), ["1 pieces of face vectors"]);
    }
    assert!(planted(b"a member, 99 and nothing else").is_empty());
}
