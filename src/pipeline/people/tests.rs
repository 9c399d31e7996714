//! Stories of people in front of one camera.

use jiff::Timestamp;
use jiff::tz::TimeZone;

use super::*;
use crate::domain::event::ExpressionWord;
use crate::domain::face::gallery::{Gallery, Impostors, Policy};
use crate::domain::face::{Embedding, FaceQuality};
use crate::domain::geometry::Point;
use crate::store::members::{ImportOptions, MemberStore};

const SPACE: &str = "test-1";
const NUMBERS: usize = 16;

fn vector(hot: usize, noise: f32) -> Embedding {
    let mut values = vec![0.0_f32; NUMBERS];
    values[hot] = 1.0;
    values[(hot + 1) % NUMBERS] = noise;
    Embedding::new(&values).unwrap()
}

/// Members `m0`, `m1`, … with those consents; the gallery knows each by its own direction.
fn directory(consents: &[&str]) -> Directory {
    let mut store = MemberStore::in_memory().unwrap();
    let mut lines = String::from("member_ref,plate,consents\n");
    for (number, consents) in consents.iter().enumerate() {
        lines.push_str(&format!("m{number},皖A1234{number},{consents}\n"));
    }
    let options = ImportOptions::at(Timestamp::UNIX_EPOCH);
    let report = store.import(std::io::Cursor::new(lines), &options, &mut |_| {}).unwrap();
    assert_eq!(report.added as usize, consents.len());
    let mut ids = Vec::new();
    store
        .each(&crate::store::members::Filter::default(), |id, member| {
            ids.push((id, member.member_ref));
            Ok::<_, crate::store::members::StoreError>(())
        })
        .unwrap();
    ids.sort_by(|a, b| a.1.cmp(&b.1));
    let templates: Vec<Embedding> = (0..ids.len()).map(|hot| vector(hot, 0.0)).collect();
    let policy = Policy::new(Impostors::normal(0.0, 0.1), 0.01);
    let gallery = Gallery::build(SPACE, policy, ids.iter().map(|(id, _)| *id).zip(&templates)).unwrap();
    let mut directory = Directory::new(store, TimeZone::UTC, "cn").unwrap();
    directory.set_gallery(Some(gallery));
    directory.allow_faces(true);
    directory
}

fn watch(role: CameraRole) -> PeopleWatch {
    let rules = FaceRules {
        space: SPACE.to_owned(),
        min_frames: 3,
        best_frames: 8,
        expression_window: Duration::from_secs(3),
        lost_after: Duration::from_secs(2),
    };
    PeopleWatch::new("door", role, ZoneMap::new("door", role, vec![]), rules)
}

fn face(x: f32, embedding: Option<Embedding>, smile: bool) -> FaceObservation {
    let rect = Rect::centred(Point::new(x, 300.0), 90.0, 110.0);
    let classes = vec![("happiness".to_owned(), 0.9), ("neutral".to_owned(), 0.1)];
    let expression = Expression { positive: 0.9, neutral: 0.1, negative: 0.0, classes };
    FaceObservation {
        rect,
        points: [rect.centre(); 5],
        detection: 0.9,
        quality: FaceQuality { score: 0.8, ..FaceQuality::default() },
        embedding,
        expression: smile.then_some(expression),
        rejected: None,
    }
}

fn now(ms: u64) -> Moment {
    let start: Timestamp = "2026-03-01T08:00:00Z".parse().unwrap();
    Moment::new(Uptime::from_millis(ms), start + jiff::SignedDuration::from_millis(ms as i64))
}

/// Five frames a second of one face that walks; the kinds of what came of it.
fn walk(watch: &mut PeopleWatch, directory: &Directory, hot: usize, from: u64, to: u64, smile: bool) -> Vec<Input> {
    let mut inputs = Vec::new();
    for ms in (from..to).step_by(200) {
        let attention = watch.attention();
        let x = 300.0 + ms as f32 / 50.0;
        let wanted = attention.first().is_none_or(|each| each.due <= now(ms).uptime);
        let looked_at = attention.first().is_some_and(|each| each.expression);
        let embedding = wanted.then(|| vector(hot, 0.1 + (ms % 3) as f32 / 20.0));
        let seen = vec![face(x, embedding, smile && looked_at)];
        inputs.extend(watch.frame(seen, (1280, 720), now(ms), directory));
    }
    inputs
}

fn count(inputs: &[Input], wanted: impl Fn(&Input) -> bool) -> usize {
    inputs.iter().filter(|input| wanted(input)).count()
}

fn sightings(inputs: &[Input]) -> Vec<&Sighting> {
    let of = |input: &Input| matches!(input, Input::Sighting(_));
    let all = inputs.iter().filter(|input| of(input));
    all.map(|input| if let Input::Sighting(sighting) = input { &**sighting } else { unreachable!() }).collect()
}

