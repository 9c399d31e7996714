//! How well any string explains what a reader saw: the CTC forward algorithm (Graves 2006, §4.1) over smoothed evidence.
//!
//! Smoothing keeps one overconfident frame from ruling a plate out: a share of the mass that a step gives to symbols is
//! handed to the symbols it is known to be confused with, and a small share to all. It is done once per frame, after
//! which a string costs about a microsecond.

use super::confusion::Confusions;
use super::evidence::{Alignment, Evidence, Line};

/// A step on which the blank is at least so probable says nothing; runs of them are merged.
const IDLE: f32 = 0.9995;
/// Least probability of anything, so that a single step never weighs more than 14 nats.
const FLOOR: f32 = 1e-6;

/// Evidence of one frame, ready to score strings.
#[derive(Clone, Debug)]
pub struct Scorer {
    lines: Vec<SmoothLine>,
    symbols: usize,
}

#[derive(Clone, Debug)]
struct SmoothLine {
    alignment: Alignment,
    /// `[steps, symbols + 1]` probabilities, row by row.
    probs: Vec<f32>,
    width: usize,
}

/// A symbol as a column of the reader; [`UNKNOWN`] for one that the reader does not know.
pub type Column = u16;

/// A symbol that the reader does not know: explained by the smoothing alone.
pub const UNKNOWN: Column = u16::MAX;

impl Scorer {
    /// Smooths the evidence with what is known of the reader's errors.
    pub fn new(evidence: &Evidence, confusions: &Confusions) -> Self {
        let symbols = evidence.charset().symbols().len();
        let pairs = confusions.columns(evidence.charset());
        let lines = evidence.lines().iter().map(|line| smooth(line, &pairs, confusions.uniform)).collect();
        Self { lines, symbols }
    }

    /// A string as columns of the evidence's charset.
    pub fn columns(evidence: &Evidence, text: &str) -> Vec<Column> {
        text.chars().map(|c| evidence.charset().index(c).map_or(UNKNOWN, |place| place as Column)).collect()
    }

    /// Natural logarithm of the probability of the evidence's string being `text`; about -100 at worst, never NaN.
    pub fn log_likelihood(&self, text: &[Column]) -> f32 {
        let unknown = FLOOR.max(1.0 / (100.0 * self.symbols as f32));
        match self.lines.as_slice() {
            [only] => only.log_likelihood(text, unknown),
            [upper, lower] => (0..=text.len())
                .map(|cut| upper.log_likelihood(&text[..cut], unknown) + lower.log_likelihood(&text[cut..], unknown))
                .fold(f32::NEG_INFINITY, log_add),
            _ => f32::NEG_INFINITY,
        }
    }

    /// Steps of each line after smoothing, as `(alignment, rows of symbols + 1 probabilities)`, for the beam search.
    pub fn steps(&self) -> impl Iterator<Item = (Alignment, std::slice::ChunksExact<'_, f32>)> {
        self.lines.iter().map(|line| (line.alignment, line.probs.chunks_exact(line.width)))
    }
}

/// `ln(e^a + e^b)`.
pub(super) fn log_add(a: f32, b: f32) -> f32 {
    let (high, low) = if a > b { (a, b) } else { (b, a) };
    if low == f32::NEG_INFINITY { high } else { high + (low - high).exp().ln_1p() }
}

fn smooth(line: &Line, pairs: &[(usize, usize, f32)], uniform: f32) -> SmoothLine {
    let width = line.log_probs.ncols();
    let blank = width - 1;
    let mut probs = Vec::with_capacity(line.log_probs.len());
    let mut raw = vec![0.0; width];
    let mut idle = false;
    for row in line.log_probs.rows() {
        raw.iter_mut().zip(row).for_each(|(p, log)| *p = log.exp());
        let says_nothing = line.alignment == Alignment::Ctc && raw[blank] >= IDLE;
        if says_nothing && idle {
            continue;
        }
        idle = says_nothing;
        smooth_row(&raw, pairs, uniform, &mut probs);
    }
    SmoothLine { alignment: line.alignment, probs, width }
}

/// Moves a share of the symbols' mass to their likely true symbols; the blank keeps its own.
fn smooth_row(raw: &[f32], pairs: &[(usize, usize, f32)], uniform: f32, out: &mut Vec<f32>) {
    let start = out.len();
    let (symbols, blank) = raw.split_at(raw.len() - 1);
    let spread = uniform * (1.0 - blank[0]).max(0.0) / symbols.len() as f32;
    out.extend(symbols.iter().map(|p| (1.0 - uniform) * p + spread + FLOOR));
    out.push(blank[0] + FLOOR);
    for &(seen, truth, share) in pairs {
        let moved = share * raw[seen];
        out[start + truth] += moved;
        out[start + seen] -= moved.min(out[start + seen] - FLOOR);
    }
}

impl SmoothLine {
    fn log_likelihood(&self, text: &[Column], unknown: f32) -> f32 {
        match self.alignment {
            Alignment::Ctc => self.ctc(text, unknown),
            Alignment::Slots => self.slots(text, unknown),
        }
    }

