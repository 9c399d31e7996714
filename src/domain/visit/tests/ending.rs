//! How visits end.

use super::*;

#[test]
fn a_car_at_the_exit_has_left_after_a_quiet_moment_and_not_before() {
    let mut site = Site::new();
    site.sight("m1", "gate", 1, None);
    site.now = 100.0;
    site.sight("m1", "exit", 1, None);
    site.watch(&key("exit", 1), None, 103.0);
    site.now = 107.9;
    site.give(&[]);
    assert_eq!(site.kinds(), ["arrival"]);
    site.now = 109.0;
    site.give(&[]);
    assert_eq!(site.kinds(), ["arrival", "departure"]);
    let departure = site.last();
    assert_eq!((departure["closed_by"].as_str(), departure["camera"].as_str()), (Some("exit"), Some("exit")));
    assert_eq!(departure["seconds"], 103.0);
    assert_eq!(departure["last_seen_at"], "2026-03-01T08:01:43.000Z");
    assert_eq!(site.events[1]["time"], "2026-03-01T08:01:48.000Z", "the moment it was over, whenever asked");
}

#[test]
fn a_car_that_backs_up_from_the_exit_has_not_left() {
    let mut site = Site::new();
    site.sight("m1", "exit", 1, None);
    site.now = 4.0;
    site.sight("m1", "lot", 1, None);
    site.wait(1000.0);
    assert_eq!(site.kinds(), ["arrival"]);
    site.wait(1810.0);
    assert_eq!(site.last()["closed_by"], "absent");
}

#[test]
fn a_second_camera_at_the_same_gate_does_not_bring_a_leaving_car_back() {
    let mut site = Site::new();
    site.sight("m1", "exit", 1, None);
    site.now = 2.0;
    site.sight("m1", "gate", 1, None);
    site.watch(&key("gate", 1), None, 9.0);
    site.wait(13.0);
    assert_eq!(site.kinds(), ["arrival"]);
    site.wait(15.0);
    assert_eq!(site.last()["closed_by"], "exit");
}

#[test]
fn a_car_that_waits_at_the_barrier_after_leaving_does_not_arrive_again() {
    let mut site = Site::new();
    site.sight("m1", "gate", 1, None);
    site.now = 60.0;
    site.sight("m1", "exit", 1, None);
    site.wait(70.0);
    site.sight("m1", "exit", 2, None);
    site.now = 180.0;
    site.sight("m1", "exit", 3, None);
    assert_eq!(site.kinds(), ["arrival", "departure"]);
    site.sight("m1", "gate", 2, None);
    assert_eq!(site.kinds(), ["arrival", "departure", "arrival"], "at the entrance it does");
}

#[test]
fn a_car_never_seen_again_has_left_after_absent_after() {
    let mut site = Site::new();
    site.sight("m1", "gate", 1, None);
    site.watch(&key("gate", 1), None, 8.0);
    site.wait(1807.0);
    assert_eq!(site.of_kind("departure").len(), 0);
    site.wait(1808.0);
    assert_eq!(site.last()["closed_by"], "absent");
    assert_eq!(site.last()["seconds"], 8.0);
}

#[test]
fn a_camera_without_zones_tells_arrival_dwell_and_departure() {
    let mut site = Site::new();
    let whole = zones::ZoneMap::new("gate", CameraRole::Entrance, vec![]);
    let plate = crate::domain::geometry::Rect::new(400.0, 300.0, 480.0, 326.0);
    let zones::Place::Zone(zone) = whole.place(&plate, (1280, 720)) else { panic!("no zone") };
    site.sight("m1", "gate", 1, Some(zone.clone()));
    site.watch(&key("gate", 1), Some(&zone), 8.0);
    site.wait(2000.0);
    assert_eq!(site.kinds(), ["arrival", "dwell", "departure"]);
    assert_eq!(site.of_kind("dwell")[0]["zone"]["id"], "gate");
    assert_eq!(site.last()["zones"][0]["seconds_min"], 8.0);
}

#[test]
fn at_the_closing_hour_every_visit_that_began_before_ends() {
    let mut site = Site::new();
    site.sight("m1", "lot", 1, zone("a"));
    site.watch(&key("lot", 1), zone("a").as_ref(), 100.0);
    site.last_closing = Some("2026-03-01T08:01:30Z".parse().unwrap());
    site.now = 101.0;
    site.sight("m2", "gate", 1, None);
    assert_eq!(site.kinds(), ["arrival", "dwell", "dwell", "departure", "arrival"]);
    let departure = site.of_kind("departure")[0];
    assert_eq!((departure["member_ref"].as_str(), departure["closed_by"].as_str()), (Some("m1"), Some("closing-hour")));
    assert_eq!(site.events[3]["time"], "2026-03-01T08:01:30.000Z");
    site.wait(200.0);
    assert_eq!(site.of_kind("departure").len(), 1, "who came after closing stays");
}

#[test]
fn a_member_with_two_cars_leaves_with_the_second() {
    let mut site = Site::new();
    let car = |site: &Site, plate: &str, camera: &str, track| {
        let vehicle = Some(Vehicle { plate: plate.into(), ..Vehicle::default() });
        Input::Sighting(Box::new(Sighting { vehicle, ..site.sighting("m1", camera, track, None) }))
    };
    let both = [car(&site, "皖A1", "lot", 1), car(&site, "皖A2", "lot", 2)];
    site.give(&both);
    site.now = 50.0;
    let out = [car(&site, "皖A1", "exit", 1)];
    site.give(&out);
    site.watch(&key("lot", 2), None, 100.0);
    site.wait(110.0);
    assert_eq!(site.kinds(), ["arrival"], "the other car is still there");
    let out = [car(&site, "皖A2", "exit", 2)];
    site.give(&out);
    site.wait(120.0);
    assert_eq!(site.kinds(), ["arrival", "departure"]);
    assert_eq!(site.last()["closed_by"], "exit");
}

#[test]
fn who_withdraws_is_told_to_be_gone_and_nothing_more() {
    let mut site = Site::new();
    site.sight("m1", "lot", 1, zone("a"));
    site.watch(&key("lot", 1), zone("a").as_ref(), 40.0);
    site.give(&[Input::MemberChanged { member_ref: "m1".into(), standing: None }]);
    assert_eq!(site.kinds(), ["arrival", "departure"]);
    let departure = site.last();
    assert_eq!(departure["closed_by"], "withdrawn");
    assert_eq!(departure["zones"], serde_json::json!([]));
    assert!(departure.get("seconds").is_none() && departure.get("last_seen_at").is_none());
    site.watch(&key("lot", 1), zone("a").as_ref(), 100.0);
    assert_eq!(site.kinds().len(), 2, "the track is nobody's any more");
}

#[test]
fn a_plate_taken_off_the_list_no_longer_speaks_for_its_member() {
    let mut site = Site::new();
    site.sight("m1", "lot", 1, zone("a"));
    let with = |plates: &[&str]| Input::MemberChanged {
        member_ref: "m1".into(),
        standing: Some(Standing {
            facts: facts("m1"),
            plates: plates.iter().map(ToString::to_string).collect(),
            face: true,
        }),
    };
    let change = site.book.propose(&site.present(), &[with(&["皖Am1", "皖B2"])]);
    assert!(!change.is_durable(), "nothing new is nothing to write");
    site.give(&[with(&["皖B2"])]);
    assert_eq!(site.last()["closed_by"], "withdrawn");
}
