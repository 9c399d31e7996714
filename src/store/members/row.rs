//! A member as a row: the only place that knows the columns.

use std::collections::BTreeMap;

use jiff::Timestamp;
use rusqlite::types::Type;
use rusqlite::{Row, Statement, params};

use super::text;
use crate::domain::member::{Consents, Member};

/// The columns that [`member`] reads, of `member m`; the plates come as one text, joined by `;`.
pub(super) const COLUMNS: &str = "m.member_ref, m.tier, m.list, m.organisation, m.valid_from, m.valid_until, m.not_after, \
     m.windows, m.consent_plate, m.consent_face, m.consent_dwell, m.consent_expression, m.external_ids, \
     (select group_concat(plate, ';' order by position) from plate where member = m.id)";

/// Columns before the first that the caller may add in front of [`COLUMNS`].
pub(super) fn member(row: &Row<'_>, first: usize) -> rusqlite::Result<Member> {
    let windows: Option<String> = row.get(first + 7)?;
    let ids: Option<String> = row.get(first + 12)?;
    let plates: Option<String> = row.get(first + 13)?;
    Ok(Member {
        member_ref: row.get(first)?,
        plates: plates.iter().flat_map(|all| all.split(';')).map(str::to_owned).collect(),
        tier: row.get(first + 1)?,
        list: row.get(first + 2)?,
        organisation: row.get(first + 3)?,
        valid_from: moment(row, first + 4)?,
        valid_until: moment(row, first + 5)?,
        not_after: moment(row, first + 6)?,
        windows: windows
            .iter()
            .flat_map(|all| all.split(';'))
            .map(|each| {
                text::window(each).ok_or_else(|| unreadable(first + 7, format!("`{each}` is no weekly window")))
            })
            .collect::<Result<_, _>>()?,
        consents: Consents {
            plate: row.get(first + 8)?,
            face: row.get(first + 9)?,
            dwell: row.get(first + 10)?,
            expression: row.get(first + 11)?,
        },
        external_ids: ids.map_or_else(
            || Ok(BTreeMap::new()),
            |json| serde_json::from_str(&json).map_err(|error| unreadable(first + 12, error.to_string())),
        )?,
    })
}

/// A moment that may be absent.
pub(super) fn moment(row: &Row<'_>, column: usize) -> rusqlite::Result<Option<Timestamp>> {
    let text: Option<String> = row.get(column)?;
    text.map(|text| text.parse().map_err(|error: jiff::Error| unreadable(column, error.to_string()))).transpose()
}

fn unreadable(column: usize, words: String) -> rusqlite::Error {
    rusqlite::Error::FromSqlConversionFailure(column, Type::Text, words.into())
}

/// Inserts a row; returns its id.
pub(super) const INSERT: &str = "insert into member (member_ref, tier, list, organisation, valid_from, valid_until, not_after, \
     windows, consent_plate, consent_face, consent_dwell, consent_expression, external_ids, revision) \
     values (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14) returning id";

/// Overwrites the row of that `member_ref`; returns its id.
pub(super) const UPDATE: &str = "update member set tier = ?2, list = ?3, organisation = ?4, valid_from = ?5, valid_until = ?6, \
     not_after = ?7, windows = ?8, consent_plate = ?9, consent_face = ?10, consent_dwell = ?11, \
     consent_expression = ?12, external_ids = ?13, revision = ?14 where member_ref = ?1 returning id";

/// Runs [`INSERT`] or [`UPDATE`]; the plates are not touched.
pub(super) fn write(statement: &mut Statement<'_>, member: &Member, revision: u64) -> rusqlite::Result<i64> {
    let moment = |at: Option<Timestamp>| at.map(|at| at.to_string());
    let windows = (!member.windows.is_empty()).then(|| text::windows_text(&member.windows));
    let ids = (!member.external_ids.is_empty())
        .then(|| serde_json::to_string(&member.external_ids).expect("a map of strings is JSON"));
    statement.query_row(
        params![
            member.member_ref,
            member.tier,
            member.list,
            member.organisation,
            moment(member.valid_from),
            moment(member.valid_until),
            moment(member.not_after),
            windows,
            member.consents.plate,
            member.consents.face,
            member.consents.dwell,
            member.consents.expression,
            ids,
            revision.cast_signed()
        ],
        |row| row.get(0),
    )
}
