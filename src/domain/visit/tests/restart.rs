//! Kills, power cuts and clocks that jump.

use super::*;

#[test]
fn a_box_that_took_up_no_visit_holds_no_absence_back() {
    let mut site = Site::new();
    let stamp = Stamp { boot_id: "b".into(), boot_ms: 0, wall: site.wall, quality: TimeQuality::Synced };
    site.book.restore(Vec::new(), uptime(0.0), &stamp);
    site.sight("m1", "gate", 1, zone("bay"));
    site.watch(&key("gate", 1), zone("bay").as_ref(), 10.0);
    site.wait(31.0);
    assert_eq!(site.kinds(), ["arrival", "dwell"], "the stay ended after `dwell_gap`, not after a minute");
}

const QUALITIES: [TimeQuality; 2] = [TimeQuality::Synced, TimeQuality::Unsynced];

fn stamp(boot: &str, boot_seconds: f64, wall: Timestamp, quality: TimeQuality) -> Stamp {
    Stamp { boot_id: boot.into(), boot_ms: (boot_seconds * 1e3) as u64, wall, quality }
}

/// All open visits through JSON, as a disk would keep them.
fn saved(site: &Site, stamp: &Stamp) -> Vec<SavedVisit> {
    let visits = site.book.visits.values().map(|visit| visit.save(uptime(site.now), stamp));
    visits.map(|visit| serde_json::from_str(&serde_json::to_string(&visit).unwrap()).unwrap()).collect()
}

#[test]
fn who_is_still_at_the_exit_after_a_restart_has_not_come_back() {
    for (away, arrivals) in [(30.0, 1), (200.0, 2)] {
        let mut site = Site::new();
        site.sight("m1", "lot", 1, None);
        site.wait(20.0);
        let mut echoes = Vec::new();
        let exit = [Input::Sighting(Box::new(site.sighting("m1", "exit", 2, None)))];
        site.give(&exit);
        while echoes.is_empty() {
            site.now += 1.0;
            let change = site.book.propose(&site.present(), &[]);
            let wall = site.present().moment.wall;
            let stamp = stamp("boot", 1000.0 + site.now, wall, TimeQuality::Synced);
            echoes = change.echoes(uptime(site.now), &stamp).collect();
            assert!(echoes.is_empty() || change.is_durable());
            let disk = serde_json::to_string(&echoes).unwrap();
            echoes = serde_json::from_str(&disk).unwrap();
            site.give(&[]);
        }
        assert_eq!(site.kinds().last(), Some(&"departure"));
        // Killed and back in the same boot; the car still stands before the barrier.
        let back_at = stamp("boot", 1000.0 + site.now + away, site.wall, TimeQuality::Unsynced);
        let mut back = Site { events: site.events, ..Site::new() };
        back.book.restore_echoes(echoes, uptime(1.0), &back_at);
        back.now = 2.0;
        back.sight("m1", "exit", 1, None);
        assert_eq!(back.of_kind("arrival").len(), arrivals, "{away} s later");
    }
}

/// A car parks for 100 s, the process is killed and is back after 50 s of the same boot with that wall clock; the car is
/// seen again, leaves at second 400 of the story.
fn killed_and_back(wall_after: Timestamp) -> Site {
    let mut site = Site::new();
    site.sight("m1", "lot", 1, None);
    site.watch(&key("lot", 1), zone("a").as_ref(), 100.0);
    let wall = site.present().moment.wall;
    let visits = saved(&site, &stamp("boot", 1100.0, wall, TimeQuality::Synced));

    let mut back = Site { events: site.events, wall: wall_after, ..Site::new() };
    back.now = 2.0;
    back.book.restore(visits, uptime(2.0), &stamp("boot", 1150.0, wall_after, TimeQuality::Unsynced));
    back.wait(10.0);
    back.sight("m1", "lot", 1, zone("a"));
    back.watch(&key("lot", 1), zone("a").as_ref(), 252.0);
    back.watch(&key("lot", 1), None, 300.0);
    back
}

