//! When to decide: a plate is told as soon as the evidence suffices, once, and looked at rarely from then on.
//!
//! The rule of a sequential test: after every frame the known-plate test is asked; a clear answer ends the question,
//! an unclear one waits for the next frame. Nothing about a stranger outlives its track.

use std::time::Duration;

use super::PlateColour;
use super::calibration::Calibration;
use super::evidence::Evidence;
use super::known::{self, Match, Verdict};
use super::list::PlateList;
use super::reading::{Interpreter, Pool, Reading};
use crate::domain::Uptime;
use crate::domain::observation::{CropQuality, RejectReason};

/// Nats above the threshold at which one frame alone is beyond doubt.
const BEYOND_DOUBT: f32 = 8.0;
/// Every look is another chance to err, so early ones must show more: a listed plate that is not the best reading is
/// taken before this many frames only when its ratio is well above the threshold.
const PATIENT_FOR: u32 = 8;
/// How far above, in nats, at the first frame; it falls to nothing along the frames.
const EARLY_BONUS: f32 = 4.0;
/// Frames after which a plate that is read surely and not listed is taken for a stranger's.
const STRANGER_AFTER: u32 = 4;
/// How sure that reading must be.
const STRANGER_SURE: f32 = 0.95;
/// Frames after which an unclear plate is looked at rarely as well.
const UNCLEAR_AFTER: u32 = 40;
/// First pause between looks at a plate that was decided; it doubles.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
/// Longest pause.
const LONGEST_PAUSE: Duration = Duration::from_secs(16);

/// What a decision is made against.
#[derive(Clone, Copy, Debug)]
pub struct Against<'a> {
    /// The listed plates.
    pub list: &'a PlateList,
    /// Changes whenever the list does.
    pub revision: u64,
    /// Thresholds of the reader at hand.
    pub calibration: &'a Calibration,
    /// Accepted share of strangers over the whole list.
    pub false_accept_rate: f64,
    /// Frames that must agree unless one is beyond doubt.
    pub min_frames: u32,
}

/// Where the question stands.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum Standing {
    /// The evidence does not suffice yet.
    #[default]
    Open,
    /// A listed plate.
    Listed(Match),
    /// Several members' plates fit.
    Ambiguous(Match, Match),
    /// Read surely, and not listed.
    Stranger,
}

/// The reading of one track over its frames.
#[derive(Clone, Debug, Default)]
pub struct TrackReading {
    pool: Pool,
    standing: Standing,
    revision: u64,
    due: Uptime,
    pause: Duration,
    unread: Option<RejectReason>,
    /// Looks at the plate, and how many of them were washed out by light.
    looks: (u32, u32),
}

impl TrackReading {
    /// Is another look worth its cost at this time?
    pub fn wants_reading(&self, at: Uptime) -> bool {
        at >= self.due
    }

    /// The time before which no other look is worth its cost.
    pub fn due(&self) -> Uptime {
        self.due
    }

    /// Where the question stands.
    pub fn standing(&self) -> &Standing {
        &self.standing
    }

    /// What the plate says.
    pub fn reading(&self) -> Option<Reading> {
        self.pool.reading()
    }

    /// A frame in which the plate was found but not read.
    pub fn unreadable(&mut self, reason: RejectReason) {
        self.unread = Some(reason);
    }

    /// A crop was looked at, whatever came of it.
    pub fn looked(&mut self, quality: &CropQuality) {
        self.looks.0 += 1;
        self.looks.1 += u32::from(quality.is_washed_out());
    }

    /// Was it washed out in most looks?
    fn is_washed_out(&self) -> bool {
        self.looks.1 * 2 > self.looks.0
    }

    /// Adds a frame; hands out the new standing when it has just become a decision.
    pub fn add(
        &mut self,
        at: Uptime,
        evidence: &Evidence,
        colours: &[(PlateColour, f32)],
        interpreter: &mut Interpreter,
        against: Against<'_>,
    ) -> Option<&Standing> {
        self.pool.add(interpreter, evidence, colours);
        self.ask(at, against)
    }

    /// Asks again without a new frame when the list has changed since.
    pub fn list_changed(&mut self, at: Uptime, against: Against<'_>) -> Option<&Standing> {
        let asked = self.pool.frames() > 0 && self.revision != against.revision;
        let settled = matches!(self.standing, Standing::Listed(_));
        if asked && !settled { self.ask(at, against) } else { None }
    }

