//! Stories of members on foot: by face alone, by both senses, and how they looked on leaving.

use super::*;
use crate::domain::event::{ExpressionWord, Look};

fn look(expression: ExpressionWord) -> Look {
    let classes = [("happiness".to_owned(), 0.9), ("neutral".to_owned(), 0.1)].into();
    Look { expression, positive: 0.9, neutral: 0.1, negative: 0.0, classes, frames: 9, quality: 0.7, seconds: 2.0 }
}

fn on_foot(site: &Site, member: &str, camera: &str, track: u64, expression: bool) -> Sighting {
    let sighting = site.sighting(member, camera, track, None);
    let member = MemberFacts { expression, ..sighting.member };
    Sighting { member, modality: Modality::Face, vehicle: None, direction: None, ..sighting }
}

fn seen(site: &mut Site, member: &str, camera: &str, track: u64, expression: bool) {
    let sighting = on_foot(site, member, camera, track, expression);
    site.give(&[Input::Sighting(Box::new(sighting))]);
}

fn smiles(site: &mut Site, camera: &str, track: u64) {
    let at = uptime(site.now);
    site.give(&[Input::Expression { key: key(camera, track), at, look: look(ExpressionWord::Positive) }]);
}

#[test]
fn the_look_on_leaving_is_told_once_before_the_departure() {
    let mut site = Site::new();
    seen(&mut site, "m1", "exit", 1, true);
    smiles(&mut site, "exit", 1);
    site.wait(1.0);
    smiles(&mut site, "exit", 1);
    site.wait(60.0);
    assert_eq!(site.kinds(), ["arrival", "exit-expression", "departure"]);
    let told = site.of_kind("exit-expression")[0];
    assert_eq!((told["expression"].as_str(), told["frames"].as_u64()), (Some("positive"), Some(9)));
    assert_eq!(told["camera"], "exit");
}

#[test]
fn without_the_consent_nothing_is_told_of_the_look() {
    let mut site = Site::new();
    seen(&mut site, "m1", "exit", 1, false);
    smiles(&mut site, "exit", 1);
    site.wait(60.0);
    assert_eq!(site.kinds(), ["arrival", "departure"]);
}

#[test]
fn a_consent_withdrawn_during_the_visit_is_effective_before_the_exit() {
    let mut site = Site::new();
    seen(&mut site, "m1", "exit", 1, true);
    smiles(&mut site, "exit", 1);
    let standing = Standing { facts: facts("m1"), plates: vec![], face: true };
    site.give(&[Input::MemberChanged { member_ref: "m1".into(), standing: Some(standing) }]);
    site.wait(60.0);
    assert_eq!(site.kinds(), ["arrival", "departure"]);
}

#[test]
fn who_turns_back_at_the_door_has_not_left_with_that_look() {
    let mut site = Site::new();
    seen(&mut site, "m1", "exit", 1, true);
    smiles(&mut site, "exit", 1);
    site.wait(2.0);
    seen(&mut site, "m1", "showroom", 2, true);
    site.watch(&key("showroom", 2), None, 30.0);
    assert_eq!(site.kinds(), ["arrival"]);
}

#[test]
fn the_face_consent_withdrawn_ends_a_visit_on_foot_and_leaves_the_car() {
    let mut site = Site::new();
    seen(&mut site, "m1", "showroom", 1, false);
    let standing = Standing { facts: facts("m1"), plates: vec!["皖Am1".into()], face: false };
    site.give(&[Input::MemberChanged { member_ref: "m1".into(), standing: Some(standing.clone()) }]);
    assert_eq!(site.kinds(), ["arrival", "departure"]);
    assert_eq!(site.last()["closed_by"], "withdrawn");

    let mut site = Site::new();
    site.sight("m1", "gate", 1, None);
    seen(&mut site, "m1", "showroom", 1, false);
    site.give(&[Input::MemberChanged { member_ref: "m1".into(), standing: Some(standing) }]);
    assert_eq!(site.kinds(), ["arrival"]);
}

#[test]
fn members_who_come_together_name_each_other() {
    let mut site = Site::new();
    seen(&mut site, "m1", "showroom", 1, false);
    site.wait(5.0);
    seen(&mut site, "m2", "showroom", 2, false);
    site.wait(60.0);
    seen(&mut site, "m3", "showroom", 3, false);
    site.wait(4000.0);
    let arrivals = site.of_kind("arrival");
    assert_eq!(arrivals[0].get("companions"), None);
    assert_eq!(arrivals[1]["companions"], serde_json::json!(["e-1"]));
    assert_eq!(arrivals[2].get("companions"), None);
    assert_eq!(site.of_kind("departure")[0]["companions"], serde_json::json!(["e-2"]));
}
