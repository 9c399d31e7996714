//! What goes over the connection besides the events of the queue: messages that come in, the state of the box that a
//! broker keeps, and answers to commands.
//!
//! Promises: what came in is acknowledged to the broker only after [`Board::handled`]; of a state the newest word is
//! sent, again on every connection; an answer is sent until the broker has taken it over. Nothing here is durable:
//! whoever posts an answer keeps it until [`Board::delivered`] names it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

use super::link::{Incoming, Message, Reply};

/// Letters that may wait; more than a broker sends unacknowledged ([`super::rumqtt::RECEIVE_MAX`]). When it is full a
/// letter is not taken and not acknowledged: the connection begins anew and the broker sends it again.
const WAITING: usize = 64;

/// Answers that may wait.
const MOST_ANSWERS: usize = 1_000;

/// A message that came in, below the topics of this box.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Letter {
    /// Relative to the root of the box, such as `cmd/restart/17`.
    pub topic: String,
    /// The bytes, whatever they are.
    pub payload: Vec<u8>,
    /// Was it kept by the broker?
    pub retained: bool,
    /// Where an answer is wanted.
    pub reply: Option<Reply>,
    /// To be handed back by [`Board::handled`].
    pub mark: Option<Mark>,
}

/// Names a letter that the broker wants acknowledged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mark {
    session: u64,
    id: u16,
}

/// Names an answer.
pub type AnswerId = u64;

/// What is to be sent, shared by the publisher and the thread that answers.
#[derive(Default)]
pub struct Board {
    inner: Mutex<Inner>,
    wake: Arc<Notify>,
}

#[derive(Default)]
struct Inner {
    states: BTreeMap<String, (u64, Message)>,
    answers: BTreeMap<AnswerId, Message>,
    delivered: Vec<AnswerId>,
    handled: Vec<Mark>,
    last: u64,
}

impl Board {
    /// A board whose posts wake `wake`.
    pub fn new(wake: Arc<Notify>) -> Self {
        Self { inner: Mutex::default(), wake }
    }

    /// The newest word on a topic; kept by the broker. The same bytes again are no news.
    pub fn state(&self, message: Message) {
        let mut inner = self.lock();
        if inner.states.get(&message.topic).is_some_and(|(_, known)| known.payload == message.payload) {
            return;
        }
        inner.last += 1;
        let version = inner.last;
        inner.states.insert(message.topic.clone(), (version, Message { retain: true, ..message }));
        drop(inner);
        self.wake.notify_one();
    }

    /// An answer, sent until the broker has it. Beyond a thousand that nobody takes, the oldest are forgotten here; those
    /// that were written down are posted again after a start.
    pub fn answer(&self, message: Message) -> AnswerId {
        let mut inner = self.lock();
        while inner.answers.len() >= MOST_ANSWERS {
            inner.answers.pop_first();
        }
        inner.last += 1;
        let id = inner.last;
        inner.answers.insert(id, message);
        drop(inner);
        self.wake.notify_one();
        id
    }

    /// Answers that the broker has taken over, or refused for good, since the last call.
    pub fn delivered(&self) -> Vec<AnswerId> {
        std::mem::take(&mut self.lock().delivered)
    }

