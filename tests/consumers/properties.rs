//! What stands around the payload: quality of service, content type, user properties, expiry, as `asyncapi.yaml` says it.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};

use forecourt::mqtt::{EVENT_CONTENT_TYPE, HEALTH_EXPIRY};
use serde_json::Value;

use crate::broker;
use crate::sender::Sender;

/// Everything that Mosquitto's own client can tell of a message, fields apart by `|`.
const FORMAT: &str = "%t|%q|%r|%C|%F|%E|%P|%p";

struct Listener(Child);

impl Drop for Listener {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// `None`, with a line that says so, when Mosquitto's clients are not installed.
fn listen(port: u16, topic: &str, count: usize) -> Option<Listener> {
    let mut command = Command::new("mosquitto_sub");
    command.args(["-V", "5", "-q", "1", "-t", topic, "-F", FORMAT, "-p", &port.to_string(), "-C", &count.to_string()]);
    let Ok(child) = command.args(["-W", "60"]).stdout(Stdio::piped()).spawn() else {
        eprintln!("SKIPPED: mosquitto_sub is not installed (apt-get install mosquitto-clients)");
        return None;
    };
    Some(Listener(child))
}

fn lines(listener: &mut Listener) -> Vec<Vec<String>> {
    let text = BufReader::new(listener.0.stdout.take().unwrap()).lines().map(Result::unwrap);
    text.map(|line| line.splitn(8, '|').map(str::to_owned).collect()).collect()
}

#[test]
fn what_stands_around_an_event_is_what_the_contract_says() {
    let folder = tempfile::tempdir().unwrap();
    let Some(broker) = broker::mosquitto(folder.path(), false) else { return };
    let mut sender = Sender::new(folder.path(), broker.port);
    let events = sender.backlog();
    // The last will and the birth are retained: they come to a late subscriber as well.
    let Some(mut listener) = listen(broker.port, "forecourt/v1/acme/east/box-1/#", events + 1) else { return };
    std::thread::sleep(std::time::Duration::from_millis(500));
    sender.connect(0);
    let heard = lines(&mut listener);
    assert_eq!(heard.len(), events + 1);
    let mut expiring = 0;
    for message in &heard {
        let [topic, quality, _, content, utf8, expiry, properties, payload] = &message[..] else {
            panic!("{message:?}")
        };
        assert_eq!((quality.as_str(), utf8.as_str()), ("1", "1"), "{topic}");
        let payload: Value = serde_json::from_str(payload).unwrap();
        if topic.ends_with("/state/online") {
            assert_eq!((content.as_str(), expiry.as_str(), properties.as_str()), ("application/json", "", ""));
            continue;
        }
        assert_eq!(content, EVENT_CONTENT_TYPE);
        let text = |name: &str| payload[name].as_str().unwrap().to_owned();
        let wanted = format!("type:{} id:{} schema:{}", text("type"), text("id"), text("dataschema"));
        assert_eq!(properties, &wanted);
        let of_no_use_later = topic.ends_with("/device-camera");
        expiring += usize::from(of_no_use_later);
        assert_eq!(expiry.parse().ok(), of_no_use_later.then_some(HEALTH_EXPIRY.as_secs()), "{topic}");
    }
    assert!(expiring > 0, "the script tells of a camera");
    sender.settle();
    sender.disconnect();
    let mut late = listen(broker.port, "forecourt/v1/acme/east/box-1/state/online", 1).unwrap();
    assert_eq!(lines(&mut late)[0][2], "1", "retained");
}
