//! What commands do.

use std::time::Instant;

use jiff::Timestamp;
use serde_json::{Map, Value, json};
use tracing::warn;

use super::orders::FAREWELL;
use super::{Message, Office, bundle};
use crate::domain::sync::{AnswerState, CommandName, Reason};
use crate::pipeline::control::Question;
use crate::store::members::{JournalEntry, StoreError};

/// What came of it: a result, or why not.
pub(super) type Done = Result<Value, Reason>;

pub(super) fn failed(code: &str, words: impl ToString) -> Reason {
    Reason { code: code.to_owned(), words: words.to_string() }
}

impl Office {
    /// Does a command that was just accepted.
    pub(super) fn perform(&mut self, command: CommandName, mut entry: JournalEntry) -> Result<(), StoreError> {
        self.progress(&mut entry, AnswerState::Executing, Ok(Value::Null))?;
        let Some(done) = self.act(command, &entry)? else { return Ok(()) };
        let state = if done.is_ok() { AnswerState::Successful } else { AnswerState::Failed };
        self.progress(&mut entry, state, done)
    }

    /// Goes on with a command that was under way when the service ended. All but `restart` may be done twice without
    /// harm, and that one was done: the service runs again. A change on trial is answered when it is judged.
    pub(super) fn take_up(&mut self, command: CommandName, mut entry: JournalEntry) -> Result<(), StoreError> {
        if command == CommandName::Restart && entry.answer.state == AnswerState::Executing {
            return self.progress(&mut entry, AnswerState::Successful, Ok(json!({ "started_at": self.started_at })));
        }
        if let Some(why) = self.changes.taken_back(&entry.id) {
            let reason = failed("rolled-back", why);
            return self.progress(&mut entry, AnswerState::Failed, Err(reason));
        }
        if self.changes.trial().is_some_and(|trial| trial.command == entry.id) {
            return Ok(());
        }
        self.perform(command, entry)
    }

    /// `None`: it is answered later.
    fn act(&mut self, command: CommandName, entry: &JournalEntry) -> Result<Option<Done>, StoreError> {
        let args: Map<String, Value> = serde_json::from_str(&entry.args).unwrap_or_default();
        Ok(match command {
            CommandName::MembersRefresh => Some(self.refresh()?),
            CommandName::SnapshotHealth => {
                Some(self.health().map(|health| json!(health)).map_err(|words| failed("no-answer", words)))
            }
            CommandName::SupportBundle => Some(self.bundle(&entry.id, &args)),
            CommandName::MemberDelete => Some(self.delete(&entry.id, &args)?),
            CommandName::Restart => {
                self.restart_due = Some(Instant::now() + FAREWELL);
                None
            }
            CommandName::ConfigPatch => self.patch(&entry.id, &args),
            CommandName::PackInstall => self.bring(&entry.id, &args),
        })
    }

    fn refresh(&mut self) -> Result<Done, StoreError> {
        self.begin_lists();
        let state = self.members_state()?;
        Ok(Ok(json!(state)))
    }

    /// Effective with the next match: a match looks its member up.
    fn delete(&mut self, id: &str, args: &Map<String, Value>) -> Result<Done, StoreError> {
        let Some(member_ref) = args.get("member_ref").and_then(Value::as_str) else {
            return Ok(Err(failed("not-readable", "`args.member_ref` names nobody")));
        };
        let now = Timestamp::now();
        let was_listed = self.store.erase(member_ref, id, now)?;
        let _ = self.to_rules.try_send(Message::ListChanged);
        // Done also when nobody was listed: it may be a repetition after a kill.
        self.forget_pieces()?;
        self.post_members(true);
        Ok(Ok(json!({ "was_listed": was_listed, "removed_at": now })))
    }

    fn bundle(&mut self, id: &str, args: &Map<String, Value>) -> Done {
        let status = self.ask(Question::Status).unwrap_or_else(|words| json!({ "error": words }));
        let commands = self.store.commands(50).unwrap_or_else(|error| {
            warn!(%error, "The journal of commands is not in the bundle.");
            Vec::new()
        });
        let inline = args.get("inline").and_then(Value::as_bool).unwrap_or(true);
        let parts = bundle::Parts { config: &self.config, status: &status, commands: &commands };
        bundle::write(&self.folder, id, &parts, inline).map_err(|error| failed("failed", format!("{error:#}")))
    }
}
