//! What was promised against what came: lost = 0, phantom = 0, duplicates bounded, order kept, every gap told.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use forecourt::domain::event::{DropReason, EventClass};
use forecourt::store::spool::Dropped;
use serde_json::Value;

/// What the producer wrote down, on a way that has nothing to do with the spool.
#[derive(Debug, Default)]
pub struct Ledger {
    /// Numbers of events that it began to store.
    pub tried: BTreeSet<u64>,
    /// Event id → number, written after the commit.
    pub accepted: BTreeMap<String, u64>,
}

impl Ledger {
    /// Lines `try N` and `ok N ID`; a line that was cut short by a kill counts for nothing.
    pub fn read(path: &Path) -> Self {
        let text = std::fs::read_to_string(path).unwrap_or_default();
        let whole = text.rsplit_once('\n').map_or("", |(whole, _)| whole);
        let mut ledger = Self::default();
        for line in whole.lines() {
            match line.split(' ').collect::<Vec<_>>()[..] {
                ["try", n] => drop(ledger.tried.insert(n.parse().unwrap())),
                ["ok", n, id] => drop(ledger.accepted.insert(id.to_owned(), n.parse().unwrap())),
                // What a kill has cut short.
                _ => {}
            }
        }
        ledger
    }
}

/// What is wrong; the default is: nothing.
#[derive(Debug, Default, PartialEq)]
pub struct Verdict {
    /// Accepted, neither arrived nor told as dropped.
    pub lost: Vec<String>,
    /// Arrived, but never begun, or under an id that was given to another.
    pub phantom: Vec<String>,
    /// Arrivals beyond the first of each id.
    pub duplicates: usize,
    /// First arrivals of a class out of the order of their numbers.
    pub inversions: Vec<(u64, u64)>,
    /// Numbers of an epoch that neither arrived nor are told.
    pub untold: Vec<u64>,
    /// Numbers that are told as dropped, by the sum of the counts, less those that are missing.
    pub overtold: i64,
}

impl Verdict {
    /// The promises hold; duplicates are judged by the caller, who knows how many faults there were.
    pub fn holds(&self) -> bool {
        let nothing = Self { duplicates: self.duplicates, overtold: self.overtold, ..Self::default() };
        *self == nothing
    }
}

/// The CloudEvents id of a payload.
pub fn id(payload: &[u8]) -> Option<String> {
    serde_json::from_slice::<Value>(payload).ok()?["id"].as_str().map(str::to_owned)
}

struct Came {
    epoch: String,
    seq: u64,
    class: EventClass,
    n: Option<u64>,
    dropped: Option<Dropped>,
}

fn came(payload: &[u8]) -> Option<Came> {
    let value: Value = serde_json::from_slice(payload).ok()?;
    let (epoch, seq) = value["id"].as_str()?.rsplit_once('-')?;
    let class = serde_json::from_value(value["data"]["of_class"].clone()).ok()?;
    let dropped = serde_json::from_value(value["data"]["dropped"].clone()).ok();
    Some(Came { epoch: epoch.to_owned(), seq: seq.parse().ok()?, class, n: value["data"]["n"].as_u64(), dropped })
}

/// Compares the ledger with everything that arrived, in the order in which it arrived.
pub fn check<'a>(ledger: &Ledger, arrivals: impl IntoIterator<Item = &'a [u8]>) -> Verdict {
    let mut verdict = Verdict::default();
    let mut first: BTreeMap<(String, u64), Came> = BTreeMap::new();
    let mut last: BTreeMap<(String, u8), u64> = BTreeMap::new();
    for payload in arrivals {
        let Some(event) = came(payload) else {
            verdict.phantom.push(String::from_utf8_lossy(payload).into_owned());
            continue;
        };
        let key = (event.epoch.clone(), event.seq);
        if let Some(known) = first.get(&key) {
            verdict.duplicates += 1;
            if known.n != event.n {
                verdict.phantom.push(format!("{}-{} came with two contents", key.0, key.1));
            }
            continue;
        }
        let newest = last.entry((event.epoch.clone(), event.class.number())).or_default();
        if event.seq < *newest {
            verdict.inversions.push((*newest, event.seq));
        }
        *newest = event.seq.max(*newest);
        verdict.judge(ledger, &event);
        first.insert(key, event);
    }
    verdict.find_gaps(ledger, &first);
    verdict
}

