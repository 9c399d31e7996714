//! The connection to the platform. MQTT lives here and nowhere else.

#[cfg(feature = "broker")]
pub mod embedded;
