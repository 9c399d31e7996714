//! The device key: missing, wrong, open to others, changed and killed in the change, handed over by systemd.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};

use crate::site::{CROWD, FAILED, NOT_FOUND, OK, REFUSED, Site, members};

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
