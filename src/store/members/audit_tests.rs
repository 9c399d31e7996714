//! The log tells what was done to it.

use super::*;

fn log(records: u64) -> MemberStore {
    let mut store = MemberStore::in_memory().unwrap();
    for number in 0..records {
        let detail = json!({ "templates": number });
        store.record(Action::FaceEnrolled, &format!("m{number}"), &detail).unwrap();
    }
    store
}

fn fault(store: &MemberStore) -> Option<Fault> {
    store.verify_audit(None).unwrap().fault
}

/// What somebody would do who goes around the program.
fn tampered(records: u64, sql: &str) -> Option<Fault> {
    let store = log(records);
    store.connection.execute_batch("drop trigger audit_never_changes; drop trigger audit_never_goes;").unwrap();
    store.connection.execute_batch(sql).unwrap();
    fault(&store)
}

#[test]
fn a_sound_log_is_sound_and_tells_its_newest_hash() {
    let store = log(5);
    let verified = store.verify_audit(None).unwrap();
    assert_eq!((verified.records, verified.first, verified.last, verified.fault), (5, 1, 5, None));
    let newest = store.audit(2).unwrap();
    assert_eq!(newest.iter().map(|record| record.subject.as_str()).collect::<Vec<_>>(), ["m3", "m4"]);
    assert_eq!(newest[1].hash, verified.head);
    assert_eq!(newest[1].action, "face-enrolled");
    assert_eq!(fault(&log(0)), None);
}

#[test]
fn a_changed_a_removed_and_a_reordered_record_are_found() {
    let changed = |seq| Some(Fault::Changed { seq });
    let missing = |from, to| Some(Fault::Missing { from, to });
    assert_eq!(tampered(5, "update audit set subject = 'other' where seq = 3"), changed(3));
    assert_eq!(tampered(5, "update audit set detail = detail || ' ' where seq = 5"), changed(5));
    assert_eq!(tampered(5, "update audit set hash = zeroblob(32) where seq = 2"), changed(2));
    assert_eq!(tampered(5, "delete from audit where seq = 3"), missing(3, 3));
    assert_eq!(tampered(5, "delete from audit where seq < 3"), missing(1, 2));
    assert_eq!(tampered(5, "delete from audit where seq > 3"), missing(4, 5));
    assert_eq!(tampered(5, "delete from audit"), missing(1, 5));
    let swap = "update audit set seq = 99 where seq = 2; update audit set seq = 2 where seq = 3; \
                update audit set seq = 3 where seq = 99;";
    assert_eq!(tampered(5, swap), changed(2));
    let one_more = "insert into audit select 6, at, actor, action, subject, detail, hash from audit where seq = 5";
    assert_eq!(tampered(5, one_more), changed(6));
}

#[test]
fn the_database_itself_refuses_to_change_or_remove_a_record() {
    let store = log(3);
    for sql in ["update audit set actor = 'nobody'", "delete from audit", "delete from audit where seq = 3"] {
        let words = store.connection.execute_batch(sql).unwrap_err().to_string();
        assert!(words.contains("an audit record is never"), "{words}");
    }
    assert_eq!(fault(&store), None);
}

#[test]
fn a_log_that_was_written_anew_does_not_hold_the_hash_that_was_kept() {
    let kept = log(4).verify_audit(None).unwrap();
    let anew = log(6);
    let fault = |seq| anew.verify_audit(Some((seq, &kept.head))).unwrap().fault;
    assert_eq!(fault(4), Some(Fault::NotTheOneKept { seq: 4 }));
    assert_eq!(fault(9), Some(Fault::Missing { from: 7, to: 9 }));
    let own = anew.verify_audit(None).unwrap();
    assert_eq!(anew.verify_audit(Some((6, &own.head))).unwrap().fault, None);
}

#[test]
fn old_records_leave_and_the_rest_stays_verifiable() {
    let mut store = MemberStore::in_memory().unwrap();
    let at = |second: i64| Timestamp::from_second(second).unwrap();
    for second in 1..=10 {
        append_at(&store.connection, at(second), "service", Action::Purged, "", &json!({})).unwrap();
    }
    assert_eq!(store.trim_audit(at(7)).unwrap(), 6);
    let verified = store.verify_audit(None).unwrap();
    assert_eq!((verified.records, verified.first, verified.last, verified.fault), (5, 7, 11, None));
    assert_eq!(store.audit(1).unwrap()[0].detail["through"], 6);
    assert_eq!(store.trim_audit(at(7)).unwrap(), 0);
    // Everything is old: the newest record stays, so that the log goes on from it.
    assert_eq!(store.trim_audit(Timestamp::now() + jiff::SignedDuration::from_hours(1)).unwrap(), 4);
    assert_eq!(fault(&store), None);
    store.connection.execute_batch("update audit_ends set before_hash = zeroblob(32)").unwrap();
    assert!(fault(&store).is_some());
}
