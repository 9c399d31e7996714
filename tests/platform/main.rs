//! The platform's side through the real binary and a real Mosquitto: member lists in, commands in, answers out.
//!
//! | test | fault |
//! |---|---|
//! | `lists` (T28) | the box is killed while a list comes in; pieces that are wrong, old, foreign or not signed |
//! | `canary` (T32) | strangers pass: nothing of them is written, said or kept |
//! | `commands` (T31) | each command ten times, expired, unknown, not authorised; the box is killed in the middle |
//! | `big` | a whole chain's list over 2 Mbit/s, killed at random points |
//! | `governor` | more to do than the machine can |
//! | `changes`, `packs` | a change that the box is not well with: killed again and again, a service that cannot start, no broker |
//!
//! `make test` runs the short form, `FORECOURT_SOAK=1` the long one.

#![cfg(all(feature = "opencv", feature = "onnx"))]
#![allow(
    clippy::unwrap_used,
    clippy::print_stderr,
    clippy::print_stdout,
    clippy::cast_possible_truncation,
    clippy::cast_possible_wrap,
    clippy::cast_sign_loss,
    dead_code,
    reason = "tests, the lines that say what was skipped, and helpers shared with other tests"
)]

mod big;
#[path = "../delivery/broker.rs"]
mod broker;
mod canary;
mod changes;
#[path = "../delivery/checker.rs"]
mod checker;
#[path = "../support/clip.rs"]
mod clip;
mod commands;
#[path = "../support/contract.rs"]
mod contract;
mod governor;
mod lists;
mod packs;
mod site;
mod stage;
#[path = "../delivery/wire.rs"]
mod wire;