#[test]
fn after_a_kill_there_is_no_second_arrival_and_the_dwell_goes_on() {
    for wall in ["2026-03-01T08:02:30Z", "1970-01-01T00:00:10Z", "2027-04-05T00:00:00Z", "2025-01-25T00:00:00Z"] {
        let site = killed_and_back(wall.parse().unwrap());
        assert_eq!(site.of_kind("arrival").len(), 1, "{wall}");
        let dwells = site.of_kind("dwell");
        let ended = dwells.last().unwrap();
        // In the zone from second 1 to second 400 of the story: 50 s of it nobody looked.
        assert_eq!((ended["ended"].as_bool(), ended["seconds_min"].as_f64()), (Some(true), Some(399.0)), "{wall}");
        assert_eq!(ended["seconds_max"], 401.0, "{wall}");
        let marks: Vec<_> = dwells.iter().map(|dwell| dwell["checkpoint"].as_u64()).collect();
        assert_eq!(marks, [Some(1), Some(2), None], "{wall}");
    }
}

#[test]
fn a_reboot_with_a_trusted_clock_is_counted_by_it_and_without_by_none() {
    for quality in QUALITIES {
        let mut site = Site::new();
        site.sight("m1", "lot", 1, zone("a"));
        site.watch(&key("lot", 1), zone("a").as_ref(), 100.0);
        let wall = site.present().moment.wall;
        let visits = saved(&site, &stamp("one", 1100.0, wall, TimeQuality::Synced));
        let later = wall + SignedDuration::from_secs(90);
        let mut back = Site { wall: later, ..Site::new() };
        back.book.restore(visits, uptime(0.0), &stamp("two", 20.0, later, quality));
        back.now = 10.0;
        back.sight("m1", "lot", 1, zone("a"));
        back.wait(200.0);
        let expected = if quality == TimeQuality::Synced { 200.0 } else { 110.0 };
        assert_eq!(back.kinds(), ["dwell"], "the end; no second arrival, no mark that was told before");
        assert_eq!(back.last()["seconds_min"], expected, "{quality:?}");
    }
}

#[test]
fn a_clock_that_comes_right_after_the_reboot_gives_the_lost_time_back() {
    let mut site = Site::new();
    site.sight("m1", "lot", 1, zone("a"));
    site.watch(&key("lot", 1), zone("a").as_ref(), 100.0);
    let wall = site.present().moment.wall;
    let visits = saved(&site, &stamp("one", 1100.0, wall, TimeQuality::Synced));
    // 90 s later, twice, the box starts with a clock that shows 1970.
    let mut first = Site { wall: Timestamp::UNIX_EPOCH, ..Site::new() };
    first.book.restore(visits, uptime(0.0), &stamp("two", 0.0, Timestamp::UNIX_EPOCH, TimeQuality::Unsynced));
    first.now = 10.0;
    first.sight("m1", "lot", 1, zone("a"));
    let visits = saved(&first, &stamp("two", 10.0, Timestamp::UNIX_EPOCH, TimeQuality::Unsynced));
    let mut second = Site { wall: Timestamp::UNIX_EPOCH, ..Site::new() };
    second.book.restore(visits, uptime(0.0), &stamp("three", 0.0, Timestamp::UNIX_EPOCH, TimeQuality::Unsynced));
    second.now = 10.0;
    second.sight("m1", "lot", 1, zone("a"));
    second.now = 20.0;
    second.wall = wall + SignedDuration::from_secs(90 + 10 + 90);
    second.book.clock_is_right(second.present().moment);
    second.book.clock_is_right(second.present().moment);
    second.sight("m1", "exit", 1, None);
    second.wait(100.0);
    // 100 s before, 90 s without power, 10 s, 90 s without power, 20 s.
    assert_eq!(second.of_kind("departure")[0]["seconds"], 310.0);
    assert_eq!(second.of_kind("departure")[0]["arrived_at"], "2026-03-01T08:00:00.000Z");
    assert_eq!(second.of_kind("dwell")[0]["seconds_min"], 300.0);
}

