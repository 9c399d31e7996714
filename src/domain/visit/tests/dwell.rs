//! Time in zones.

use super::*;

fn bounds(dwell: &Value) -> (f64, f64) {
    (dwell["seconds_min"].as_f64().unwrap(), dwell["seconds_max"].as_f64().unwrap())
}

#[test]
fn a_stay_is_told_at_its_marks_and_when_it_ends() {
    let mut site = Site::new();
    site.sight("m1", "lot", 1, None);
    site.watch(&key("lot", 1), None, 3.0);
    site.watch(&key("lot", 1), zone("a").as_ref(), 400.0);
    site.watch(&key("lot", 1), None, 430.0);
    let told = site.of_kind("dwell");
    let marks: Vec<_> = told.iter().map(|dwell| (dwell["checkpoint"].as_u64(), dwell["ended"] == true)).collect();
    assert_eq!(marks, [(Some(1), false), (Some(2), false), (None, true)]);
    assert!(told.iter().all(|dwell| dwell["stay"] == 1 && dwell["zone"]["id"] == "a"));
    // Entered between second 3 and 4, left between 400 and 401.
    assert_eq!(bounds(told[0]), (60.0, 61.0));
    assert_eq!(bounds(told[2]), (396.0, 398.0));
    assert_eq!(told[2]["entered_at"], "2026-03-01T08:00:04.000Z");
}

#[test]
fn a_short_look_into_a_zone_is_not_told() {
    let mut site = Site::new();
    site.sight("m1", "lot", 1, None);
    site.watch(&key("lot", 1), zone("a").as_ref(), 5.0);
    site.watch(&key("lot", 1), None, 60.0);
    site.wait(1900.0);
    assert_eq!(site.kinds(), ["arrival", "departure"]);
    assert_eq!(site.last()["zones"], serde_json::json!([]));
}

#[test]
fn a_short_absence_is_bridged_and_a_long_one_ends_the_stay() {
    let mut site = Site::new();
    site.sight("m1", "lot", 1, zone("a"));
    site.watch(&key("lot", 1), zone("a").as_ref(), 30.0);
    site.wait(49.0);
    site.watch(&key("lot", 1), zone("a").as_ref(), 59.0);
    assert_eq!(site.of_kind("dwell").len(), 0);
    site.wait(100.0);
    let ended = site.last().clone();
    assert_eq!((bounds(&ended), ended["ended"].as_bool()), ((59.0, 79.0), Some(true)));
    site.sight("m1", "lot", 2, zone("a"));
    site.watch(&key("lot", 2), zone("a").as_ref(), 110.0);
    site.wait(140.0);
    assert_eq!(site.last()["stay"], 2);
    site.wait(2000.0);
    let departure = site.last();
    assert_eq!(departure["zones"][0]["stays"], 2);
    assert_eq!(departure["zones"][0]["seconds_min"], 69.0);
}

#[test]
fn a_plate_on_the_edge_of_two_zones_makes_no_storm() {
    let mut site = Site::new();
    site.sight("m1", "lot", 1, zone("a"));
    for second in 1..=50_u32 {
        site.now = f64::from(second);
        let at = if second % 2 == 0 { zone("a") } else { zone("b") };
        site.give(&[Input::Presence { key: key("lot", 1), at: uptime(site.now), zone: at }]);
    }
    site.wait(100.0);
    assert_eq!(site.of_kind("dwell").len(), 2, "one stay each: {:?}", site.kinds());
}

#[test]
fn what_the_track_did_before_it_was_known_counts() {
    let mut site = Site::new();
    let mut path = Whereabouts::first(None, uptime(1.0));
    path.seen(zone("a"), uptime(2.5));
    site.now = 10.0;
    let late = Sighting { first_seen: uptime(1.0), whereabouts: path, ..site.sighting("m1", "lot", 1, None) };
    site.give(&[Input::Sighting(Box::new(late))]);
    site.watch(&key("lot", 1), None, 40.0);
    assert_eq!(bounds(site.last()), (7.5, 10.0));
}

#[test]
fn without_the_dwell_consent_no_time_is_told() {
    let mut site = Site::new();
    let silent = MemberFacts { dwell: false, ..facts("m1") };
    let sighting = Sighting { member: silent, ..site.sighting("m1", "lot", 1, zone("a")) };
    site.give(&[Input::Sighting(Box::new(sighting))]);
    site.watch(&key("lot", 1), zone("a").as_ref(), 400.0);
    site.wait(2300.0);
    assert_eq!(site.kinds(), ["arrival", "departure"]);
    assert_eq!(site.last()["zones"], serde_json::json!([]));
}

#[test]
fn a_consent_withdrawn_on_the_way_forgets_what_was_measured() {
    let mut site = Site::new();
    site.sight("m1", "lot", 1, zone("a"));
    site.watch(&key("lot", 1), zone("a").as_ref(), 50.0);
    let standing =
        Standing { facts: MemberFacts { dwell: false, ..facts("m1") }, plates: vec!["皖Am1".into()], face: true };
    site.give(&[Input::MemberChanged { member_ref: "m1".into(), standing: Some(standing) }]);
    site.watch(&key("lot", 1), zone("a").as_ref(), 400.0);
    site.wait(2300.0);
    assert_eq!(site.kinds(), ["arrival", "departure"]);
    assert_eq!(site.last()["zones"], serde_json::json!([]));
}

#[test]
fn two_cameras_count_their_own_zones_at_the_same_time() {
    let mut site = Site::new();
    site.sight("m1", "lot", 1, zone("a"));
    site.sight("m1", "lot2", 1, zone("a"));
    for second in 1..=10 {
        site.now = f64::from(second);
        let seen = |camera| Input::Presence { key: key(camera, 1), at: uptime(f64::from(second)), zone: zone("a") };
        site.give(&[seen("lot"), seen("lot2")]);
    }
    site.wait(60.0);
    let cameras: Vec<_> = site.of_kind("dwell").iter().map(|dwell| dwell["camera"].as_str().unwrap()).collect();
    assert_eq!(cameras, ["lot", "lot2"]);
}
