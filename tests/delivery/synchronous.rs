//! Takes the program's setting of `synchronous` away from a connection that it has opened itself, so that a test of
//! durability can be seen to fail.

#![expect(unsafe_code, reason = "SQLite hands out a connection that somebody else opened as a pointer only")]

use std::ffi::{c_char, c_int};
use std::sync::atomic::{AtomicPtr, Ordering};

use rusqlite::auto_extension::register_auto_extension;
use rusqlite::{Connection, ffi};

static OPENED: AtomicPtr<ffi::sqlite3> = AtomicPtr::new(std::ptr::null_mut());

unsafe extern "C" fn note(
    database: *mut ffi::sqlite3,
    _words: *mut *mut c_char,
    _routines: *const ffi::sqlite3_api_routines,
) -> c_int {
    OPENED.store(database, Ordering::Release);
    ffi::SQLITE_OK
}

/// Of the connection that is opened next; only in a process with one thread that uses SQLite.
pub struct Override(());

impl Override {
    pub fn of_the_next_connection() -> Self {
        // SAFETY: `note` opens and closes no database and leaves the list of extensions alone.
        unsafe { register_auto_extension(note) }.unwrap();
        Self(())
    }

    /// Sets it, while the connection is open.
    pub fn set(&self, word: &str) {
        let database = OPENED.load(Ordering::Acquire);
        assert!(!database.is_null(), "no connection was opened");
        // SAFETY: the caller's spool holds it open, and no other thread uses it; it is not closed here.
        let connection = unsafe { Connection::from_handle(database) }.unwrap();
        connection.pragma_update(None, "synchronous", word).unwrap();
    }
}
