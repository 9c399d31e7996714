//! Lengths of time as an installer writes them: `"250ms"`, `"1.5s"`, `"30m"`, `"7d"`.
//!
//! Units are part of the value, so that no key needs a suffix and no reader guesses.

use std::time::Duration;

use jiff::{Span, SpanRelativeTo};
use serde::{Deserialize, Deserializer, Serializer, de::Error};

/// Reads `"1.5s"`, `"30m"`, `"2h 30m"`, `"7d"`; a bare number or a negative length is refused.
pub fn parse(text: &str) -> Result<Duration, String> {
    let hint = "write a number with its unit, such as \"250ms\", \"1.5s\", \"30m\", \"12h\" or \"7d\"";
    let span: Span = text.trim().parse().map_err(|_| format!("`{text}` is not a length of time; {hint}"))?;
    let signed = span
        .to_duration(SpanRelativeTo::days_are_24_hours())
        .map_err(|_| format!("`{text}` holds months or years, whose length varies; {hint}"))?;
    Duration::try_from(signed).map_err(|_| format!("`{text}` is negative; {hint}"))
}

/// The shortest exact text that `parse` reads back: `"90s"`, `"30m"`, `"7d"`, `"1500ms"`.
pub fn format(value: Duration) -> String {
    const UNITS: [(u128, &str); 4] = [(86_400_000, "d"), (3_600_000, "h"), (60_000, "m"), (1_000, "s")];
    let ms = value.as_millis();
    match UNITS.iter().find(|(unit, _)| ms > 0 && ms.is_multiple_of(*unit)) {
        Some((unit, name)) => format!("{}{name}", ms / unit),
        None if ms == 0 => "0s".to_owned(),
        None => format!("{ms}ms"),
    }
}

pub(super) fn deserialize<'de, D: Deserializer<'de>>(source: D) -> Result<Duration, D::Error> {
    parse(&String::deserialize(source)?).map_err(D::Error::custom)
}

pub(super) fn serialize<S: Serializer>(value: &Duration, sink: S) -> Result<S::Ok, S::Error> {
    sink.serialize_str(&format(*value))
}

/// The same for a list, such as the dwell marks.
pub(super) mod list {
    use super::{Deserialize, Deserializer, Duration, Error, Serializer, format, parse};

    pub(in super::super) fn deserialize<'de, D: Deserializer<'de>>(source: D) -> Result<Vec<Duration>, D::Error> {
        Vec::<String>::deserialize(source)?.iter().map(|text| parse(text).map_err(D::Error::custom)).collect()
    }

    pub(in super::super) fn serialize<S: Serializer>(value: &[Duration], sink: S) -> Result<S::Ok, S::Error> {
        sink.collect_seq(value.iter().map(|each| format(*each)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn units_are_in_the_words_and_come_back_the_same() {
        for (text, ms) in [("250ms", 250), ("1.5s", 1_500), ("30m", 1_800_000), ("7d", 604_800_000), ("0s", 0)] {
            let value = parse(text).unwrap();
            assert_eq!(value, Duration::from_millis(ms), "{text}");
            assert_eq!(parse(&format(value)).unwrap(), value, "{text}");
        }
    }

    #[test]
    fn what_is_no_length_of_time_is_refused_with_an_example() {
        for text in ["30", "", "-5s", "soon", "1 month"] {
            let words = parse(text).unwrap_err();
            assert!(words.contains("\"30m\""), "{text}: {words}");
        }
    }
}
