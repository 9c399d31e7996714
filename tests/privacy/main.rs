//! Stories of `forecourt privacy` and of face templates on the disk, told through the real binary: keys, rotation that is
//! killed, shredding, the audit log, the report, the signs.

#![allow(
    clippy::unwrap_used,
    clippy::print_stderr,
    reason = "a story that cannot be told has failed, and says what it skipped"
)]

mod keys;
mod records;
mod site;
mod templates;
