//! What was promised against what came: lost = 0, phantom = 0, duplicates bounded, order kept, every gap told.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use forecourt::domain::event::EventClass;
use forecourt::store::spool::Dropped;
use serde_json::Value;

/// What the producer wrote down, on a way that has nothing to do with the spool.
#[derive(Debug, Default)]
pub struct Ledger {
    /// Numbers of events that it began to store.
    pub tried: BTreeSet<u64>,
    /// Number → event id, written after the commit.
    accepted: BTreeMap<u64, String>,
    /// Number → condition of the spool when it refused.
    pub refused: BTreeMap<u64, String>,
}

impl Ledger {
    /// Lines `try N`, `ok N ID` and `no N CONDITION`; a line that was cut short by a kill counts for nothing.
    pub fn read(path: &Path) -> Self {
        let text = std::fs::read_to_string(path).unwrap_or_default();
        let whole = text.rsplit_once('\n').map_or("", |(whole, _)| whole);
        let mut ledger = Self::default();
        for line in whole.lines() {
            match line.split(' ').collect::<Vec<_>>()[..] {
                ["try", n] => drop(ledger.tried.insert(n.parse().unwrap())),
                ["ok", n, id] => ledger.accept(n.parse().unwrap(), id.to_owned()),
                ["no", n, condition] => drop(ledger.refused.insert(n.parse().unwrap(), condition.to_owned())),
                _ => panic!("the ledger holds `{line}`"),
            }
        }
        ledger
    }

    /// The next number, noted as tried.
    pub fn next(&mut self) -> u64 {
        let n = self.tried.last().map_or(1, |last| last + 1);
        self.tried.insert(n);
        n
    }

    /// Number `n` was accepted as `id`.
    pub fn accept(&mut self, n: u64, id: String) {
        self.accepted.insert(n, id);
    }

    /// Ids of everything that was accepted.
    pub fn ids(&self) -> impl Iterator<Item = &String> {
        self.accepted.values()
    }

    /// Numbers that were refused and came nevertheless: a second try would tell the same thing twice.
    pub fn came_though_refused<'a>(&self, arrivals: impl IntoIterator<Item = &'a [u8]>) -> BTreeSet<u64> {
        arrivals.into_iter().filter_map(number).filter(|n| self.refused.contains_key(n)).collect()
    }

    /// How many were accepted.
    pub fn len(&self) -> usize {
        self.accepted.len()
    }

    /// Takes back what is known to wait still.
    pub fn forget(&mut self, waits: impl Fn(&String) -> bool) {
        self.accepted.retain(|_, id| !waits(id));
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

/// The number that the producer gave it.
fn number(payload: &[u8]) -> Option<u64> {
    serde_json::from_slice::<Value>(payload).ok()?["data"]["n"].as_u64()
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
        let begun = event.n.is_some_and(|n| ledger.tried.contains(&n));
        if event.dropped.is_none() && !begun {
            self.phantom.push(format!("{}-{}", event.epoch, event.seq));
        }
    }

    fn find_gaps(&mut self, ledger: &Ledger, first: &BTreeMap<(String, u64), Came>) {
        let epochs: BTreeSet<&String> = first.keys().map(|(epoch, _)| epoch).collect();
        let mut told: Vec<(&String, Dropped)> = Vec::new();
        for epoch in epochs {
            let of_epoch = || first.iter().filter(|((of, _), _)| of == epoch);
            // Of two records with the same class, reason and first number the later one counts.
            let mut records: BTreeMap<(u8, u8, u64), Dropped> = BTreeMap::new();
            for dropped in of_epoch().filter_map(|(_, event)| event.dropped) {
                records.insert((dropped.class.number(), dropped.reason as u8, dropped.first_seq), dropped);
            }
            let seqs: BTreeSet<u64> = of_epoch().map(|((_, seq), _)| *seq).collect();
            let (oldest, newest) = (seqs.first().copied().unwrap_or(1), seqs.last().copied().unwrap_or(0));
            let missing: Vec<u64> = (oldest..=newest).filter(|seq| !seqs.contains(seq)).collect();
            let covered = |seq: &u64| records.values().any(|each| (each.first_seq..=each.last_seq).contains(seq));
            self.untold.extend(missing.iter().filter(|seq| !covered(seq)));
            self.overtold += records.values().map(|each| each.count as i64).sum::<i64>() - missing.len() as i64;
            told.extend(records.into_values().map(|record| (epoch, record)));
        }
        for (n, id) in &ledger.accepted {
            let (epoch, seq) = id.rsplit_once('-').expect("an id is an epoch and a number");
            let seq: u64 = seq.parse().unwrap();
            let covers =
                |of: &String, record: &Dropped| of == epoch && (record.first_seq..=record.last_seq).contains(&seq);
            match first.get(&(epoch.to_owned(), seq)) {
                Some(event) if event.n == Some(*n) => {}
                Some(_) => self.phantom.push(format!("{id} was accepted as {n} and came as another")),
                None if told.iter().any(|(of, record)| covers(of, record)) => {}
                None => self.lost.push(id.clone()),
            }
        }
    }
}

#[test]
fn the_checker_sees_each_kind_of_wrong() {
    let event = |seq: u64, n: u64| format!(r#"{{"id":"e1-{seq}","data":{{"of_class":"P1","n":{n}}}}}"#).into_bytes();
    let ledger = || Ledger {
        tried: (1..=4).collect(),
        accepted: (1..=4).map(|n| (n, format!("e1-{n}"))).collect(),
        ..Ledger::default()
    };
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
    assert_eq!(judge(&[event(1, 1), event(2, 3), event(3, 2), event(4, 4)]).phantom.len(), 2);
}