    fn slots(&self, text: &[Column], unknown: f32) -> f32 {
        let rows = self.probs.chunks_exact(self.width);
        if text.len() > rows.len() {
            return rows.len() as f32 * FLOOR.ln();
        }
        rows.enumerate()
            .map(|(place, row)| text.get(place).map_or(row[self.width - 1], |&symbol| prob(row, symbol, unknown)).ln())
            .sum()
    }

    /// The forward variables of the extended string `_ a _ b _`, in the linear domain, rescaled every step.
    fn ctc(&self, text: &[Column], unknown: f32) -> f32 {
        const MOST: usize = 33;
        let states = 2 * text.len() + 1;
        if states > MOST {
            return text.len() as f32 * FLOOR.ln();
        }
        let blank = self.width - 1;
        let mut alpha = [0.0_f32; MOST];
        let mut scale = 0.0_f32;
        for (step, row) in self.probs.chunks_exact(self.width).enumerate() {
            if step == 0 {
                alpha[0] = row[blank];
                if states > 1 {
                    alpha[1] = prob(row, text[0], unknown);
                }
            } else {
                advance(&mut alpha[..states], text, row, unknown);
            }
            let sum: f32 = alpha[..states].iter().sum();
            if sum <= f32::MIN_POSITIVE {
                return text.len() as f32 * FLOOR.ln();
            }
            alpha[..states].iter_mut().for_each(|a| *a /= sum);
            scale += sum.ln();
        }
        let end = alpha[states - 1] + if states > 1 { alpha[states - 2] } else { 0.0 };
        (scale + end.max(f32::MIN_POSITIVE).ln()).max((text.len() + 1) as f32 * FLOOR.ln())
    }
}

/// One step of the forward recursion, in place from the last state to the first.
fn advance(alpha: &mut [f32], text: &[Column], row: &[f32], unknown: f32) {
    let blank = row[row.len() - 1];
    for state in (0..alpha.len()).rev() {
        let mut reach = alpha[state];
        if state > 0 {
            reach += alpha[state - 1];
        }
        let emits = if state % 2 == 0 {
            blank
        } else {
            let place = state / 2;
            if place > 0 && text[place] != text[place - 1] {
                reach += alpha[state - 2];
            }
            prob(row, text[place], unknown)
        };
        alpha[state] = reach * emits;
    }
}

fn prob(row: &[f32], symbol: Column, unknown: f32) -> f32 {
    if symbol == UNKNOWN { unknown * (1.0 - row[row.len() - 1]).max(FLOOR) } else { row[usize::from(symbol)] }
}

#[cfg(test)]
mod tests {
    use super::super::evidence::fixtures;
    use super::*;

    fn score(evidence: &Evidence, text: &str) -> f32 {
        Scorer::new(evidence, &Confusions::default()).log_likelihood(&Scorer::columns(evidence, text))
    }

    #[test]
    fn the_string_that_was_seen_is_nearly_certain() {
        let evidence = fixtures::clear("皖A88808");
        assert!(score(&evidence, "皖A88808") > -0.5);
        assert!(score(&evidence, "皖A88809") < -4.0);
        assert!(score(&evidence, "皖A8808") < -4.0);
    }

    #[test]
    fn strings_of_a_small_alphabet_sum_to_one() {
        use std::sync::Arc;
        let charset = Arc::new(super::super::evidence::Charset::new(vec!['A', 'B']).unwrap());
        let rows = [[0.6, 0.1, 0.3], [0.2, 0.3, 0.5], [0.1, 0.7, 0.2]];
        let log_probs = ndarray::Array2::from_shape_fn((3, 3), |(r, c)| (rows[r][c] as f32).ln());
        let evidence = Evidence::new(charset, vec![Line { alignment: Alignment::Ctc, log_probs }]).unwrap();
        let scorer = Scorer::new(&evidence, &Confusions::none());
        let mut total = 0.0;
        for length in 0..=3_u32 {
            for code in 0..2_u32.pow(length) {
                let text: Vec<Column> = (0..length).map(|bit| (code >> bit & 1) as Column).collect();
                let single = scorer.log_likelihood(&text).exp();
                total += single;
            }
        }
        assert!((total - 1.0).abs() < 1e-3, "{total}");
    }

    #[test]
    fn two_rows_are_read_one_after_the_other() {
        let (upper, lower) = (fixtures::clear("粤B"), fixtures::clear("12345"));
        let lines = upper.lines().iter().chain(lower.lines()).cloned().collect();
        let both = Evidence::new(fixtures::charset(), lines).unwrap();
        assert_eq!(both.greedy().text, "粤B12345");
        assert!(score(&both, "粤B12345") > -0.5);
        assert!(score(&both, "粤B12346") < -4.0);
    }

    #[test]
    fn a_symbol_that_the_reader_does_not_know_is_improbable_but_not_impossible() {
        let evidence = fixtures::ctc(&["皖", "A", "1", "2", "3", "4", "8:0.3,B:0.3,3:0.3"]);
        let unknown = score(&evidence, "皖A1234学");
        assert!(unknown.is_finite() && unknown < score(&evidence, "皖A12348"));
        assert!(unknown > score(&evidence, "新Z9876学"));
    }
}
