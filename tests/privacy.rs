//! Stories of `forecourt privacy` and of face templates on the disk, told through the real binary: keys, rotation that is
//! killed, shredding, the audit log, the report, the signs.

#![allow(
    clippy::unwrap_used,
    clippy::print_stderr,
    reason = "a story that cannot be told has failed, and says what it skipped"
)]

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use tempfile::TempDir;

const OK: i32 = 0;
const FAILED: i32 = 1;
const NOT_FOUND: i32 = 4;
const REFUSED: i32 = 5;
const SPACE: &str = "story-space";

/// A box with settings and an empty storage folder.
struct Site {
    folder: TempDir,
    credentials: Option<PathBuf>,
}

impl Site {
    /// `privacy`: lines of the table.
    fn new(privacy: &str) -> Self {
        let site = Self { folder: tempfile::tempdir().unwrap(), credentials: None };
        site.settings(privacy, "");
        site
    }

    /// With a device key beside the settings.
    fn with_key() -> Self {
        let site = Self::new("key_file = \"./box.key\"");
        site.told(&["privacy", "new-key", site.path("box.key").to_str().unwrap()], OK);
        site
    }

    fn settings(&self, privacy: &str, more: &str) {
        let text = format!(
            "[site]\ntenant = \"acme\"\nsite = \"here\"\ndevice = \"box-1\"\n\n[storage]\nfolder = \"state\"\n\n\
             [[camera]]\nid = \"gate\"\nsource = \"images:none\"\nread = [\"plate\", \"face\"]\n\n[privacy]\n{privacy}\n\n{more}\n"
        );
        fs::write(self.path("forecourt.toml"), text).unwrap();
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn file(&self, name: &str, content: &str) -> String {
        fs::write(self.path(name), content).unwrap();
        self.path(name).to_str().unwrap().to_owned()
    }

    fn command(&self, words: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_forecourt"));
        command.arg("--config").arg(self.path("forecourt.toml")).args(words);
        for name in ["FORECOURT_CONFIG", "FORECOURT_LOG", "CREDENTIALS_DIRECTORY"] {
            command.env_remove(name);
        }
        if let Some(credentials) = &self.credentials {
            command.env("CREDENTIALS_DIRECTORY", credentials);
        }
        command
    }

    fn output(&self, words: &[&str], exit: i32) -> Output {
        let output = self.command(words).output().unwrap();
        let told = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        assert_eq!(output.status.code(), Some(exit), "{words:?}\n{}\n{}", told(&output.stdout), told(&output.stderr));
        output
    }

    /// What stands on stdout.
    fn told(&self, words: &[&str], exit: i32) -> String {
        String::from_utf8(self.output(words, exit).stdout).unwrap()
    }

    /// What stands on stderr.
    fn warned(&self, words: &[&str], exit: i32) -> String {
        String::from_utf8(self.output(words, exit).stderr).unwrap()
    }

    fn json(&self, words: &[&str], exit: i32) -> Value {
        serde_json::from_str(&self.told(&[words, &["--json"]].concat(), exit)).unwrap()
    }

    fn import(&self, lines: &str) {
        self.told(&["members", "import", &self.file("list.jsonl", lines)], OK);
    }

    /// Members with a template each who may be matched by face now, as loading the gallery finds them.
    fn in_gallery(&self) -> u64 {
        self.json(&["members", "calibrate", "--dry-run"], OK)["templates"].as_u64().unwrap()
    }

    /// Files of the storage folder that hold the bytes.
    fn holding(&self, needle: &[u8]) -> Vec<PathBuf> {
        let files = fs::read_dir(self.path("state")).unwrap().map(|entry| entry.unwrap().path());
        let holds = |path: &PathBuf| fs::read(path).unwrap().windows(needle.len()).any(|part| part == needle);
        files.filter(holds).collect()
    }

    fn database(&self) -> rusqlite::Connection {
        rusqlite::Connection::open(self.path("state/members.db")).unwrap()
    }
}

fn vector(seed: u64) -> Vec<f32> {
    // Seeds that follow each other give streams that resemble each other.
    let mut random = fastrand::Rng::with_seed((seed + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15));
    let raw: Vec<f32> = (0..256).map(|_| random.f32() - 0.5).collect();
    let length = raw.iter().map(|value| value * value).sum::<f32>().sqrt();
    raw.iter().map(|value| value / length).collect()
}

fn bytes(seed: u64) -> Vec<u8> {
    vector(seed).iter().flat_map(|value| value.to_le_bytes()).collect()
}

/// Members `m0`, `m1`, … with a plate and a template each.
fn members(count: u64) -> String {
    (0..count)
        .map(|n| {
            let faces = json!([{ "space": SPACE, "vector": STANDARD.encode(bytes(n)) }]);
            let plate = [format!("皖A{:05}", 10_000 + n)];
            json!({ "member_ref": format!("m{n}"), "plate": plate, "consents": ["plate", "face"], "faces": faces })
        })
        .map(|line| format!("{line}\n"))
        .collect()
}

/// Enough that pairs can be measured.
const CROWD: u64 = 60;

#[test]
fn a_template_is_nowhere_in_the_clear_and_leaves_only_when_it_is_asked_for() {
    let here = Site::with_key();
    let list = here.file("list.jsonl", &members(CROWD));
    let logged = here.warned(&["--log", "trace", "members", "import", &list], OK);
    fs::remove_file(list).unwrap();
    let shown = here.json(&["members", "show", "m7"], OK);
    assert_eq!(shown["templates"], json!([{ "space": SPACE, "templates": 1, "members": 1 }]));
    assert!(here.told(&["members", "show", "m7"], OK).contains("1 in space story-space"));
    assert!(here.holding(&bytes(7)[..16]).is_empty());
    let canary = STANDARD.encode(bytes(7));
    for told in [
        &logged,
        &here.told(&["members", "list", "--json"], OK),
        &here.told(&["members", "export", "--format", "jsonl"], OK),
    ] {
        assert!(!told.contains(&canary[..24]) && !told.contains("vector"), "{told}");
    }
    let out = here.path("with.jsonl");
    here.told(&["members", "export", "--with-templates", out.to_str().unwrap()], OK);
    let text = fs::read_to_string(&out).unwrap();
    let seventh: Value = serde_json::from_str(text.lines().nth(7).unwrap()).unwrap();
    let written = STANDARD.decode(seventh["faces"][0]["vector"].as_str().unwrap()).unwrap();
    let values = written.chunks_exact(4).map(|four| f32::from_le_bytes(four.try_into().unwrap()));
    let cosine: f32 = values.zip(vector(7)).map(|(a, b)| a * b).sum();
    assert!((cosine - 1.0).abs() < 1e-5, "{cosine}");
    assert_eq!(fs::metadata(&out).unwrap().mode() & 0o777, 0o600);
    here.output(&["members", "export", "--with-templates"], 2);
    assert!(here.told(&["privacy", "audit", "list"], OK).contains("templates-exported"));
}

#[test]
fn a_removed_member_leaves_no_byte_behind() {
    let here = Site::with_key();
    here.import(&members(CROWD));
    fs::remove_file(here.path("list.jsonl")).unwrap();
    let query = "select t.sealed, k.wrapped from template t join member_key k on k.member = t.member \
                 join member m on m.id = t.member where m.member_ref = 'm17'";
    let (sealed, wrapped): (Vec<u8>, Vec<u8>) =
        here.database().query_row(query, [], |row| Ok((row.get(0)?, row.get(1)?))).unwrap();
    assert!(!here.holding(&sealed[24..56]).is_empty() && !here.holding(&wrapped).is_empty());
    here.told(&["members", "remove", "m17"], OK);
    for trace in [&sealed[..24], &sealed[24..56], &wrapped, &bytes(17)[..16], b"m17\x00"] {
        assert_eq!(here.holding(trace), Vec::<PathBuf>::new());
    }
    assert_eq!(here.in_gallery(), CROWD - 1);
    // The log tells of it without the name; who knows the name finds it.
    let of = here.json(&["privacy", "audit", "list", "--member", "m17"], OK);
    assert_eq!((of["action"].as_str(), of["detail"]["templates"].as_u64()), (Some("member-removed"), Some(1)));
    here.told(&["members", "remove", "--faces", "m18"], OK);
    assert_eq!(here.in_gallery(), CROWD - 2);
    here.told(&["members", "show", "m18"], OK);
}

#[test]
fn a_withdrawn_consent_and_an_ended_lease_take_the_member_out_of_the_next_gallery() {
    let here = Site::with_key();
    here.import(&members(CROWD));
    assert_eq!(here.in_gallery(), CROWD);
    let csv = "member_ref,plate,consents,not_after\nm1,皖A10001,plate,\nm2,皖A10002,plate;face,2020-01-01T00:00:00Z\n";
    here.told(&["members", "import", &here.file("change.csv", csv)], OK);
    assert_eq!(here.in_gallery(), CROWD - 2);
    let changed = here.json(&["privacy", "audit", "list", "--member", "m1"], OK);
    assert_eq!(changed["detail"], json!({ "before": ["plate", "face"], "now": ["plate"] }));
    // The lease ended years ago: the housekeeping removes the member, not only the template.
    assert_eq!(here.json(&["privacy", "purge"], OK)["members"], 1);
    here.told(&["members", "show", "m2"], NOT_FOUND);
}

#[test]
fn a_key_that_is_missing_wrong_or_open_to_others_is_named_and_plates_go_on() {
    let here = Site::with_key();
    here.import(&members(CROWD));
    let key = here.path("box.key");
    let calibrate = ["members", "calibrate", "--dry-run"];
    let plates_go_on = || here.told(&["members", "match", "皖A10003"], OK).contains("matches m3");
    let kept = fs::read(&key).unwrap();

    fs::set_permissions(&key, fs::Permissions::from_mode(0o644)).unwrap();
    assert!(here.warned(&calibrate, FAILED).contains("[FC-KEY-006]") && plates_go_on());

    fs::remove_file(&key).unwrap();
    assert!(here.warned(&calibrate, FAILED).contains("[FC-KEY-002]") && plates_go_on());

    here.told(&["privacy", "new-key", key.to_str().unwrap()], OK);
    let words = here.warned(&calibrate, FAILED);
    assert!(words.contains("[FC-KEY-004]") && words.contains("box.key") && plates_go_on(), "{words}");

    fs::write(&key, "not a key").unwrap();
    assert!(here.warned(&calibrate, FAILED).contains("[FC-KEY-003]") && plates_go_on());

    here.settings("", "");
    assert!(here.warned(&calibrate, FAILED).contains("[FC-KEY-001]") && plates_go_on());

    here.settings("key_file = \"./box.key\"", "");
    fs::write(&key, &kept).unwrap();
    assert_eq!(here.in_gallery(), CROWD);
    // A lost key: what it sealed can only be destroyed.
    fs::remove_file(&key).unwrap();
    here.told(&["privacy", "new-key", key.to_str().unwrap()], OK);
    assert_eq!(here.json(&["privacy", "purge", "--unreadable"], OK)["unreadable"], CROWD);
    here.told(&calibrate, NOT_FOUND);
}

/// Lines of a key file that are keys.
fn keys_in(path: &Path) -> usize {
    fs::read_to_string(path).unwrap().lines().filter(|line| !line.starts_with('#')).count()
}

#[test]
fn a_change_of_the_key_that_is_killed_anywhere_loses_nobody_and_is_finished_by_the_next_run() {
    let count = 1_500;
    let here = Site::with_key();
    here.import(&members(count));
    let key = here.path("box.key");
    let former = fs::read_to_string(&key).unwrap();
    let begun = Instant::now();
    here.told(&["privacy", "rekey"], OK);
    let mut whole = begun.elapsed().as_millis() as u64;
    let (mut halfway, mut split, mut random) = (0, 0, fastrand::Rng::with_seed(9));
    for kills in 0..80 {
        if kills >= 15 && halfway > 0 {
            break;
        }
        let mut child =
            here.command(&["privacy", "rekey"]).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        std::thread::sleep(Duration::from_millis(random.u64(0..=whole)));
        if child.try_wait().unwrap().is_some() {
            // Faster than the first time, which other work on the machine had held up.
            whole = (whole * 9 / 10).max(1);
        }
        child.kill().unwrap();
        child.wait().unwrap();
        halfway += u32::from(keys_in(&key) == 2);
        let kinds = "select count(distinct key_id) from member_key";
        split += u32::from(here.database().query_row(kinds, [], |row| row.get::<_, i64>(0)).unwrap() == 2);
        assert_eq!(here.in_gallery(), count, "whatever moment it was killed at");
    }
    eprintln!("killed within {whole} ms: {halfway} with two keys in the file, {split} with members under both");
    assert!(halfway > 0, "it was never killed in the middle");
    here.told(&["privacy", "rekey"], OK);
    assert_eq!((keys_in(&key), here.in_gallery()), (1, count));
    // What a thief has of the former key opens nothing any more.
    fs::write(&key, former).unwrap();
    assert!(here.warned(&["members", "calibrate"], FAILED).contains("[FC-KEY-004]"));
}

#[test]
fn a_change_that_ended_half_way_with_only_one_of_the_keys_at_hand_says_so() {
    let here = Site::with_key();
    here.import(&members(CROWD));
    let other = here.path("other.key");
    here.told(&["privacy", "new-key", other.to_str().unwrap()], OK);
    here.told(&["privacy", "rekey", "--to", other.to_str().unwrap()], OK);
    fs::rename(&other, here.path("box.key")).unwrap();
    assert_eq!(here.in_gallery(), CROWD);
    here.database().execute_batch("update member_key set key_id = '0011223344556677' where member % 2 = 0").unwrap();
    let words = here.warned(&["members", "calibrate", "--dry-run"], REFUSED);
    assert!(words.contains("[FC-KEY-005]") && words.contains("30 members"), "{words}");
    let words = here.warned(&["privacy", "rekey"], REFUSED);
    assert!(words.contains("30 members are sealed with a key that is not here"), "{words}");
    assert_eq!(keys_in(&here.path("box.key")), 2, "the former key is kept until nobody needs it");
}

#[test]
fn a_credential_of_systemd_is_found_by_its_name_and_changed_by_a_file() {
    let mut here = Site::new("key_file = \"forecourt.key\"");
    let words = here.warned(&["members", "import", &here.file("list.jsonl", &members(1))], REFUSED);
    assert!(words.is_empty(), "{words}");
    let report = here.json(&["members", "import", here.path("list.jsonl").to_str().unwrap()], REFUSED);
    assert!(report["problems"][0]["wrong"].as_str().unwrap().contains("[FC-KEY-007]"), "{report}");

    here.credentials = Some(here.path("credentials"));
    fs::create_dir(here.path("credentials")).unwrap();
    let text = here.told(&["privacy", "new-key", "-"], OK);
    let credential = here.path("credentials/forecourt.key");
    fs::write(&credential, text).unwrap();
    fs::set_permissions(&credential, fs::Permissions::from_mode(0o440)).unwrap();
    here.import(&members(CROWD));
    assert_eq!(here.in_gallery(), CROWD);
    assert_eq!(here.json(&["privacy", "report"], OK)["key"]["custody"], "credential");

    assert!(here.warned(&["privacy", "rekey"], FAILED).contains("--to FILE"));
    let new = here.path("new.key");
    here.told(&["privacy", "rekey", "--to", new.to_str().unwrap()], OK);
    assert!(here.warned(&["members", "calibrate"], FAILED).contains("[FC-KEY-004]"));
    fs::remove_file(&credential).unwrap();
    fs::copy(new, credential).unwrap();
    assert_eq!(here.in_gallery(), CROWD);
}

#[test]
fn an_insecure_key_needs_a_setting_and_is_reported() {
    let here = Site::new("insecure_key = true");
    here.import(&members(CROWD));
    let key = here.path("state/device.key");
    assert_eq!(fs::metadata(&key).unwrap().mode() & 0o777, 0o600);
    assert_eq!(here.in_gallery(), CROWD);
    let report = here.json(&["privacy", "report"], OK);
    assert_eq!(report["key"]["custody"], "beside");
    assert!(report["findings"].as_array().unwrap().iter().any(|finding| finding["code"] == "FC-PRV-002"));
    here.settings("insecure_key = true\nkey_file = \"./box.key\"", "");
    assert!(here.warned(&["privacy", "report"], 3).contains("FC-CFG-025"));
}

#[test]
fn a_log_that_somebody_changed_is_found_out() {
    let here = Site::with_key();
    here.import(&members(CROWD));
    here.told(&["members", "remove", "m3"], OK);
    here.told(&["members", "remove", "m4"], OK);
    let sound = here.json(&["privacy", "audit", "verify"], OK);
    assert_eq!((sound["fault"].is_null(), sound["records"].as_u64()), (true, Some(3)));
    let kept = format!("{}:{}", sound["last"], sound["head"].as_str().unwrap());
    here.told(&["privacy", "audit", "verify", "--expect", &kept], OK);

    let database = here.database();
    assert!(database.execute("delete from audit where seq = 2", []).is_err());
    let (changed, gone) = ("update audit set actor = 'user:nobody' where seq = 2", "delete from audit where seq = 3");
    database.execute_batch("drop trigger audit_never_changes; drop trigger audit_never_goes").unwrap();
    database.execute_batch("begin").unwrap();
    for (sql, words) in [(changed, "record 2 was changed"), (gone, "record 3 is missing")] {
        database.execute_batch("savepoint before").unwrap();
        database.execute(sql, []).unwrap();
        database.execute_batch("commit").unwrap();
        let told = here.told(&["privacy", "audit", "verify"], FAILED);
        assert!(told.contains("BROKEN") && told.contains(words), "{told}");
        let mend = "update audit set actor = (select actor from audit where seq = 1) where seq = 2";
        database.execute(mend, []).unwrap();
        database.execute_batch("begin").unwrap();
    }
    database.execute_batch("rollback").unwrap();
    // Written anew from the start, in itself sound: only the hash that was kept tells.
    database.execute_batch("delete from audit; update audit_ends set before_seq = 0, before_hash = zeroblob(32), last_seq = 0, last_hash = zeroblob(32)").unwrap();
    for name in ["m5", "m6", "m7"] {
        here.told(&["members", "remove", name], OK);
    }
    here.told(&["privacy", "audit", "verify"], OK);
    let told = here.told(&["privacy", "audit", "verify", "--expect", &kept], FAILED);
    assert!(told.contains("is not the one that was kept"), "{told}");
}

#[test]
fn the_report_is_filled_from_the_box_and_names_what_is_open() {
    let here = Site::with_key();
    here.settings(
        "key_file = \"./box.key\"",
        "[faces]\npacks = [\"face-demo\"]\n\n[mqtt]\nurl = \"mqtt://broker:1883\"",
    );
    here.import(&members(CROWD));
    let codes = |report: &Value| -> Vec<String> {
        let findings = report["findings"].as_array().unwrap().iter();
        findings.map(|finding| finding["code"].as_str().unwrap().to_owned()).collect()
    };
    let report = here.json(&["privacy", "report"], OK);
    assert_eq!((report["enrolled_persons"].as_u64(), report["consents"]["face"].as_u64()), (Some(CROWD), Some(CROWD)));
    // The key lies on the disk of the data in this story.
    assert_eq!(codes(&report), ["FC-PRV-001", "FC-PRV-002", "FC-PRV-004", "FC-PRV-005"]);

    let confirm = ["provision", "confirm-signage", "--photo-id", "2026-11-22/IMG-0042", "--by", "Li"];
    here.told(&confirm, OK);
    here.output(&["provision", "confirm-signage", "--photo-id", "a photo of the door"], 2);
    here.output(&["provision", "confirm-signage"], 2);
    let report = here.json(&["privacy", "report"], OK);
    assert_eq!(report["signage"]["photo_id"], "2026-11-22/IMG-0042");
    assert!(!codes(&report).contains(&"FC-PRV-001".to_owned()));
    let text = here.told(&["privacy", "report"], OK);
    for words in
        ["| enrolled with a face template | 60 |", "confirmed by Li", "mqtt://broker:1883", "| gate |", "[FC-PRV-005]"]
    {
        assert!(text.contains(words), "{words}\n{text}");
    }
    here.told(&["provision", "confirm-signage", "--withdraw"], OK);
    here.told(&["provision", "confirm-signage", "--withdraw"], NOT_FOUND);
    let actions = here.told(&["privacy", "audit", "list"], OK);
    assert!(
        actions.contains("signage-confirmed") && actions.contains("signage-withdrawn") && actions.contains("reported")
    );
}

#[test]
fn the_threshold_is_measured_on_the_own_members_and_doubles_are_told() {
    let here = Site::with_key();
    let double = json!({ "member_ref": "again", "plate": ["皖B12345"], "consents": ["face"],
                         "faces": [{ "space": SPACE, "vector": vector(5) }] });
    here.import(&format!("{}{double}\n", members(CROWD)));
    let found = here.json(&["members", "calibrate"], OK);
    assert_eq!((found["templates"].as_u64(), found["pairs"].as_u64()), (Some(CROWD + 1), Some(61 * 60 / 2)));
    let deviation = found["impostors"]["deviation"].as_f64().unwrap();
    assert!((deviation - 0.0625).abs() < 0.005, "{deviation}");
    assert_eq!(found["look_like_one_person"][0][0], json!(["m5", "again"]));
    assert!(found["threshold_before"].is_null());
    let again = here.json(&["members", "calibrate", "--dry-run"], OK);
    assert_eq!(again["threshold_before"], found["threshold"]);
    let text = here.told(&["members", "calibrate", "--dry-run"], OK);
    assert!(text.contains("Threshold for 1 % of strangers") && text.contains('█'), "{text}");
    here.told(&["members", "calibrate", "--forget"], OK);
    here.told(&["members", "calibrate", "--forget"], NOT_FOUND);
    let few = Site::with_key();
    few.import(&members(5));
    assert!(few.warned(&["members", "calibrate"], REFUSED).contains("10 pairs of different members are too few"));
}

#[test]
fn every_code_of_a_key_or_a_report_is_explained() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let read = |name: &str| fs::read_to_string(root.join(name)).unwrap();
    let manual = read("docs/troubleshooting.md") + &read("docs/privacy.md");
    let sources =
        ["src/store/keys/error.rs", "src/store/members/error.rs", "src/commands/privacy/report.rs"].map(read).concat();
    let mut codes: Vec<&str> =
        sources.match_indices("FC-").map(|(at, _)| &sources[at..at + 10]).filter(|code| !code.ends_with('n')).collect();
    codes.sort_unstable();
    codes.dedup();
    assert!(codes.len() >= 15, "{codes:?}");
    for code in codes {
        assert!(manual.contains(&format!("| `{code}` |")), "{code} is not explained");
    }
}

