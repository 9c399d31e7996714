//! Is the plate one of ours? A likelihood-ratio test over the pooled evidence, not a comparison of strings.
//!
//! Every listed plate near a plausible reading is scored in the same evidence as the best string that is *not*
//! listed. What is compared is the ratio of the two, so a listed plate is found when single characters are unreadable
//! and no other string explains them clearly better, and a stranger's plate one character away is refused because its
//! own string explains the evidence far better than the member's. The threshold is calibrated for a stated false-accept rate over a list of
//! 10,000 and scaled to the list at hand (Neyman–Pearson; the open-set rate grows with the number of listed plates).

use std::collections::BTreeSet;

use super::calibration::Calibration;
use super::list::{Owner, PlateList};
use super::reading::Pool;

/// Listed plates near one reading that are scored.
const MOST_NEAR: usize = 24;
/// Readings that are looked up.
const MOST_READINGS: usize = 6;
/// Places in which a listed plate may differ from a reading to be scored at all.
const MOST_DIFFERENCES: u32 = 3;
/// When every plausible string is listed, the unlisted rival is assumed to be so much worse than the best, in nats.
const NO_RIVAL: f32 = 12.0;
/// Two listed plates of different members whose scores lie nearer, in nats, are not told apart.
const AMBIGUOUS: f32 = 2.0;
/// Mean log-likelihood of a character below which the picture does not show this plate, however bad the rivals are.
const LEAST_FIT: f32 = -2.2;

/// A listed plate, scored.
#[derive(Clone, Debug, PartialEq)]
pub struct Match {
    /// The listed plate.
    pub plate: String,
    /// The members who have it.
    pub owners: Vec<Owner>,
    /// Log-likelihood ratio against the best string that is not listed, in nats.
    pub ratio: f32,
    /// What was asked of the ratio.
    pub threshold: f32,
    /// Edits (Levenshtein) between it and the best reading.
    pub differs: usize,
    /// Mean log-likelihood of a character in a frame.
    pub fit: f32,
    /// Frames pooled.
    pub frames: u32,
    /// How sure it is no stranger's, 0..1: one less the share of strangers that reach the ratio. 0 until it was tested.
    pub confidence: f32,
}

/// The answer.
#[derive(Clone, Debug, PartialEq)]
pub enum Verdict {
    /// One of ours.
    Listed(Match),
    /// Two listed plates of different members fit about equally.
    Ambiguous(Match, Match),
    /// Not one of ours, or not surely; the best listed plate when there was one near.
    NotListed(Refusal, Option<Match>),
}

/// Why a plate is not taken for a member's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// No string was read at all.
    NothingRead,
    /// No listed plate is near.
    NoneNear,
    /// A string that is not listed explains the evidence better, or nearly as well.
    BetterUnlisted,
    /// The listed plate is the best string, but hardly explains the picture.
    PoorFit,
}

impl Refusal {
    /// The word used in output and documents.
    pub fn word(self) -> &'static str {
        match self {
            Self::NothingRead => "nothing-read",
            Self::NoneNear => "none-near",
            Self::BetterUnlisted => "better-unlisted",
            Self::PoorFit => "poor-fit",
        }
    }
}

/// Asks whether the plate is listed, at a stated false-accept rate over the whole list.
pub fn test(pool: &Pool, list: &PlateList, calibration: &Calibration, false_accept_rate: f64) -> Verdict {
    let threshold = calibration.threshold(false_accept_rate, list.len());
    let mut matches = matches(pool, list, threshold);
    if matches.is_empty() {
        let refusal = if pool.ranked().is_empty() { Refusal::NothingRead } else { Refusal::NoneNear };
        return Verdict::NotListed(refusal, None);
    }
    let mut best = matches.remove(0);
    best.confidence = (1.0 - calibration.rate_of(best.ratio, list.len())) as f32;
    if best.ratio < threshold {
        return Verdict::NotListed(Refusal::BetterUnlisted, Some(best));
    }
    if best.fit < LEAST_FIT {
        return Verdict::NotListed(Refusal::PoorFit, Some(best));
    }
    let rival = matches.into_iter().find(|other| other.owners != best.owners);
    match rival {
        Some(other) if best.ratio - other.ratio < AMBIGUOUS => Verdict::Ambiguous(best, other),
        _ => Verdict::Listed(best),
    }
}

