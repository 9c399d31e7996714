//! Commands as they were given: written down before they are begun, so that each has its effect once and its answer
//! always, over kills and repetitions.

use jiff::Timestamp;
use rusqlite::{OptionalExtension, Row, params};

use super::{MemberStore, StoreError};
use crate::domain::sync::{Answer, AnswerState};

/// A command and how far it is.
#[derive(Clone, Debug, PartialEq)]
pub struct JournalEntry {
    /// Its id.
    pub id: String,
    /// Its name, as it was given.
    pub name: String,
    /// What it needs, JSON.
    pub args: String,
    /// The newest answer.
    pub answer: Answer,
    /// Where the answer is wanted besides its own topic.
    pub reply_topic: Option<String>,
    /// To be sent back as it came.
    pub correlation: Option<Vec<u8>>,
    /// Has the broker taken over the last answer?
    pub answered: bool,
}

/// What became of an entry.
#[derive(Clone, Debug, PartialEq)]
pub enum Entered {
    /// It was given before; this is how far it is.
    Known(Box<JournalEntry>),
    /// Another command had this id.
    Other,
}

const COLUMNS: &str = "id, name, args, answer, reply_topic, correlation, answered";

impl MemberStore {
    /// Writes a command down. `request` is the hash of all that was asked.
    pub fn enter_command(
        &mut self,
        entry: &JournalEntry,
        request: &[u8; 32],
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let answer = json(&entry.answer);
        let state = word(entry.answer.state);
        let put = || -> rusqlite::Result<()> {
            let sql = "insert into command \
                       (id, name, received_ms, request, args, state, answer, reply_topic, correlation, answered) \
                       values (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, 0)";
            let now = now.as_millisecond();
            let JournalEntry { id, name, args, reply_topic, correlation, .. } = entry;
            let values = params![id, name, now, request, args, state, answer, reply_topic, correlation];
            self.connection.execute(sql, values).map(drop)
        };
        put().map_err(|source| self.sqlite(source))
    }

    /// Is a command of this id there? `request` is the hash of all that was asked.
    pub fn known_command(&self, id: &str, request: &[u8; 32]) -> Result<Option<Entered>, StoreError> {
        let find = || -> rusqlite::Result<Option<Entered>> {
            let sql = format!("select {COLUMNS}, request from command where id = ?1");
            let found = self.connection.query_row(&sql, [id], |row| Ok((entry_of(row)?, row.get::<_, [u8; 32]>(7)?)));
            Ok(found.optional()?.map(|(entry, known)| match known == *request {
                true => Entered::Known(Box::new(entry)),
                false => Entered::Other,
            }))
        };
        find().map_err(|source| self.sqlite(source))
    }

    /// The newest answer to a command.
    pub fn answer_command(&mut self, answer: &Answer) -> Result<(), StoreError> {
        let sql = "update command set state = ?2, answer = ?3, answered = 0 where id = ?1";
        let done = self.connection.execute(sql, (&answer.id, word(answer.state), json(answer)));
        done.map(drop).map_err(|source| self.sqlite(source))
    }

    /// The broker has taken over the last answer to a command.
    pub fn command_answered(&mut self, id: &str) -> Result<(), StoreError> {
        let sql = "update command set answered = 1 where id = ?1 and state in ('successful', 'failed', 'refused')";
        self.connection.execute(sql, [id]).map(drop).map_err(|source| self.sqlite(source))
    }

    /// Commands that are not at their end, or whose last answer nobody has; oldest first.
    pub fn open_commands(&self) -> Result<Vec<JournalEntry>, StoreError> {
        let read = || -> rusqlite::Result<Vec<JournalEntry>> {
            let sql = format!("select {COLUMNS} from command where answered = 0 order by received_ms, id");
            self.connection.prepare(&sql)?.query_map([], entry_of)?.collect()
        };
        read().map_err(|source| self.sqlite(source))
    }

    /// The newest commands, newest first.
    pub fn commands(&self, limit: usize) -> Result<Vec<JournalEntry>, StoreError> {
        let read = || -> rusqlite::Result<Vec<JournalEntry>> {
            let sql = format!("select {COLUMNS} from command order by received_ms desc, id limit ?1");
            let limit = i64::try_from(limit).unwrap_or(i64::MAX);
            self.connection.prepare(&sql)?.query_map([limit], entry_of)?.collect()
        };
        read().map_err(|source| self.sqlite(source))
    }

    /// How many commands are known.
    pub fn command_count(&self) -> Result<u64, StoreError> {
        let count = self.connection.query_row("select count(*) from command", [], |row| super::read::number(row, 0));
        count.map_err(|source| self.sqlite(source))
    }

    /// Forgets answered commands that came in before `before`.
    pub fn forget_commands(&mut self, before: Timestamp) -> Result<usize, StoreError> {
        let sql = "delete from command where answered = 1 and received_ms < ?1";
        self.connection.execute(sql, [before.as_millisecond()]).map_err(|source| self.sqlite(source))
    }

    /// When the newest command came in: the clock was right then, so it is not earlier now.
    pub fn newest_command(&self) -> Result<Option<Timestamp>, StoreError> {
        let newest = self.connection.query_row("select max(received_ms) from command", [], |row| row.get(0)).optional();
        let newest: Option<Option<i64>> = newest.map_err(|source| self.sqlite(source))?;
        Ok(newest.flatten().and_then(|ms| Timestamp::from_millisecond(ms).ok()))
    }
}

fn entry_of(row: &Row<'_>) -> rusqlite::Result<JournalEntry> {
    let answer: String = row.get(3)?;
    let answer = serde_json::from_str(&answer)
        .map_err(|error| rusqlite::Error::FromSqlConversionFailure(3, rusqlite::types::Type::Text, error.into()))?;
    Ok(JournalEntry {
        id: row.get(0)?,
        name: row.get(1)?,
        args: row.get(2)?,
        answer,
        reply_topic: row.get(4)?,
        correlation: row.get(5)?,
        answered: row.get(6)?,
    })
}

fn json(answer: &Answer) -> String {
    serde_json::to_string(answer).expect("an answer has string keys only")
}

fn word(state: AnswerState) -> &'static str {
    match state {
        AnswerState::Accepted => "accepted",
        AnswerState::Executing => "executing",
        AnswerState::Successful => "successful",
        AnswerState::Failed => "failed",
        AnswerState::Refused => "refused",
    }
}
