//! Commands: judged, written down, done once, answered always.
//!
//! A repetition gets the stored answer, whatever the clock says. A command with an effect must be signed by a trusted key
//! unless the settings waive it; without a signature the broker's access rules are all that stands between it and the box.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use tracing::{info, warn};

use super::Office;
use crate::clock::TimeQuality;
use crate::domain::sync::{
    Answer, AnswerState, COMMAND_FORMAT, Capability, CommandName, Reason, Request, audience_holds,
};
use crate::mqtt::{Letter, Message, Reply};
use crate::store::members::{Entered, JournalEntry, StoreError};

/// Longest command.
const MOST_BYTES: usize = 64 * 1024;
/// A command may wait for its box so long.
const LONGEST_LIFE: SignedDuration = SignedDuration::from_hours(7 * 24);
/// Clocks of platform and box may differ by so much.
const SKEW: SignedDuration = SignedDuration::from_mins(5);
/// Commands are remembered so long; far longer than any of them can live.
const REMEMBERED: SignedDuration = SignedDuration::from_hours(90 * 24);
/// Commands that are remembered at most.
const MOST_COMMANDS: u64 = 10_000;

/// Why a command is not begun.
pub(super) struct No {
    code: &'static str,
    words: String,
}

impl No {
    fn new(code: &'static str, words: impl Into<String>) -> Self {
        Self { code, words: words.into() }
    }
}

impl Office {
    /// What is said in `state/device`; `None`: the box would refuse it.
    pub(super) fn capability(&self, command: CommandName) -> Option<Capability> {
        let signed = command.changes() && !self.config.commands.unsigned;
        let can = command != CommandName::ConfigPatch || self.file.is_some();
        (can && (!signed || !self.commanders.is_empty())).then_some(Capability { command, signed })
    }

    /// A command came in.
    pub(super) fn command(&mut self, name: &str, id: &str, letter: &Letter) -> Result<(), StoreError> {
        let is_word = |text: &str| {
            (1..=64).contains(&text.len()) && text.bytes().all(|c| c.is_ascii_alphanumeric() || b"-_.".contains(&c))
        };
        if !is_word(name) || !is_word(id) {
            warn!("A command has a name or an id that is no word; nobody could be answered.");
            return Ok(());
        }
        let request = self.read(name, id, &letter.payload);
        let reply = self.reply_of(letter, request.as_ref().ok());
        let mut entry = JournalEntry {
            id: id.to_owned(),
            name: name.to_owned(),
            args: "{}".to_owned(),
            answer: answer(name, id, AnswerState::Accepted),
            reply_topic: reply.as_ref().map(|reply| reply.topic.clone()),
            correlation: reply.and_then(|reply| reply.correlation),
            answered: false,
        };
        if let Ok(request) = &request {
            entry.args = serde_json::to_string(&request.args).expect("arguments are JSON");
            entry.answer.correlation.clone_from(&request.correlation);
        }
        // By content: a broker that sends twice sends the same bytes, and another command must not take an id over.
        let hash: [u8; 32] =
            Sha256::new().chain_update(name).chain_update([0]).chain_update(&letter.payload).finalize().into();
        match self.store.known_command(id, &hash)? {
            Some(Entered::Known(known)) => {
                info!(command = name, id, "A command came again; its answer is sent again.");
                self.post_answer(&JournalEntry {
                    reply_topic: entry.reply_topic,
                    correlation: entry.correlation,
                    ..*known
                });
                return Ok(());
            }
            Some(_) => {
                self.refuse(entry, No::new("id-used", "another command had this id; use a new one"));
                return Ok(());
            }
            None => {}
        }
        match request.and_then(|request| self.judge(&request)) {
            Err(no) => self.refuse(entry, no),
            Ok(command) => {
                if self.store.command_count()? >= MOST_COMMANDS {
                    let before = Timestamp::now() - REMEMBERED;
                    if self.store.forget_commands(before)? == 0 {
                        self.refuse(entry, No::new("too-many", "the box remembers too many commands; wait some days"));
                        return Ok(());
                    }
                }
                self.store.enter_command(&entry, &hash, Timestamp::now())?;
                info!(command = name, id, "Command accepted.");
                self.post_answer(&entry);
                self.perform(command, entry)?;
            }
        }
        Ok(())
    }

    fn read(&self, name: &str, id: &str, payload: &[u8]) -> Result<Request, No> {
        let wrong = |words: String| No::new("not-readable", words);
        if payload.len() > MOST_BYTES {
            return Err(wrong(format!("it has {} bytes, {MOST_BYTES} are taken", payload.len())));
        }
        let object: Value = serde_json::from_slice(payload).map_err(|_| wrong("it is no JSON".to_owned()))?;
        // A signature that does not fit is worse than none.
        if object.get("signature").is_some()
            && let Err(words) = self.commanders.verify(&object)
        {
            return Err(No::new("not-authorised", words));
        }
        let request: Request =
            serde_json::from_value(object).map_err(|error| wrong(format!("it is not understood: {error}")))?;
        if request.name != name || request.id != id {
            return Err(wrong("`name` and `id` are not those of its topic".to_owned()));
        }
        Ok(request)
    }

