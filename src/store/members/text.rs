//! The values of a member as they stand in files: lists, pairs, consents, dates, weekly windows. Each has one
//! canonical text that reads back to the same value.

use std::collections::BTreeMap;
use std::fmt::Write;

use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan};

use crate::domain::member::{Consents, WeeklyWindow};

/// Days from 1 = Monday.
const DAYS: [&str; 7] = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"];

/// Splits `a;b;c`; `\;`, `\=` and `\\` stand for the character itself, kept escaped here. Blank parts are left out.
pub(super) fn split_list(text: &str) -> Vec<&str> {
    split_unescaped(text, ';').into_iter().map(str::trim).filter(|part| !part.is_empty()).collect()
}

/// Splits `name=value` at the first `=` that is not escaped.
pub(super) fn split_pair(text: &str) -> Option<(String, String)> {
    let at = unescaped(text, '=').next()?;
    Some((unescape(text[..at].trim()), unescape(text[at + 1..].trim())))
}

fn split_unescaped(text: &str, separator: char) -> Vec<&str> {
    let mut parts = Vec::new();
    let mut start = 0;
    for at in unescaped(text, separator) {
        parts.push(&text[start..at]);
        start = at + separator.len_utf8();
    }
    parts.push(&text[start..]);
    parts
}

/// Places of `wanted` that no backslash precedes.
fn unescaped(text: &str, wanted: char) -> impl Iterator<Item = usize> + '_ {
    let mut escaped = false;
    text.char_indices().filter_map(move |(at, character)| {
        let found = character == wanted && !escaped;
        escaped = character == '\\' && !escaped;
        found.then_some(at)
    })
}

/// `\;`, `\=` and `\\` become the character itself; any other backslash stays.
pub(super) fn unescape(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    let mut characters = text.chars().peekable();
    while let Some(character) = characters.next() {
        match characters.peek() {
            Some(&next @ (';' | '=' | '\\')) if character == '\\' => {
                plain.push(next);
                characters.next();
            }
            _ => plain.push(character),
        }
    }
    plain
}

/// The opposite of [`unescape`].
pub(super) fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        if matches!(character, ';' | '=' | '\\') {
            escaped.push('\\');
        }
        escaped.push(character);
    }
    escaped
}

/// `oneid=17;crm=A-9`.
pub(super) fn pairs(ids: &BTreeMap<String, String>) -> String {
    let each: Vec<String> = ids.iter().map(|(name, value)| format!("{}={}", escape(name), escape(value))).collect();
    each.join(";")
}

/// Consents from their names; `Err` holds the name that is none.
pub(super) fn consents_from<'a>(names: impl IntoIterator<Item = &'a str>) -> Result<Consents, String> {
    let mut consents = Consents::default();
    for name in names {
        match name.to_ascii_lowercase().as_str() {
            "plate" => consents.plate = true,
            "face" => consents.face = true,
            "dwell" => consents.dwell = true,
            "expression" => consents.expression = true,
            _ => return Err(name.to_owned()),
        }
    }
    Ok(consents)
}

/// Names of the consents that were given.
pub(super) fn consent_names(consents: &Consents) -> Vec<&'static str> {
    consents.named().into_iter().filter_map(|(name, given)| given.then_some(name)).collect()
}

/// Which end of a day a bare date means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Edge {
    /// Its first moment.
    Begin,
    /// The first moment of the next day: `valid_until` names the last day that counts.
    End,
}

/// A moment from `2026-01-31T08:00:00+08:00` or `2026-01-31` in `zone`; an end in the year 9999 means no end.
pub(super) fn moment(text: &str, zone: &TimeZone, edge: Edge) -> Option<Option<Timestamp>> {
    if edge == Edge::End && text.starts_with("9999-") {
        return Some(None);
    }
    if let Ok(moment) = text.parse::<Timestamp>() {
        return Some(Some(moment));
    }
    if text.len() != "2026-01-31".len() {
        return None;
    }
    let date: Date = text.parse().ok()?;
    let day = if edge == Edge::End { date.checked_add(1.day()).ok()? } else { date };
    Some(Some(day.to_zoned(zone.clone()).ok()?.timestamp()))
}

/// `mon-fri 08:00-18:30`, `sat,sun 22:00-06:00`; days may wrap (`fri-mon`), an end before the begin runs over midnight.
pub(super) fn window(text: &str) -> Option<WeeklyWindow> {
    let (days, hours) = text.trim().split_once(char::is_whitespace)?;
    let (from, to) = hours.trim().split_once('-')?;
    let mut set = [false; 7];
    for part in days.split(',') {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        let (first, last) = (day(first)?, day(last)?);
        let length = (last + 7 - first) % 7;
        (0..=length).for_each(|step| set[(first + step) % 7] = true);
    }
    let days = (1..=7).filter(|&day| set[day as usize - 1]).collect();
    let (from_minute, to_minute) = (minute(from)?, minute(to)?);
    (from_minute < 1440 && from_minute != to_minute).then_some(WeeklyWindow { days, from_minute, to_minute })
}