    /// Who has the plate could not be looked up: the next frame asks again.
    pub fn ask_again(&mut self) {
        (self.standing, self.due, self.pause) = (Standing::Open, Uptime::ZERO, Duration::ZERO);
    }

    /// A listed plate whose member is not to be matched (any more): the track is a stranger's.
    pub fn forget(&mut self) {
        self.standing = Standing::Stranger;
    }

    fn ask(&mut self, at: Uptime, against: Against<'_>) -> Option<&Standing> {
        self.revision = against.revision;
        if matches!(self.standing, Standing::Listed(_)) {
            self.rest(at);
            return None;
        }
        let verdict = known::test(&self.pool, against.list, against.calibration, against.false_accept_rate);
        let next = self.weigh(verdict, against.min_frames);
        match next {
            Standing::Open if self.pool.frames() < UNCLEAR_AFTER => self.due = at,
            _ => self.rest(at),
        }
        let news = next != self.standing && matches!(next, Standing::Listed(_) | Standing::Ambiguous(..));
        let was_ambiguous = matches!((&self.standing, &next), (Standing::Ambiguous(..), Standing::Ambiguous(..)));
        self.standing = next;
        (news && !was_ambiguous).then_some(&self.standing)
    }

    fn weigh(&self, verdict: Verdict, min_frames: u32) -> Standing {
        let frames = self.pool.frames();
        match verdict {
            Verdict::Listed(found) if self.beyond_doubt(&found) => Standing::Listed(found),
            Verdict::Listed(found) if frames >= min_frames && !hasty(&found) => Standing::Listed(found),
            Verdict::Ambiguous(first, second) if frames >= min_frames => Standing::Ambiguous(first, second),
            Verdict::NotListed(..) if frames >= STRANGER_AFTER && self.surely_read() => Standing::Stranger,
            _ => Standing::Open,
        }
    }

    fn beyond_doubt(&self, found: &Match) -> bool {
        found.ratio >= found.threshold + BEYOND_DOUBT && found.differs == 0
    }

    /// The track is over: whatever suffices by itself counts now, however few frames there were.
    pub fn last_word(&mut self, against: Against<'_>) -> Option<&Standing> {
        if self.standing != Standing::Open || self.pool.frames() < against.min_frames {
            return None;
        }
        match known::test(&self.pool, against.list, against.calibration, against.false_accept_rate) {
            Verdict::Listed(found) => self.standing = Standing::Listed(found),
            Verdict::Ambiguous(first, second) => self.standing = Standing::Ambiguous(first, second),
            Verdict::NotListed(..) => return None,
        }
        Some(&self.standing)
    }

    fn surely_read(&self) -> bool {
        self.pool.reading().is_some_and(|reading| reading.confidence >= STRANGER_SURE)
    }

    fn rest(&mut self, at: Uptime) {
        self.pause = if self.pause.is_zero() { FIRST_PAUSE } else { (self.pause * 2).min(LONGEST_PAUSE) };
        self.due = at + self.pause;
    }

    /// Why the track ends without a decision; `None` when there was one.
    pub fn rejected(&self) -> Option<RejectReason> {
        match self.standing {
            Standing::Open if self.is_washed_out() => Some(RejectReason::Glare),
            Standing::Open if self.pool.frames() == 0 => Some(self.unread.unwrap_or(RejectReason::FewVotes)),
            Standing::Open if self.pool.reading().is_none() => Some(RejectReason::Grammar),
            Standing::Open => Some(RejectReason::FewVotes),
            _ => None,
        }
    }
}

/// Is it too early to believe it?
fn hasty(found: &Match) -> bool {
    let waited = (found.frames as f32 / PATIENT_FOR as f32).min(1.0);
    found.differs > 0 && found.ratio < found.threshold + EARLY_BONUS * (1.0 - waited)
}

#[cfg(test)]
mod tests {
    use super::super::confusion::Confusions;
    use super::super::evidence::fixtures;
    use super::super::grammar::Grammar;
    use super::*;

    struct Bench {
        list: PlateList,
        calibration: Calibration,
        interpreter: Interpreter,
        track: TrackReading,
        revision: u64,
    }

