//! Random histories of the spool against a queue in memory: append, acknowledge, expire, reopen, and into the cap.

use std::collections::BTreeMap;

use forecourt::domain::event::EventClass;
use forecourt::domain::time::TimeQuality;
use forecourt::store::spool::{Dropped, Identity, NewEvent, RowKey, Spool};
use jiff::Timestamp;
use proptest::prelude::*;

use crate::harness::{PlantedBug, open};

/// One step of a history.
#[derive(Clone, Debug)]
enum Step {
    /// Class, bytes of the payload, seconds until it is too old.
    Append(u8, usize, i64),
    /// Of what waits, the one at this place.
    Acknowledge(usize),
    /// Seconds go by, then ages are judged.
    Expire(i64),
    Reopen,
    /// Many of one class at once.
    Flood(u8),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        8 => (0..4_u8, 10..2000_usize, 1..5000_i64).prop_map(|(class, bytes, age)| Step::Append(class, bytes, age)),
        4 => any::<usize>().prop_map(Step::Acknowledge),
        1 => (1..3000_i64).prop_map(Step::Expire),
        1 => Just(Step::Reopen),
        1 => (1..4_u8).prop_map(Step::Flood),
    ]
}

/// What should be there, and what was ever given away.
#[derive(Default)]
struct Model {
    waiting: BTreeMap<u64, EventClass>,
    last: u64,
    acknowledged: u64,
    now: i64,
}

/// A spool and what should be in it.
struct Run {
    folder: tempfile::TempDir,
    spool: Option<Spool>,
    model: Model,
    /// Drop records that were acknowledged: they count for ever.
    told: Vec<Dropped>,
}

impl Run {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let spool = Some(open(folder.path(), 1, PlantedBug::None));
        Self { folder, spool, model: Model { now: 1_790_000_000, ..Model::default() }, told: Vec::new() }
    }

    fn spool(&mut self) -> &mut Spool {
        self.spool.as_mut().expect("open")
    }

    fn append(&mut self, class: EventClass, bytes: usize, age: i64) {
        let at = |second| Timestamp::from_second(second).unwrap();
        let now = self.model.now;
        let make = |identity: &Identity| identity.id.bytes().cycle().take(bytes).collect();
        let event = NewEvent {
            class,
            kind: "plain",
            topic: "evt/plain",
            happened_at: at(now),
            expires_at: (class != EventClass::P0).then(|| at(now + age)),
            supersedes: (class == EventClass::P3).then_some("only-one"),
            make: &make,
        };
        if let Ok(done) = self.spool().transaction(|tx| tx.append(event)) {
            let mut numbers: Vec<u64> = done.events.iter().map(|event| event.identity.seq).collect();
            numbers.sort_unstable();
            let newest = self.model.last + numbers.len() as u64;
            assert!(numbers.iter().copied().eq(self.model.last + 1..=newest), "not contiguous: {numbers:?}");
            self.model.last = newest;
            self.model.waiting.insert(done.value.identity.seq, class);
        }
    }

    fn apply(&mut self, step: &Step) {
        match *step {
            Step::Append(class, bytes, age) => self.append(EventClass::from_number(class).unwrap(), bytes, age),
            Step::Flood(class) => {
                (0..150).for_each(|_| self.append(EventClass::from_number(class).unwrap(), 1500, 9000));
            }
            Step::Acknowledge(place) => self.acknowledge(place),
            Step::Expire(seconds) => {
                self.model.now += seconds;
                self.reopen();
                let now = Timestamp::from_second(self.model.now).unwrap();
                let events = self.spool().maintain(now, TimeQuality::Synced).unwrap();
                self.model.last = events.iter().map(|event| event.identity.seq).fold(self.model.last, u64::max);
            }
            Step::Reopen => self.reopen(),
        }
    }

    fn reopen(&mut self) {
        self.spool = None;
        self.spool = Some(open(self.folder.path(), 1, PlantedBug::None));
    }

    fn acknowledge(&mut self, place: usize) {
        let queued = self.spool().queued(usize::MAX).unwrap();
        let Some(event) = queued.get(place % queued.len().max(1)) else { return };
        let key: RowKey = event.key;
        assert_eq!(self.spool().acknowledged(&[key]).unwrap(), 1);
        assert_eq!(self.spool().acknowledged(&[key]).unwrap(), 0, "it is gone");
        if let Some(dropped) = record(&event.payload) {
            self.told.push(dropped);
        }
        self.model.waiting.remove(&key.seq);
        self.model.acknowledged += 1;
    }

    /// The laws, after every step.
    fn judge(&mut self) {
        let queued = self.spool().queued(usize::MAX).unwrap();
        let there: Vec<u64> = queued.iter().map(|event| event.key.seq).collect();
        let records: Vec<Dropped> = queued.iter().filter_map(|event| record(&event.payload)).collect();
        let told: u64 = records.iter().chain(&self.told).map(|record| record.count).sum();
        // Every number ever given away waits, was acknowledged, or is told as dropped: exactly one of the three.
        assert_eq!(there.len() as u64 + self.model.acknowledged + told, self.model.last, "numbers do not add up");
        for event in queued.iter().filter(|event| record(&event.payload).is_none()) {
            assert_eq!(self.model.waiting.get(&event.key.seq), Some(&event.class), "{} should be gone", event.key.seq);
        }
        let now = self.model.now;
        for (seq, class) in &self.model.waiting {
            let dropped =
                |record: &&Dropped| record.class == *class && (record.first_seq..=record.last_seq).contains(seq);
            let known = there.contains(seq) || records.iter().chain(&self.told).any(|record| dropped(&record));
            assert!(known, "{seq} of {class:?} is gone and nobody tells (now {now})");
        }
        assert!(queued.iter().filter(|event| event.class == EventClass::P3).count() <= 1, "only the newest health");
        assert!(records.len() <= 12, "records stay few: {records:?}");
    }
}

fn record(payload: &[u8]) -> Option<Dropped> {
    let value: serde_json::Value = serde_json::from_slice(payload).ok()?;
    serde_json::from_value(value["data"]["dropped"].clone()).ok()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: if crate::harness::soak() { 400 } else { 12 }, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn every_number_waits_was_acknowledged_or_is_told(history in proptest::collection::vec(step(), 1..40)) {
        let mut run = Run::new();
        for step in &history {
            run.apply(step);
            run.judge();
        }
    }
}
