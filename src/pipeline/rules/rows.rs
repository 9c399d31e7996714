//! Visits as rows of the spool, and back.

use crate::domain::event::Event;
use crate::domain::time::{Moment, Stamp};
use crate::domain::visit::{Change, SavedEcho, SavedVisit, Visit};
use crate::store::spool::{EchoRow, Spool, VisitRow};

/// A visit that is under way.
pub(super) fn open_row(visit: &Visit, now: Moment, stamp: &Stamp) -> VisitRow {
    let saved = visit.save(now.uptime, stamp);
    VisitRow {
        visit_id: visit.visit_id().to_owned(),
        member_ref: visit.member_ref().to_owned(),
        opened_ms: visit.arrived(now).wall.as_millisecond(),
        closed_ms: None,
        state: serde_json::to_vec(&saved).expect("a visit has no map with keys that are no strings"),
    }
}

/// A closed visit keeps what its departure told, for the command line.
pub(super) fn closed_row(visit_id: &str, change: &Change, now: Moment) -> Option<VisitRow> {
    let departure = change.events.iter().find_map(|outgoing| match &outgoing.event {
        Event::Departure(departure) if departure.subject.visit_id == visit_id => Some(departure),
        _ => None,
    })?;
    Some(VisitRow {
        visit_id: visit_id.to_owned(),
        member_ref: departure.subject.member_ref.clone(),
        opened_ms: departure.arrived_at.as_millisecond(),
        closed_ms: Some(now.wall.as_millisecond()),
        state: serde_json::to_vec(departure).expect("an event has no map with keys that are no strings"),
    })
}

/// The visits that were open when the process ended. A row that is not understood is left out and said.
pub(super) fn saved_visits(spool: &mut Spool) -> anyhow::Result<Vec<SavedVisit>> {
    let rows = spool.open_visits()?;
    let parse = |row: VisitRow| {
        let visit = serde_json::from_slice(&row.state);
        visit
            .inspect_err(|error| tracing::error!(visit = row.visit_id, %error, "An open visit is not understood."))
            .ok()
    };
    Ok(rows.into_iter().filter_map(parse).collect())
}

/// A member who has just left.
pub(super) fn echo_row(echo: &SavedEcho, now: Moment) -> EchoRow {
    EchoRow {
        member_ref: echo.member_ref().to_owned(),
        noted_ms: now.wall.as_millisecond(),
        state: serde_json::to_vec(echo).expect("an echo has no map"),
    }
}

/// The members who had just left when the process ended.
pub(super) fn saved_echoes(spool: &mut Spool) -> anyhow::Result<Vec<SavedEcho>> {
    let rows = spool.echoes()?;
    let parse = |row: EchoRow| {
        let echo = serde_json::from_slice(&row.state);
        echo.inspect_err(|error| tracing::error!(%error, "A departure of a moment ago is not understood.")).ok()
    };
    Ok(rows.into_iter().filter_map(parse).collect())
}