    /// The letter needs not be sent again.
    pub fn handled(&self, mark: Option<Mark>) {
        let Some(mark) = mark else { return };
        self.lock().handled.push(mark);
        self.wake.notify_one();
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Names a posted message while it is on the wire.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Posted {
    State(String),
    Answer(AnswerId),
}

/// The publisher's end.
pub struct Exchange {
    inbox: SyncSender<Letter>,
    board: Arc<Board>,
    filters: Vec<String>,
    root: String,
    /// What this connection has sent already.
    states: BTreeMap<String, u64>,
    answers: BTreeSet<AnswerId>,
}

impl Exchange {
    /// For a box with the topics below `root`; letters of `filters` (relative) come out of the receiver.
    pub fn new(root: &str, filters: &[&str], board: Arc<Board>) -> (Self, Receiver<Letter>) {
        let (inbox, letters) = sync_channel(WAITING);
        let root = format!("{root}/");
        let filters = filters.iter().map(|filter| format!("{root}{filter}")).collect();
        (Self { inbox, board, filters, root, states: BTreeMap::new(), answers: BTreeSet::new() }, letters)
    }

    pub(super) fn filters(&self) -> &[String] {
        &self.filters
    }

    /// A new connection knows nothing.
    pub(super) fn begin(&mut self) {
        self.states.clear();
        self.answers.clear();
    }

    /// Packet ids of this session that may be acknowledged now.
    pub(super) fn handled(&self, session: u64) -> Vec<u16> {
        let marks = std::mem::take(&mut self.board.lock().handled);
        marks.into_iter().filter(|mark| mark.session == session).map(|mark| mark.id).collect()
    }

    /// The next message that this connection has not sent yet: answers first, oldest first.
    pub(super) fn next(&mut self) -> Option<(Posted, Message)> {
        let inner = self.board.lock();
        let unsent = inner.answers.iter().find(|(id, _)| !self.answers.contains(id));
        if let Some((id, message)) = unsent {
            self.answers.insert(*id);
            return Some((Posted::Answer(*id), message.clone()));
        }
        let news = inner.states.iter().find(|(topic, (version, _))| self.states.get(*topic) != Some(version));
        let (topic, (version, message)) = news?;
        self.states.insert(topic.clone(), *version);
        Some((Posted::State(topic.clone()), message.clone()))
    }

    /// The broker has taken it over, or refused it: a refused state waits for its next word.
    pub(super) fn settled(&self, posted: &Posted) {
        let Posted::Answer(id) = posted else { return };
        let mut inner = self.board.lock();
        inner.answers.remove(id);
        inner.delivered.push(*id);
    }

    /// Hands a message on. `Err`: it was not taken; when the broker wants it acknowledged, it must be sent again.
    pub(super) fn came(&self, incoming: Incoming, session: u64) -> Result<(), Incoming> {
        let mark = incoming.id.map(|id| Mark { session, id });
        let Some(topic) = incoming.topic.strip_prefix(&self.root).map(str::to_owned) else {
            // Nobody asked for it.
            self.board.handled(mark);
            return Ok(());
        };
        let Incoming { payload, retained, reply, .. } = incoming;
        match self.inbox.try_send(Letter { topic, payload, retained, reply, mark }) {
            Ok(()) => Ok(()),
            Err(TrySendError::Full(letter) | TrySendError::Disconnected(letter)) => Err(Incoming {
                topic: format!("{}{}", self.root, letter.topic),
                payload: letter.payload,
                retained: letter.retained,
                reply: letter.reply,
                id: letter.mark.map(|mark| mark.id),
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(topic: &str, payload: &str) -> Message {
        Message { topic: topic.into(), payload: payload.into(), ..Message::default() }
    }

    fn incoming(topic: &str, id: u16) -> Incoming {
        Incoming { topic: topic.into(), id: Some(id), ..Incoming::default() }
    }

    #[test]
    fn of_a_state_only_news_is_sent_and_all_of_it_again_on_a_new_connection() {
        let board = Arc::new(Board::default());
        let (mut exchange, _letters) = Exchange::new("r/t/s/d", &["cmd/+/+"], Arc::clone(&board));
        board.state(message("state/device", "1"));
        board.state(message("state/device", "2"));
        let (_, sent) = exchange.next().unwrap();
        assert_eq!((sent.payload, sent.retain), (b"2".to_vec(), true));
        board.state(message("state/device", "2"));
        assert!(exchange.next().is_none());
        exchange.begin();
        assert_eq!(exchange.next().unwrap().1.payload, b"2");
    }

    #[test]
    fn an_answer_goes_before_states_and_is_sent_until_the_broker_has_it() {
        let board = Arc::new(Board::default());
        let (mut exchange, _letters) = Exchange::new("r", &[], Arc::clone(&board));
        board.state(message("state/device", "1"));
        let id = board.answer(message("cmdres/restart/7", "done"));
        let (posted, _) = exchange.next().unwrap();
        assert_eq!(posted, Posted::Answer(id));
        exchange.begin();
        assert_eq!(exchange.next().unwrap().0, Posted::Answer(id), "the connection was lost before the PUBACK");
        assert!(board.delivered().is_empty());
        exchange.settled(&posted);
        assert_eq!(board.delivered(), [id]);
        exchange.begin();
        assert_eq!(exchange.next().unwrap().0, Posted::State("state/device".into()));
    }

    #[test]
    fn a_letter_is_acknowledged_after_it_was_handled_and_only_on_its_own_connection() {
        let board = Arc::new(Board::default());
        let (exchange, letters) = Exchange::new("r/box", &[], Arc::clone(&board));
        exchange.came(incoming("r/box/cmd/restart/1", 5), 3).unwrap();
        assert!(exchange.handled(3).is_empty());
        let letter = letters.recv().unwrap();
        assert_eq!(letter.topic, "cmd/restart/1");
        board.handled(letter.mark);
        assert_eq!(exchange.handled(3), [5]);
        board.handled(letter.mark);
        assert!(exchange.handled(4).is_empty(), "packet ids of another connection mean nothing");
    }

    #[test]
    fn foreign_topics_are_passed_over_and_a_full_inbox_takes_nothing() {
        let board = Arc::new(Board::default());
        let (exchange, letters) = Exchange::new("r/box", &[], Arc::clone(&board));
        exchange.came(incoming("r/other/cmd/restart/1", 1), 1).unwrap();
        assert!(letters.try_recv().is_err());
        assert_eq!(exchange.handled(1), [1]);
        for id in 0..WAITING {
            exchange.came(incoming("r/box/x", u16::try_from(id).unwrap()), 1).unwrap();
        }
        assert_eq!(exchange.came(incoming("r/box/x", 99), 1).unwrap_err().id, Some(99));
    }
}
