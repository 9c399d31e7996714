//! How well members are told from strangers: true-accept against false-accept rates of three ways to match.
//!
//! Pure and repeatable: the same samples and the same seed give the same figures. A round lists half of the samples'
//! plates, adds many random others of the same provinces and offices, and asks every sample: those listed should be
//! accepted as themselves, the others not at all.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use super::calibration::{self, Calibration, FalseAccept};
use super::known;
use super::list::PlateList;
use super::reading::Pool;

/// One picture of a plate with its truth.
#[derive(Clone, Debug)]
pub struct Sample {
    /// The true plate, normalised.
    pub truth: String,
    /// What was seen.
    pub pool: Pool,
}

/// Ways to match.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Method {
    /// The decoded string stands on the list.
    Exact,
    /// The only listed plate at Levenshtein distance 1 or less of the decoded string.
    Levenshtein1,
    /// The known-plate test.
    KnownPlate,
}

impl Method {
    /// All, in the order of the report.
    pub const ALL: [Self; 3] = [Self::Exact, Self::Levenshtein1, Self::KnownPlate];

    /// The word used in reports.
    pub fn word(self) -> &'static str {
        match self {
            Self::Exact => "exact",
            Self::Levenshtein1 => "levenshtein-1",
            Self::KnownPlate => "known-plate",
        }
    }
}

/// Outcome of all trials of a method.
#[derive(Clone, Debug, Default)]
pub struct Trials {
    /// Scores of listed samples that were accepted as themselves.
    genuine: Vec<f32>,
    /// Number of listed samples.
    genuine_trials: usize,
    /// Samples that were accepted although their plates were not listed.
    impostor: Vec<FalseAccept>,
    /// Number of samples that were not listed, of either half of the plates.
    impostor_trials: [usize; 2],
}

/// A point of a curve.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Point {
    /// Least score that is accepted.
    pub threshold: f32,
    /// Share of listed samples that are accepted as themselves.
    pub true_accept: f64,
    /// Share of unlisted samples that are accepted as anybody.
    pub false_accept: f64,
}

impl Trials {
    /// Trials behind the rates: listed and unlisted.
    pub fn counts(&self) -> (usize, usize) {
        (self.genuine_trials, self.impostor_trials.iter().sum())
    }

    /// The most that is accepted while no more than `rate` of the strangers are.
    pub fn at(&self, rate: f64) -> Point {
        let allowed = (rate * self.counts().1 as f64).floor() as usize;
        let mut scores: Vec<f32> = self.impostor.iter().map(|accept| accept.ratio).collect();
        scores.sort_unstable_by(|a, b| b.total_cmp(a));
        let threshold = scores.get(allowed).map_or(f32::NEG_INFINITY, |score| score.next_up());
        self.point(threshold)
    }

    /// The rates at a threshold.
    pub fn point(&self, threshold: f32) -> Point {
        let (listed, strangers) = self.counts();
        let genuine = self.genuine.iter().filter(|&&score| score >= threshold).count();
        let impostor = self.impostor.iter().filter(|accept| accept.ratio >= threshold).count();
        let share = |count: usize, of: usize| count as f64 / of.max(1) as f64;
        Point { threshold, true_accept: share(genuine, listed), false_accept: share(impostor, strangers) }
    }

    /// The table of thresholds that these trials justify, see [`calibration::measure`].
    pub fn calibration(&self) -> Option<Calibration> {
        calibration::measure(&self.impostor, self.impostor_trials)
    }
}

/// How the trials are made.
#[derive(Clone, Copy, Debug)]
pub struct Protocol {
    /// Random other plates on the list.
    pub others: usize,
    /// Rounds, each with another half listed and other plates.
    pub rounds: u32,
    /// Seed of all that is random.
    pub seed: u64,
}

/// Runs all rounds.
pub fn compare(samples: &[Sample], protocol: Protocol) -> BTreeMap<Method, Trials> {
    let mut random = fastrand::Rng::with_seed(protocol.seed);
    let mut trials: BTreeMap<Method, Trials> = Method::ALL.map(|method| (method, Trials::default())).into();
    let decoded: Vec<_> = samples.iter().map(|sample| sample.pool.reading()).collect();
    let plates: BTreeSet<&str> = samples.iter().map(|sample| sample.truth.as_str()).collect();
    let second_half: HashSet<&str> = plates.into_iter().skip(1).step_by(2).collect();
    for _ in 0..protocol.rounds {
        let listed: HashSet<&str> =
            samples.iter().filter(|_| random.bool()).map(|sample| sample.truth.as_str()).collect();
        let others = others(samples, protocol.others, &mut random);
        let plates = listed.iter().map(|plate| (*plate).to_owned()).chain(others);
        let list = PlateList::build(plates.enumerate().map(|(owner, plate)| (plate, owner as i64))).0;
        let neighbours = Neighbours::new(&list);
        for (sample, reading) in samples.iter().zip(&decoded) {
            let confidence = reading.as_ref().map_or(0.0, |reading| reading.confidence);
            let text = reading.as_ref().map_or("", |reading| reading.text.as_str());
            for (method, trials) in &mut trials {
                let answer = match method {
                    Method::Exact => list.contains(text).then(|| (text.to_owned(), confidence)),
                    Method::Levenshtein1 => {
                        neighbours.only_one_near(text).map(|(plate, distance)| (plate, confidence - distance as f32))
                    }
                    Method::KnownPlate => {
                        known::matches(&sample.pool, &list, 0.0).into_iter().next().map(|best| (best.plate, best.ratio))
                    }
                };
                let truth = sample.truth.as_str();
                if listed.contains(truth) {
                    trials.count_listed(truth, answer);
                } else {
                    trials.count_stranger(second_half.contains(truth), answer);
                }
            }
        }
    }
    trials
}

