//! Who speaks in the script: a box with the real outbox and the real publisher, and one whose messages are written by
//! hand because no real box says such things.

use std::collections::{BTreeMap, BTreeSet};
use std::net::TcpStream;
use std::path::Path;
use std::time::Duration;

use forecourt::config::{Config, Mqtt, Site};
use forecourt::domain::event::*;
use forecourt::domain::site::ZoneKind;
use forecourt::domain::time::TimeQuality;
use forecourt::pipeline::delivery::{Acknowledgements, Delivery};
use forecourt::store::spool::{ComposeDrop, DropEvent, Identity, Limits, NewEvent, Spool};
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use crate::broker::local;
use crate::wire::{self, PUBLISH, Packet};

/// Visits that are over when the box connects first.
const VISITS: usize = 12;
/// `source` of the real box.
pub const BOX: &str = "/forecourt/acme/east/box-1";
/// `source` of the box that is written by hand.
pub const HAND: &str = "/forecourt/acme/east/box-2";

/// What the consumer should have made of it.
#[derive(Default)]
pub struct Expected {
    /// State of each visit.
    pub visits: BTreeMap<String, &'static str>,
    /// Visits that somebody should be greeted for.
    pub greetings: BTreeSet<String>,
    /// Visits by person.
    pub people: BTreeMap<String, u64>,
}

/// A box.
pub struct Sender {
    spool: Spool,
    config: Config,
    running: Option<(Delivery, Acknowledgements)>,
    pub expected: Expected,
}

impl Sender {
    pub fn new(folder: &Path, port: u16) -> Self {
        let site = Site { tenant: "acme".into(), site: "east".into(), device: "box-1".into(), ..Site::default() };
        let url = format!("mqtt://127.0.0.1:{port}");
        let mqtt = Mqtt { url, reconnect_max: Duration::from_millis(50), ..Mqtt::default() };
        let config = Config { site, mqtt, ..Config::default() };
        let limits = Limits { max_mib: 16, keep_visits: Duration::from_secs(3600) };
        let spool = Spool::open(&folder.join("spool"), limits, drops()).unwrap();
        Self { spool, config, running: None, expected: Expected::default() }
    }

    /// Starts to deliver, so many events of a backlog a second.
    pub fn connect(&mut self, drain_per_second: u32) {
        self.config.mqtt.drain_per_second = drain_per_second;
        self.running = Some(Delivery::start(&self.config, &mut self.spool, || ()).unwrap());
    }

    /// Says farewell. What was acknowledged stays in the outbox unless [`Sender::settle`] was called.
    pub fn disconnect(&mut self) {
        if let Some((delivery, _)) = self.running.take() {
            delivery.stop(Duration::from_secs(10));
        }
    }

