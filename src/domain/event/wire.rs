//! How times and numbers stand in a payload.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::Serializer;

/// Milliseconds are enough for a platform, and three digits always look the same.
pub(super) fn millis<S: Serializer>(at: &Timestamp, out: S) -> Result<S::Ok, S::Error> {
    out.collect_str(&format_args!("{at:.3}"))
}

#[expect(clippy::ref_option, reason = "the signature that serde calls")]
pub(super) fn maybe_millis<S: Serializer>(at: &Option<Timestamp>, out: S) -> Result<S::Ok, S::Error> {
    match at {
        Some(at) => millis(at, out),
        None => out.serialize_none(),
    }
}

pub(super) fn four_places<S: Serializer>(value: &f32, out: S) -> Result<S::Ok, S::Error> {
    out.serialize_f64(to_places(f64::from(*value), 1e4))
}

pub(super) fn four_places_each<S: Serializer>(values: &BTreeMap<String, f32>, out: S) -> Result<S::Ok, S::Error> {
    out.collect_map(values.iter().map(|(name, value)| (name, to_places(f64::from(*value), 1e4))))
}

pub(super) fn three_places<S: Serializer>(value: &f64, out: S) -> Result<S::Ok, S::Error> {
    out.serialize_f64(to_places(*value, 1e3))
}

#[expect(clippy::ref_option, reason = "the signature that serde calls")]
pub(super) fn maybe_three_places<S: Serializer>(value: &Option<f64>, out: S) -> Result<S::Ok, S::Error> {
    match value {
        Some(value) => three_places(value, out),
        None => out.serialize_none(),
    }
}

/// JSON has no NaN and no infinity: they would become `null` where a number was promised.
fn to_places(value: f64, places: f64) -> f64 {
    let rounded = (value.clamp(-1e9, 1e9) * places).round() / places;
    if rounded.is_nan() { 0.0 } else { rounded }
}