/// The listed plates near what was read, best ratio first.
pub fn matches(pool: &Pool, list: &PlateList, threshold: f32) -> Vec<Match> {
    let ranked = pool.ranked();
    let Some(&(first, top, _)) = ranked.first() else { return Vec::new() };
    let reading = ranked.iter().find(|entry| entry.2).map_or(first, |entry| entry.0);
    let unlisted = ranked.iter().filter(|entry| !list.contains(entry.0)).map(|entry| entry.1);
    let rival = unlisted.fold(top - NO_RIVAL, f32::max);
    let readings = ranked.iter().take(MOST_READINGS);
    let near: BTreeSet<String> =
        readings.flat_map(|entry| list.near(entry.0, MOST_DIFFERENCES, MOST_NEAR)).map(|listed| listed.plate).collect();
    let mut found: Vec<Match> = near
        .into_iter()
        .map(|plate| Match {
            ratio: pool.score_with_prior(&plate) - rival,
            owners: list.owners(&plate),
            fit: pool.fit(&plate),
            frames: pool.frames(),
            confidence: 0.0,
            threshold,
            differs: strsim::levenshtein(reading, &plate),
            plate,
        })
        .collect();
    found.sort_by(|a, b| b.ratio.total_cmp(&a.ratio).then_with(|| a.plate.cmp(&b.plate)));
    found
}

#[cfg(test)]
mod tests {
    use super::super::confusion::Confusions;
    use super::super::evidence::fixtures;
    use super::super::grammar::Grammar;
    use super::super::reading::Interpreter;
    use super::*;

    fn pool(frames: &[&[&str]]) -> Pool {
        let mut interpreter = Interpreter::new(Grammar::built_in("cn").unwrap(), Confusions::default());
        let mut pool = Pool::default();
        frames.iter().for_each(|frame| pool.add(&mut interpreter, &fixtures::ctc(frame), &[]));
        pool
    }

    fn list(plates: &[&str]) -> PlateList {
        PlateList::build(plates.iter().enumerate().map(|(owner, plate)| (plate.to_string(), owner as Owner))).0
    }

    fn verdict(frame: &[&str], plates: &[&str]) -> Verdict {
        test(&pool(&[frame]), &list(plates), &Calibration::default(), 0.001)
    }

    #[test]
    fn a_listed_plate_is_found_although_one_character_is_unreadable() {
        let unreadable = "0:0.1,1:0.1,2:0.1,3:0.1,5:0.12,6:0.1,7:0.1,8:0.1,9:0.1";
        let seen = ["皖", "A", "1", "2", "3", unreadable, "5"];
        let calibration = Calibration::new(vec![(0.001, -1.0)]).unwrap();
        let found = test(&pool(&[&seen]), &list(&["皖A12385", "苏E99999"]), &calibration, 0.001);
        let Verdict::Listed(found) = found else { panic!("{found:?}") };
        assert_eq!((found.plate.as_str(), found.owners.as_slice()), ("皖A12385", [0].as_slice()));
    }

    #[test]
    fn a_stranger_one_character_away_is_not_taken_for_the_member() {
        let found = verdict(&["皖", "A", "1", "2", "3", "4", "5"], &["皖A12346", "皖A12845"]);
        let Verdict::NotListed(Refusal::BetterUnlisted, Some(near)) = found else { panic!("{found:?}") };
        assert!(near.ratio < -3.0 && near.differs == 1);
    }

    #[test]
    fn two_listed_plates_that_both_fit_are_ambiguous_unless_one_member_has_both() {
        let seen = ["皖", "A", "1", "2", "3", "4", "8:0.5,B:0.48"];
        assert!(matches!(verdict(&seen, &["皖A12348", "皖A1234B"]), Verdict::Ambiguous(..)));
        let own = PlateList::build([("皖A12348".to_owned(), 5), ("皖A1234B".to_owned(), 5)]).0;
        let found = test(&pool(&[&seen]), &own, &Calibration::default(), 0.001);
        assert!(matches!(found, Verdict::Listed(_)), "{found:?}");
    }

    #[test]
    fn an_empty_list_an_empty_pool_and_a_far_plate_have_their_reasons() {
        let seen = ["皖", "A", "1", "2", "3", "4", "5"];
        assert_eq!(verdict(&seen, &[]), Verdict::NotListed(Refusal::NoneNear, None));
        assert_eq!(verdict(&seen, &["川Z98765"]), Verdict::NotListed(Refusal::NoneNear, None));
        let nothing = test(&Pool::default(), &list(&["皖A12345"]), &Calibration::default(), 0.001);
        assert_eq!(nothing, Verdict::NotListed(Refusal::NothingRead, None));
    }
}