#[test]
fn a_member_is_told_once_and_then_followed() {
    let directory = directory(&["face;dwell", "face"]);
    let mut watch = watch(CameraRole::Showroom);
    let inputs = walk(&mut watch, &directory, 1, 0, 4_000, true);
    let told = sightings(&inputs);
    assert_eq!(told.len(), 1);
    assert_eq!((told[0].member.member_ref.as_str(), told[0].modality), ("m1", Modality::Face));
    assert!(told[0].confidence > 0.99 && told[0].evidence.score > told[0].evidence.threshold);
    assert!(!told[0].evidence.why.contains("m1"));
    assert!(count(&inputs, |input| matches!(input, Input::Presence { .. })) > 10);
    assert_eq!(count(&inputs, |input| matches!(input, Input::Expression { .. })), 0);
    let gone = watch.pass(now(20_000), &directory);
    assert!(matches!(gone.as_slice(), [Input::TrackEnded { .. }]));
    assert_eq!(watch.take_strangers(), 0);
}

#[test]
fn a_stranger_leaves_nothing_but_a_number() {
    let directory = directory(&["face"]);
    let mut watch = watch(CameraRole::Exit);
    let inputs = walk(&mut watch, &directory, 9, 0, 4_000, true);
    assert!(inputs.is_empty(), "{inputs:?}");
    assert!(watch.pass(now(20_000), &directory).is_empty());
    assert_eq!((watch.take_strangers(), watch.take_strangers(), watch.counts().members), (1, 0, 0));
}

#[test]
fn vectors_of_a_face_out_of_sight_are_gone_after_a_second() {
    let directory = directory(&["face"]);
    let mut watch = watch(CameraRole::Showroom);
    walk(&mut watch, &directory, 9, 0, 1_000, false);
    let held = |watch: &PeopleWatch| watch.tracks.values().map(|person| person.pool.frames()).sum::<u32>();
    watch.pass(now(1_700), &directory);
    assert!(held(&watch) > 0);
    watch.pass(now(1_900), &directory);
    assert_eq!((held(&watch), watch.live()), (0, 1));
}

#[test]
fn without_the_face_consent_nobody_is_told_though_the_gallery_may_still_hold_the_template() {
    let directory = directory(&["plate;dwell"]);
    let mut watch = watch(CameraRole::Showroom);
    assert!(walk(&mut watch, &directory, 0, 0, 4_000, false).is_empty());
}

#[test]
fn while_faces_are_not_allowed_nobody_is_told() {
    let mut directory = directory(&["face"]);
    directory.allow_faces(false);
    let mut watch = watch(CameraRole::Showroom);
    assert!(walk(&mut watch, &directory, 0, 0, 4_000, false).is_empty());
}

#[test]
fn the_look_of_a_member_who_agreed_is_pooled_at_the_exit() {
    let directory = directory(&["face;expression", "face"]);
    let mut exit = watch(CameraRole::Exit);
    let inputs = walk(&mut exit, &directory, 0, 0, 4_000, true);
    let mut looks = inputs.iter().filter_map(|input| match input {
        Input::Expression { look, .. } => Some(look),
        _ => None,
    });
    let last = looks.next_back().unwrap();
    assert_eq!((last.expression, last.positive > 0.85), (ExpressionWord::Positive, true));
    assert!(last.frames >= 10 && last.seconds > 1.0);

    let mut exit = watch(CameraRole::Exit);
    let silent = walk(&mut exit, &directory, 1, 0, 4_000, true);
    assert_eq!(count(&silent, |input| matches!(input, Input::Expression { .. })), 0);
}

#[test]
fn two_members_in_turn_at_one_place_are_two_tracks() {
    let directory = directory(&["face", "face"]);
    let mut watch = watch(CameraRole::Showroom);
    let mut inputs = walk(&mut watch, &directory, 0, 0, 2_000, false);
    // The next one stands there without a gap.
    for ms in (2_000..8_000_u64).step_by(200) {
        let seen = vec![face(340.0, Some(vector(1, 0.1)), false)];
        inputs.extend(watch.frame(seen, (1280, 720), now(ms), &directory));
    }
    let told: Vec<&str> = sightings(&inputs).iter().map(|sighting| sighting.member.member_ref.as_str()).collect();
    assert_eq!(told, ["m0", "m1"]);
    assert_eq!(count(&inputs, |input| matches!(input, Input::TrackEnded { .. })), 1);
}

#[test]
fn a_consent_withdrawn_in_the_picture_ends_the_track_for_the_visit() {
    let mut directory = directory(&["face;expression"]);
    let mut watch = watch(CameraRole::Exit);
    walk(&mut watch, &directory, 0, 0, 2_000, true);
    directory.withdraw_for_tests("m0");
    let inputs = walk(&mut watch, &directory, 0, 4_200, 6_000, true);
    assert!(matches!(inputs.as_slice(), [Input::TrackEnded { .. }, ..]), "{inputs:?}");
    assert_eq!(count(&inputs, |input| matches!(input, Input::Expression { .. } | Input::Sighting(_))), 0);
    assert!(watch.attention().iter().all(|each| !each.expression));
}
