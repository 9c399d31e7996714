//! A producer as small as it can be: spool, delivery and a ledger, put together as the service does it; and the bugs
//! that can be planted in it, so that the tests show that they would see them.

use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::Duration;

use forecourt::config;
use forecourt::domain::event::EventClass;
use forecourt::mqtt::{Events, Happened, Link, Lost, Message, Outcome, Rumqtt, Sender, Settings};
use forecourt::pipeline::delivery::{Acknowledgements, Delivery};
use forecourt::store::spool::{ComposeDrop, DropEvent, Identity, Limits, NewEvent, Spool, SpoolError, StoredEvent};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// A mistake that somebody could make.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum PlantedBug {
    #[default]
    None,
    /// Takes "handed to the client library" for "acknowledged".
    ForgetOnSend,
    /// Takes every PUBACK for a success.
    RefusalIsSuccess,
    /// Calls an event accepted before it is committed.
    AcceptBeforeCommit,
    /// Tells one dropped event too few.
    DropRecordTooNarrow,
    /// Begins with an empty queue after a crash, as a clean session does.
    ForgetAtStart,
    /// Puts more on the wire than there are packet ids, and does not hear that one came up twice.
    BlindToCollision,
}

pub fn limits(max_mib: u32) -> Limits {
    Limits { max_mib, keep_visits: Duration::from_secs(86_400) }
}

pub fn open(folder: &Path, max_mib: u32, bug: PlantedBug) -> Spool {
    Spool::open(folder, limits(max_mib), compose(bug)).expect("the spool opens")
}

pub fn compose(bug: PlantedBug) -> ComposeDrop {
    Box::new(move |dropped, identity, _| {
        let mut dropped = *dropped;
        if bug == PlantedBug::DropRecordTooNarrow {
            dropped.first_seq += 1;
        }
        let data = serde_json::json!({ "of_class": EventClass::P0, "dropped": dropped });
        DropEvent {
            topic: "evt/outbox-dropped".into(),
            kind: "outbox-dropped".into(),
            payload: payload(identity, &data),
        }
    })
}

fn payload(identity: &Identity, data: &serde_json::Value) -> Vec<u8> {
    let event = serde_json::json!({
        "specversion": "1.0", "id": identity.id, "type": "test.v1.numbered", "source": "/test", "data": data,
        // As long as a real event is.
        "filler": "0123456789".repeat(30),
    });
    serde_json::to_vec(&event).unwrap()
}

/// Stores the event with number `n`.
pub fn append(spool: &mut Spool, class: EventClass, n: u64) -> Result<StoredEvent, SpoolError> {
    append_many(spool, class, n..n + 1).map(|mut events| events.remove(0))
}

/// Stores several in one transaction; drop records are left out of what is returned.
pub fn append_many(
    spool: &mut Spool,
    class: EventClass,
    numbers: std::ops::Range<u64>,
) -> Result<Vec<StoredEvent>, SpoolError> {
    let done = spool.transaction(|tx| {
        let one = |n: u64| {
            let make = |identity: &Identity| payload(identity, &serde_json::json!({ "of_class": class, "n": n }));
            tx.append(NewEvent {
                class,
                kind: "numbered",
                topic: "evt/numbered",
                happened_at: Timestamp::now(),
                expires_at: None,
                supersedes: None,
                make: &make,
            })
        };
        numbers.map(one).collect::<Result<Vec<_>, _>>()
    })?;
    Ok(done.value)
}

/// Settings with short pauses, so that a test waits for nothing.
pub fn mqtt(port: u16, client: &str) -> config::Mqtt {
    config::Mqtt {
        url: format!("mqtt://127.0.0.1:{port}"),
        client_id: client.into(),
        reconnect_max: Duration::from_millis(50),
        drain_per_second: 0,
        ..config::Mqtt::default()
    }
}

pub fn site() -> config::Site {
    config::Site { tenant: "t".into(), site: "s".into(), device: "d".into(), ..config::Site::default() }
}

