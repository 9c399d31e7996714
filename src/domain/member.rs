//! A member: who may be recognised, by what, for what, and until when.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// One member as the list holds it.
#[derive(Clone, Debug, Default, Deserialize, Serialize, PartialEq)]
#[serde(default)]
pub struct Member {
    /// Opaque name that the platform gave; never a person's name, a phone number or a plate.
    pub member_ref: String,
    /// Normalised plates (`domain::plate::normalise`), without duplicates.
    pub plates: Vec<String>,
    /// Loyalty tier as the platform calls it, such as `gold`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tier: Option<String>,
    /// The list it stands on: `member`, `vip`, `blocked`, … as the platform calls it.
    pub list: String,
    /// Who listed it: group, brand, dealer, store or partner.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub organisation: Option<String>,
    /// Not matched before.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub valid_from: Option<Timestamp>,
    /// Not matched from then on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub valid_until: Option<Timestamp>,
    /// Weekly windows in the site's time zone in which it is matched; empty: always.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub windows: Vec<WeeklyWindow>,
    /// What the member agreed to.
    pub consents: Consents,
    /// End of the consent lease; not matched from then on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub not_after: Option<Timestamp>,
    /// What the platform wants echoed in every event, by name.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub external_ids: BTreeMap<String, String>,
}

/// Independent consents; each opens one purpose and no other.
#[derive(Clone, Copy, Debug, Default, Deserialize, Serialize, PartialEq, Eq, Hash)]
#[serde(default)]
pub struct Consents {
    /// May be matched by plate.
    pub plate: bool,
    /// May be matched by face.
    pub face: bool,
    /// Time spent in zones may be told.
    pub dwell: bool,
    /// The expression on leaving may be told.
    pub expression: bool,
}

impl Consents {
    /// Names as they stand in files, with their switches.
    pub fn named(&self) -> [(&'static str, bool); 4] {
        [("plate", self.plate), ("face", self.face), ("dwell", self.dwell), ("expression", self.expression)]
    }
}

/// A window of the week, such as Monday to Friday 08:00–18:30; `from` after `to` runs over midnight.
#[derive(Clone, Debug, Deserialize, Serialize, PartialEq)]
pub struct WeeklyWindow {
    /// Days on which it begins, 1 = Monday … 7 = Sunday.
    pub days: Vec<u8>,
    /// First minute of the day, 0..1440.
    pub from_minute: u16,
    /// First minute after the window, 0..=1440.
    pub to_minute: u16,
}

/// Why a member is not matched at the moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum NotMatched {
    /// No consent for this sense.
    NoConsent,
    /// Before `valid_from`.
    NotYetValid,
    /// At or after `valid_until`.
    Expired,
    /// At or after the end of the consent lease.
    LeaseRunOut,
    /// Outside every weekly window.
    OutsideWindow,
}

impl Member {
    /// May the member be matched by plate at `now`? `local` is `(day 1..=7, minute of the day)` at the site.
    pub fn plate_matchable(&self, now: Timestamp, local: (u8, u16)) -> Result<(), NotMatched> {
        self.matchable(self.consents.plate, now, local)
    }

    /// May the member be matched by face at `now`? As [`Member::plate_matchable`].
    pub fn face_matchable(&self, now: Timestamp, local: (u8, u16)) -> Result<(), NotMatched> {
        self.matchable(self.consents.face, now, local)
    }

    fn matchable(&self, consent: bool, now: Timestamp, local: (u8, u16)) -> Result<(), NotMatched> {
        if !consent {
            return Err(NotMatched::NoConsent);
        }
        if self.valid_from.is_some_and(|from| now < from) {
            return Err(NotMatched::NotYetValid);
        }
        if self.valid_until.is_some_and(|until| now >= until) {
            return Err(NotMatched::Expired);
        }
        if self.not_after.is_some_and(|end| now >= end) {
            return Err(NotMatched::LeaseRunOut);
        }
        let open = self.windows.is_empty() || self.windows.iter().any(|window| window.holds(local.0, local.1));
        if open { Ok(()) } else { Err(NotMatched::OutsideWindow) }
    }
}

impl WeeklyWindow {
    /// Does the minute of that day lie in the window?
    pub fn holds(&self, day: u8, minute: u16) -> bool {
        let begins = |on: u8| self.days.contains(&on);
        let yesterday = if day == 1 { 7 } else { day - 1 };
        if self.from_minute <= self.to_minute {
            begins(day) && (self.from_minute..self.to_minute).contains(&minute)
        } else {
            (begins(day) && minute >= self.from_minute) || (begins(yesterday) && minute < self.to_minute)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn member() -> Member {
        let consents = Consents { plate: true, ..Consents::default() };
        Member { member_ref: "m1".into(), consents, ..Member::default() }
    }

    #[test]
    fn matching_stops_the_moment_the_lease_runs_out() {
        let end: Timestamp = "2026-01-01T00:00:00Z".parse().unwrap();
        let leased = Member { not_after: Some(end), ..member() };
        let before = end - jiff::SignedDuration::from_secs(1);
        assert_eq!(leased.plate_matchable(before, (1, 0)), Ok(()));
        assert_eq!(leased.plate_matchable(end, (1, 0)), Err(NotMatched::LeaseRunOut));
    }

    #[test]
    fn without_the_plate_consent_nobody_is_matched() {
        let silent = Member { consents: Consents { dwell: true, ..Consents::default() }, ..member() };
        assert_eq!(silent.plate_matchable(Timestamp::UNIX_EPOCH, (1, 0)), Err(NotMatched::NoConsent));
    }

    #[test]
    fn a_window_over_midnight_belongs_to_the_day_on_which_it_begins() {
        let night = WeeklyWindow { days: vec![7], from_minute: 22 * 60, to_minute: 6 * 60 };
        assert!(night.holds(7, 23 * 60));
        assert!(night.holds(1, 5 * 60));
        assert!(!night.holds(7, 5 * 60));
        assert!(!night.holds(1, 23 * 60));
    }
}
