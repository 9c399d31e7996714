//! What must survive a restart, in SQLite. All of rusqlite lives here.

pub mod members;
pub mod spool;
