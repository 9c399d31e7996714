//! A real Mosquitto on a free port, and an observer that hears everything.

use std::collections::BTreeMap;
use std::io::Write;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use crate::wire::{self, Packet};

/// Where Debian puts it.
const MOSQUITTO: &str = "/usr/sbin/mosquitto";

/// A Mosquitto process; killed when dropped.
pub struct Mosquitto {
    pub port: u16,
    config: PathBuf,
    process: Option<Child>,
}

/// `None`, with a line that says so, when Mosquitto is not installed.
pub fn mosquitto(folder: &Path, persistence: bool) -> Option<Mosquitto> {
    let text = format!(
        "allow_anonymous true\npersistence {persistence}\npersistence_location {}/\nautosave_interval 1\n\
         autosave_on_changes true\n",
        folder.display()
    );
    mosquitto_with(folder, &text)
}

/// The same with these settings.
pub fn mosquitto_with(folder: &Path, settings: &str) -> Option<Mosquitto> {
    if !Path::new(MOSQUITTO).exists() {
        eprintln!("SKIPPED: {MOSQUITTO} is not installed (apt-get install mosquitto)");
        return None;
    }
    let port = free_port();
    let config = folder.join("mosquitto.conf");
    let user = if nix::unistd::Uid::effective().is_root() { "user root\n" } else { "" };
    let text = format!("listener {port} 127.0.0.1\n{user}max_queued_messages 0\nlog_type none\n{settings}");
    std::fs::write(&config, text).unwrap();
    let mut broker = Mosquitto { port, config, process: None };
    broker.start();
    Some(broker)
}

/// A port on which nothing listens at the moment.
pub fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

pub fn local(port: u16) -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], port))
}

impl Mosquitto {
    pub fn start(&mut self) {
        let mut command = Command::new(MOSQUITTO);
        command.arg("-c").arg(&self.config).stdout(Stdio::null()).stderr(Stdio::null());
        self.process = Some(command.spawn().expect("mosquitto starts"));
        let until = Instant::now() + Duration::from_secs(10);
        while TcpStream::connect(local(self.port)).is_err() {
            assert!(Instant::now() < until, "mosquitto does not listen on port {}", self.port);
            std::thread::yield_now();
        }
    }

    /// SIGKILL: no session and no message is saved.
    pub fn kill(&mut self) {
        if let Some(mut process) = self.process.take() {
            process.kill().unwrap();
            process.wait().unwrap();
        }
    }
}

impl Drop for Mosquitto {
    fn drop(&mut self) {
        self.kill();
    }
}

/// One message as it arrived.
#[derive(Clone, Debug, PartialEq)]
pub struct Arrival {
    pub topic: String,
    pub payload: Vec<u8>,
}

/// A subscriber to everything, in a thread of its own.
pub struct Subscriber {
    arrivals: Receiver<Arrival>,
    pub seen: Vec<Arrival>,
    /// How often each event id has arrived.
    pub ids: BTreeMap<String, usize>,
    /// The last word on `state/online`.
    pub presence: Option<serde_json::Value>,
}

impl Subscriber {
    /// Subscribes, and returns when the broker has confirmed it.
    pub fn listen(port: u16) -> Self {
        let mut stream = TcpStream::connect(local(port)).unwrap();
        stream.set_nodelay(true).unwrap();
        wire::connect(&format!("observer-{}", stream.local_addr().unwrap().port())).write(&mut stream).unwrap();
        assert_eq!(Packet::read(&mut stream).unwrap().body[1], 0, "CONNACK");
        wire::subscribe("#").write(&mut stream).unwrap();
        while Packet::read(&mut stream).unwrap().kind != 9 {}
        let (sink, arrivals) = channel();
        std::thread::spawn(move || {
            while let Ok(packet) = Packet::read(&mut stream) {
                let Some((topic, id, payload)) = packet.publish() else { continue };
                if id != 0 && wire::puback(id, 0).write(&mut stream).is_err() {
                    break;
                }
                if sink.send(Arrival { topic, payload }).is_err() {
                    break;
                }
            }
            let _ = stream.flush();
        });
        Self { arrivals, seen: Vec::new(), ids: BTreeMap::new(), presence: None }
    }

    /// Listens until `enough` says so; `false` when the time is over before.
    pub fn until(&mut self, limit: Duration, mut enough: impl FnMut(&Self) -> bool) -> bool {
        let until = Instant::now() + limit;
        while !enough(self) {
            let left = until.saturating_duration_since(Instant::now());
            match self.arrivals.recv_timeout(left.min(Duration::from_millis(100))) {
                Ok(arrival) => self.take(arrival),
                Err(_) if left.is_zero() => return false,
                Err(_) => {}
            }
        }
        true
    }

    fn take(&mut self, arrival: Arrival) {
        if arrival.topic.contains("/evt/") {
            if let Some(id) = crate::checker::id(&arrival.payload) {
                *self.ids.entry(id).or_default() += 1;
            }
            self.seen.push(arrival);
        } else if arrival.topic.ends_with("/state/online") {
            self.presence = serde_json::from_slice(&arrival.payload).ok();
        }
    }
}