/// `$FORECOURT_SHARED`, else `../shared` beside the checkout.
fn shared() -> Option<PathBuf> {
    let beside = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared");
    let folder = std::env::var_os("FORECOURT_SHARED").map_or(beside, PathBuf::from);
    let there = folder.join("packs/golden").is_dir() && cfg!(feature = "onnx");
    if !there {
        eprintln!("skipped: there are no public packs in `{}`", folder.display());
    }
    there.then_some(folder)
}

#[test]
fn a_member_is_enrolled_from_photos_and_the_photos_are_judged_in_words() {
    let Some(shared) = shared() else { return };
    let here = Site::with_key();
    let packs = shared.join("packs").canonicalize().unwrap();
    here.settings(
        "key_file = \"./box.key\"",
        &format!(
            "[faces]\npacks = [\"face-detect-yunet\", \"face-embed-retail0095\"]\npack_folders = [\"{}\"]",
            packs.display()
        ),
    );
    let csv = "member_ref,plate,consents\nm1,皖A10001,plate;face\nm2,皖A10002,plate\nm3,皖A10003,face\n";
    here.told(&["members", "import", &here.file("list.csv", csv)], OK);
    let photo = |name: &str| packs.join("golden").join(name).to_str().unwrap().to_owned();
    let (alone, group) = (photo("head_pose_male_frame30.png"), photo("demographics_frame30.png"));

    assert!(here.warned(&["members", "enroll", "m9", "--photo", &alone], FAILED).contains("no member `m9`"));
    assert!(here.warned(&["members", "enroll", "m2", "--photo", &alone], FAILED).contains("has not agreed"));
    let told = here.told(&["members", "enroll", "m1", "--photo", &group], REFUSED);
    assert!(
        told.contains("faces of similar size") && told.contains("was not enrolled: no photo is good enough"),
        "{told}"
    );
    let empty = here.file("empty.jpg", "no picture");
    let tried = here.json(&["members", "enroll", "m1", "--dry-run", "--photo", &alone, "--photo", &empty], OK);
    assert_eq!((tried["enrolled"].as_bool(), tried["photos"][1]["used"].as_bool()), (Some(false), Some(false)));
    let told = here.told(&["members", "enroll", "m1", "--photo", &alone], OK);
    assert!(told.contains("used; ") && told.contains("m1 is enrolled; the photos are not kept"), "{told}");
    assert_eq!(here.json(&["members", "show", "m1"], OK)["templates"][0]["templates"], 1);
    // The same person under another name is remarked.
    let twin = here.json(&["members", "enroll", "m3", "--photo", &alone], OK);
    assert_eq!(twin["looks_like"], "m1");
    assert_eq!(here.json(&["members", "enroll", "m3", "--replace", "--photo", &alone], OK)["templates"], 1);
    let kept: Vec<_> = fs::read_dir(here.path("state")).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert!(kept.iter().all(|name| name.to_str().unwrap().starts_with("members.db")), "{kept:?}");
}
