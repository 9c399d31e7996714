//! What a region allows on its plates: formats of symbol classes, read from data.
//!
//! A grammar says which strings exist, of which kind and colour they are, and how rare a kind is. It repairs nothing:
//! the reader's evidence is searched for the best string that exists.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::PlateColour;

/// Most formats after ranges such as `4..8` were written out; they are kept as bits of a word.
const MOST_FORMATS: usize = 64;
/// Longest plate.
const LONGEST: usize = 12;

/// The plates of a region.
#[derive(Clone, Debug)]
pub struct Grammar {
    region: String,
    name: String,
    formats: Vec<Format>,
}

/// One sort of plate.
#[derive(Clone, Debug, PartialEq)]
pub struct Format {
    /// What the plate is for, such as `small`, `police`, `new-energy-small`.
    pub kind: String,
    /// Ground colours it may have; empty: any.
    pub colours: Vec<PlateColour>,
    /// Natural logarithm of how common the format is against the others; 0 or less.
    pub prior: f32,
    /// The symbols allowed at each place.
    pub places: Vec<String>,
}

/// Why a grammar file was refused.
#[derive(Debug, thiserror::Error, PartialEq)]
pub enum GrammarError {
    /// Not TOML, or keys that are not known.
    #[error("the grammar is not understood: {0}")]
    Syntax(String),
    /// A format names what is no class.
    #[error("format `{kind}` names `{token}`; known classes are {known}, a fixed symbol is written `=X`")]
    UnknownClass {
        /// The format.
        kind: String,
        /// What it names.
        token: String,
        /// The classes of the file.
        known: String,
    },
    /// A count is no number or range.
    #[error("format `{kind}`: `{token}` has no count such as `*5` or `*4..6`")]
    BadCount {
        /// The format.
        kind: String,
        /// The token.
        token: String,
    },
    /// Too long, too short, too many.
    #[error("{0}")]
    Limit(String),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    region: String,
    name: String,
    #[serde(default)]
    classes: BTreeMap<String, String>,
    #[serde(default, rename = "format")]
    formats: Vec<FormatLine>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct FormatLine {
    kind: String,
    #[serde(default)]
    colours: Vec<String>,
    pattern: String,
    #[serde(default)]
    prior: f32,
}

impl Grammar {
    /// The grammars that come with the program, by the word that the settings use.
    pub const BUILT_IN: [(&'static str, &'static str); 6] = [
        ("cn", include_str!("regions/cn.toml")),
        ("hk-mo", include_str!("regions/hk-mo.toml")),
        ("eu", include_str!("regions/eu.toml")),
        ("us", include_str!("regions/us.toml")),
        ("br", include_str!("regions/br.toml")),
        ("any", include_str!("regions/any.toml")),
    ];

    /// One of [`Grammar::BUILT_IN`].
    pub fn built_in(region: &str) -> Option<Self> {
        let (_, text) = Self::BUILT_IN.iter().find(|(word, _)| *word == region)?;
        Some(Self::parse(text).expect("the grammars that come with the program are tested"))
    }

    /// From the text of a grammar file.
    pub fn parse(text: &str) -> Result<Self, GrammarError> {
        let file: File = toml::from_str(text).map_err(|error| GrammarError::Syntax(error.message().to_owned()))?;
        let mut formats = Vec::new();
        for line in &file.formats {
            let colours = colours(line)?;
            for places in expand(line, &file.classes)? {
                let prior = line.prior.min(0.0);
                formats.push(Format { kind: line.kind.clone(), colours: colours.clone(), prior, places });
            }
        }
        if formats.is_empty() || formats.len() > MOST_FORMATS {
            let words =
                format!("a grammar has 1 to {MOST_FORMATS} formats, each length counted; this has {}", formats.len());
            return Err(GrammarError::Limit(words));
        }
        Ok(Self { region: file.region, name: file.name, formats })
    }

    /// The word that settings use, such as `cn`.
    pub fn region(&self) -> &str {
        &self.region
    }

    /// The name for people.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Every format, ranges written out.
    pub fn formats(&self) -> &[Format] {
        &self.formats
    }

    /// The formats that a normalised plate has; several when only the colour tells them apart.
    pub fn matching<'a>(&'a self, plate: &'a str) -> impl Iterator<Item = &'a Format> + 'a {
        self.formats.iter().filter(move |format| format.holds(plate))
    }
}

impl Format {
    /// Has the plate this format?
    pub fn holds(&self, plate: &str) -> bool {
        let mut symbols = plate.chars();
        self.places.iter().all(|allowed| symbols.next().is_some_and(|c| allowed.contains(c)))
            && symbols.next().is_none()
    }
}

