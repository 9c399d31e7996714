//! What share of labelled plates was found and read right.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::labels::Label;

/// What became of one labelled plate.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Outcome {
    /// A box met it with IoU of at least 0.5.
    pub found: bool,
    /// The reader's most probable string; empty when there was none.
    pub raw: String,
    /// The best string of the region's grammar; empty when there was none.
    pub text: String,
    /// The colour that was told.
    pub colour: Option<&'static str>,
}

/// Counts over plates.
#[derive(Clone, Debug, Default)]
struct Counts {
    plates: usize,
    found: usize,
    raw: Reads,
    text: Reads,
    colours: (usize, usize),
}

#[derive(Clone, Debug, Default)]
struct Reads {
    exact: usize,
    exact_without_province: usize,
    characters: usize,
    errors: usize,
}

/// Pictures that show no plate.
#[derive(Clone, Debug, Default)]
struct Empty {
    pictures: usize,
    false_plates: usize,
}

/// Counts of everything and by colour.
#[derive(Clone, Debug, Default)]
pub struct Scores {
    all: Counts,
    empty: Empty,
    by_colour: BTreeMap<&'static str, Counts>,
}

impl Scores {
    /// Adds a plate.
    pub fn add(&mut self, label: &Label, outcome: &Outcome) {
        self.all.add(label, outcome);
        let colour = label.colour.map_or("unknown", |colour| colour.word());
        self.by_colour.entry(colour).or_default().add(label, outcome);
    }

    /// Adds a picture without a plate; was something in it taken for one all the same?
    pub fn add_empty(&mut self, taken_for_one: bool) {
        self.empty.pictures += 1;
        self.empty.false_plates += usize::from(taken_for_one);
    }

    /// `n`, shares, and the same by colour; when plates had to be found, `recall` and what was found in pictures without
    /// one. Shares of nothing are null.
    pub fn json(&self, detects: bool) -> Map<String, Value> {
        let mut told = self.all.json(detects);
        if detects {
            told.insert("pictures_without_plate".to_owned(), json!(self.empty.pictures));
            told.insert("false_plates".to_owned(), json!(self.empty.false_plates));
        }
        let colours: Map<String, Value> = self
            .by_colour
            .iter()
            .map(|(word, counts)| ((*word).to_owned(), Value::Object(counts.json(detects))))
            .collect();
        told.insert("by_colour".to_owned(), Value::Object(colours));
        told
    }
}

impl Counts {
    fn add(&mut self, label: &Label, outcome: &Outcome) {
        self.plates += 1;
        self.found += usize::from(outcome.found);
        self.raw.add(&label.plate, &outcome.raw);
        self.text.add(&label.plate, &outcome.text);
        if let (Some(truth), Some(told)) = (label.colour, outcome.colour) {
            self.colours.0 += usize::from(truth.word() == told);
            self.colours.1 += 1;
        }
    }

    fn json(&self, detects: bool) -> Map<String, Value> {
        let share = |count: usize| share(count, self.plates);
        let mut told = Map::new();
        told.insert("n".to_owned(), json!(self.plates));
        if detects {
            told.insert("recall".to_owned(), json!(share(self.found)));
        }
        told.extend(self.raw.json(self.plates));
        told.insert("with_grammar".to_owned(), Value::Object(self.text.json(self.plates)));
        if self.colours.1 > 0 {
            told.insert("colour_accuracy".to_owned(), json!(super::score::share(self.colours.0, self.colours.1)));
        }
        told
    }
}

impl Reads {
    fn add(&mut self, truth: &str, read: &str) {
        let tail = |text: &str| text.chars().skip(1).collect::<String>();
        self.exact += usize::from(truth == read);
        self.exact_without_province += usize::from(!read.is_empty() && tail(truth) == tail(read));
        let length = truth.chars().count();
        self.characters += length;
        self.errors += strsim::levenshtein(truth, read).min(length);
    }

    fn json(&self, plates: usize) -> Map<String, Value> {
        let mut told = Map::new();
        told.insert("exact".to_owned(), json!(share(self.exact, plates)));
        told.insert("exact_without_province".to_owned(), json!(share(self.exact_without_province, plates)));
        let right = self.characters - self.errors;
        told.insert("char_accuracy".to_owned(), json!(share(right, self.characters)));
        told
    }
}

/// `None` when nothing was measured.
fn share(count: usize, of: usize) -> Option<f64> {
    (of > 0).then(|| (count as f64 / of as f64 * 1e4).round() / 1e4)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::observation::Rows;
    use crate::domain::plate::PlateColour;

    fn label(plate: &str) -> Label {
        let colour = Some(PlateColour::Blue);
        Label { plate: plate.to_owned(), rect: None, corners: None, colour, rows: Rows::Single }
    }

    fn read(raw: &str) -> Outcome {
        Outcome { found: true, raw: raw.to_owned(), text: raw.to_owned(), colour: Some("blue") }
    }

    #[test]
    fn a_plate_that_was_not_found_is_not_read_either() {
        let mut scores = Scores::default();
        scores.add(&label("皖A12345"), &read("皖A12345"));
        scores.add(&label("皖A12345"), &read("沪A12345"));
        scores.add(&label("皖A12345"), &read("皖A12346"));
        scores.add(&label("皖A12345"), &Outcome::default());
        let told = scores.json(true);
        assert_eq!((&told["n"], &told["recall"], &told["exact"]), (&json!(4), &json!(0.75), &json!(0.25)));
        assert_eq!(told["exact_without_province"], json!(0.5));
        assert_eq!(told["char_accuracy"], json!(0.6786));
        assert_eq!(told["by_colour"]["blue"]["colour_accuracy"], json!(1.0));
        assert!(!scores.json(false).contains_key("recall"));
    }

    #[test]
    fn pictures_without_a_plate_are_counted_apart_and_a_share_of_nothing_is_null() {
        let mut scores = Scores::default();
        scores.add_empty(true);
        scores.add_empty(false);
        let told = scores.json(true);
        assert_eq!((&told["pictures_without_plate"], &told["false_plates"]), (&json!(2), &json!(1)));
        assert_eq!(told["n"], 0);
        for share in ["recall", "exact", "exact_without_province", "char_accuracy"] {
            assert_eq!(told[share], Value::Null, "{share}");
        }
        assert_eq!(told["with_grammar"]["exact"], Value::Null);
    }
}
