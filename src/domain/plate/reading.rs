//! What a plate says, from all frames of its track together.
//!
//! Every frame keeps its whole evidence. The strings that any frame finds plausible under the grammar are scored in
//! all frames; the sum is damped, because frames of one car repeat the same errors. Memory is bounded: the clearest
//! frames stay.

use std::sync::Arc;

use super::PlateColour;
use super::beam::Lattice;
use super::confusion::Confusions;
use super::evidence::{Charset, Evidence};
use super::grammar::{Format, Grammar};
use super::scorer::{Column, Scorer};

/// Frames kept; more add nothing that these do not say.
const MOST_FRAMES: usize = 12;
/// Strings kept.
const MOST_CANDIDATES: usize = 24;
/// Sum of `n` frames counts as `n ^ DAMPING` independent ones.
const DAMPING: f32 = 0.6;
/// Least share of a colour, so that a colour head that errs cannot rule a string out.
const COLOUR_FLOOR: f32 = 0.05;
/// A colour so sure that another is a conflict.
const COLOUR_SURE: f32 = 0.9;

/// What is needed to understand a reader in a region.
#[derive(Clone, Debug)]
pub struct Interpreter {
    grammar: Grammar,
    confusions: Confusions,
    lattice: Option<(Arc<Charset>, Lattice)>,
}

impl Interpreter {
    /// For a region and a reader's measured errors.
    pub fn new(grammar: Grammar, confusions: Confusions) -> Self {
        Self { grammar, confusions, lattice: None }
    }

    /// The region.
    pub fn grammar(&self) -> &Grammar {
        &self.grammar
    }

    /// The best strings in one frame, as columns.
    fn best(&mut self, evidence: &Evidence, scorer: &Scorer) -> Vec<Vec<Column>> {
        let charset = evidence.charset();
        let known = self.lattice.as_ref().is_some_and(|(of, _)| Arc::ptr_eq(of, charset) || of == charset);
        if !known {
            self.lattice = Some((charset.clone(), Lattice::new(&self.grammar, charset)));
        }
        self.lattice.as_ref().map_or_else(Vec::new, |(_, lattice)| lattice.best(scorer))
    }
}

/// The evidence of one plate over the frames of its track.
#[derive(Clone, Debug, Default)]
pub struct Pool {
    frames: Vec<Seen>,
    candidates: Vec<Candidate>,
    colours: [f32; PlateColour::ALL.len()],
    colour_frames: u32,
    added: u32,
}

#[derive(Clone, Debug)]
struct Seen {
    scorer: Scorer,
    charset: Arc<Charset>,
    clarity: f32,
}

/// A string in question.
#[derive(Clone, Debug)]
struct Candidate {
    text: String,
    formats: Vec<FormatFacts>,
    /// One log-likelihood for each frame kept.
    scores: Vec<f32>,
}

#[derive(Clone, Debug)]
struct FormatFacts {
    kind: String,
    colours: Vec<PlateColour>,
    prior: f32,
}

/// What a plate says.
#[derive(Clone, Debug, PartialEq)]
pub struct Reading {
    /// The best string that the grammar allows.
    pub text: String,
    /// What the plate is for, by the grammar and the colour.
    pub kind: String,
    /// Its colour, when a model told it.
    pub colour: Option<PlateColour>,
    /// Probability of the whole string among all that were considered, 0..1.
    pub confidence: f32,
    /// Probability of each character, 0..1.
    pub char_confidence: Vec<f32>,
    /// The best strings with their probabilities, best first.
    pub candidates: Vec<(String, f32)>,
    /// The colour and the string do not belong together.
    pub conflict: Option<Conflict>,
    /// Frames that were added so far.
    pub frames: u32,
    /// Mean log-likelihood of a character in a frame; 0 at best.
    pub fit: f32,
}

/// A colour that the string's format does not have.
#[derive(Clone, Debug, PartialEq)]
pub struct Conflict {
    /// Seen.
    pub colour: PlateColour,
    /// What the format would have.
    pub expected: Vec<PlateColour>,
}

