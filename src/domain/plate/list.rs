//! The listed plates, laid out so that those near a reading are found in microseconds among a million.
//!
//! Two strings of the same length that differ in at most two of their last six places agree in at least one of three
//! pairs of places. So every plate stands in three buckets, one for each pair with its symbols, and only the three
//! buckets of the reading are compared, place by place in one machine word. Errors in the places before the last six,
//! the province above all, cost nothing. Lost or doubled characters are the business of the caller, who asks with
//! readings of every length that the grammar allows.

use std::collections::HashMap;

/// Longest plate that is indexed; one byte a symbol in a 128-bit word.
const LONGEST: usize = 16;
/// Places in the three pairs.
const PAIRS: usize = 3;

/// Number of a member in the store.
pub type Owner = i64;

/// An immutable index of the plates that may be matched.
#[derive(Clone, Debug, Default)]
pub struct PlateList {
    symbols: HashMap<char, u8>,
    names: Vec<char>,
    /// Sorted by code: the plates and who has them; a plate of several members stands several times.
    plates: Vec<(u128, Owner)>,
    pairs: [Bucketed; PAIRS],
}

/// All codes, bucket after bucket.
#[derive(Clone, Debug, Default)]
struct Bucketed {
    starts: HashMap<u32, (u32, u32)>,
    codes: Vec<u128>,
}

/// A listed plate near a reading.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Near {
    /// The listed plate.
    pub plate: String,
    /// Places in which it differs.
    pub differs: u32,
}

impl PlateList {
    /// Indexes normalised plates. Plates longer than 16 symbols, or of a 256th different symbol, are left out and counted.
    pub fn build(entries: impl IntoIterator<Item = (String, Owner)>) -> (Self, usize) {
        let mut list = Self::default();
        let mut left_out = 0;
        for (plate, owner) in entries {
            match list.learn(&plate) {
                Some(code) => list.plates.push((code, owner)),
                None => left_out += 1,
            }
        }
        list.plates.sort_unstable();
        list.plates.dedup();
        let mut codes: Vec<u128> = list.plates.iter().map(|entry| entry.0).collect();
        codes.dedup();
        list.pairs = std::array::from_fn(|pair| Bucketed::build(&codes, pair));
        (list, left_out)
    }

    /// Number of listed plates.
    pub fn len(&self) -> usize {
        self.pairs[0].codes.len()
    }

    /// Is nobody listed?
    pub fn is_empty(&self) -> bool {
        self.plates.is_empty()
    }

    /// Every listed plate once, in the order of its code.
    pub fn plates(&self) -> impl Iterator<Item = String> + '_ {
        self.plates.chunk_by(|a, b| a.0 == b.0).map(|same| self.text(same[0].0))
    }

    /// Is exactly this plate listed?
    pub fn contains(&self, plate: &str) -> bool {
        self.code(plate).is_some_and(|code| self.position(code).is_some())
    }

    /// The members who have exactly this plate.
    pub fn owners(&self, plate: &str) -> Vec<Owner> {
        let Some((code, first)) = self.code(plate).and_then(|code| Some((code, self.position(code)?))) else {
            return Vec::new();
        };
        self.plates[first..].iter().take_while(|entry| entry.0 == code).map(|entry| entry.1).collect()
    }

    /// Listed plates of the same length that differ in at most `most` places, nearest first, at most `limit`.
    ///
    /// Complete when at most two of the last six places differ; others may be missing.
    pub fn near(&self, reading: &str, most: u32, limit: usize) -> Vec<Near> {
        let Some(code) = self.code_of_any(reading) else { return Vec::new() };
        let mut found: Vec<(u32, u128)> = Vec::new();
        for (pair, bucketed) in self.pairs.iter().enumerate() {
            let near = bucketed.of(key(code, pair)).iter().map(|&listed| (differences(listed, code), listed));
            found.extend(near.filter(|entry| entry.0 <= most));
        }
        found.sort_unstable();
        found.dedup();
        found.truncate(limit);
        found.into_iter().map(|(differs, listed)| Near { plate: self.text(listed), differs }).collect()
    }

    fn position(&self, code: u128) -> Option<usize> {
        let first = self.plates.partition_point(|entry| entry.0 < code);
        (self.plates.get(first)?.0 == code).then_some(first)
    }

    fn learn(&mut self, plate: &str) -> Option<u128> {
        for symbol in plate.chars() {
            if !self.symbols.contains_key(&symbol) {
                let number = u8::try_from(self.names.len() + 1).ok().filter(|&n| n < u8::MAX)?;
                self.symbols.insert(symbol, number);
                self.names.push(symbol);
            }
        }
        self.code(plate)
    }

    fn code(&self, plate: &str) -> Option<u128> {
        encode(plate, |symbol| self.symbols.get(&symbol).copied())
    }

    /// A symbol that no listed plate has differs from every other.
    fn code_of_any(&self, reading: &str) -> Option<u128> {
        encode(reading, |symbol| Some(self.symbols.get(&symbol).copied().unwrap_or(u8::MAX)))
    }

    fn text(&self, code: u128) -> String {
        code.to_be_bytes().iter().filter(|&&byte| byte != 0).map(|&byte| self.names[usize::from(byte) - 1]).collect()
    }
}

