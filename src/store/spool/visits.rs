//! Rows of the visits; what their state means is the rules' business.

use rusqlite::{Connection, Row, params};

/// A visit as it is stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VisitRow {
    /// Unique on the box.
    pub visit_id: String,
    /// Opaque name from the platform.
    pub member_ref: String,
    /// Milliseconds since 1970.
    pub opened_ms: i64,
    /// Milliseconds since 1970; `None`: under way.
    pub closed_ms: Option<i64>,
    /// The state of the rules, as they wrote it.
    pub state: Vec<u8>,
}

/// A departure of a moment ago as it is stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EchoRow {
    /// Opaque name from the platform.
    pub member_ref: String,
    /// When it was noted, in milliseconds since 1970.
    pub noted_ms: i64,
    /// The state of the rules, as they wrote it.
    pub state: Vec<u8>,
}

/// Writes a departure; one of the same member is replaced.
pub(super) fn put_echo(connection: &Connection, row: &EchoRow) -> rusqlite::Result<()> {
    let sql = "insert or replace into echo (member_ref, noted_ms, state) values (?1, ?2, ?3)";
    connection.prepare_cached(sql)?.execute(params![row.member_ref, row.noted_ms, row.state]).map(drop)
}

/// The departures that were noted, by member.
pub(super) fn echoes(connection: &Connection) -> rusqlite::Result<Vec<EchoRow>> {
    let mut statement = connection.prepare("select member_ref, noted_ms, state from echo order by member_ref")?;
    let row = |row: &Row<'_>| Ok(EchoRow { member_ref: row.get(0)?, noted_ms: row.get(1)?, state: row.get(2)? });
    statement.query_map([], row)?.collect()
}

fn visit(row: &Row<'_>) -> rusqlite::Result<VisitRow> {
    Ok(VisitRow {
        visit_id: row.get(0)?,
        member_ref: row.get(1)?,
        opened_ms: row.get(2)?,
        closed_ms: row.get(3)?,
        state: row.get(4)?,
    })
}

const COLUMNS: &str = "visit_id, member_ref, opened_ms, closed_ms, state";

/// Writes a visit; one of the same id is replaced.
pub(super) fn put(connection: &Connection, row: &VisitRow) -> rusqlite::Result<()> {
    let sql =
        "insert or replace into visit (visit_id, member_ref, opened_ms, closed_ms, state) values (?1, ?2, ?3, ?4, ?5)";
    let mut statement = connection.prepare_cached(sql)?;
    statement.execute(params![row.visit_id, row.member_ref, row.opened_ms, row.closed_ms, row.state]).map(drop)
}

/// The visits that are under way, oldest first.
pub(super) fn open(connection: &Connection) -> rusqlite::Result<Vec<VisitRow>> {
    let sql = format!("select {COLUMNS} from visit where closed_ms is null order by opened_ms, visit_id");
    connection.prepare(&sql)?.query_map([], visit)?.collect()
}

/// The newest visits, open or closed.
pub(super) fn newest(connection: &Connection, limit: usize) -> rusqlite::Result<Vec<VisitRow>> {
    let sql = format!("select {COLUMNS} from visit order by opened_ms desc, visit_id desc limit ?1");
    connection.prepare(&sql)?.query_map([i64::try_from(limit).unwrap_or(i64::MAX)], visit)?.collect()
}

/// Forgets visits that ended before `before_ms`, and departures noted before; returns how many visits.
pub(super) fn forget(connection: &Connection, before_ms: i64) -> rusqlite::Result<usize> {
    connection.execute("delete from echo where noted_ms < ?1", [before_ms])?;
    connection.execute("delete from visit where closed_ms < ?1", [before_ms])
}

/// Forgets the `count` visits that ended first; returns how many there were.
pub(super) fn forget_oldest(connection: &Connection, count: u32) -> rusqlite::Result<usize> {
    let sql = "delete from visit where visit_id in
               (select visit_id from visit where closed_ms is not null order by closed_ms limit ?1)";
    connection.execute(sql, [count])
}
