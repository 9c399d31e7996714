//! Wires cameras → inference → rules → outbox → MQTT; the only module that knows all the others.

pub mod delivery;
