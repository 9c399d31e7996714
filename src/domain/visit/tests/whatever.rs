//! What holds whatever happens.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;

#[derive(Clone, Debug)]
enum Step {
    Sighting(u8, u8, u8, u8),
    Presence(u8, u8, u8),
    TrackEnded(u8, u8),
    Withdrawn(u8),
    Wait(u16),
    ClockJump(i32),
    Restart(u16),
}

const CAMERAS: [&str; 3] = ["gate", "lot", "exit"];
const ZONES: [Option<&str>; 3] = [None, Some("a"), Some("b")];

fn step() -> impl Strategy<Value = Step> {
    let small = || 0..3_u8;
    prop_oneof![
        6 => (small(), small(), small(), small()).prop_map(|(m, c, t, z)| Step::Sighting(m, c, t, z)),
        10 => (small(), small(), small()).prop_map(|(c, t, z)| Step::Presence(c, t, z)),
        1 => (small(), small()).prop_map(|(c, t)| Step::TrackEnded(c, t)),
        1 => small().prop_map(Step::Withdrawn),
        8 => (0..90_u16).prop_map(Step::Wait),
        1 => (1000..3000_u16).prop_map(Step::Wait),
        1 => (-40_000_000..40_000_000_i32).prop_map(Step::ClockJump),
        1 => (0..5000_u16).prop_map(Step::Restart),
    ]
}

fn take(site: &mut Site, step: &Step) {
    let camera = |number: u8| CAMERAS[usize::from(number)];
    let place = |number: u8| ZONES[usize::from(number)].and_then(zone);
    match *step {
        Step::Sighting(member, c, track, z) => site.sight(&format!("m{member}"), camera(c), u64::from(track), place(z)),
        Step::Presence(c, track, z) => {
            let (key, at) = (key(camera(c), u64::from(track)), uptime(site.now));
            site.give(&[Input::Presence { key, at, zone: place(z) }]);
        }
        Step::TrackEnded(c, track) => site.give(&[Input::TrackEnded { key: key(camera(c), u64::from(track)) }]),
        Step::Withdrawn(member) => {
            site.give(&[Input::MemberChanged { member_ref: format!("m{member}"), standing: None }]);
        }
        Step::Wait(seconds) => {
            site.now += f64::from(seconds);
            site.give(&[]);
        }
        Step::ClockJump(seconds) => site.wall += SignedDuration::from_secs(i64::from(seconds)),
        Step::Restart(away) => restart(site, away),
    }
}

fn restart(site: &mut Site, away: u16) {
    let wall = site.present().moment.wall;
    let stamp = |boot_ms| Stamp { boot_id: "b".into(), boot_ms, wall, quality: TimeQuality::Unsynced };
    let visits = site.book.visits.values().map(|visit| visit.save(uptime(site.now), &stamp(0))).collect();
    let next = site.book.propose(&site.present(), &[]).next_number();
    site.book = VisitBook::new(VisitRules::new(&settings()), "e", next);
    site.now = 1.0;
    site.book.restore(visits, uptime(1.0), &stamp(u64::from(away) * 1000));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn every_visit_has_one_arrival_and_one_departure_and_sound_durations(steps in prop::collection::vec(step(), 1..60)) {
        // In the middle of the times that can be written, so that no clock step leaves them.
        let mut site = Site { wall: "2020-01-01T00:00:00Z".parse().unwrap(), ..Site::new() };
        for step in &steps {
            take(&mut site, step);
        }
        site.now += 10_000.0;
        site.give(&[]);
        let mut visits: BTreeMap<String, (u32, u32)> = BTreeMap::new();
        for event in &site.events {
            let data = &event["data"];
            let counts = visits.entry(data["visit_id"].as_str().unwrap().to_owned()).or_default();
            match kind(event) {
                "arrival" => counts.0 += 1,
                "departure" => counts.1 += 1,
                _ => {
                    let (min, max) = (data["seconds_min"].as_f64().unwrap(), data["seconds_max"].as_f64().unwrap());
                    prop_assert!(5.0 <= min && min <= max, "{}", data);
                }
            }
            prop_assert!(counts.0 == 1 && counts.1 <= 1, "{:?} at {}", counts, event);
            prop_assert!(data["seconds"].as_f64().unwrap_or(0.0) >= 0.0);
        }
        prop_assert!(visits.values().all(|counts| *counts == (1, 1)), "{:?}", visits);
        prop_assert!(site.book.overview(site.present().moment).is_empty());
    }
}
