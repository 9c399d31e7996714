//! What goes next: dear classes first, a backlog at its rate, live events past a backlog that must wait. Pure but for
//! the queue it is handed.
//!
//! Within a class events go in the order of their numbers, with two exceptions: a live event overtakes a backlog that
//! the rate holds back, and one that the broker refused rests while others go. The consumer orders by number.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use tokio::time::Instant;

use super::pace::{self, Rate};
use super::queue::{Item, Queue};
use crate::domain::event::EventClass;

const CLASSES: [EventClass; 4] = [EventClass::P0, EventClass::P1, EventClass::P2, EventClass::P3];
/// Refused events that are remembered one by one; beyond them the oldest is forgotten until the next connection.
const MOST_RESTING: usize = 4096;

/// How far a class has been sent on this connection.
#[derive(Clone, Copy, Debug, Default)]
struct Lane {
    /// Events up to here waited when the connection began.
    backlog_end: u64,
    /// The backlog has been sent up to here.
    backlog: u64,
    /// What came later has been sent up to here.
    live: u64,
}

/// The order of sending on one connection; a new connection begins anew with everything that is not acknowledged.
#[derive(Debug)]
pub(super) struct Schedule {
    generation: u64,
    lanes: [Lane; 4],
    rate: Rate,
    longest_rest: Duration,
    turn: u32,
    /// Refused events by the time at which they are tried again.
    resting: BTreeMap<(Instant, u64), EventClass>,
    refusals: HashMap<u64, u32>,
}

impl Schedule {
    pub(super) fn begin<Q: Queue>(
        queue: &mut Q,
        drain_per_second: u32,
        longest_rest: Duration,
        now: Instant,
    ) -> Result<Self, String> {
        let mut schedule = Self {
            generation: queue.generation()?,
            lanes: [Lane::default(); 4],
            rate: Rate::new(drain_per_second, now),
            longest_rest,
            turn: 0,
            resting: BTreeMap::new(),
            refusals: HashMap::new(),
        };
        schedule.measure(queue)?;
        Ok(schedule)
    }

    fn measure<Q: Queue>(&mut self, queue: &mut Q) -> Result<(), String> {
        for (lane, class) in self.lanes.iter_mut().zip(CLASSES) {
            let newest = queue.newest(class)?;
            *lane = Lane { backlog_end: newest, backlog: 0, live: newest };
        }
        Ok(())
    }

    /// Up to `room` events that go now. Each is given out once, until it is refused or the connection begins anew.
    pub(super) fn next<Q: Queue>(&mut self, queue: &mut Q, room: usize, now: Instant) -> Result<Vec<Item>, String> {
        let generation = queue.generation()?;
        if generation != self.generation {
            self.generation = generation;
            self.resting.clear();
            self.refusals.clear();
            self.measure(queue)?;
        }
        let mut items = Vec::new();
        self.rested(queue, room, now, &mut items)?;
        for (index, class) in CLASSES.into_iter().enumerate() {
            self.take(queue, index, class, room, now, &mut items)?;
        }
        Ok(items)
    }

    fn take<Q: Queue>(
        &mut self,
        queue: &mut Q,
        index: usize,
        class: EventClass,
        room: usize,
        now: Instant,
        items: &mut Vec<Item>,
    ) -> Result<(), String> {
        let lane = self.lanes[index];
        let waits = lane.backlog < lane.backlog_end;
        if waits && self.rate.is_limited() {
            // A line slower than the rate must not make live events wait for the backlog, nor they it for ever: of
            // single places it gets every fourth.
            self.turn = self.turn.wrapping_add(1);
            let free = room - items.len();
            let for_live = if free > 1 { free - 1 } else { free * usize::from(!self.turn.is_multiple_of(4)) };
            self.take_live(queue, index, class, for_live, items)?;
        }
        if waits {
            let free = room - items.len();
            let limit = if class == EventClass::P0 { free } else { free.min(self.rate.allowed(now)) };
            let mut batch = if limit == 0 { Vec::new() } else { queue.next(class, lane.backlog, limit)? };
            let asked = batch.len();
            batch.retain(|item| item.ticket.seq <= lane.backlog_end);
            let all = asked < limit || batch.len() < asked;
            let reached = batch.last().map_or(lane.backlog, |item| item.ticket.seq);
            self.lanes[index].backlog = if all { lane.backlog_end } else { reached };
            if class != EventClass::P0 {
                self.rate.spend(batch.len());
            }
            items.extend(batch);
        }
        self.take_live(queue, index, class, room - items.len(), items)
    }