/// Starts a publisher, with a bug if one is asked for.
pub fn deliver(spool: &mut Spool, port: u16, bug: PlantedBug) -> (Delivery, Acknowledgements) {
    deliver_with(spool, mqtt(port, "box"), bug, u64::MAX)
}

pub fn deliver_with(
    spool: &mut Spool,
    mqtt: config::Mqtt,
    bug: PlantedBug,
    die_at: u64,
) -> (Delivery, Acknowledgements) {
    let starts = spool.count_start().expect("the spool can be written");
    let mut settings = Settings::new(&site(), &mqtt, &config::Outbox::default(), spool.epoch(), starts);
    settings.stalled_after = Duration::from_millis(400);
    if mqtt.client_id == "slow-box" {
        settings.stalled_after = Duration::from_secs(60);
    }
    if bug == PlantedBug::BlindToCollision {
        (settings.window, settings.stalled_after) = (300, Duration::from_secs(3_600));
    }
    let link = Buggy { inner: Rumqtt::new(&mqtt, &site()).unwrap(), bug, die_at };
    Delivery::start_with(link, settings, spool, &[]).expect("delivery starts")
}

/// The real link, with a bug between it and the publisher.
struct Buggy<T> {
    inner: T,
    bug: PlantedBug,
    /// The process aborts at this acknowledgement, before anything can be deleted.
    die_at: u64,
}

/// The receiving end with the bug.
struct BuggyEvents<T> {
    inner: T,
    bug: PlantedBug,
    forgotten: Option<u16>,
    die_at: u64,
    answers: u64,
}

/// The sending end; passes everything on.
struct Plain<T>(T);

impl Link for Buggy<Rumqtt> {
    type Sender = Plain<<Rumqtt as Link>::Sender>;
    type Events = BuggyEvents<<Rumqtt as Link>::Events>;

    fn dial(&mut self, will: Message) -> Result<(Self::Sender, Self::Events), String> {
        let (sender, inner) = self.inner.dial(will)?;
        let events = BuggyEvents { inner, bug: self.bug, forgotten: None, die_at: self.die_at, answers: 0 };
        Ok((Plain(sender), events))
    }

    fn ended(&mut self, was_accepted: bool) {
        self.inner.ended(was_accepted);
    }

    fn broker(&self) -> String {
        self.inner.broker()
    }

    fn renewed(&self) -> bool {
        self.inner.renewed()
    }
}

impl<T: Sender> Sender for Plain<T> {
    fn send(&self, message: Message) -> bool {
        self.0.send(message)
    }
    fn subscribe(&self, filters: &[String]) -> bool {
        self.0.subscribe(filters)
    }
    fn acknowledge(&self, id: u16) -> bool {
        self.0.acknowledge(id)
    }
    fn farewell(&self) {
        self.0.farewell();
    }
}

impl<T: Events> Events for BuggyEvents<T> {
    async fn next(&mut self) -> Result<Happened, Lost> {
        if let Some(id) = self.forgotten.take() {
            return Ok(Happened::Answered(id, Outcome::Accepted));
        }
        let happened = self.inner.next().await?;
        match (&happened, self.bug) {
            (Happened::Numbered(id), PlantedBug::ForgetOnSend) => self.forgotten = Some(*id),
            (Happened::Collided, PlantedBug::BlindToCollision) => return Ok(Happened::Nothing),
            (Happened::Answered(id, _), PlantedBug::RefusalIsSuccess) => {
                return Ok(Happened::Answered(*id, Outcome::Accepted));
            }
            (Happened::Answered(..), _) => {
                self.answers += 1;
                if self.answers >= self.die_at {
                    std::process::abort();
                }
            }
            _ => {}
        }
        Ok(happened)
    }

    fn left_over(&mut self) -> Vec<Happened> {
        let taken_for_success = |happened| match (happened, self.bug) {
            (Happened::Answered(id, _), PlantedBug::RefusalIsSuccess) => Happened::Answered(id, Outcome::Accepted),
            (other, _) => other,
        };
        self.inner.left_over().into_iter().map(taken_for_success).collect()
    }
}

