//! What must survive a restart, in SQLite. All of rusqlite lives here.

mod files;
pub mod keys;
pub mod members;
pub(crate) mod seal;
pub mod spool;