    fn take_live<Q: Queue>(
        &mut self,
        queue: &mut Q,
        index: usize,
        class: EventClass,
        limit: usize,
        items: &mut Vec<Item>,
    ) -> Result<(), String> {
        if limit > 0 {
            let live = self.lanes[index].live;
            let batch = queue.next(class, live, limit)?;
            self.lanes[index].live = batch.last().map_or(live, |item| item.ticket.seq);
            items.extend(batch);
        }
        Ok(())
    }

    fn rested<Q: Queue>(
        &mut self,
        queue: &mut Q,
        room: usize,
        now: Instant,
        items: &mut Vec<Item>,
    ) -> Result<(), String> {
        while items.len() < room && self.rate.allowed(now) > 0 {
            let Some((&(due, seq), &class)) = self.resting.first_key_value() else { break };
            if due > now {
                break;
            }
            let found = queue.next(class, seq - 1, 1)?.into_iter().find(|item| item.ticket.seq == seq);
            self.resting.remove(&(due, seq));
            match found {
                Some(item) => items.push(item),
                None => drop(self.refusals.remove(&seq)),
            }
            self.rate.spend(1);
        }
        Ok(())
    }

    /// The broker would not have it: it rests, longer each time, and others go meanwhile.
    pub(super) fn refused(&mut self, class: EventClass, seq: u64, now: Instant) {
        let times = self.refusals.entry(seq).or_default();
        *times += 1;
        self.resting.insert((now + pace::rest(*times, self.longest_rest), seq), class);
        if self.resting.len() > MOST_RESTING
            && let Some(((_, oldest), _)) = self.resting.pop_first()
        {
            self.refusals.remove(&oldest);
        }
    }

    /// The broker has it.
    pub(super) fn accepted(&mut self, seq: u64) {
        self.refusals.remove(&seq);
    }

    /// When something may go that must wait now; `None`: only something new.
    pub(super) fn wake_at(&self, now: Instant) -> Option<Instant> {
        let backlog = self.lanes.iter().any(|lane| lane.backlog < lane.backlog_end);
        let rate = backlog.then(|| now + self.rate.wait());
        let rested = self.resting.first_key_value().map(|((due, _), _)| *due);
        [rate, rested].into_iter().flatten().min()
    }
}

#[cfg(test)]
mod tests {
    use super::super::queue::Ticket;
    use super::*;

    /// A queue in memory; what is acknowledged is removed by the test.
    #[derive(Default)]
    struct Plain {
        events: Vec<(EventClass, u64)>,
        generation: u64,
    }

    impl Queue for Plain {
        fn generation(&mut self) -> Result<u64, String> {
            Ok(self.generation)
        }
        fn next(&mut self, class: EventClass, after: u64, limit: usize) -> Result<Vec<Item>, String> {
            let item = |seq| Item {
                ticket: Ticket { generation: self.generation, seq },
                class,
                topic: "evt/test".into(),
                happened_at: jiff::Timestamp::UNIX_EPOCH,
                payload: Vec::new(),
            };
            let of_class = self.events.iter().filter(|(of, seq)| *of == class && *seq > after);
            Ok(of_class.take(limit).map(|(_, seq)| item(*seq)).collect())
        }
        fn newest(&mut self, class: EventClass) -> Result<u64, String> {
            Ok(self.events.iter().filter(|(of, _)| *of == class).map(|(_, seq)| *seq).max().unwrap_or(0))
        }
        fn acknowledged(&mut self, ticket: Ticket) {
            self.events.retain(|(_, seq)| *seq != ticket.seq);
        }
        fn hand_on(&mut self) -> bool {
            true
        }
    }

    fn backlog(count: u64) -> Plain {
        Plain { events: (1..=count).map(|seq| (EventClass::P1, seq)).collect(), generation: 0 }
    }

    fn next(schedule: &mut Schedule, queue: &mut Plain, room: usize, now: Instant) -> Vec<u64> {
        schedule.next(queue, room, now).unwrap().iter().map(|item| item.ticket.seq).collect()
    }