    /// Deletes what was acknowledged, until nothing waits any more.
    pub fn settle(&mut self) {
        let (_, acknowledgements) = self.running.as_mut().unwrap();
        while !self.spool.queued(1).unwrap().is_empty() {
            acknowledgements.apply(&mut self.spool).unwrap();
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    fn tell(&mut self, event: &Event, happened_at: Timestamp) {
        let (kind, key) = (event.kind(), event.superseded_key());
        let make = |identity: &Identity| compose(&envelope(BOX, &identity.epoch, identity.seq, happened_at), event);
        let done = self.spool.transaction(|tx| {
            tx.append(NewEvent {
                class: kind.class(),
                kind: kind.name(),
                topic: &kind.topic(),
                happened_at,
                expires_at: None,
                supersedes: key.as_deref(),
                make: &make,
            })
        });
        done.unwrap();
        if let Some((delivery, _)) = &self.running {
            delivery.wake();
        }
    }

    /// Visits of three people who are known by five names; returns the number of events.
    pub fn visits(&mut self) -> usize {
        let now = Timestamp::now();
        for n in 1..=VISITS {
            let member = n % 5;
            let visit = format!("v{n:02}");
            self.tell(&arrival(&visit, member, now), now);
            self.tell(&dwell(&visit, member, now, 60, false), now);
            self.tell(&dwell(&visit, member, now, 75, true), now);
            self.tell(&departure(&visit, member, now), now);
            self.expected.visits.insert(visit.clone(), "left");
            self.expected.greetings.insert(visit);
            *self.expected.people.entry(person(member)).or_default() += 1;
        }
        4 * VISITS
    }

    /// What gathers in a long time without a broker; returns the number of events that will come.
    pub fn backlog(&mut self) -> usize {
        let long_ago = Timestamp::now() - SignedDuration::from_mins(10);
        for state in [CameraState::Down, CameraState::Up, CameraState::Down, CameraState::Up] {
            let camera = DeviceCamera { camera: "gate".into(), state, reason: None, since: long_ago };
            self.tell(&Event::DeviceCamera(camera), long_ago);
        }
        self.tell(&arrival("late", 1, long_ago), long_ago);
        for minute in 1..=30 {
            self.tell(&dwell("late", 1, long_ago, 60 * minute, false), long_ago);
        }
        self.expected.visits.insert("late".into(), "left");
        *self.expected.people.entry(person(1)).or_default() += 1;
        self.spool.queued(usize::MAX).unwrap().len()
    }

    /// The end of a visit whose other events are still in the backlog.
    pub fn overtaking_departure(&mut self) {
        let now = Timestamp::now();
        self.tell(&departure("late", 1, now), now);
    }
}

/// Members 1 and 2 share a number in the CRM, 2 and 3 a WeChat id: one person. 0 and 4 are somebody else each.
fn external_ids(member: usize) -> BTreeMap<String, String> {
    let ids: &[(&str, &str)] = match member {
        1 => &[("crm", "C-7")],
        2 => &[("crm", "C-7"), ("wechat", "w-77")],
        3 => &[("wechat", "w-77")],
        4 => &[("crm", "C-8")],
        _ => &[],
    };
    ids.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

fn person(member: usize) -> String {
    format!("acme/m-{}", if (1..=3).contains(&member) { 1 } else { member })
}

fn drops() -> ComposeDrop {
    Box::new(|dropped, identity, at| {
        let event = Event::OutboxDropped(OutboxDropped {
            class: dropped.class,
            first_sequence: sequence_word(dropped.first_seq),
            last_sequence: sequence_word(dropped.last_seq),
            count: dropped.count,
            reason: dropped.reason,
        });
        let payload = compose(&envelope(BOX, &identity.epoch, identity.seq, at), &event);
        DropEvent { topic: event.kind().topic(), kind: event.kind().name().to_owned(), payload }
    })
}

fn envelope(source: &str, epoch: &str, sequence: u64, time: Timestamp) -> Envelope {
    Envelope {
        source: source.to_owned(),
        epoch: epoch.to_owned(),
        sequence,
        time,
        recorded: time,
        quality: TimeQuality::Synced,
        boot_id: "b-1".to_owned(),
        boot_ms: 1_000,
    }
}

fn subject(visit_id: &str, member: usize) -> Subject {
    Subject {
        visit_id: visit_id.to_owned(),
        member_ref: format!("m-{member}"),
        tier: Some("gold".to_owned()),
        list: "member".to_owned(),
        external_ids: external_ids(member),
        camera: "gate".to_owned(),
        confidence: 0.99,
        ..Subject::default()
    }
}

fn arrival(visit: &str, member: usize, at: Timestamp) -> Event {
    let subject = subject(visit, member);
    Event::Arrival(Arrival { subject, zone: None, direction: None, arrived_at: at, companions: vec![] })
}

fn dwell(visit: &str, member: usize, at: Timestamp, seconds: u32, ended: bool) -> Event {
    let zone = ZoneRef { id: "stand-1".into(), kind: ZoneKind::Display, product: Some("ev-9".into()) };
    Event::Dwell(Dwell {
        subject: subject(visit, member),
        zone,
        stay: 1,
        checkpoint: (!ended).then_some(1),
        ended,
        seconds_min: seconds.into(),
        seconds_max: seconds.into(),
        entered_at: at,
        seen_at: at,
    })
}

fn departure(visit: &str, member: usize, at: Timestamp) -> Event {
    Event::Departure(Departure {
        subject: subject(visit, member),
        closed_by: ClosedBy::Exit,
        arrived_at: at,
        last_seen_at: Some(at),
        seconds: Some(75.0),
        zones: vec![],
        companions: vec![],
    })
}

/// A connection that says what it is told to.
pub struct ByHand {
    stream: TcpStream,
    packet_id: u16,
}

impl ByHand {
    pub fn connect(port: u16) -> Self {
        let mut stream = TcpStream::connect(local(port)).unwrap();
        wire::connect("box-2").write(&mut stream).unwrap();
        assert_eq!(Packet::read(&mut stream).unwrap().body[1], 0, "CONNACK");
        Self { stream, packet_id: 0 }
    }

    /// Numbers 3 and 4 never come; what makes no sense or lies about its sender; what a later version may say.
    pub fn strange_things(&mut self) {
        for sequence in [1, 2, 5] {
            self.event(&camera(sequence));
        }
        self.publish("box-2/evt/device-camera", b"\xff\xfe no event");
        let mut forged = camera(6);
        forged["source"] = json!(BOX);
        self.publish("box-2/evt/device-camera", forged.to_string().as_bytes());
        let mut unknown = camera(6);
        unknown["type"] = json!("com.forecourt.v2.weather");
        unknown["data"] = json!({ "rain": true });
        self.event(&unknown);
    }

    pub fn three_events(&mut self) {
        for sequence in 7..=9 {
            self.event(&camera(sequence));
        }
    }

    fn event(&mut self, event: &Value) {
        self.publish("box-2/evt/device-camera", event.to_string().as_bytes());
    }

    /// With QoS 1, and waits until the broker has it.
    fn publish(&mut self, below: &str, payload: &[u8]) {
        self.packet_id += 1;
        let topic = format!("forecourt/v1/acme/east/{below}");
        let mut body = u16::try_from(topic.len()).unwrap().to_be_bytes().to_vec();
        body.extend(topic.as_bytes());
        body.extend(self.packet_id.to_be_bytes());
        body.push(0);
        body.extend(payload);
        Packet::new(PUBLISH, 0x02, body).write(&mut self.stream).unwrap();
        assert_eq!(Packet::read(&mut self.stream).unwrap().puback().unwrap().0, self.packet_id);
    }
}

fn camera(sequence: u64) -> Value {
    let now = Timestamp::now();
    let event = DeviceCamera { camera: "lot".into(), state: CameraState::Up, reason: None, since: now };
    let bytes = compose(&envelope(HAND, "hand", sequence, now), &Event::DeviceCamera(event));
    serde_json::from_slice(&bytes).unwrap()
}