#[test]
fn a_clock_step_during_a_visit_changes_no_duration() {
    let hour = SignedDuration::from_hours(1);
    for step in [hour, -hour, hour * 24 * 400, -hour * 24 * 400] {
        for start in ["1970-01-01T00:00:05Z", "2026-03-01T08:00:00Z"] {
            let mut site = Site { wall: start.parse().unwrap(), ..Site::new() };
            site.sight("m1", "lot", 1, zone("a"));
            site.watch(&key("lot", 1), zone("a").as_ref(), 30.0);
            site.wall = site.wall.checked_add(step).unwrap();
            site.watch(&key("lot", 1), zone("a").as_ref(), 90.0);
            site.sight("m1", "exit", 1, None);
            site.wait(120.0);
            assert_eq!(site.kinds(), ["arrival", "dwell", "dwell", "departure"], "{start} {step}");
            let (dwell, departure) = (site.of_kind("dwell")[1], site.last());
            assert_eq!((dwell["seconds_min"].as_f64(), departure["seconds"].as_f64()), (Some(90.0), Some(90.0)));
            assert_eq!(departure["zones"][0]["seconds_min"], 90.0);
        }
    }
}

#[test]
fn the_time_without_power_is_no_absence() {
    let mut site = Site::new();
    site.sight("m1", "lot", 1, None);
    let wall = site.present().moment.wall;
    let visits = saved(&site, &stamp("one", 9.0, wall, TimeQuality::Synced));
    let next_day = wall + SignedDuration::from_hours(20);
    let mut back = Site { wall: next_day, ..Site::new() };
    back.book.restore(visits, uptime(0.0), &stamp("two", 9.0, next_day, TimeQuality::Synced));
    back.wait(1859.0);
    assert!(back.events.is_empty(), "cameras get a minute to come up, then absent_after counts");
    back.wait(1860.0);
    assert_eq!(back.last()["closed_by"], "absent");
    assert_eq!(back.last()["last_seen_at"], "2026-03-01T08:00:00.000Z");
    assert_eq!(back.last()["seconds"], 0.0);
}

#[test]
fn a_closing_hour_without_power_still_ends_the_visit() {
    let mut site = Site::new();
    site.sight("m1", "lot", 1, None);
    let wall = site.present().moment.wall;
    let visits = saved(&site, &stamp("one", 9.0, wall, TimeQuality::Synced));
    let next_day = wall + SignedDuration::from_hours(20);
    let closed: Timestamp = "2026-03-01T22:00:00Z".parse().unwrap();
    let mut back = Site { wall: next_day, last_closing: Some(closed), ..Site::new() };
    back.book.restore(visits, uptime(0.0), &stamp("two", 9.0, next_day, TimeQuality::Synced));
    back.give(&[]);
    assert_eq!(back.last()["closed_by"], "closing-hour");
    assert_eq!(back.events[0]["time"], "2026-03-01T22:00:00.000Z");
}

#[test]
fn ids_go_on_where_they_stopped() {
    let mut site = Site::new();
    site.sight("m1", "gate", 1, None);
    let change = site.book.propose(&site.present(), &[]);
    let mut back = VisitBook::new(VisitRules::new(&settings()), "e", change.next_number());
    let input = [Input::Sighting(Box::new(site.sighting("m2", "gate", 2, None)))];
    let change = back.propose(&site.present(), &input);
    assert_eq!(change.saved().map(|(id, visit)| (id, visit.member_ref())).collect::<Vec<_>>(), [("e-2", "m2")]);
    back.apply(change);
    assert_eq!(back.members().collect::<Vec<_>>(), ["m2"]);
}
