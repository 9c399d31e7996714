//! The publisher against a scripted link: what a library and a broker may do to it.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::rc::Rc;

use jiff::Timestamp;

use super::super::exchange::{Board, Letter};
use super::super::link::{Incoming, Message, Outcome};
use super::super::queue::{Item, Ticket};
use super::*;
use crate::config;
use crate::domain::event::EventClass;

/// What the test sees and steers.
#[derive(Default)]
struct Script {
    /// Events to be told, oldest first.
    events: VecDeque<Result<Happened, Lost>>,
    left_over: Vec<Happened>,
    sent: Vec<Message>,
    dials: u64,
    next_id: u16,
    /// The broker answers every message from this connection on; 0: never.
    answers_from: u64,
    farewell: bool,
    subscriptions: Vec<Vec<String>>,
    subscription_answers: VecDeque<Result<(), String>>,
    /// Packet ids of letters that were acknowledged.
    handled: Vec<u16>,
    acknowledged: Vec<u64>,
}

type Shared = Rc<RefCell<Script>>;

struct Scripted(Shared);

impl Link for Scripted {
    type Sender = Scripted;
    type Events = Scripted;

    fn dial(&mut self, _will: Message) -> Result<(Scripted, Scripted), String> {
        let mut script = self.0.borrow_mut();
        script.dials += 1;
        script.next_id = 0;
        script.events.push_front(Ok(connected()));
        Ok((Scripted(Rc::clone(&self.0)), Scripted(Rc::clone(&self.0))))
    }
}

impl Sender for Scripted {
    fn send(&self, message: Message) -> bool {
        let mut script = self.0.borrow_mut();
        script.next_id += 1;
        let id = script.next_id;
        script.events.push_back(Ok(Happened::Numbered(id)));
        if script.answers_from > 0 && script.dials >= script.answers_from {
            script.events.push_back(Ok(Happened::Answered(id, Outcome::Accepted)));
        }
        script.sent.push(message);
        true
    }

    fn subscribe(&self, filters: &[String]) -> bool {
        let mut script = self.0.borrow_mut();
        script.subscriptions.push(filters.to_vec());
        if let Some(answer) = script.subscription_answers.pop_front() {
            script.events.push_back(Ok(Happened::Subscribed(answer)));
        }
        true
    }

    fn acknowledge(&self, id: u16) -> bool {
        self.0.borrow_mut().handled.push(id);
        true
    }

    fn farewell(&self) {
        let mut script = self.0.borrow_mut();
        script.farewell = true;
        script.events.push_back(Ok(Happened::Farewell));
    }
}

impl Events for Scripted {
    async fn next(&mut self) -> Result<Happened, Lost> {
        loop {
            if let Some(event) = self.0.borrow_mut().events.pop_front() {
                return event;
            }
            tokio::task::yield_now().await;
        }
    }

    fn left_over(&mut self) -> Vec<Happened> {
        std::mem::take(&mut self.0.borrow_mut().left_over)
    }
}

fn connected() -> Happened {
    Happened::Connected { session_present: false, receive_max: 20, max_packet: Some(1000), keep_alive: None }
}

/// Events of class P1 numbered from 1.
struct Plain {
    waiting: Vec<(u64, Vec<u8>)>,
    script: Shared,
    /// The publisher is stopped when so many acknowledgements are in.
    stop_at: usize,
    stop: Rc<RefCell<Option<Switch>>>,
}

impl Queue for Plain {
    fn generation(&mut self) -> Result<u64, String> {
        Ok(0)
    }
    fn next(&mut self, class: EventClass, after: u64, limit: usize) -> Result<Vec<Item>, String> {
        let of_class = self.waiting.iter().filter(|(seq, _)| class == EventClass::P1 && *seq > after);
        let item = |(seq, payload): &(u64, Vec<u8>)| Item {
            ticket: Ticket { generation: 0, seq: *seq },
            class,
            topic: "evt/arrival".into(),
            happened_at: Timestamp::UNIX_EPOCH,
            payload: payload.clone(),
        };
        Ok(of_class.take(limit).map(item).collect())
    }
    fn newest(&mut self, class: EventClass) -> Result<u64, String> {
        Ok(if class == EventClass::P1 { self.waiting.iter().map(|(seq, _)| *seq).max().unwrap_or(0) } else { 0 })
    }
    fn acknowledged(&mut self, ticket: Ticket) {
        self.waiting.retain(|(seq, _)| *seq != ticket.seq);
        self.script.borrow_mut().acknowledged.push(ticket.seq);
    }
    fn hand_on(&mut self) -> bool {
        if self.script.borrow().acknowledged.len() >= self.stop_at
            && let Some(switch) = self.stop.borrow().as_ref()
        {
            switch.stop();
        }
        true
    }
}

