//! A list of a whole chain over a thin line: synced through Mosquitto at 2 Mbit/s while the box is killed at random points;
//! it ends with the right digest, recognition goes on in every life of the box, and memory stays in its bounds.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::Stdio;
use std::time::{Duration, Instant};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use forecourt::domain::sync::SigningKey;
use forecourt::pipeline::publish::{self, Signing};
use jiff::Timestamp;
use serde_json::{Value, json};

use crate::broker::{local, mosquitto};
use crate::lists::digest_on_the_box;
use crate::site::{Service, Site, soak};

/// 2 Mbit/s, in bytes.
const LINE: usize = 250_000;
/// Numbers of a template of `face-demo`.
const NUMBERS: usize = 128;
/// Memory that a sync may cost on top of what the box needs anyway, in KiB.
const MOST_KIB: u64 = 64 * 1024;

/// A line to the broker that passes `LINE` bytes a second in each direction.
fn thin_line(broker: u16) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for client in listener.incoming().flatten() {
            let Ok(server) = TcpStream::connect(local(broker)) else { continue };
            let (up, down) = (client.try_clone().unwrap(), server.try_clone().unwrap());
            std::thread::spawn(move || trickle(client, server));
            std::thread::spawn(move || trickle(down, up));
        }
    });
    port
}

fn trickle(mut from: TcpStream, mut to: TcpStream) {
    let mut some = vec![0; LINE / 20];
    let mut free = Instant::now();
    while let Ok(read @ 1..) = from.read(&mut some) {
        free = free.max(Instant::now()) + Duration::from_secs_f64(read as f64 / LINE as f64);
        if to.write_all(&some[..read]).is_err() {
            break;
        }
        std::thread::sleep(free.saturating_duration_since(Instant::now()));
    }
    let _ = from.shutdown(std::net::Shutdown::Both);
    let _ = to.shutdown(std::net::Shutdown::Both);
}

/// Signs a list of `members`, as a platform does; the first `faces` of them have a template.
fn sign_list(site: &Site, members: u32, faces: u32) -> String {
    let mut dice = fastrand::Rng::with_seed(7);
    let mut member = |n: u32| {
        let plate = format!("皖{}{:05}", ['A', 'B', 'C'][n as usize / 100_000 % 3], n % 100_000);
        let mut line = json!({ "member_ref": format!("M-{n:06}"), "plate": [plate], "consents": ["plate"] });
        if n < faces {
            let numbers: Vec<f32> = (0..NUMBERS).map(|_| dice.f32() - 0.5).collect();
            let length = numbers.iter().map(|x| x * x).sum::<f32>().sqrt();
            let bytes: Vec<u8> = numbers.iter().flat_map(|x| (x / length).to_le_bytes()).collect();
            line["consents"] = json!(["plate", "face"]);
            line["faces"] = json!([{ "space": "face-demo-1", "vector": STANDARD.encode(bytes) }]);
        }
        line
    };
    let all: Vec<Value> = (0..members).map(&mut member).collect();
    let key = SigningKey::parse(&std::fs::read_to_string(site.path("platform.key")).unwrap()).unwrap();
    let (audience, epoch) = ("acme/test", "e1");
    let signing = Signing { audience, epoch, rev: 1, issued: Timestamp::now(), chunk_bytes: 64 * 1024 };
    let out = site.path("signed");
    publish::sign(&all, None, &signing, &key, out.as_ref()).unwrap();
    out
}

/// What was seen of one life of the box.
#[derive(Debug, Default)]
struct Life {
    /// Frames that were looked at.
    frames: u64,
    /// Longest time between two looks at which no frame was added, once there was one.
    still: Duration,
    /// `VmHWM`, KiB.
    peak: u64,
}

/// Watches a running box until `enough` or for `length`.
fn watch(site: &Site, service: &Service, length: Duration, mut enough: impl FnMut(&Value) -> bool) -> Life {
    let (mut life, began) = (Life::default(), Instant::now());
    let mut moved = None;
    while began.elapsed() < length {
        life.peak = peak(service.0.id()).unwrap_or(0).max(life.peak);
        let Some(status) = site.status() else {
            std::thread::sleep(Duration::from_millis(50));
            continue;
        };
        let frames = status["recognition"]["cameras"]["gate"]["frames"].as_u64().unwrap_or(0);
        life.still = life.still.max(moved.map_or(Duration::ZERO, |at: Instant| at.elapsed()));
        if frames > life.frames || moved.is_none() {
            moved = (frames > 0).then(Instant::now);
            life.frames = frames;
        }
        if enough(&status) {
            break;
        }
        std::thread::sleep(Duration::from_millis(200));
    }
    life
}

fn peak(process: u32) -> Option<u64> {
    let text = std::fs::read_to_string(format!("/proc/{process}/status")).ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    line.split_whitespace().next()?.parse().ok()
}