impl Pool {
    /// Adds what one frame showed.
    pub fn add(&mut self, interpreter: &mut Interpreter, evidence: &Evidence, colours: &[(PlateColour, f32)]) {
        self.added = self.added.saturating_add(1);
        self.add_colours(colours);
        let clarity = evidence.greedy().mean_confidence();
        let Some(slot) = self.slot(clarity) else { return };
        let scorer = Scorer::new(evidence, &interpreter.confusions);
        let found = interpreter.best(evidence, &scorer);
        let seen = Seen { scorer, charset: evidence.charset().clone(), clarity };
        self.put(slot, seen);
        let symbols = evidence.charset().symbols();
        for columns in found {
            let text: String = columns.iter().map(|&column| symbols[usize::from(column)]).collect();
            let formats = interpreter.grammar.matching(&text).map(facts).collect();
            self.consider(text, formats);
        }
        // What the reader says without any grammar is a rival too: a sign may say what no plate can.
        self.consider(evidence.greedy().text, Vec::new());
        self.prune();
    }

    /// Frames added so far.
    pub fn frames(&self) -> u32 {
        self.added
    }

    /// How well a string explains all frames: damped sum of log-likelihoods. Negative infinity without frames.
    pub fn score(&self, text: &str) -> f32 {
        if self.frames.is_empty() {
            return f32::NEG_INFINITY;
        }
        if let Some(candidate) = self.candidates.iter().find(|candidate| candidate.text == text) {
            return self.pooled(&candidate.scores);
        }
        self.pooled(&self.frames.iter().map(|seen| seen.score(text)).collect::<Vec<_>>())
    }

    /// [`Pool::score`] with the weight of the colour, as far as the grammar knows the string.
    pub fn score_with_prior(&self, text: &str) -> f32 {
        let known = self.candidates.iter().find(|candidate| candidate.text == text);
        self.score(text) + known.map_or(0.0, |candidate| self.prior(candidate).0)
    }

    /// The strings under consideration with their scores, best first; `true`: the grammar allows it.
    pub fn ranked(&self) -> Vec<(&str, f32, bool)> {
        let score = |candidate: &Candidate| self.pooled(&candidate.scores) + self.prior(candidate).0;
        let mut ranked: Vec<_> =
            self.candidates.iter().map(|each| (each.text.as_str(), score(each), !each.formats.is_empty())).collect();
        ranked.sort_by(|a, b| b.1.total_cmp(&a.1).then_with(|| a.0.cmp(b.0)));
        ranked
    }

    /// Mean log-likelihood of a character of the string in a frame; 0 at best.
    pub fn fit(&self, text: &str) -> f32 {
        let cells = text.chars().count().max(1) * self.frames.len().max(1);
        self.frames.iter().map(|seen| seen.score(text)).sum::<f32>() / cells as f32
    }

    /// What the plate says; `None` when no frame held a string of the grammar.
    pub fn reading(&self) -> Option<Reading> {
        let ranked = self.ranked();
        let (best, top, _) = *ranked.iter().find(|entry| entry.2)?;
        let weight = |score: f32| (score - top).min(0.0).exp();
        let rivals: f32 = ranked.iter().map(|entry| if entry.0 == best { 1.0 } else { weight(entry.1) }).sum();
        let candidates: Vec<(String, f32)> = ranked
            .iter()
            .filter(|entry| entry.2)
            .take(5)
            .map(|entry| (entry.0.to_owned(), weight(entry.1) / rivals))
            .collect();
        let candidate = self.candidates.iter().find(|candidate| candidate.text == best)?;
        let (_, format) = self.prior(candidate);
        Some(Reading {
            text: best.to_owned(),
            kind: format.map_or_else(String::new, |format| format.kind.clone()),
            colour: self.colour().map(|(colour, _)| colour),
            confidence: 1.0 / rivals,
            char_confidence: self.char_confidence(best, &ranked, rivals, top),
            conflict: self.conflict(candidate),
            candidates,
            frames: self.added,
            fit: self.fit(best),
        })
    }