impl Trials {
    /// A member taken for another member is not counted as accepted.
    fn count_listed(&mut self, truth: &str, answer: Option<(String, f32)>) {
        self.genuine_trials += 1;
        self.genuine.extend(answer.filter(|(plate, _)| plate == truth).map(|(_, score)| score));
    }

    fn count_stranger(&mut self, second_half: bool, answer: Option<(String, f32)>) {
        self.impostor_trials[usize::from(second_half)] += 1;
        self.impostor.extend(answer.map(|(_, ratio)| FalseAccept { second_half, ratio }));
    }
}

/// Random plates of the same province, office and length as the samples, none of which is a sample's.
fn others(samples: &[Sample], count: usize, random: &mut fastrand::Rng) -> Vec<String> {
    const SERIAL: &[u8] = b"0123456789ABCDEFGHJKLMNPQRSTUVWXYZ";
    let truths: HashSet<&str> = samples.iter().map(|sample| sample.truth.as_str()).collect();
    let mut made = HashSet::new();
    let mut list = Vec::with_capacity(count);
    while list.len() < count && !samples.is_empty() {
        let model = &samples[random.usize(..samples.len())].truth;
        let serial = |symbol: char, random: &mut fastrand::Rng| match symbol {
            '0'..='9' if random.f32() < 0.9 => SERIAL[random.usize(..10)] as char,
            '0'..='9' | 'A'..='Z' => SERIAL[random.usize(..SERIAL.len())] as char,
            fixed => fixed,
        };
        let plate: String =
            model.chars().enumerate().map(|(place, c)| if place < 2 { c } else { serial(c, random) }).collect();
        if !truths.contains(plate.as_str()) && made.insert(plate.clone()) {
            list.push(plate);
        }
    }
    list
}

/// The list by what is left of its plates when one symbol is taken away.
struct Neighbours {
    by_rest: HashMap<String, Vec<String>>,
}

impl Neighbours {
    fn new(list: &PlateList) -> Self {
        let mut by_rest: HashMap<String, Vec<String>> = HashMap::new();
        for plate in list.plates() {
            for rest in rests(&plate) {
                by_rest.entry(rest).or_default().push(plate.clone());
            }
        }
        Self { by_rest }
    }

    /// The nearest listed plate at distance 0 or 1, unless two are equally near.
    fn only_one_near(&self, text: &str) -> Option<(String, usize)> {
        let plates = rests(text).into_iter().filter_map(|rest| self.by_rest.get(&rest)).flatten();
        let mut near: Vec<(usize, &String)> =
            plates.map(|plate| (strsim::levenshtein(plate, text), plate)).filter(|entry| entry.0 <= 1).collect();
        near.sort();
        near.dedup();
        match near.as_slice() {
            [first, second, ..] if first.0 == second.0 => None,
            [first, ..] => Some((first.1.clone(), first.0)),
            [] => None,
        }
    }
}

/// The string itself and with each one symbol left out.
fn rests(text: &str) -> Vec<String> {
    let symbols: Vec<char> = text.chars().collect();
    let without =
        |gone: usize| symbols.iter().enumerate().filter(|(place, _)| *place != gone).map(|(_, c)| c).collect();
    let mut all: Vec<String> = (0..symbols.len()).map(without).collect();
    if !text.is_empty() {
        all.push(text.to_owned());
    }
    all.sort();
    all.dedup();
    all
}

#[cfg(test)]
mod tests {
    use super::super::confusion::Confusions;
    use super::super::evidence::fixtures;
    use super::super::grammar::Grammar;
    use super::super::reading::Interpreter;
    use super::*;

    fn sample(truth: &str, seen: &[&str]) -> Sample {
        let mut interpreter = Interpreter::new(Grammar::built_in("cn").unwrap(), Confusions::default());
        let mut pool = Pool::default();
        pool.add(&mut interpreter, &fixtures::ctc(seen), &[]);
        Sample { truth: truth.to_owned(), pool }
    }

    #[test]
    fn a_misread_plate_is_lost_to_exact_matching_and_found_by_the_test() {
        let samples = [
            sample("皖A12345", &["皖", "A", "1", "2", "3", "4", "5"]),
            sample("苏B88888", &["苏", "B", "8", "8", "8", "8", "B:0.6,8:0.35"]),
        ];
        let trials = compare(&samples, Protocol { others: 200, rounds: 20, seed: 1 });
        let rate = |method: Method| trials[&method].at(0.001).true_accept;
        assert!(rate(Method::KnownPlate) > 0.95, "{}", rate(Method::KnownPlate));
        assert!((0.2..0.8).contains(&rate(Method::Exact)));
        assert_eq!(trials[&Method::Exact].counts().0 + trials[&Method::Exact].counts().1, 40);
    }

    #[test]
    fn distance_one_counts_lost_and_doubled_characters() {
        let list = PlateList::build([("皖A12345".to_owned(), 1), ("皖A12346".to_owned(), 2)]).0;
        let neighbours = Neighbours::new(&list);
        assert_eq!(neighbours.only_one_near("皖A12345"), Some(("皖A12345".to_owned(), 0)));
        assert_eq!(neighbours.only_one_near("皖A1234"), None);
        assert_eq!(neighbours.only_one_near("皖A123345"), Some(("皖A12345".to_owned(), 1)));
        assert_eq!(neighbours.only_one_near(""), None);
    }
}
