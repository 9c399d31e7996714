//! Words about a site that settings, rules and events share.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What a camera is for.
#[derive(Clone, Copy, Debug, Default, Deserialize, Serialize, PartialEq, Eq, Hash, PartialOrd, Ord, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum CameraRole {
    /// Sees vehicles or people come in.
    #[default]
    Entrance,
    /// Sees them leave; a sighting there ends the visit.
    Exit,
    /// Sees parked vehicles.
    Lot,
    /// Sees people at the cars on show.
    Showroom,
}

/// What an area of a camera's picture is.
#[derive(Clone, Copy, Debug, Default, Deserialize, Serialize, PartialEq, Eq, Hash, PartialOrd, Ord, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum ZoneKind {
    /// Where vehicles drive.
    #[default]
    Lane,
    /// Where a vehicle parks.
    Bay,
    /// Where a product stands.
    Display,
    /// Where people wait.
    Lounge,
    /// Where vehicles are serviced.
    Service,
    /// A way in or out on foot.
    Door,
    /// What happens here is not looked at: a street, a neighbour's lot.
    Ignore,
}
