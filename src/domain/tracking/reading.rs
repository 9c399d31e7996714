//! What the plate of a track said so far, only as far as it tells two plates apart.
//!
//! This is not the reading that is reported (see `plate`): it is cheap, bounded, and compared every frame.

use super::{Verdict, Voice};
use crate::domain::observation::PlateObservation;

/// Readings kept for a track.
const KEPT: usize = 4;
/// Weight of a reading beyond which it counts no further, so that a parked car can still be told from the next.
const HEAVIEST: u32 = 50;
/// Characters and mean probability from which a reading is trusted to tell plates apart.
const SHORTEST: usize = 4;
const CONFIDENT: f32 = 0.75;
/// Share of characters that agree: from here it is the same plate; below the other it is another one.
const SAME: f32 = 0.7;
const OTHER: f32 = 0.5;

/// The string that one frame shows, when it is clear enough.
pub(super) fn confident_text(plate: &PlateObservation) -> Option<String> {
    let greedy = plate.evidence.as_ref()?.greedy();
    let clear = greedy.mean_confidence() >= CONFIDENT && greedy.confidence.len() >= SHORTEST;
    clear.then_some(greedy.text)
}

/// Readings of a track with the number of frames that gave them.
#[derive(Clone, Debug, Default)]
pub struct Text {
    readings: Vec<(String, u32)>,
    rival: Option<(String, u32)>,
}

impl Text {
    /// The text that most frames gave, once two did.
    fn leader(&self) -> Option<&str> {
        let (text, frames) = self.readings.iter().max_by_key(|(_, frames)| *frames)?;
        (*frames >= 2).then_some(text)
    }

    fn only(&self) -> Option<&str> {
        match self.readings.as_slice() {
            [(text, _)] => Some(text),
            _ => None,
        }
    }

    fn dispute(&mut self, text: &str) -> u32 {
        let frames = match self.rival.take() {
            Some((rival, frames)) if matches!(verdict(&rival, text), Verdict::Same | Verdict::Agrees) => frames + 1,
            _ => 1,
        };
        self.rival = Some((text.to_owned(), frames));
        frames
    }

    fn add(&mut self, text: &str) {
        if let Some((_, frames)) = self.readings.iter_mut().find(|(known, _)| known == text) {
            *frames = (*frames + 1).min(HEAVIEST);
            return;
        }
        if self.readings.len() == KEPT {
            let weakest = (0..KEPT).min_by_key(|&place| self.readings[place].1).unwrap_or(0);
            self.readings.remove(weakest);
        }
        self.readings.push((text.to_owned(), 1));
    }
}

impl Voice for Text {
    type Word = String;

    fn compare(&self, text: Option<&String>) -> Verdict {
        match (self.leader().or(self.only()), text) {
            (Some(known), Some(text)) => verdict(known, text),
            _ => Verdict::Unknown,
        }
    }

    fn says(&self, text: Option<&String>) -> bool {
        text.is_some() && self.leader().or(self.only()) == text.map(String::as_str)
    }

    fn hear(&mut self, text: Option<&String>) -> u32 {
        let Some(text) = text else {
            return self.rival.as_ref().map_or(0, |(_, frames)| *frames);
        };
        if self.leader().is_some_and(|known| verdict(known, text) == Verdict::Differs) {
            return self.dispute(text);
        }
        self.rival = None;
        self.add(text);
        0
    }

    fn split_off(&mut self) -> Self {
        Self { readings: self.rival.take().into_iter().collect(), rival: None }
    }

    fn differ(one: &String, other: &String) -> bool {
        verdict(one, other) == Verdict::Differs
    }
}

fn verdict(known: &str, text: &str) -> Verdict {
    if known == text {
        return Verdict::Same;
    }
    let longest = known.chars().count().max(text.chars().count()).max(1);
    let agreeing = 1.0 - strsim::levenshtein(known, text) as f32 / longest as f32;
    if agreeing >= SAME {
        Verdict::Agrees
    } else if agreeing < OTHER {
        Verdict::Differs
    } else {
        Verdict::Unsure
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_misread_character_is_no_other_plate() {
        let mut voice = Text::default();
        assert_eq!(voice.hear(Some(&"皖A12345".into())), 0);
        assert_eq!(voice.hear(Some(&"皖A12345".into())), 0);
        assert_eq!(voice.hear(Some(&"皖A1234S".into())), 0);
        assert_eq!(voice.compare(Some(&"皖A12B45".into())), Verdict::Agrees);
        assert_eq!(voice.compare(Some(&"沪C98760".into())), Verdict::Differs);
        assert_eq!(voice.compare(None), Verdict::Unknown);
    }

    #[test]
    fn only_the_same_stranger_several_times_is_a_rival() {
        let mut voice = Text::default();
        voice.hear(Some(&"皖A12345".into()));
        voice.hear(Some(&"皖A12345".into()));
        assert_eq!(voice.hear(Some(&"沪C98760".into())), 1);
        assert_eq!(voice.hear(Some(&"京N55667".into())), 1);
        assert_eq!(voice.hear(Some(&"京N55667".into())), 2);
        assert_eq!(voice.hear(None), 2);
        assert_eq!(voice.hear(Some(&"皖A12345".into())), 0);
    }

    #[test]
    fn hours_of_odd_readings_take_no_more_memory() {
        let mut voice = Text::default();
        for number in 0..10_000 {
            voice.hear(Some(&format!("皖A{number:05}")));
        }
        assert!(voice.readings.len() <= KEPT);
    }
}
