//! The best strings of a grammar in one frame's evidence: prefix beam search (Graves 2012, §7.5) over the prefixes
//! that some format still allows.

use std::sync::Arc;

use super::evidence::{Alignment, Charset};
use super::grammar::Grammar;
use super::scorer::{Column, Scorer};

/// Prefixes kept after each step.
const WIDTH: usize = 10;
/// Symbols tried at a step.
const TRIED: usize = 6;
/// A symbol less probable is tried only when none above is allowed.
const WORTH_TRYING: f32 = 2e-3;
/// Complete strings handed out.
const BEST: usize = 8;

/// A grammar laid over the columns of a reader.
#[derive(Clone, Debug)]
pub struct Lattice {
    /// `[place][column]`: the formats, as bits, that allow the symbol there.
    allowed: Vec<Vec<u64>>,
    /// `[length]`: the formats, as bits, that end there.
    complete: Vec<u64>,
    all: u64,
}

#[derive(Clone, Debug)]
struct Prefix {
    text: Vec<Column>,
    formats: u64,
    after_blank: f32,
    after_symbol: f32,
}

impl Prefix {
    fn total(&self) -> f32 {
        self.after_blank + self.after_symbol
    }
}

impl Lattice {
    /// Lays the grammar over a reader's symbols.
    pub fn new(grammar: &Grammar, charset: &Arc<Charset>) -> Self {
        let longest = grammar.formats().iter().map(|format| format.places.len()).max().unwrap_or(0);
        let mut allowed = vec![vec![0; charset.symbols().len()]; longest];
        let mut complete = vec![0; longest + 1];
        for (bit, format) in grammar.formats().iter().enumerate() {
            complete[format.places.len()] |= 1 << bit;
            for (place, symbols) in format.places.iter().enumerate() {
                let columns = symbols.chars().filter_map(|symbol| charset.index(symbol));
                columns.for_each(|column| allowed[place][column] |= 1 << bit);
            }
        }
        Self { allowed, complete, all: u64::MAX }
    }

    /// The best complete strings, best first; empty when the grammar fits nowhere.
    pub fn best(&self, scorer: &Scorer) -> Vec<Vec<Column>> {
        let start = Prefix { text: Vec::new(), formats: self.all, after_blank: 1.0, after_symbol: 0.0 };
        let mut beam = vec![start];
        for (alignment, rows) in scorer.steps() {
            for prefix in &mut beam {
                prefix.after_blank = prefix.total();
                prefix.after_symbol = 0.0;
            }
            for row in rows {
                beam = self.step(beam, row, alignment);
            }
        }
        beam.retain(|prefix| self.complete[prefix.text.len()] & prefix.formats != 0);
        beam.into_iter().take(BEST).map(|prefix| prefix.text).collect()
    }

    fn step(&self, beam: Vec<Prefix>, row: &[f32], alignment: Alignment) -> Vec<Prefix> {
        let blank = row[row.len() - 1];
        let ranked = ranked(&row[..row.len() - 1]);
        let mut next: Vec<Prefix> = Vec::with_capacity(WIDTH * 3);
        for prefix in &beam {
            let repeat = match (alignment, prefix.text.last()) {
                (Alignment::Ctc, Some(&last)) => prefix.after_symbol * row[usize::from(last)],
                _ => 0.0,
            };
            merge(&mut next, &prefix.text, prefix.formats, prefix.total() * blank, repeat);
            self.extend(prefix, &ranked, row, alignment, &mut next);
        }
        keep_best(next)
    }

    fn extend(&self, prefix: &Prefix, ranked: &[Column], row: &[f32], alignment: Alignment, next: &mut Vec<Prefix>) {
        let Some(allowed) = self.allowed.get(prefix.text.len()) else { return };
        let mut tried = 0;
        for &symbol in ranked {
            let probability = row[usize::from(symbol)];
            if tried == TRIED || (tried > 0 && probability < WORTH_TRYING) {
                break;
            }
            let formats = prefix.formats & allowed[usize::from(symbol)];
            if formats == 0 {
                continue;
            }
            tried += 1;
            let repeats = alignment == Alignment::Ctc && prefix.text.last() == Some(&symbol);
            let reach = if repeats { prefix.after_blank } else { prefix.total() };
            let mut text = Vec::with_capacity(prefix.text.len() + 1);
            text.extend_from_slice(&prefix.text);
            text.push(symbol);
            merge(next, &text, formats, 0.0, reach * probability);
        }
    }
}

/// The columns that carry weight, strongest first.
fn ranked(symbols: &[f32]) -> Vec<Column> {
    let mut columns: Vec<Column> = (0..symbols.len() as Column).filter(|&c| symbols[usize::from(c)] > 1e-4).collect();
    columns.sort_unstable_by(|&a, &b| symbols[usize::from(b)].total_cmp(&symbols[usize::from(a)]));
    columns
}

fn merge(beam: &mut Vec<Prefix>, text: &[Column], formats: u64, after_blank: f32, after_symbol: f32) {
    if after_blank + after_symbol <= 0.0 {
        return;
    }
    if let Some(same) = beam.iter_mut().find(|prefix| prefix.text == text) {
        same.after_blank += after_blank;
        same.after_symbol += after_symbol;
    } else {
        beam.push(Prefix { text: text.to_vec(), formats, after_blank, after_symbol });
    }
}

fn keep_best(mut beam: Vec<Prefix>) -> Vec<Prefix> {
    beam.sort_unstable_by(|a, b| b.total().total_cmp(&a.total()));
    beam.truncate(WIDTH);
    let sum: f32 = beam.iter().map(Prefix::total).sum();
    for prefix in &mut beam {
        prefix.after_blank /= sum.max(f32::MIN_POSITIVE);
        prefix.after_symbol /= sum.max(f32::MIN_POSITIVE);
    }
    beam
}

#[cfg(test)]
mod tests {
    use super::super::confusion::Confusions;
    use super::super::evidence::{Evidence, fixtures};
    use super::*;

    fn best(evidence: &Evidence) -> Vec<String> {
        let grammar = Grammar::built_in("cn").unwrap();
        let charset = evidence.charset();
        let lattice = Lattice::new(&grammar, charset);
        let text = |columns: Vec<Column>| columns.iter().map(|&c| charset.symbols()[usize::from(c)]).collect();
        lattice.best(&Scorer::new(evidence, &Confusions::default())).into_iter().map(text).collect()
    }

    #[test]
    fn the_best_string_of_the_grammar_comes_first_and_its_rival_second() {
        let strings = best(&fixtures::ctc(&["皖", "A", "1", "2", "3", "4", "8:0.6,B:0.39"]));
        assert_eq!(strings[..2], ["皖A12348".to_owned(), "皖A1234B".to_owned()]);
    }

    #[test]
    fn a_letter_that_cannot_stand_there_gives_way_to_what_can() {
        assert_eq!(best(&fixtures::ctc(&["皖", "4:0.7,A:0.2", "1", "2", "3", "4", "5"]))[0], "皖A12345");
        assert_eq!(best(&fixtures::ctc(&["皖", "A", "I:0.8,1:0.1", "2", "3", "4", "5"]))[0], "皖A12345");
    }

    #[test]
    fn what_is_no_plate_has_no_reading() {
        assert!(best(&fixtures::clear("2026")).is_empty());
    }
}
