//! Faults against the way of an event from the commit to the broker. `make test` runs the short form; the long form
//! needs `FORECOURT_SOAK=1` (`make soak`). Each test is shown to fail on a planted bug.
//!
//! | test | fault |
//! |---|---|
//! | `kill` (T1, T2, T13) | SIGKILL at random, at every system call, between PUBACK and delete |
//! | `io_error` (T3) | each call on the disk fails, with EIO and with ENOSPC |
//! | `power` (T4) | power is cut between any two calls, and what was not synchronised is lost, whole or in part |
//! | `restart` (T7) | broker killed and started again, with and without its memory |
//! | `hostile` (T9) | a broker that lies, refuses and garbles |
//! | `network` (T8, T10, T11) | swallowed, cut, trickling, half-open, silent lines; a packet id that is never free; 64 kbit/s |
//! | `readers` (T15) | somebody reads the queue all the time while it is written and emptied |
//! | `disk` (T5) | full disk |
//! | `readonly` (T6) | the system makes the disk read-only under the running program |
//! | `offline` (T12) | a long time without a broker, into the cap |
//! | `corrupt` (T14) | damaged, cut, lost and foreign files |
//! | `presence`, `tls` | none: birth and farewell, time to the broker, certificates and passwords |
//! | `reach`, `drain` | none: brokers in order of preference; how fast a backlog goes, and who overtakes it |
//! | `model` | random histories against a queue in memory |

// What is tested here is the same without it: once in `make test` is enough.
#![cfg(feature = "opencv")]
#![allow(
    clippy::unwrap_used,
    clippy::print_stderr,
    clippy::print_stdout,
    reason = "tests, and the lines that say what was skipped"
)]
#![allow(
    clippy::cast_possible_truncation,
    clippy::cast_possible_wrap,
    clippy::cast_sign_loss,
    reason = "small numbers"
)]

mod broker;
mod checker;
mod corrupt;
mod disk;
mod drain;
mod harness;
mod hostile;
mod io_error;
mod kill;
mod lone;
mod model;
mod network;
mod offline;
mod power;
mod presence;
mod reach;
mod readers;
mod readonly;
mod recording;
mod restart;
mod synchronous;
mod tls;
mod wire;
