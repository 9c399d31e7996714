//! How many who are no members passed each camera: numbers by the quarter of an hour, and none below five.

use std::collections::BTreeMap;

use jiff::Timestamp;

use crate::domain::event::StrangerCount;

/// Length of a quarter of an hour, in milliseconds.
const QUARTER: i64 = 15 * 60 * 1000;
/// A smaller number could be told from who was there.
const FLOOR: u32 = 5;

/// The counts of the running quarter.
#[derive(Debug, Default)]
pub(super) struct Strangers {
    quarter: Option<i64>,
    counts: BTreeMap<String, (u32, u32)>,
}

impl Strangers {
    /// Counts vehicles and people of a camera.
    pub fn add(&mut self, camera: &str, vehicles: u32, people: u32) {
        if vehicles + people > 0 {
            let count = self.counts.entry(camera.to_owned()).or_default();
            *count = (count.0 + vehicles, count.1 + people);
        }
    }

    /// The counts of a quarter that is over. A clock that was set back begins anew.
    pub fn quarter_ended(&mut self, now: Timestamp) -> Vec<StrangerCount> {
        let quarter = now.as_millisecond().div_euclid(QUARTER);
        let before = self.quarter.replace(quarter);
        let Some(over) = before.filter(|before| *before != quarter) else { return Vec::new() };
        let counts = std::mem::take(&mut self.counts);
        if over > quarter {
            return Vec::new();
        }
        let told = |count: u32| (count >= FLOOR).then_some(count);
        let instant = |quarter: i64| Timestamp::from_millisecond(quarter * QUARTER).unwrap_or(now);
        counts
            .into_iter()
            .map(|(camera, (vehicles, people))| StrangerCount {
                camera,
                from: instant(over),
                until: instant(over + 1),
                vehicles: told(vehicles),
                people: told(people),
            })
            .filter(|count| count.vehicles.is_some() || count.people.is_some())
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Timestamp {
        format!("2026-03-01T{text}Z").parse().unwrap()
    }

    #[test]
    fn four_are_withheld_and_five_are_told_once_their_quarter_is_over() {
        let mut strangers = Strangers::default();
        assert!(strangers.quarter_ended(at("08:01:00")).is_empty());
        strangers.add("gate", 5, 4);
        strangers.add("lot", 4, 0);
        assert!(strangers.quarter_ended(at("08:14:59")).is_empty());
        let told = strangers.quarter_ended(at("08:15:00"));
        assert_eq!(told.len(), 1);
        assert_eq!((told[0].camera.as_str(), told[0].vehicles, told[0].people), ("gate", Some(5), None));
        assert_eq!((told[0].from, told[0].until), (at("08:00:00"), at("08:15:00")));
        assert!(strangers.quarter_ended(at("08:30:00")).is_empty());
    }

    #[test]
    fn a_clock_that_is_set_back_tells_no_count_of_the_future() {
        let mut strangers = Strangers::default();
        strangers.quarter_ended(at("08:01:00"));
        strangers.add("gate", 9, 0);
        assert!(strangers.quarter_ended(at("06:00:00")).is_empty());
        assert!(strangers.quarter_ended(at("06:15:00")).is_empty());
    }
}