    fn judge(&self, request: &Request) -> Result<CommandName, No> {
        let Some(command) = CommandName::from_word(&request.name) else {
            let known = CommandName::ALL.map(CommandName::word).join(", ");
            return Err(No::new("unknown", format!("there is no command `{}`; there are {known}", request.name)));
        };
        let signed = request.signature.is_some();
        if signed && request.format.as_deref() != Some(COMMAND_FORMAT) {
            return Err(No::new("not-readable", format!("a signed command has the format `{COMMAND_FORMAT}`")));
        }
        if signed && request.audience.is_none() {
            return Err(No::new("not-authorised", "a signed command names its audience"));
        }
        if request.audience.as_ref().is_some_and(|audience| !audience_holds(audience, &self.own)) {
            return Err(No::new("not-authorised", "it is meant for another box"));
        }
        if command.changes() && !signed && !self.config.commands.unsigned {
            let words = format!(
                "`{}` changes something and must be signed by a key of `commands.trusted_keys`",
                command.word()
            );
            return Err(No::new("not-authorised", words));
        }
        self.judge_time(request)?;
        self.judge_change(command, &request.args).map_err(|(code, words)| No::new(code, words))?;
        Ok(command)
    }

    fn judge_time(&self, request: &Request) -> Result<(), No> {
        if request.expires <= request.issued {
            return Err(No::new("not-readable", "`expires` is not after `issued`"));
        }
        if request.expires.duration_since(request.issued) > LONGEST_LIFE {
            return Err(No::new("not-readable", "`expires` is more than seven days after `issued`"));
        }
        let wall = Timestamp::now();
        let now = wall.max(self.floor());
        if now > request.expires {
            return Err(No::new("expired", format!("it expired at {}, it is {now}", request.expires)));
        }
        if self.boot.quality() != TimeQuality::Unsynced && request.issued > now + SKEW {
            return Err(No::new("not-yet", format!("it was issued at {}, it is {now}", request.issued)));
        }
        Ok(())
    }

    /// A box without a clock of its own may wake up in the past; it is not earlier than what it has seen.
    fn floor(&self) -> Timestamp {
        let list = self.store.synced_list().ok().flatten().map(|list| list.issued);
        let command = self.store.newest_command().ok().flatten();
        list.max(command).unwrap_or(Timestamp::UNIX_EPOCH)
    }

    /// Where the answer is wanted besides its own topic. With MQTT 3.1.1 only below the box's own topics.
    fn reply_of(&self, letter: &Letter, request: Option<&Request>) -> Option<Reply> {
        let valid = |topic: &str| !topic.is_empty() && topic.len() <= 1024 && !topic.contains(['+', '#', '\0', '$']);
        if let Some(reply) = &letter.reply {
            return valid(&reply.topic).then(|| reply.clone());
        }
        let topic = request?.reply_to.as_ref().filter(|topic| valid(topic))?;
        Some(Reply { topic: self.topics.whole(topic), correlation: None })
    }

    /// Not journalled: nothing was begun, and the same command is judged alike when it comes again.
    fn refuse(&mut self, mut entry: JournalEntry, no: No) {
        warn!(command = entry.name, id = entry.id, code = no.code, words = no.words, "Command refused.");
        entry.answer.state = AnswerState::Refused;
        entry.answer.reason = Some(Reason { code: no.code.to_owned(), words: no.words });
        for message in self.messages(&entry) {
            self.board.answer(message);
        }
    }

    /// Sends the newest answer; the last one is remembered until the broker has it.
    pub(super) fn post_answer(&mut self, entry: &JournalEntry) {
        for (place, message) in self.messages(entry).into_iter().enumerate() {
            let id = self.board.answer(message);
            if place == 0 && entry.answer.state.is_last() {
                self.unanswered.insert(id, entry.id.clone());
            }
        }
    }

    fn messages(&self, entry: &JournalEntry) -> Vec<Message> {
        let payload = serde_json::to_vec(&entry.answer).expect("an answer has string keys only");
        let own = self.topics.whole(&format!("cmdres/{}/{}", entry.name, entry.id));
        let message = |topic: &str| Message {
            topic: topic.to_owned(),
            payload: payload.clone(),
            content_type: "application/json",
            correlation: entry.correlation.clone(),
            ..Message::default()
        };
        let other = entry.reply_topic.as_ref().filter(|topic| **topic != own);
        std::iter::once(&own).chain(other).map(|topic| message(topic)).collect()
    }

    /// The next answer, on disk first.
    pub(super) fn progress(
        &mut self,
        entry: &mut JournalEntry,
        state: AnswerState,
        outcome: Result<Value, Reason>,
    ) -> Result<(), StoreError> {
        let correlation = entry.answer.correlation.take();
        entry.answer = Answer { correlation, ..answer(&entry.name, &entry.id, state) };
        match outcome {
            Ok(Value::Null) => {}
            Ok(result) => entry.answer.result = Some(result),
            Err(reason) => entry.answer.reason = Some(reason),
        }
        self.store.answer_command(&entry.answer)?;
        self.post_answer(entry);
        Ok(())
    }

    /// What was under way when the service ended, and answers that nobody has.
    pub(super) fn resume_commands(&mut self) {
        let open = match self.store.open_commands() {
            Ok(open) => open,
            Err(error) => return warn!(%error, "The journal of commands cannot be read."),
        };
        for entry in open {
            if entry.answer.state.is_last() {
                self.post_answer(&entry);
                continue;
            }
            let Some(command) = CommandName::from_word(&entry.name) else { continue };
            info!(command = entry.name, id = entry.id, "A command that was under way is taken up.");
            if let Err(error) = self.take_up(command, entry) {
                warn!(%error, "A command waits for the disk.");
            }
        }
        self.show("commands", json!({ "known": self.store.command_count().unwrap_or_default() }));
    }
}

fn answer(name: &str, id: &str, state: AnswerState) -> Answer {
    Answer {
        name: name.to_owned(),
        id: id.to_owned(),
        state,
        at: Timestamp::now(),
        reason: None,
        result: None,
        correlation: None,
    }
}

/// How long a box waits before it ends, so that the platform hears of it.
pub(super) const FAREWELL: Duration = Duration::from_millis(700);
