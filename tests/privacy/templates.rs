//! Face templates: sealed, taken out of the gallery, shredded, measured against each other, made of photos.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use crate::site::{CROWD, FAILED, NOT_FOUND, OK, REFUSED, SPACE, Site, bytes, members, vector};

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
