//! `forecourt`: cameras in, arrivals, dwell and departures of consenting members out over MQTT.
//!
//! The map of the house. Arrows point down only; a test reads the imports and fails on a broken rule.
//!
//! ```text
//! main → commands → pipeline → {camera, inference, store, mqtt, health} → domain
//!        commands → provision → domain
//! ```
//!
//! `config`, `clock` and `disk` may be used by all but `domain`. OpenCV stays in `camera`, ONNX Runtime in `inference`,
//! SQLite in `store`, MQTT in `mqtt`; these five never import each other.

pub mod camera;
pub mod cli;
pub mod clock;
pub mod commands;
pub mod config;
pub mod disk;
pub mod domain;
pub mod health;
pub mod inference;
pub mod mqtt;
pub mod pipeline;
pub mod provision;
pub mod store;
