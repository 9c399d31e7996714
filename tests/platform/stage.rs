//! A box, a broker, an ear, and commands that are signed as a platform signs them.

use forecourt::domain::sync::{COMMAND_FORMAT, SigningKey};
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use crate::broker::{Mosquitto, mosquitto};
use crate::contract;
use crate::site::{Ear, PATIENCE, ROOT, Service, Site, publish};

pub struct Stage {
    pub site: Site,
    pub broker: Mosquitto,
    pub ear: Ear,
    _folder: tempfile::TempDir,
}

impl Stage {
    pub fn new() -> Option<Self> {
        let folder = tempfile::tempdir().unwrap();
        let broker = mosquitto(folder.path(), true)?;
        let (site, ear) = (Site::new(broker.port), Ear::listen(broker.port));
        Some(Self { site, broker, ear, _folder: folder })
    }

    /// A service that has told what it can do.
    pub fn start(&mut self) -> Service {
        let service = self.site.start();
        let told = |ear: &Ear| ["state/device", "state/config"].iter().all(|topic| ear.newest.contains_key(*topic));
        let online = self.ear.until(PATIENCE, told);
        assert!(online, "{}", self.site.log());
        service
    }

    pub fn request(&self, name: &str, id: &str, args: Value, key: Option<&str>) -> Value {
        let now = Timestamp::now();
        let mut request = json!({
            "name": name, "id": id, "issued": now, "expires": now + SignedDuration::from_mins(10), "args": args,
        });
        let Some(key) = key else { return request };
        request["format"] = json!(COMMAND_FORMAT);
        request["audience"] = json!("acme/test/box-1");
        let text = std::fs::read_to_string(self.site.path(&format!("{key}.key"))).unwrap();
        SigningKey::parse(&text).unwrap().sign(request)
    }

    pub fn send(&self, name: &str, id: &str, payload: &[u8]) {
        publish(self.broker.port, &format!("{ROOT}/cmd/{name}/{id}"), payload, &[]);
    }

    /// Sends, and returns the last answer.
    #[track_caller]
    pub fn answer(&mut self, name: &str, id: &str, payload: &[u8]) -> Value {
        let topic = format!("cmdres/{name}/{id}");
        let known = self.ear.all.iter().filter(|(on, _)| *on == topic).count();
        self.send(name, id, payload);
        self.last_answer(name, id, known)
    }

    /// The last answer after the first `known` ones.
    #[track_caller]
    pub fn last_answer(&mut self, name: &str, id: &str, known: usize) -> Value {
        let topic = format!("cmdres/{name}/{id}");
        let last = |answer: &Value| ["successful", "failed", "refused"].contains(&answer["state"].as_str().unwrap());
        let done = self.ear.until(PATIENCE, |ear| {
            ear.all.iter().filter(|(on, _)| *on == topic).skip(known).any(|(_, answer)| last(answer))
        });
        assert!(done, "no answer to {name}/{id}: {:?}\n{}", self.ear.answers(name, id), self.site.log());
        let answer = self.ear.newest[&topic].clone();
        contract::validate_as("command-answer", &answer);
        answer
    }

    pub fn reason(&mut self, name: &str, id: &str, request: &Value) -> String {
        let answer = self.answer(name, id, request.to_string().as_bytes());
        assert_eq!(answer["state"], "refused", "{answer}");
        answer["reason"]["code"].as_str().unwrap().to_owned()
    }

    /// How often the service has begun.
    pub fn starts(&self) -> usize {
        self.site.log().matches("Started.").count()
    }
}
