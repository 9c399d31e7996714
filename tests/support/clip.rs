//! Who drives through the bundled clip of a gate.

#![allow(dead_code, reason = "shared by several test files")]

/// Members whose vehicles drive through the clip; the two others on the list do not come, one of them differs from
/// the first car's plate in one character.
pub const VISITORS: [&str; 3] = ["M-1001", "M-1002", "M-1003"];
/// Plates in the clip that are nobody's.
pub const STRANGERS: [&str; 2] = ["浙B7K319", "京N5Q862"];