    /// The colour seen, with its share; `None` when no model told one.
    pub fn colour(&self) -> Option<(PlateColour, f32)> {
        let shares = PlateColour::ALL.into_iter().zip(self.colours);
        let best = shares.max_by(|a, b| a.1.total_cmp(&b.1))?;
        (self.colour_frames > 0).then(|| (best.0, best.1 / self.colour_frames as f32))
    }

    fn char_confidence(&self, best: &str, ranked: &[(&str, f32, bool)], rivals: f32, top: f32) -> Vec<f32> {
        let length = best.chars().count();
        let agree = |place: usize, symbol: char| -> f32 {
            let same = ranked.iter().filter(|entry| {
                entry.0 == best || (entry.0.chars().count() == length && entry.0.chars().nth(place) == Some(symbol))
            });
            same.map(|entry| (entry.1 - top).min(0.0).exp()).sum::<f32>() / rivals
        };
        best.chars().enumerate().map(|(place, symbol)| agree(place, symbol).min(1.0)).collect()
    }

    fn conflict(&self, candidate: &Candidate) -> Option<Conflict> {
        let (colour, share) = self.colour()?;
        let expected: Vec<PlateColour> =
            candidate.formats.iter().flat_map(|format| format.colours.iter().copied()).collect();
        let disagrees = share >= COLOUR_SURE && !expected.is_empty() && !expected.contains(&colour);
        disagrees.then_some(Conflict { colour, expected })
    }

    fn pooled(&self, scores: &[f32]) -> f32 {
        let count = scores.len().max(1) as f32;
        scores.iter().sum::<f32>() * count.powf(DAMPING - 1.0)
    }

    /// Weight of a string by how common its format is and how well the colour fits, with the format that fits best.
    fn prior<'a>(&self, candidate: &'a Candidate) -> (f32, Option<&'a FormatFacts>) {
        let weight = |format: &FormatFacts| format.prior + self.colour_weight(&format.colours);
        let best = candidate.formats.iter().max_by(|a, b| weight(a).total_cmp(&weight(b)));
        (best.map_or(0.0, weight), best)
    }

    fn colour_weight(&self, colours: &[PlateColour]) -> f32 {
        if self.colour_frames == 0 || colours.is_empty() {
            return 0.0;
        }
        let share: f32 = colours.iter().map(|&colour| self.colours[colour as usize]).sum();
        (COLOUR_FLOOR + (1.0 - COLOUR_FLOOR) * share / self.colour_frames as f32).ln()
    }

    fn add_colours(&mut self, colours: &[(PlateColour, f32)]) {
        if colours.is_empty() {
            return;
        }
        colours.iter().for_each(|&(colour, share)| self.colours[colour as usize] += share);
        self.colour_frames += 1;
    }

    /// Where a frame of this clarity belongs; `None` when all frames kept are clearer.
    fn slot(&self, clarity: f32) -> Option<usize> {
        if self.frames.len() < MOST_FRAMES {
            return Some(self.frames.len());
        }
        let dimmest =
            (0..self.frames.len()).min_by(|&a, &b| self.frames[a].clarity.total_cmp(&self.frames[b].clarity))?;
        (self.frames[dimmest].clarity < clarity).then_some(dimmest)
    }

    fn put(&mut self, slot: usize, seen: Seen) {
        for candidate in &mut self.candidates {
            let score = seen.score(&candidate.text);
            match candidate.scores.get_mut(slot) {
                Some(old) => *old = score,
                None => candidate.scores.push(score),
            }
        }
        match self.frames.get_mut(slot) {
            Some(old) => *old = seen,
            None => self.frames.push(seen),
        }
    }

    fn consider(&mut self, text: String, formats: Vec<FormatFacts>) {
        if text.is_empty() || self.candidates.iter().any(|candidate| candidate.text == text) {
            return;
        }
        let scores = self.frames.iter().map(|seen| seen.score(&text)).collect();
        self.candidates.push(Candidate { text, formats, scores });
    }

    fn prune(&mut self) {
        if self.candidates.len() > MOST_CANDIDATES {
            let count = (self.frames.len() as f32).powf(DAMPING - 1.0);
            let score = |candidate: &Candidate| candidate.scores.iter().sum::<f32>() * count;
            self.candidates.sort_by(|a, b| score(b).total_cmp(&score(a)).then_with(|| a.text.cmp(&b.text)));
            self.candidates.truncate(MOST_CANDIDATES);
        }
    }
}