/// One byte a symbol, the last symbol in the lowest byte; 0 means no symbol.
fn encode(plate: &str, number: impl Fn(char) -> Option<u8>) -> Option<u128> {
    let mut code = 0_u128;
    for (place, symbol) in plate.chars().enumerate() {
        if place == LONGEST {
            return None;
        }
        code = code << 8 | u128::from(number(symbol)?);
    }
    (code != 0).then_some(code)
}

/// The two symbols of a pair of places, counted from the end, with the length.
fn key(code: u128, pair: usize) -> u32 {
    let length = LONGEST as u32 - code.leading_zeros() / 8;
    (code >> (16 * pair)) as u32 & 0xFFFF | length << 16
}

/// Bytes that differ.
fn differences(a: u128, b: u128) -> u32 {
    let nonzero = |word: u64| {
        const LOW: u64 = 0x7F7F_7F7F_7F7F_7F7F;
        ((((word & LOW) + LOW) | word) & !LOW).count_ones()
    };
    let diff = a ^ b;
    nonzero(diff as u64) + nonzero((diff >> 64) as u64)
}

impl Bucketed {
    fn build(codes: &[u128], pair: usize) -> Self {
        let mut sorted = codes.to_vec();
        sorted.sort_unstable_by_key(|&code| (key(code, pair), code));
        let mut starts = HashMap::new();
        for (place, &code) in sorted.iter().enumerate() {
            let bucket = starts.entry(key(code, pair)).or_insert((place as u32, place as u32));
            bucket.1 = place as u32 + 1;
        }
        Self { starts, codes: sorted }
    }

    fn of(&self, key: u32) -> &[u128] {
        self.starts.get(&key).map_or(&[], |&(from, to)| &self.codes[from as usize..to as usize])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list(plates: &[&str]) -> PlateList {
        PlateList::build(plates.iter().enumerate().map(|(owner, plate)| (plate.to_string(), owner as Owner))).0
    }

    #[test]
    fn plates_within_two_places_of_a_reading_are_found() {
        let list = list(&["皖A12345", "皖A12845", "苏B12345", "皖A99999", "皖AD12345"]);
        let near: Vec<_> = list.near("皖A12345", 2, 10).into_iter().map(|near| (near.plate, near.differs)).collect();
        let wanted = [("皖A12345".to_owned(), 0), ("皖A12845".to_owned(), 1), ("苏B12345".to_owned(), 2)];
        assert_eq!(near, wanted);
    }

    #[test]
    fn a_symbol_that_nobody_has_is_only_a_difference() {
        assert_eq!(list(&["皖A12345"]).near("Q京12345", 2, 10).len(), 1);
        assert!(list(&["皖A12345"]).near("", 2, 10).is_empty());
        assert!(list(&[]).near("皖A12345", 2, 10).is_empty());
    }

    #[test]
    fn a_plate_of_two_members_names_both() {
        let (list, left_out) =
            PlateList::build([("皖A12345".to_owned(), 7), ("皖A12345".to_owned(), 3), ("X".repeat(17), 1)]);
        assert_eq!((list.owners("皖A12345"), list.len(), left_out), (vec![3, 7], 1, 1));
        assert!(list.owners("皖A12346").is_empty());
    }

    #[test]
    fn bytes_that_differ_are_counted() {
        assert_eq!(differences(0x0102_0304, 0x0102_0304), 0);
        assert_eq!(differences(0x8102_0304 << 96, 0x0102_FF04 << 96), 2);
        assert_eq!(differences(u128::MAX, 0), 16);
    }

    proptest::proptest! {
        #[test]
        fn the_index_agrees_with_a_plain_search(
            plates in proptest::collection::vec("[皖苏][AB][0-2]{5}", 1..60),
            reading in "[皖苏][AB][0-2]{5}",
        ) {
            let index = list(&plates.iter().map(String::as_str).collect::<Vec<_>>());
            let differs = |a: &str| a.chars().zip(reading.chars()).filter(|(x, y)| x != y).count() as u32;
            let mut wanted: Vec<_> = plates.iter().filter(|p| differs(p) <= 2).cloned().collect();
            wanted.sort();
            wanted.dedup();
            let mut found: Vec<_> = index.near(&reading, 2, 100).into_iter().map(|near| near.plate).collect();
            found.sort();
            proptest::prop_assert_eq!(found, wanted);
        }
    }
}