fn settings() -> Settings {
    let site = config::Site { tenant: "acme".into(), site: "s".into(), device: "d".into(), ..config::Site::default() };
    let mqtt = config::Mqtt { reconnect_max: Duration::from_millis(20), ..config::Mqtt::default() };
    let outbox = config::Outbox::default();
    let settings = Settings::new(&site, &mqtt, &outbox, "e1", 3);
    Settings { stalled_after: Duration::from_millis(100), drain_per_second: 0, window: 4, ..settings }
}

fn event(seq: u64) -> (u64, Vec<u8>) {
    (seq, format!(r#"{{"id":"e1-{seq}","type":"t.arrival","dataschema":"urn:x"}}"#).into_bytes())
}

/// Runs a publisher over `events` until `stop_at` acknowledgements are in.
fn publish(script: Script, events: Vec<(u64, Vec<u8>)>, stop_at: usize) -> (Script, Status) {
    publish_with(script, events, stop_at, None)
}

fn publish_with(
    script: Script,
    events: Vec<(u64, Vec<u8>)>,
    stop_at: usize,
    exchange: Option<Exchange>,
) -> (Script, Status) {
    let shared = Rc::new(RefCell::new(script));
    let stop = Rc::new(RefCell::new(None));
    let queue = Plain { waiting: events, script: Rc::clone(&shared), stop_at, stop: Rc::clone(&stop) };
    let (publisher, switch, status) =
        Publisher::new(Scripted(Rc::clone(&shared)), queue, settings(), Arc::new(Notify::new()));
    let publisher = publisher.with_exchange(exchange);
    *stop.borrow_mut() = Some(switch);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let run = async { tokio::time::timeout(Duration::from_secs(20), publisher.run()).await };
    runtime.block_on(run).expect("the publisher came to its end");
    let status = status.borrow().clone();
    (Rc::try_unwrap(shared).ok().unwrap().into_inner(), status)
}

fn sent_ids(script: &Script) -> Vec<String> {
    let id = |message: &Message| message.properties.iter().find(|(name, _)| name == "id").map(|(_, id)| id.clone());
    script.sent.iter().filter_map(id).collect()
}

#[test]
fn it_tells_its_birth_sends_in_order_and_says_goodbye() {
    let (script, status) = publish(Script { answers_from: 1, ..Script::default() }, (1..=9).map(event).collect(), 9);
    assert_eq!(script.acknowledged, (1..=9).collect::<Vec<_>>());
    let presence: Vec<_> = script.sent.iter().filter(|message| message.retain).collect();
    let says = |message: &Message| serde_json::from_slice::<serde_json::Value>(&message.payload).unwrap();
    assert_eq!(presence[0].topic, "forecourt/v1/acme/s/d/state/online");
    assert_eq!(says(presence[0])["online"], true);
    assert_eq!(says(presence[0])["session"], 3_000_001);
    assert_eq!(says(presence[1])["online"], false);
    assert!(script.farewell);
    assert_eq!((status.acked, status.state), (9, ConnectionState::Stopped));
    let arrival = script.sent.iter().find(|message| !message.retain).unwrap();
    assert_eq!(says(arrival)["late"], true, "it happened in 1970");
    let named = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    assert_eq!(arrival.properties, [named("type", "t.arrival"), named("id", "e1-1"), named("schema", "urn:x")]);
}

#[test]
fn a_connection_without_progress_is_replaced_and_everything_sent_again() {
    let (script, status) = publish(Script { answers_from: 2, ..Script::default() }, vec![event(1)], 1);
    assert_eq!(sent_ids(&script), ["e1-1", "e1-1"]);
    assert_eq!((script.dials, status.reconnects), (2, 1));
    assert!(status.last_error.unwrap().contains("no acknowledgement"));
}

#[test]
fn what_was_answered_before_an_error_counts() {
    // Birth is 1, the event is 2; the connection fails, but the answer to 2 had come with the same read.
    let left_over = vec![Happened::Answered(2, Outcome::Accepted), Happened::Answered(99, Outcome::Accepted)];
    let script = Script { left_over, ..Script::default() };
    let (script, status) = publish(script, vec![event(1)], 1);
    assert_eq!(script.acknowledged, [1]);
    assert_eq!(status.reconnects, 1, "it stalled once; the answer was found among what was left over");
}

#[test]
fn a_refused_event_is_kept_and_what_the_broker_cannot_take_blocks_nobody() {
    let huge = (1, vec![b'x'; 4000]);
    let (script, status) = publish(Script { answers_from: 1, ..Script::default() }, vec![huge, event(2), event(3)], 2);
    assert_eq!(script.acknowledged, [2, 3]);
    assert!(status.refused >= 1);
    assert!(script.sent.iter().all(|message| message.payload.len() < 1000), "it would have cost the connection");
}

fn exchange(board: &Arc<Board>) -> (Exchange, std::sync::mpsc::Receiver<Letter>) {
    Exchange::new("forecourt/v1/acme/s/d", &["cmd/+/+"], Arc::clone(board))
}

fn letter(id: u16) -> Happened {
    let topic = "forecourt/v1/acme/s/d/cmd/restart/7".to_owned();
    Happened::Came(Incoming { topic, payload: b"{}".to_vec(), id: Some(id), ..Incoming::default() })
}

#[test]
fn it_subscribes_before_its_birth_and_hands_letters_on_unacknowledged() {
    let board = Arc::new(Board::default());
    let (exchange, letters) = exchange(&board);
    let script = Script { answers_from: 1, subscription_answers: [Ok(())].into(), ..Script::default() };
    let script = Script { events: [Ok(letter(9))].into(), ..script };
    let (script, status) = publish_with(script, vec![event(1)], 1, Some(exchange));
    assert_eq!(script.subscriptions, [["forecourt/v1/acme/s/d/cmd/+/+"]]);
    assert_eq!(status.subscription, Subscription::Confirmed);
    assert_eq!((letters.recv().unwrap().topic.as_str(), status.received), ("cmd/restart/7", 1));
    assert!(script.handled.is_empty(), "nobody has handled it yet");
}

#[test]
fn a_refused_subscription_is_told_and_events_go_on() {
    let board = Arc::new(Board::default());
    let (exchange, _letters) = exchange(&board);
    let answers = [Err("NotAuthorized".to_owned())].into();
    let script = Script { answers_from: 1, subscription_answers: answers, ..Script::default() };
    let (script, status) = publish_with(script, vec![event(1)], 1, Some(exchange));
    assert_eq!(script.acknowledged, [1]);
    assert_eq!(status.subscription, Subscription::Refused);
    assert!(status.last_error.unwrap().contains("NotAuthorized"));
}

#[test]
fn more_letters_than_can_be_taken_cost_the_connection_and_no_letter() {
    let board = Arc::new(Board::default());
    let (exchange, letters) = exchange(&board);
    let flood = (1..=65).map(|id| Ok(letter(id))).collect();
    // The first connection gets the flood; on the second the event is delivered.
    let script = Script { answers_from: 2, events: flood, ..Script::default() };
    let (script, status) = publish_with(script, vec![event(1)], 1, Some(exchange));
    assert_eq!((letters.try_iter().count(), script.handled.len()), (64, 0));
    assert!(script.dials >= 2 && status.reconnects >= 1);
}

#[test]
fn the_state_of_the_box_and_answers_are_told_again_until_the_broker_has_them() {
    let board = Arc::new(Board::default());
    let (exchange, _letters) = exchange(&board);
    let post = |topic: &str| Message { topic: topic.into(), ..Message::default() };
    board.state(post("state/device"));
    let answer = board.answer(post("cmdres/restart/7"));
    let script = Script { answers_from: 2, ..Script::default() };
    let (script, _) = publish_with(script, vec![event(1)], 1, Some(exchange));
    let sent = |topic: &str| script.sent.iter().filter(|message| message.topic == topic).count();
    assert_eq!((sent("cmdres/restart/7"), sent("state/device")), (2, 2), "once on each connection");
    assert_eq!(board.delivered(), [answer]);
}

#[test]
fn a_silent_broker_is_left_although_nothing_waits_for_an_answer() {
    let shared = Rc::new(RefCell::new(Script { answers_from: 1, ..Script::default() }));
    let queue = Plain { waiting: Vec::new(), script: Rc::clone(&shared), stop_at: 1, stop: Rc::default() };
    let settings = Settings { silent_after: Duration::from_millis(50), ..settings() };
    let (publisher, switch, mut status) =
        Publisher::new(Scripted(Rc::clone(&shared)), queue, settings, Arc::new(Notify::new()));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let watch = async {
            status.wait_for(|status| status.reconnects >= 1).await.unwrap();
            switch.stop();
        };
        let both = async { tokio::join!(publisher.run(), watch) };
        tokio::time::timeout(Duration::from_secs(20), both).await.expect("it was noticed");
    });
    assert!(status.borrow().last_error.as_ref().unwrap().contains("nothing was heard"));
}

#[test]
fn a_packet_that_cost_the_connection_is_not_sent_again_to_this_broker() {
    let shared = Rc::new(RefCell::new(Script::default()));
    let queue = Plain { waiting: Vec::new(), script: Rc::clone(&shared), stop_at: 1, stop: Rc::default() };
    let (mut publisher, ..) = Publisher::new(Scripted(Rc::clone(&shared)), queue, settings(), Arc::default());
    let mut connection = publisher.begin(20, None).unwrap();
    let ticket = |seq| Ticket { generation: 0, seq };
    connection.flight.handed(Parcel::Event(ticket(1), EventClass::P1, 900));
    connection.flight.handed(Parcel::Event(ticket(2), EventClass::P1, 50_000));
    publisher.remember_too_large(&connection);
    assert_eq!(publisher.largest_packet, 49_999);
}