    #[test]
    fn without_a_rate_everything_goes_in_the_order_of_its_numbers() {
        let (mut queue, now) = (backlog(5), Instant::now());
        let mut schedule = Schedule::begin(&mut queue, 0, Duration::from_secs(60), now).unwrap();
        assert_eq!(next(&mut schedule, &mut queue, 2, now), [1, 2]);
        queue.events.push((EventClass::P1, 6));
        assert_eq!(next(&mut schedule, &mut queue, 2, now), [3, 4]);
        assert_eq!(next(&mut schedule, &mut queue, 9, now), [5, 6]);
        assert!(next(&mut schedule, &mut queue, 9, now).is_empty());
    }

    #[test]
    fn a_live_arrival_overtakes_a_backlog_that_the_rate_holds_back() {
        let (mut queue, now) = (backlog(100), Instant::now());
        let mut schedule = Schedule::begin(&mut queue, 10, Duration::from_secs(60), now).unwrap();
        assert_eq!(next(&mut schedule, &mut queue, 16, now).len(), 10);
        queue.events.push((EventClass::P1, 101));
        assert_eq!(next(&mut schedule, &mut queue, 16, now), [101]);
        let later = schedule.wake_at(now).unwrap();
        assert_eq!(next(&mut schedule, &mut queue, 16, later), [11]);
    }

    #[test]
    fn on_a_line_slower_than_the_rate_live_events_go_first_and_the_backlog_goes_on() {
        let (mut queue, now) = (backlog(100), Instant::now());
        let mut schedule = Schedule::begin(&mut queue, 50, Duration::from_secs(60), now).unwrap();
        assert_eq!(next(&mut schedule, &mut queue, 4, now), [1, 2, 3, 4]);
        queue.events.extend((101..=110).map(|seq| (EventClass::P1, seq)));
        assert_eq!(next(&mut schedule, &mut queue, 4, now), [101, 102, 103, 5]);
        let singles: Vec<u64> = (0..4).flat_map(|_| next(&mut schedule, &mut queue, 1, now)).collect();
        assert_eq!(singles, [104, 6, 105, 106]);
    }

    #[test]
    fn dear_classes_go_first() {
        let now = Instant::now();
        let of = |class, seqs: std::ops::RangeInclusive<u64>| seqs.map(move |seq| (class, seq));
        let events = of(EventClass::P2, 1..=3).chain(of(EventClass::P1, 4..=5)).chain(of(EventClass::P0, 6..=6));
        let mut queue = Plain { events: events.collect(), generation: 0 };
        let mut schedule = Schedule::begin(&mut queue, 0, Duration::from_secs(60), now).unwrap();
        assert_eq!(next(&mut schedule, &mut queue, 9, now), [6, 4, 5, 1, 2, 3]);
    }

    #[test]
    fn a_refused_event_rests_longer_each_time_and_blocks_nobody() {
        let (mut queue, now) = (backlog(3), Instant::now());
        let mut schedule = Schedule::begin(&mut queue, 0, Duration::from_secs(60), now).unwrap();
        assert_eq!(next(&mut schedule, &mut queue, 1, now), [1]);
        schedule.refused(EventClass::P1, 1, now);
        assert_eq!(next(&mut schedule, &mut queue, 1, now), [2]);
        let first = now + Duration::from_secs(1);
        assert_eq!(next(&mut schedule, &mut queue, 1, first), [1]);
        schedule.refused(EventClass::P1, 1, first);
        assert_eq!(schedule.wake_at(first), Some(first), "3 of the backlog is still to go");
        assert_eq!(next(&mut schedule, &mut queue, 9, first), [3]);
        assert_eq!(schedule.wake_at(first), Some(first + Duration::from_secs(2)));
    }

    #[test]
    fn a_new_file_begins_anew() {
        let (mut queue, now) = (backlog(5), Instant::now());
        let mut schedule = Schedule::begin(&mut queue, 0, Duration::from_secs(60), now).unwrap();
        assert_eq!(next(&mut schedule, &mut queue, 9, now).len(), 5);
        queue = Plain { generation: 1, ..backlog(1) };
        assert_eq!(next(&mut schedule, &mut queue, 9, now), [1]);
    }
}
