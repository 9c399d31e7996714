//! Reading the list: all of it in order, one member, the members of a plate, how many.

use rusqlite::{Connection, OptionalExtension, Row, params};

use super::row;
use crate::domain::member::Member;

/// Which members are wanted; `None`: all.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    /// Of this tier.
    pub tier: Option<String>,
    /// On this list.
    pub list: Option<String>,
    /// Listed by this organisation.
    pub organisation: Option<String>,
    /// At most so many.
    pub limit: Option<u64>,
}

/// What the list holds, in numbers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct Counts {
    /// Members.
    pub members: u64,
    /// Plates; one that stands at two members counts twice.
    pub plates: u64,
    /// Grows by one with each change of the list.
    pub revision: u64,
}

/// How many members agreed to what, and until when.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct ConsentCounts {
    /// May be matched by plate.
    pub plate: u64,
    /// May be matched by face.
    pub face: u64,
    /// Their time in zones may be told.
    pub dwell: u64,
    /// Their expression on leaving may be told.
    pub expression: u64,
    /// Have a consent lease.
    pub leased: u64,
}

pub(super) fn consents(connection: &Connection) -> rusqlite::Result<ConsentCounts> {
    let sql = "select coalesce(sum(consent_plate), 0), coalesce(sum(consent_face), 0), coalesce(sum(consent_dwell), 0), \
               coalesce(sum(consent_expression), 0), count(not_after) from member";
    connection.query_row(sql, [], |row| {
        Ok(ConsentCounts {
            plate: number(row, 0)?,
            face: number(row, 1)?,
            dwell: number(row, 2)?,
            expression: number(row, 3)?,
            leased: number(row, 4)?,
        })
    })
}

pub(super) fn revision(connection: &Connection) -> rusqlite::Result<u64> {
    connection.query_row("select revision from state", [], |row| number(row, 0))
}

/// SQLite counts in `i64`; what this database counts is never negative.
pub(super) fn number(row: &Row<'_>, column: usize) -> rusqlite::Result<u64> {
    row.get::<_, i64>(column).map(i64::cast_unsigned)
}

/// What a query counts.
pub(super) fn number_of(connection: &Connection, sql: &str) -> rusqlite::Result<u64> {
    connection.query_row(sql, [], |row| number(row, 0))
}

pub(super) fn count(connection: &Connection) -> rusqlite::Result<u64> {
    number_of(connection, "select count(*) from member")
}

pub(super) fn counts(connection: &Connection) -> rusqlite::Result<Counts> {
    connection.query_row(
        "select (select count(*) from member), (select count(*) from plate), revision from state",
        [],
        |row| Ok(Counts { members: number(row, 0)?, plates: number(row, 1)?, revision: number(row, 2)? }),
    )
}

/// Calls `take` for each member in the order in which they were first listed.
pub(super) fn each<E: From<rusqlite::Error>>(
    connection: &Connection,
    filter: &Filter,
    mut take: impl FnMut(i64, Member) -> Result<(), E>,
) -> Result<(), E> {
    let mut statement = connection.prepare_cached(&format!(
        "select m.id, {} from member m where (?1 is null or m.tier = ?1) and (?2 is null or m.list = ?2) \
         and (?3 is null or m.organisation = ?3) order by m.id limit coalesce(?4, -1)",
        row::COLUMNS
    ))?;
    let limit = filter.limit.map(|limit| i64::try_from(limit).unwrap_or(i64::MAX));
    let mut rows = statement.query(params![filter.tier, filter.list, filter.organisation, limit])?;
    while let Some(found) = rows.next()? {
        take(found.get(0)?, row::member(found, 1)?)?;
    }
    Ok(())
}

pub(super) fn get(connection: &Connection, member_ref: &str) -> rusqlite::Result<Option<Member>> {
    connection
        .prepare_cached(&format!("select {} from member m where m.member_ref = ?1", row::COLUMNS))?
        .query_row([member_ref], |found| row::member(found, 0))
        .optional()
}

/// The member of that name, with its number.
pub(super) fn get_with_id(connection: &Connection, member_ref: &str) -> rusqlite::Result<Option<(i64, Member)>> {
    connection
        .prepare_cached(&format!("select m.id, {} from member m where m.member_ref = ?1", row::COLUMNS))?
        .query_row([member_ref], |found| Ok((found.get(0)?, row::member(found, 1)?)))
        .optional()
}

pub(super) fn by_id(connection: &Connection, id: i64) -> rusqlite::Result<Option<Member>> {
    connection
        .prepare_cached(&format!("select {} from member m where m.id = ?1", row::COLUMNS))?
        .query_row([id], |found| row::member(found, 0))
        .optional()
}

/// Plates of members with the consent to be matched by them, with the member's number.
pub(super) fn match_set(connection: &Connection) -> rusqlite::Result<Vec<(String, i64)>> {
    connection
        .prepare_cached("select p.plate, m.id from member m join plate p on p.member = m.id where m.consent_plate = 1 order by m.id, p.position")?
        .query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?
        .collect()
}

/// Every member of a normalised plate.
pub(super) fn with_plate(connection: &Connection, plate: &str) -> rusqlite::Result<Vec<Member>> {
    connection
        .prepare_cached(&format!(
            "select {} from plate p join member m on m.id = p.member where p.plate = ?1 order by m.id",
            row::COLUMNS
        ))?
        .query_map([plate], |found| row::member(found, 0))?
        .collect()
}

/// Does any member have what only the last two columns of a CSV file can say: a lease, a weekly window?
pub(super) fn needs_more_columns(connection: &Connection) -> rusqlite::Result<(bool, bool)> {
    connection.query_row(
        "select exists (select 1 from member where not_after is not null), exists (select 1 from member where windows is not null)",
        [],
        |row| Ok((row.get(0)?, row.get(1)?)),
    )
}