/// The order to a producer process.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Order {
    pub folder: PathBuf,
    /// On another way than the spool, so that one cannot hide the other's loss.
    pub ledger: PathBuf,
    /// 0: no delivery.
    pub port: u16,
    /// Events to produce; then it waits until everything is delivered, and ends.
    pub count: u64,
    pub pause_ms: u64,
    pub bug: PlantedBug,
    /// Aborts at this acknowledgement; 0: never.
    pub die_at: u64,
}

/// Name of the variable that makes a test process a producer.
pub const ORDER: &str = "FORECOURT_TEST_PRODUCER";

/// The command that runs a producer: this test binary, told to run one function.
pub fn producer(order: &Order) -> std::process::Command {
    let mut command = std::process::Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", "harness::a_producer_when_it_is_asked_for", "--nocapture"]);
    command.env(ORDER, serde_json::to_string(order).unwrap());
    command.stdout(std::process::Stdio::null()).stderr(std::process::Stdio::null());
    command
}

#[test]
fn a_producer_when_it_is_asked_for() {
    let Ok(order) = std::env::var(ORDER) else { return };
    produce(&serde_json::from_str(&order).unwrap());
}

/// Produces until killed, or until `count` events are stored and delivered.
fn produce(order: &Order) {
    let mut spool = open(&order.folder, 64, order.bug);
    if order.bug == PlantedBug::ForgetAtStart {
        let all: Vec<_> = spool.queued(usize::MAX).unwrap().iter().map(|event| event.key).collect();
        spool.acknowledged(&all).unwrap();
    }
    let die_at = if order.die_at == 0 { u64::MAX } else { order.die_at };
    let mut delivery = (order.port != 0).then(|| deliver_with(&mut spool, mqtt(order.port, "box"), order.bug, die_at));
    let mut ledger = Pen::begin(order);
    let mut last_seq = None;
    for n in ledger.next..=order.count {
        let class = if n.is_multiple_of(3) { EventClass::P2 } else { EventClass::P1 };
        ledger.write(&format!("try {n}"));
        let too_early = last_seq.filter(|_| order.bug == PlantedBug::AcceptBeforeCommit);
        if let Some(seq) = too_early {
            ledger.write(&format!("ok {n} {}-{}", spool.epoch(), seq + 1));
            std::thread::sleep(Duration::from_millis(order.pause_ms));
        }
        let stored = append(&mut spool, class, n).expect("the disk is sound here");
        if too_early.is_none() {
            ledger.write(&format!("ok {n} {}", stored.identity.id));
        }
        last_seq = Some(stored.identity.seq);
        if let Some((delivery, acknowledgements)) = &mut delivery {
            delivery.wake();
            acknowledgements.apply(&mut spool).unwrap();
        }
        std::thread::sleep(Duration::from_millis(order.pause_ms));
    }
    if let Some((delivery, mut acknowledgements)) = delivery {
        while spool.waiting().unwrap().iter().any(|class| class.count > 0) {
            acknowledgements.apply(&mut spool).unwrap();
            std::thread::sleep(Duration::from_millis(2));
        }
        delivery.stop(Duration::from_secs(3));
    }
}

/// Writes the ledger, a line a call, so that a kill cuts none short.
struct Pen {
    file: File,
    next: u64,
}

impl Pen {
    fn begin(order: &Order) -> Self {
        let next = crate::checker::Ledger::read(&order.ledger).next();
        let file = File::options().create(true).append(true).open(&order.ledger).unwrap();
        Self { file, next }
    }

    fn write(&mut self, line: &str) {
        self.file.write_all(format!("{line}\n").as_bytes()).unwrap();
    }
}

/// Long form of the fault tests (`make soak`)?
pub fn soak() -> bool {
    std::env::var_os("FORECOURT_SOAK").is_some_and(|value| value != "0")
}