fn site(port: u16) -> Site {
    let site = Site::new(port);
    let packs = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("models/packs");
    let moving = "gst:videotestsrc is-live=true pattern=pinwheel ! video/x-raw,width=640,height=360,framerate=10/1 ! \
                videoconvert ! video/x-raw,format=BGR ! appsink drop=true max-buffers=1 sync=false";
    site.camera(moving);
    site.add(&format!(
        "[privacy]\ninsecure_key = true\n[faces]\npacks = [\"face-demo\"]\npack_folders = [\"{0}\"]\n\
         [plates]\npack_folders = [\"{0}\"]\n",
        packs.display()
    ));
    site
}

/// Syncs `members`, of whom `faces` have a template, over the thin line with `kills` kills.
fn synced(members: u32, faces: u32, kills: usize) -> Option<()> {
    let folder = tempfile::tempdir().unwrap();
    let broker = mosquitto(folder.path(), false)?;
    let site = site(thin_line(broker.port));
    // Empty, as it was before: what the box needs anyway.
    let service = site.start();
    let empty = watch(&site, &service, Duration::from_secs(60), |status| {
        status["recognition"]["cameras"]["gate"]["frames"].as_u64() > Some(20)
    });
    if empty.frames == 0 {
        println!("SKIPPED: GStreamer cannot make a moving picture here\n{}", site.log());
        return None;
    }
    service.kill();
    site.ok(&["provision", "confirm-signage", "--photo-id", "test-1", "--by", "test"]);

    let out = sign_list(&site, members, faces);
    let bytes: u64 = std::fs::read_dir(&out).unwrap().map(|file| file.unwrap().metadata().unwrap().len()).sum();
    let manifest: Value = serde_json::from_slice(&std::fs::read(format!("{out}/manifest.json")).unwrap()).unwrap();
    // The platform is at the broker; only the box has a thin line.
    let mut publisher = std::process::Command::new(env!("CARGO_BIN_EXE_forecourt"))
        .args(["members", "publish", &out, "--wait", "7200", "--to", "acme/test/box-1", "--url"])
        .arg(format!("mqtt://127.0.0.1:{}", broker.port))
        .env("FORECOURT_CONFIG", site.path("forecourt.toml"))
        .stdout(Stdio::null())
        .spawn()
        .unwrap();

    let (began, mut lives, mut dice) = (Instant::now(), Vec::new(), fastrand::Rng::new());
    for _ in 0..kills {
        let service = site.start();
        lives.push(watch(&site, &service, Duration::from_millis(dice.u64(1_000..20_000)), |_| false));
        service.kill();
    }
    let service = site.start();
    lives.push(watch(&site, &service, Duration::from_secs(3_600), |status| {
        status["platform"]["members"]["list"]["digest"] == manifest["digest"]
            && status["platform"]["members"]["wants"].is_null()
    }));
    let took = began.elapsed();
    assert!(publisher.wait().unwrap().success(), "{}", site.log());
    // The gallery is filled beside recognition: also that belongs to the peak.
    lives.push(watch(&site, &service, Duration::from_secs(120), |status| {
        status["recognition"]["templates"].as_u64() == Some(u64::from(faces))
    }));
    service.kill();
    assert_eq!(digest_on_the_box(&site), manifest["digest"].as_str().unwrap(), "{}", site.log());
    // Started with the list: what the box needs with it.
    let service = site.start();
    let full = watch(&site, &service, Duration::from_secs(180), |status| {
        status["recognition"]["templates"].as_u64() == Some(u64::from(faces))
            && status["recognition"]["cameras"]["gate"]["frames"].as_u64() > Some(20)
    });
    service.kill();

    let peak = lives.iter().map(|life| life.peak).max().unwrap();
    let still = lives.iter().map(|life| life.still).max().unwrap();
    let seeing = lives.iter().filter(|life| life.frames > 0).count();
    println!(
        "Sync: {members} members, {faces} with templates, {} KiB at 2 Mbit/s, {kills} kills, in {took:?}; peak {peak} KiB, \
         {} KiB empty, {} KiB started with the list; longest time without a frame {still:?}, {seeing} of {} lives saw frames",
        bytes >> 10,
        empty.peak,
        full.peak,
        lives.len()
    );
    assert!(peak <= empty.peak.max(full.peak) + MOST_KIB, "{peak} KiB");
    assert!(still < Duration::from_secs(10), "recognition stopped for {still:?}\n{}", site.log());
    Some(())
}

#[test]
fn a_big_list_comes_over_a_thin_line_while_the_box_is_killed_and_recognition_goes_on() {
    let number = |name: &str, usual: u32| std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(usual);
    let (members, kills) = if soak() { (100_000, 50) } else { (1_500, 3) };
    let members = number("FORECOURT_SYNC_MEMBERS", members);
    synced(members, members / 2, number("FORECOURT_SYNC_KILLS", kills) as usize);
}