impl Seen {
    fn score(&self, text: &str) -> f32 {
        let column = |symbol| self.charset.index(symbol).map_or(super::scorer::UNKNOWN, |place| place as Column);
        self.scorer.log_likelihood(&text.chars().map(column).collect::<Vec<_>>())
    }
}

fn facts(format: &Format) -> FormatFacts {
    FormatFacts { kind: format.kind.clone(), colours: format.colours.clone(), prior: format.prior }
}

#[cfg(test)]
mod tests {
    use super::super::evidence::fixtures;
    use super::*;

    fn interpreter() -> Interpreter {
        Interpreter::new(Grammar::built_in("cn").unwrap(), Confusions::default())
    }

    fn pool(frames: &[&[&str]], colours: &[(PlateColour, f32)]) -> Pool {
        let (mut pool, mut interpreter) = (Pool::default(), interpreter());
        frames.iter().for_each(|frame| pool.add(&mut interpreter, &fixtures::ctc(frame), colours));
        pool
    }

    #[test]
    fn frames_that_err_in_different_places_agree_on_the_truth() {
        let first: &[&str] = &["皖:0.4,苏:0.5", "A", "1", "2", "3", "4", "5"];
        let second: &[&str] = &["皖", "A", "1:0.3,7:0.6", "2", "3", "4", "5"];
        let third: &[&str] = &["皖", "A", "1", "2", "3", "4", "5:0.4,S:0.5"];
        let alone = pool(&[first], &[]).reading().unwrap();
        assert_eq!(alone.text, "苏A12345");
        assert!(alone.char_confidence[0] < 0.7 && alone.char_confidence[3] > 0.9);
        let reading = pool(&[first, second, third], &[]).reading().unwrap();
        assert_eq!((reading.text.as_str(), reading.frames), ("皖A12345", 3));
        assert_eq!(reading.char_confidence.len(), 7);
    }

    #[test]
    fn the_colour_tells_kinds_apart_and_a_conflict_is_reported() {
        let plate: &[&str] = &["皖", "A", "1", "2", "3", "4", "5"];
        let yellow = pool(&[plate], &[(PlateColour::Yellow, 0.95), (PlateColour::Blue, 0.05)]).reading().unwrap();
        assert_eq!((yellow.kind.as_str(), yellow.conflict), ("large", None));
        let green = pool(&[plate], &[(PlateColour::Green, 0.99)]).reading().unwrap();
        assert_eq!(green.conflict.unwrap().colour, PlateColour::Green);
    }

    #[test]
    fn memory_is_bounded_and_the_clearest_frames_stay() {
        let blurred: &[&str] = &["皖:0.3,苏:0.3", "A:0.4,4:0.3", "1:0.4,7:0.3", "2", "3", "4", "5:0.3,6:0.3"];
        let clear: &[&str] = &["苏", "A", "1", "2", "3", "4", "5"];
        let mut frames = vec![blurred; 200];
        frames.extend([clear; 12]);
        let pool = pool(&frames, &[]);
        assert!(pool.frames.len() <= MOST_FRAMES && pool.candidates.len() <= MOST_CANDIDATES);
        assert_eq!(pool.reading().unwrap().text, "苏A12345");
        assert_eq!(pool.frames(), 212);
    }

    #[test]
    fn what_no_plate_can_say_has_no_reading_but_a_score() {
        let sign: &[&str] = &["2", "0", "2", "6"];
        let pool = pool(&[sign], &[]);
        assert!(pool.reading().is_none());
        assert!(pool.score("2026") > pool.score("皖A20265"));
        assert_eq!(Pool::default().score("2026"), f32::NEG_INFINITY);
    }
}
