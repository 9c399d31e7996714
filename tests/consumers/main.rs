//! The worked consumers of `contract/examples` against the real outbox, the real publisher and a real Mosquitto: killed
//! in the middle, given everything twice, out of order, with gaps, late, garbled and forged. A bug planted in a copy of
//! the Python consumer shows that each kind of mistake would be seen.
//!
//! Skipped with a line that says why when Mosquitto, paho-mqtt 2, Node with its packages or PostgreSQL is not installed.

// What is tested here is the same without it: once in `make test` is enough.
#![cfg(feature = "opencv")]
#![allow(
    clippy::unwrap_used,
    clippy::print_stderr,
    dead_code,
    reason = "tests, the lines that say what was skipped, and helpers shared with other tests"
)]

#[path = "../delivery/broker.rs"]
mod broker;
#[path = "../delivery/checker.rs"]
mod checker;
mod postgres;
mod program;
mod properties;
mod sender;
mod verdict;
#[path = "../delivery/wire.rs"]
mod wire;

use std::path::Path;
use std::time::Duration;

use broker::{Mosquitto, Subscriber};
use postgres::Postgres;
use program::{Copy, Program};
use sender::{ByHand, Sender};

/// Longest wait for something that must happen.
const PATIENCE: Duration = Duration::from_secs(60);

/// Plays the whole script with a consumer; what is wrong in the end.
fn play(folder: &Path, program: &Program, broker: &Mosquitto) -> Vec<String> {
    let mut observer = Subscriber::listen(broker.port);
    let mut consumer = program.start(broker.port);
    let mut sender = Sender::new(folder, broker.port);

    // Killed in the middle of what comes, and started again.
    let visits = sender.visits();
    sender.connect(0);
    assert!(observer.until(PATIENCE, |heard| heard.ids.len() >= visits / 2));
    consumer.kill();
    assert!(observer.until(PATIENCE, |heard| heard.ids.len() >= visits));
    let mut consumer = program.start(broker.port);

    // The box dies before it has deleted what was acknowledged: everything comes once more.
    sender.disconnect();
    sender.connect(0);
    assert!(observer.until(PATIENCE, |heard| heard.ids.values().all(|copies| *copies >= 2)));
    sender.settle();

    // A long time without a broker: states replace each other, a late arrival, a backlog that a departure overtakes.
    sender.disconnect();
    let backlog = sender.backlog();
    sender.connect(20);
    let before = observer.ids.len();
    assert!(observer.until(PATIENCE, |heard| heard.ids.len() >= before + backlog / 4));
    sender.overtaking_departure();
    assert!(observer.until(PATIENCE, |heard| heard.ids.len() > before + backlog));
    sender.settle();

    // Another box, whose messages are written by hand: a hole that nobody explains, garbage, a forgery, unknown types.
    let mut by_hand = ByHand::connect(broker.port);
    by_hand.strange_things();
    // The forgery and the unknown type bear the same number.
    assert!(observer.until(PATIENCE, |heard| heard.ids.get("hand-6") == Some(&2)));

    // Killed between storing and acknowledging.
    if let Some(locked) = program.lock() {
        by_hand.three_events();
        assert!(observer.until(PATIENCE, |heard| heard.ids.contains_key("hand-9")));
        std::thread::sleep(Duration::from_millis(500));
        consumer.kill();
        drop(locked);
        consumer = program.start(broker.port);
    }
    sender.disconnect();
    let report = program.report_when_quiet(|report| verdict::complete(report, &observer));
    consumer.stop();
    verdict::faults(&report, &observer, &sender)
}

fn sound(program: impl FnOnce(&Path) -> Option<Program>) {
    let folder = tempfile::tempdir().unwrap();
    let Some(program) = program(folder.path()) else { return };
    let Some(broker) = broker::mosquitto(folder.path(), false) else { return };
    assert_eq!(play(folder.path(), &program, &broker), Vec::<String>::new());
}

/// The faults that the script finds in the Python consumer when a line of it is replaced; `None`: skipped.
fn planted(file: &str, line: &str, replacement: &str) -> Option<Vec<String>> {
    let folder = tempfile::tempdir().unwrap();
    let copy = Copy::with(folder.path(), file, line, replacement);
    let program = Program::python(folder.path(), Some(copy))?;
    let broker = broker::mosquitto(folder.path(), false)?;
    Some(play(folder.path(), &program, &broker))
}

#[test]
fn the_python_consumer_stores_everything_once_and_in_order() {
    sound(|folder| Program::python(folder, None));
}

#[test]
fn the_python_consumer_does_so_on_postgresql() {
    let folder = tempfile::tempdir().unwrap();
    let Some(postgres) = Postgres::start(folder.path()) else { return };
    sound(|folder| Program::python(folder, None)?.on_postgres(&postgres));
}

#[test]
fn the_node_consumer_stores_everything_once_and_in_order() {
    sound(Program::node);
}

#[test]
fn a_consumer_that_acknowledges_before_it_stores_is_caught() {
    let sound = "        store.take(message.topic, message.payload)\n        client.ack(message.mid, message.qos)\n";
    let wrong = "        client.ack(message.mid, message.qos)\n        client.loop_write()\n        \
                 store.take(message.topic, message.payload)\n";
    if let Some(faults) = planted("consumer.py", sound, wrong) {
        assert!(faults.iter().any(|fault| fault.starts_with("lost")), "{faults:?}");
    }
}

#[test]
fn a_consumer_that_takes_repetitions_for_news_is_caught() {
    if let Some(faults) = planted("store.py", "if copies > 1:", "if copies > 1_000_000:") {
        assert!(faults.iter().any(|fault| fault.starts_with("visits of a person")), "{faults:?}");
    }
}

#[test]
fn a_consumer_that_orders_by_arrival_is_caught() {
    let sound = "where (excluded.epoch_number, excluded.sequence) > (visit.epoch_number, visit.sequence)";
    if let Some(faults) = planted("store.py", sound, "") {
        assert!(faults.iter().any(|fault| fault.starts_with("visits:")), "{faults:?}");
    }
}

#[test]
fn a_consumer_that_greets_who_came_long_ago_is_caught() {
    if let Some(faults) = planted("store.py", "if not event.get(\"late\"):", "if True:") {
        assert!(faults.iter().any(|fault| fault.starts_with("greetings")), "{faults:?}");
    }
}

#[test]
fn a_consumer_that_believes_the_payload_is_caught() {
    if let Some(faults) = planted("store.py", "message[\"source\"] != source", "False") {
        assert!(faults.iter().any(|fault| fault.starts_with("dead letters")), "{faults:?}");
    }
}