fn colours(line: &FormatLine) -> Result<Vec<PlateColour>, GrammarError> {
    let unknown = |word: &str| {
        let known = PlateColour::ALL.map(PlateColour::word).join(", ");
        GrammarError::Limit(format!("format `{}`: `{word}` is no colour; known are {known}", line.kind))
    };
    line.colours.iter().map(|word| PlateColour::from_word(word).ok_or_else(|| unknown(word))).collect()
}

/// All fixed-length sequences of symbol sets that a pattern stands for.
fn expand(line: &FormatLine, classes: &BTreeMap<String, String>) -> Result<Vec<Vec<String>>, GrammarError> {
    let mut sequences = vec![Vec::new()];
    for token in line.pattern.split_whitespace() {
        let (allowed, counts) = symbols(line, token, classes)?;
        let repeated = |sequence: &Vec<String>, count| {
            sequence.iter().cloned().chain(std::iter::repeat_n(allowed.clone(), count)).collect::<Vec<_>>()
        };
        sequences = sequences.iter().flat_map(|each| counts.clone().map(|count| repeated(each, count))).collect();
        if sequences.len() > MOST_FORMATS {
            return Err(GrammarError::Limit(format!("format `{}` stands for too many lengths", line.kind)));
        }
    }
    let sound = sequences.iter().all(|sequence| (1..=LONGEST).contains(&sequence.len()));
    let words = || GrammarError::Limit(format!("format `{}` must have 1 to {LONGEST} places", line.kind));
    sound.then_some(sequences).ok_or_else(words)
}

type Counts = std::ops::RangeInclusive<usize>;

fn symbols(
    line: &FormatLine,
    token: &str,
    classes: &BTreeMap<String, String>,
) -> Result<(String, Counts), GrammarError> {
    if let Some(fixed) = token.strip_prefix('=') {
        return Ok((fixed.to_owned(), 1..=1));
    }
    let (class, count) = token.split_once('*').unwrap_or((token, "1"));
    let allowed = classes.get(class).ok_or_else(|| GrammarError::UnknownClass {
        kind: line.kind.clone(),
        token: class.to_owned(),
        known: classes.keys().cloned().collect::<Vec<_>>().join(", "),
    })?;
    let (from, to) = count.split_once("..").unwrap_or((count, count));
    match (from.parse(), to.parse()) {
        (Ok(from), Ok(to)) if from <= to && to <= LONGEST => Ok((allowed.clone(), from..=to)),
        _ => Err(GrammarError::BadCount { kind: line.kind.clone(), token: token.to_owned() }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kinds(region: &str, plate: &str) -> Vec<String> {
        let grammar = Grammar::built_in(region).unwrap();
        grammar.matching(plate).map(|format| format.kind.clone()).collect()
    }

    #[test]
    fn every_grammar_that_comes_with_the_program_is_sound() {
        for (word, _) in Grammar::BUILT_IN {
            assert_eq!(Grammar::built_in(word).unwrap().region(), word);
        }
    }

    #[test]
    fn mainland_plates_have_their_kind() {
        let cases = [
            ("皖A12345", vec!["small", "large", "foreign"]),
            ("京AD12345", vec!["new-energy-small"]),
            ("京A12345D", vec!["new-energy-large"]),
            ("粤B1234挂", vec!["trailer"]),
            ("沪A1234学", vec!["learner"]),
            ("川A1234警", vec!["police"]),
            ("WJ京12345", vec!["armed-police"]),
            ("粤ZAB12港", vec!["hong-kong-cross-border"]),
            ("使123456", vec!["embassy"]),
        ];
        for (plate, wanted) in cases {
            assert_eq!(kinds("cn", plate), wanted, "{plate}");
        }
        for nonsense in ["皖A1234", "皖AI2345", "A12345皖", "皖A123456", "", "20260101"] {
            assert!(kinds("cn", nonsense).is_empty(), "{nonsense}");
        }
    }

    #[test]
    fn a_range_of_lengths_is_written_out() {
        assert_eq!(kinds("hk-mo", "AB1"), ["hong-kong"]);
        assert_eq!(kinds("br", "ABC1D23"), ["mercosul"]);
        assert_eq!(kinds("us", "7ABC123"), ["civil"]);
    }

    #[test]
    fn a_mistake_in_a_grammar_is_named() {
        let head = "region = \"x\"\nname = \"X\"\n[classes]\ndigit = \"01\"\n[[format]]\nkind = \"k\"\n";
        let words = |pattern: &str| Grammar::parse(&format!("{head}pattern = \"{pattern}\"")).unwrap_err().to_string();
        assert!(words("digits*3").contains("`digits`") && words("digits*3").contains("digit"));
        assert!(words("digit*x").contains("*4..6"));
        assert!(words("digit*13").contains("`digit*13`"));
        assert!(words("digit*9 digit*9").contains("12 places"));
    }
}