impl Verdict {
    fn judge(&mut self, ledger: &Ledger, event: &Came) {
        let id = format!("{}-{}", event.epoch, event.seq);
        let given = ledger.accepted.get(&id);
        let begun = event.n.is_some_and(|n| ledger.tried.contains(&n));
        if event.dropped.is_none() && (!begun || given.is_some_and(|n| Some(*n) != event.n)) {
            self.phantom.push(id);
        }
    }

    fn find_gaps(&mut self, ledger: &Ledger, first: &BTreeMap<(String, u64), Came>) {
        let epochs: BTreeSet<&String> = first.keys().map(|(epoch, _)| epoch).collect();
        for epoch in epochs {
            let of_epoch = || first.iter().filter(|((of, _), _)| of == epoch);
            // Of two records with the same class, reason and first number the later one counts.
            let mut told: BTreeMap<(u8, DropWord, u64), Dropped> = BTreeMap::new();
            for dropped in of_epoch().filter_map(|(_, event)| event.dropped) {
                told.insert((dropped.class.number(), DropWord(dropped.reason), dropped.first_seq), dropped);
            }
            let newest = of_epoch().map(|((_, seq), _)| *seq).max().unwrap_or(0);
            let oldest = of_epoch().map(|((_, seq), _)| *seq).min().unwrap_or(1);
            let missing = (oldest..=newest).filter(|seq| !first.contains_key(&(epoch.clone(), *seq)));
            let missing: Vec<u64> = missing.collect();
            let covered = |seq: &u64| told.values().any(|each| (each.first_seq..=each.last_seq).contains(seq));
            self.untold.extend(missing.iter().filter(|seq| !covered(seq)));
            self.overtold += told.values().map(|each| each.count as i64).sum::<i64>() - missing.len() as i64;
            let absent = ledger.accepted.keys().filter(|id| id.starts_with(epoch.as_str()));
            let absent = absent.filter(|id| {
                let seq: u64 = id.rsplit_once('-').unwrap().1.parse().unwrap();
                !first.contains_key(&(epoch.clone(), seq)) && !covered(&seq)
            });
            self.lost.extend(absent.cloned());
        }
        let seen = |id: &&String| first.keys().any(|(epoch, _)| id.starts_with(epoch.as_str()));
        self.lost.extend(ledger.accepted.keys().filter(|id| !seen(id)).cloned());
    }
}

/// A reason with an order.
#[derive(PartialEq, Eq, Clone, Copy)]
struct DropWord(DropReason);

impl Ord for DropWord {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        (self.0 as u8).cmp(&(other.0 as u8))
    }
}

impl PartialOrd for DropWord {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

#[test]
fn the_checker_sees_each_kind_of_wrong() {
    let event = |seq: u64, n: u64| format!(r#"{{"id":"e1-{seq}","data":{{"of_class":"P1","n":{n}}}}}"#).into_bytes();
    let ledger = || Ledger { tried: (1..=4).collect(), accepted: (1..=4).map(|n| (format!("e1-{n}"), n)).collect() };
    let judge = |events: &[Vec<u8>]| check(&ledger(), events.iter().map(Vec::as_slice));
    let all: Vec<_> = (1..=4).map(|n| event(n, n)).collect();
    assert_eq!(judge(&all), Verdict::default());
    assert_eq!(judge(&all[..3]).lost, ["e1-4"]);
    assert_eq!(judge(&[]).lost.len(), 4);
    let gap = judge(&[event(1, 1), event(2, 2), event(4, 4)]);
    assert_eq!((gap.lost, gap.untold), (vec!["e1-3".to_owned()], vec![3]));
    let twice = judge(&[&all[..], &all[..1]].concat());
    assert!(twice.holds() && twice.duplicates == 1);
    assert_eq!(judge(&[event(1, 1), event(3, 3), event(2, 2), event(4, 4)]).inversions, [(3, 2)]);
    assert_eq!(judge(&[&all[..], &[event(5, 9)]].concat()).phantom, ["e1-5"]);
    assert_eq!(judge(&[&all[..], &[event(2, 3)]].concat()).phantom.len(), 1);
}