/// The text that [`window`] reads back.
pub(super) fn window_text(window: &WeeklyWindow) -> String {
    let mut text = String::new();
    let mut left = window.days.as_slice();
    while let Some(&first) = left.first() {
        let run = left.iter().zip(first..).take_while(|(day, expected)| *day == expected).count();
        let separator = if text.is_empty() { "" } else { "," };
        let name = |day: u8| DAYS[usize::from(day - 1) % 7];
        let written = match run {
            1 => write!(text, "{separator}{}", name(first)),
            _ => write!(text, "{separator}{}-{}", name(first), name(left[run - 1])),
        };
        written.expect("a string takes everything");
        left = &left[run..];
    }
    let clock = |minute: u16| format!("{:02}:{:02}", minute / 60, minute % 60);
    format!("{text} {}-{}", clock(window.from_minute), clock(window.to_minute))
}

/// All windows, as they stand in a CSV field and in the database.
pub(super) fn windows_text(windows: &[WeeklyWindow]) -> String {
    windows.iter().map(window_text).collect::<Vec<_>>().join(";")
}

/// Index from Monday = 0.
fn day(text: &str) -> Option<usize> {
    let text = text.trim().to_ascii_lowercase();
    DAYS.iter().position(|name| *name == text)
}

/// Minute of the day; `24:00` is the end of the day.
fn minute(text: &str) -> Option<u16> {
    let (hour, minute) = text.trim().split_once(':')?;
    let (hour, minute): (u16, u16) = (hour.parse().ok()?, minute.parse().ok()?);
    let total = hour.checked_mul(60)?.checked_add(minute)?;
    (minute < 60 && total <= 1440).then_some(total)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bare_last_day_counts_to_its_end_at_the_site() {
        let shanghai = TimeZone::fixed(jiff::tz::offset(8));
        let at = |text: &str| text.parse::<Timestamp>().unwrap();
        assert_eq!(moment("2026-03-31", &shanghai, Edge::Begin), Some(Some(at("2026-03-30T16:00:00Z"))));
        assert_eq!(moment("2026-03-31", &shanghai, Edge::End), Some(Some(at("2026-03-31T16:00:00Z"))));
        assert_eq!(moment("2026-03-31T10:00:00+08:00", &shanghai, Edge::End), Some(Some(at("2026-03-31T02:00:00Z"))));
    }

    #[test]
    fn the_year_9999_means_no_end() {
        assert_eq!(moment("9999-12-31", &TimeZone::UTC, Edge::End), Some(None));
        assert_eq!(moment("9999-12-31T23:59:59Z", &TimeZone::UTC, Edge::End), Some(None));
    }

    #[test]
    fn what_is_no_date_is_none() {
        for text in ["31.03.2026", "2026-02-30", "2026-03-31T10:00:00", "soon", "2026-3-1", ""] {
            assert_eq!(moment(text, &TimeZone::UTC, Edge::Begin), None, "{text}");
        }
    }

    #[test]
    fn windows_are_read_as_people_write_them_and_come_back_the_same() {
        for (text, canonical) in [
            ("mon-fri 08:00-18:30", "mon-fri 08:00-18:30"),
            ("Sat,Sun 22:00-06:00", "sat-sun 22:00-06:00"),
            ("fri-mon 0:00-24:00", "mon,fri-sun 00:00-24:00"),
            ("wed  9:05-17:00", "wed 09:05-17:00"),
        ] {
            let read = window(text).unwrap();
            assert_eq!(window_text(&read), canonical);
            assert_eq!(window(canonical).unwrap(), read);
        }
        for text in ["", "mon", "mon 8-18", "xyz 08:00-18:00", "mon 08:00-25:00", "mon 08:00-08:00", "mon 24:00-06:00"]
        {
            assert_eq!(window(text), None, "{text}");
        }
    }

    #[test]
    fn a_separator_inside_a_value_is_escaped() {
        let ids = BTreeMap::from([("a=b".to_owned(), r"x;y\z".to_owned()), ("one".to_owned(), "1=1".to_owned())]);
        let text = pairs(&ids);
        let read: BTreeMap<_, _> = split_list(&text).into_iter().map(|part| split_pair(part).unwrap()).collect();
        assert_eq!(read, ids);
        assert_eq!(unescape(r"C:\Users"), r"C:\Users");
    }
}