    impl Bench {
        fn new(plates: &[&str]) -> Self {
            Self {
                list: PlateList::build(plates.iter().enumerate().map(|(i, p)| (p.to_string(), i as i64))).0,
                calibration: Calibration::default(),
                interpreter: Interpreter::new(Grammar::built_in("cn").unwrap(), Confusions::default()),
                track: TrackReading::default(),
                revision: 1,
            }
        }

        fn see(&mut self, at_ms: u64, frame: &[&str]) -> Option<Standing> {
            let against = Against {
                list: &self.list,
                revision: self.revision,
                calibration: &self.calibration,
                false_accept_rate: 0.001,
                min_frames: 2,
            };
            let evidence = fixtures::ctc(frame);
            self.track.add(Duration::from_millis(at_ms), &evidence, &[], &mut self.interpreter, against).cloned()
        }
    }

    const DOUBTFUL: [&str; 7] = ["皖", "A", "1:0.6,7:0.35", "2", "3", "4:0.7,A:0.2", "5"];
    const CLEAR: [&str; 7] = ["皖", "A", "1", "2", "3", "4", "5"];

    #[test]
    fn a_member_is_told_once_and_then_looked_at_rarely() {
        let mut bench = Bench::new(&["皖A12345"]);
        assert_eq!(bench.see(0, &DOUBTFUL), None);
        assert!(bench.track.wants_reading(Duration::from_millis(1)));
        assert!(matches!(bench.see(100, &DOUBTFUL), Some(Standing::Listed(_))));
        assert!(!bench.track.wants_reading(Duration::from_millis(1000)));
        assert_eq!(bench.see(1200, &CLEAR), None);
        assert!(!bench.track.wants_reading(Duration::from_millis(3000)));
    }

    #[test]
    fn a_plate_that_is_not_the_best_reading_must_wait_or_come_at_the_end_of_its_track() {
        let unclear = ["皖", "A", "1:0.05,7:0.9", "2", "3", "4", "5"];
        let mut bench = Bench::new(&["皖A12345"]);
        assert_eq!((bench.see(0, &unclear), bench.see(100, &unclear)), (None, None));
        let against = Against {
            list: &bench.list,
            revision: 1,
            calibration: &bench.calibration,
            false_accept_rate: 0.001,
            min_frames: 2,
        };
        assert!(matches!(bench.track.last_word(against), Some(Standing::Listed(_))));
        assert_eq!(bench.track.last_word(against), None);
    }

    #[test]
    fn one_frame_is_enough_when_it_is_beyond_doubt() {
        assert!(matches!(Bench::new(&["皖A12345"]).see(0, &CLEAR), Some(Standing::Listed(_))));
    }

    #[test]
    fn a_stranger_is_never_told_and_asked_again_when_the_list_changes() {
        let mut bench = Bench::new(&["皖A12346"]);
        for frame in 0..6 {
            assert_eq!(bench.see(frame * 100, &CLEAR), None);
        }
        assert_eq!(bench.track.standing(), &Standing::Stranger);
        assert_eq!(bench.track.rejected(), None);
        bench.list = PlateList::build([("皖A12345".to_owned(), 9)]).0;
        let against = Against {
            list: &bench.list,
            revision: 2,
            calibration: &bench.calibration,
            false_accept_rate: 0.001,
            min_frames: 2,
        };
        let now = bench.track.list_changed(Duration::from_secs(1), against).cloned();
        assert!(matches!(now, Some(Standing::Listed(_))));
    }

    #[test]
    fn a_track_that_ends_undecided_says_why() {
        let mut bench = Bench::new(&[]);
        assert_eq!(bench.track.rejected(), Some(RejectReason::FewVotes));
        bench.track.unreadable(RejectReason::TooSmall);
        assert_eq!(bench.track.rejected(), Some(RejectReason::TooSmall));
        bench.see(0, &["2", "0", "2", "6"]);
        assert_eq!(bench.track.rejected(), Some(RejectReason::Grammar));
        bench.track = TrackReading::default();
        bench.see(0, &DOUBTFUL);
        assert_eq!(bench.track.rejected(), Some(RejectReason::FewVotes));
        for (saturated, reason) in [(0.6, RejectReason::Glare), (0.1, RejectReason::FewVotes)] {
            bench.track.looked(&CropQuality { saturated, ..CropQuality::default() });
            assert_eq!(bench.track.rejected(), Some(reason), "one look of two is not most");
        }
    }
}
