//! How sightings become one visit.

use super::*;

#[test]
fn a_member_arrives_once_however_often_and_wherever_seen() {
    let mut site = Site::new();
    site.sight("m1", "gate", 1, None);
    site.sight("m1", "lot", 7, None);
    site.now = 600.0;
    site.sight("m1", "gate", 2, None);
    assert_eq!(site.kinds(), ["arrival"]);
    let arrival = site.last();
    assert_eq!((arrival["member_ref"].as_str(), arrival["visit_id"].as_str()), (Some("m1"), Some("e-1")));
    assert_eq!((arrival["camera"].as_str(), arrival["modality"].as_str()), (Some("gate"), Some("plate")));
    assert!(arrival.get("plate").is_none(), "a plate is told only when the site says so");
}

#[test]
fn two_cameras_in_the_same_frame_time_make_one_visit() {
    let mut site = Site::new();
    let both = ["gate", "lot"].map(|camera| Input::Sighting(Box::new(site.sighting("m1", camera, 1, None))));
    site.give(&both);
    assert_eq!(site.kinds(), ["arrival"]);
}

#[test]
fn the_arrival_is_when_the_car_was_first_seen_and_told_when_it_was_known() {
    let mut site = Site::new();
    site.now = 12.0;
    let early = Sighting { first_seen: uptime(10.5), ..site.sighting("m1", "gate", 1, zone("lane")) };
    site.give(&[Input::Sighting(Box::new(early))]);
    assert_eq!(site.events[0]["time"], "2026-03-01T08:00:12.000Z");
    assert_eq!(site.last()["arrived_at"], "2026-03-01T08:00:10.500Z");
    assert_eq!(site.last()["zone"]["id"], "lane");
    assert_eq!(site.last()["direction"], "receding");
}

#[test]
fn all_members_of_one_car_arrive_and_leave() {
    let mut site = Site::new();
    let mut shared = ["m1", "m2"].map(|member| site.sighting(member, "gate", 1, None));
    for sighting in &mut shared {
        sighting.vehicle = Some(Vehicle { plate: "皖A13579".into(), ..Vehicle::default() });
    }
    site.give(&shared.map(|sighting| Input::Sighting(Box::new(sighting))));
    site.watch(&key("gate", 1), None, 10.0);
    site.wait(1900.0);
    assert_eq!(site.kinds(), ["arrival", "arrival", "departure", "departure"]);
    assert_eq!(site.of_kind("departure")[1]["seconds"], 10.0);
}

#[test]
fn a_face_joins_the_visit_of_the_plate() {
    let mut site = Site::new();
    site.sight("m1", "gate", 1, None);
    site.now = 60.0;
    let face = Sighting { modality: Modality::Face, vehicle: None, ..site.sighting("m1", "showroom", 1, None) };
    site.give(&[Input::Sighting(Box::new(face))]);
    site.wait(2000.0);
    assert_eq!(site.kinds(), ["arrival", "departure"]);
    assert_eq!(site.last()["modality"], "both");
    assert_eq!(site.last()["camera"], "showroom");
}

#[test]
fn strangers_leave_no_trace() {
    let mut site = Site::new();
    site.watch(&key("gate", 1), None, 5.0);
    site.give(&[Input::TrackEnded { key: key("gate", 1) }]);
    assert!(site.events.is_empty() && site.book.overview(site.present().moment).is_empty());
    assert!(!site.book.follows(&key("gate", 1)));
}

#[test]
fn a_site_may_have_plates_told() {
    let mut site = Site::with(VisitSettings { plate_in_events: true, ..settings() });
    site.sight("m1", "gate", 1, None);
    assert_eq!(site.last()["plate"], "皖Am1");
}

#[test]
fn a_proposal_that_could_not_be_committed_is_made_again_word_for_word() {
    let mut site = Site::new();
    let input = [Input::Sighting(Box::new(site.sighting("m1", "gate", 1, zone("lane"))))];
    let failed = site.book.propose(&site.present(), &input);
    assert!(failed.is_durable());
    assert!(site.book.overview(site.present().moment).is_empty(), "a proposal changes nothing");
    let again = site.book.propose(&site.present(), &input);
    assert_eq!(failed.events, again.events);
    site.book.apply(again);
    assert_eq!(site.book.propose(&site.present(), &input).events, []);
}

#[test]
fn a_departure_that_could_not_be_committed_comes_again_later() {
    let mut site = Site::new();
    site.sight("m1", "exit", 1, None);
    site.now = 6.0;
    let failed = site.book.propose(&site.present(), &[]);
    assert_eq!(failed.closed().collect::<Vec<_>>(), ["e-1"]);
    site.now = 9.0;
    let again = site.book.propose(&site.present(), &[]);
    assert_eq!(failed.events, again.events);
}

#[test]
fn what_only_refreshes_is_saved_now_and_then() {
    let mut site = Site::new();
    site.sight("m1", "gate", 1, None);
    let (mut saves, key) = (0, key("gate", 1));
    for second in 1..=90 {
        site.now = f64::from(second);
        let seen = Input::Presence { key: key.clone(), at: uptime(site.now), zone: None };
        let change = site.book.propose(&site.present(), &[seen]);
        saves += change.saved().count();
        site.book.apply(change);
    }
    assert_eq!(saves, 3);
}
