//! What is on the wire of one connection, and which packet id is which. Pure.
//!
//! The client library tells packet ids only in the order in which messages were handed to it, so the order is kept here.
//! The window is a span: from the oldest unacknowledged message to the newest there are never more than `window`
//! messages, so that a packet id cannot come up again while it is in use, whatever order the broker answers in.

use std::collections::{BTreeMap, HashMap};

/// Messages of one connection that the broker has not answered yet.
#[derive(Debug)]
pub(super) struct Flight<T> {
    window: u64,
    /// By the order in which they were handed over.
    unanswered: BTreeMap<u64, T>,
    /// Place of the next message to be handed over.
    next: u64,
    /// Place of the next message to get its packet id.
    unnumbered: u64,
    by_id: HashMap<u16, u64>,
}

impl<T> Flight<T> {
    pub(super) fn new(window: u16) -> Self {
        let window = u64::from(window.max(1));
        Self { window, unanswered: BTreeMap::new(), next: 0, unnumbered: 0, by_id: HashMap::new() }
    }

    /// How many more messages may be handed over now.
    pub(super) fn room(&self) -> usize {
        let oldest = self.unanswered.first_key_value().map_or(self.next, |(place, _)| *place);
        usize::try_from(self.window.saturating_sub(self.next - oldest)).unwrap_or(0)
    }

    pub(super) fn len(&self) -> usize {
        self.unanswered.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.unanswered.is_empty()
    }

    pub(super) fn unanswered(&self) -> impl Iterator<Item = &T> {
        self.unanswered.values()
    }

    /// A message was handed over.
    pub(super) fn handed(&mut self, message: T) {
        self.unanswered.insert(self.next, message);
        self.next += 1;
    }

    /// The oldest message without a packet id has got `id`. In words, when there is none or the id is in use: then
    /// nothing that is kept here can be believed any more.
    pub(super) fn numbered(&mut self, id: u16) -> Result<(), String> {
        if self.unnumbered >= self.next || self.by_id.contains_key(&id) {
            return Err(format!("packet id {id} fits no message; starting anew"));
        }
        self.by_id.insert(id, self.unnumbered);
        self.unnumbered += 1;
        Ok(())
    }

    /// The broker has answered `id`; `None`: nothing on the wire has it.
    pub(super) fn answered(&mut self, id: u16) -> Option<T> {
        let place = self.by_id.remove(&id)?;
        self.unanswered.remove(&place)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_follow_the_order_of_handing_over_and_answers_may_come_in_any() {
        let mut flight = Flight::new(4);
        for name in ["a", "b", "c"] {
            flight.handed(name);
        }
        for id in [7, 8, 9] {
            flight.numbered(id).unwrap();
        }
        assert!(flight.numbered(10).unwrap_err().contains("10"), "nothing more was handed over");
        assert_eq!([9, 7, 9, 3, 8].map(|id| flight.answered(id)), [Some("c"), Some("a"), None, None, Some("b")]);
        assert!(flight.is_empty());
    }

    #[test]
    fn the_oldest_unanswered_message_holds_the_window() {
        let mut flight = Flight::new(3);
        for id in 1..=3 {
            flight.handed(id);
            flight.numbered(id).unwrap();
        }
        assert_eq!(flight.room(), 0);
        flight.answered(2);
        flight.answered(3);
        assert_eq!((flight.room(), flight.len()), (0, 1), "id 1 would come up again");
        flight.answered(1);
        assert_eq!(flight.room(), 3);
    }
}
