//! The rules. Pure: no I/O, no clock, no async, no logging; time and facts come in as values, decisions go out as values.

pub mod event;
pub mod face;
pub mod frame;
pub mod geometry;
pub mod member;
pub mod observation;
pub mod pack_trial;
pub mod plate;
mod rate;
pub mod site;
pub mod sync;
pub mod time;
pub mod tracking;
pub mod visit;

/// Since the process (in a replay: the clip) started, so that a step of the wall clock changes no duration.
pub type Uptime = std::time::Duration;
