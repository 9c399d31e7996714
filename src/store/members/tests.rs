//! Stories of the list as a whole: import, merge, refuse, replace, remove.

use std::time::Duration;

use jiff::Timestamp;

use super::*;
use crate::domain::member::Consents;

fn options() -> ImportOptions {
    ImportOptions::at("2026-05-01T00:00:00Z".parse().unwrap())
}

fn import(store: &mut MemberStore, text: &str, options: &ImportOptions) -> Report {
    store.import(text.as_bytes(), options, &mut |_| {}).unwrap()
}

fn plates(store: &MemberStore, member_ref: &str) -> Vec<String> {
    store.get(member_ref).unwrap().unwrap().plates
}

#[test]
fn the_smallest_file_lists_a_plate_for_matching_and_dwell_and_nothing_else() {
    let mut store = MemberStore::in_memory().unwrap();
    let report = import(&mut store, "member_ref,plate\nm1,皖A·12345\n", &options());
    assert_eq!((report.outcome, report.added, report.total, report.revision), (Outcome::Applied, 1, 1, 1));
    let member = store.get("m1").unwrap().unwrap();
    assert_eq!(member.plates, ["皖A12345"]);
    assert_eq!(member.list, "member");
    assert_eq!(member.consents, Consents { plate: true, face: false, dwell: true, expression: false });
    assert_eq!(member.not_after, None);
}

#[test]
fn a_consents_field_that_is_empty_means_none() {
    let mut store = MemberStore::in_memory().unwrap();
    import(&mut store, "member_ref,plate,consents\nm1,皖A12345,\nm2,皖A12346,dwell; Face\n", &options());
    assert_eq!(store.get("m1").unwrap().unwrap().consents, Consents::default());
    let two = store.get("m2").unwrap().unwrap().consents;
    assert_eq!(two, Consents { face: true, dwell: true, ..Consents::default() });
}

#[test]
fn one_bad_line_keeps_the_whole_file_out_unless_it_may_be_skipped() {
    let mut store = MemberStore::in_memory().unwrap();
    let text = "member_ref,plate\nm1,皖A12345\n,皖A12346\nm3,皖A1\nm4,皖A12348\n";
    let refused = import(&mut store, text, &options());
    assert_eq!((refused.outcome, refused.bad_lines, refused.added, refused.total), (Outcome::Refused, 2, 0, 0));
    let told: Vec<_> = refused.problems.iter().map(|problem| (problem.line, problem.field)).collect();
    assert_eq!(told, [(3, Some("member_ref")), (4, Some("plate"))]);
    assert_eq!(store.counts().unwrap(), Counts::default());

    let skipped = import(&mut store, text, &ImportOptions { skip_bad: true, ..options() });
    assert_eq!((skipped.outcome, skipped.bad_lines, skipped.added), (Outcome::Applied, 2, 2));
    assert_eq!(store.counts().unwrap(), Counts { members: 2, plates: 2, revision: 1 });
}

#[test]
fn lines_of_one_member_are_merged_and_must_not_contradict() {
    let mut store = MemberStore::in_memory().unwrap();
    let good = "member_ref,plate,tier,consents\nm1,皖A12345;皖A12346,gold,plate\nm2,皖B12345,,plate\n\
                m1,皖A12347,gold,plate\nm1,皖A12345;皖A12348,,\n";
    let report = import(&mut store, good, &options());
    assert_eq!((report.bad_lines, report.added), (0, 2), "{:?}", report.problems);
    assert_eq!(plates(&store, "m1"), ["皖A12345", "皖A12346", "皖A12347", "皖A12348"]);

    let bad = "member_ref,plate,tier,consents\nm1,皖A12345,gold,plate\nm1,皖A12347,silver,plate;dwell\n";
    let report = import(&mut store, bad, &options());
    assert_eq!(report.outcome, Outcome::Refused);
    let told: Vec<_> = report.problems.iter().map(|problem| (problem.line, problem.field)).collect();
    assert_eq!(told, [(3, Some("tier")), (3, Some("consents"))]);
    assert!(report.problems[0].way_out.contains("say the same in every line"));
    assert_eq!(plates(&store, "m1").len(), 4);
}

#[test]
fn what_a_file_does_not_say_stays_and_a_withdrawn_consent_stays_withdrawn() {
    let mut store = MemberStore::in_memory().unwrap();
    import(&mut store, "member_ref,plate,tier,consents\nm1,皖A12345,gold,\nm2,皖A12346,,plate\n", &options());
    let report = import(&mut store, "member_ref,plate\nm1,皖A99999\n", &options());
    assert_eq!((report.added, report.updated, report.removed, report.total), (0, 1, 0, 2));
    let member = store.get("m1").unwrap().unwrap();
    assert_eq!(member.plates, ["皖A99999"]);
    assert_eq!(member.tier.as_deref(), Some("gold"));
    assert_eq!(member.consents, Consents::default());
}

#[test]
fn a_replaced_list_is_exactly_the_file() {
    let mut store = MemberStore::in_memory().unwrap();
    import(&mut store, "member_ref,plate,tier\nm1,皖A12345,gold\nm2,皖A12346,gold\n", &options());
    let replace = ImportOptions { replace: true, ..options() };
    let report = import(&mut store, "member_ref,plate\nm2,皖A12347\nm3,皖A12348\n", &replace);
    assert_eq!((report.added, report.updated, report.removed, report.total), (1, 1, 1, 2));
    let (members, revision) = store.all().unwrap();
    assert_eq!(revision, 2);
    let names: Vec<_> = members.iter().map(|m| (m.member_ref.as_str(), m.plates[0].as_str(), m.tier.clone())).collect();
    assert_eq!(names, [("m2", "皖A12347", None), ("m3", "皖A12348", None)]);
    assert!(store.with_plate("皖A12345").unwrap().is_empty());
}

#[test]
fn a_file_without_members_never_empties_the_list() {
    let mut store = MemberStore::in_memory().unwrap();
    import(&mut store, "member_ref,plate\nm1,皖A12345\n", &options());
    let careless = ImportOptions { replace: true, skip_bad: true, ..options() };
    for text in ["", "\n\n", "member_ref,plate\n", "{}\n", "member_ref,plate\n,\n"] {
        let report = import(&mut store, text, &careless);
        assert_eq!((report.outcome, report.total), (Outcome::Refused, 1), "{text:?}");
        assert!(!report.problems.is_empty(), "{text:?}");
    }
}

#[test]
fn a_trial_changes_nothing_and_counts_the_same() {
    let mut store = MemberStore::in_memory().unwrap();
    let trial = ImportOptions { dry_run: true, ..options() };
    let report = import(&mut store, "member_ref,plate\nm1,皖A12345\n", &trial);
    assert_eq!((report.outcome, report.added, report.total), (Outcome::WouldApply, 1, 0));
    assert_eq!(store.counts().unwrap(), Counts::default());
}

#[test]
fn the_default_lease_begins_at_each_import_and_a_named_end_wins() {
    let mut store = MemberStore::in_memory().unwrap();
    let leased = ImportOptions { default_lease: Duration::from_secs(86_400), ..options() };
    import(&mut store, "member_ref,plate,not_after\nm1,皖A12345,\nm2,皖A12346,2027-01-01T00:00:00Z\n", &leased);
    let end = |name: &str| store.get(name).unwrap().unwrap().not_after.unwrap();
    assert_eq!(end("m1"), "2026-05-02T00:00:00Z".parse::<Timestamp>().unwrap());
    assert_eq!(end("m2"), "2027-01-01T00:00:00Z".parse::<Timestamp>().unwrap());
}

#[test]
fn a_plate_of_two_members_is_allowed_and_reported() {
    let mut store = MemberStore::in_memory().unwrap();
    let report = import(&mut store, "member_ref,plate\nm1,皖A12345\nm2,皖A12345\n", &options());
    assert_eq!((report.outcome, report.finding_count), (Outcome::Applied, 1));
    assert!(report.findings[0].seen.contains("m1, m2"), "{:?}", report.findings);
    assert_eq!(store.with_plate("皖A12345").unwrap().len(), 2);
}

#[test]
fn files_that_are_no_text_are_named_for_what_they_are() {
    let mut store = MemberStore::in_memory().unwrap();
    let utf16: Vec<u8> = "\u{FEFF}member_ref,plate\nm1,皖A12345\n".encode_utf16().flat_map(u16::to_le_bytes).collect();
    let bare: Vec<u8> = "member_ref,plate\n".encode_utf16().flat_map(u16::to_be_bytes).collect();
    let skip = ImportOptions { skip_bad: true, ..options() };
    for (bytes, words) in [
        (utf16, "UTF-16"),
        (bare, "UTF-16"),
        (b"PK\x03\x04 sheet".to_vec(), "workbook"),
        (b"\x1F\x8B\x08\x00".to_vec(), "gzip"),
        (b"[{\"member_ref\": \"m1\"}]".to_vec(), "JSON list"),
        (b"\xFF\xD8\xFF\xE0\x00\x10JFIF\x00\x01".to_vec(), "a picture"),
        (b"\x89PNG\r\n\x1A\n\x00\x00\x00\x0DIHDR".to_vec(), "a picture"),
        (b"SQLite format 3\x00\x10\x00".to_vec(), "a database"),
        (b"%PDF-1.7\n".to_vec(), "a PDF"),
        (b"\x7FELF\x02\x01\x01\x00\x00\x00\x00\x00".to_vec(), "no text"),
        (b"member_ref,plate,\xD5\xFE\n".to_vec(), "not UTF-8"),
    ] {
        let report = store.import(bytes.as_slice(), &skip, &mut |_| {}).unwrap();
        assert!(report.unreadable && report.outcome == Outcome::Refused, "{words}");
        assert!(report.problems[0].wrong.contains(words), "{:?}", report.problems);
    }
    let gbk = store.import(b"member_ref,plate\nm1,\xCD\xEEA12345\n".as_slice(), &options(), &mut |_| {}).unwrap();
    assert_eq!(gbk.problems[0].line, 2);
    assert!(gbk.problems[0].way_out.contains("iconv -f GBK"));
}

#[test]
fn a_file_that_breaks_off_is_refused_or_at_least_remarked() {
    let mut store = MemberStore::in_memory().unwrap();
    let cut = import(&mut store, "member_ref,plate,tier\nm1,皖A12345,gold\nm2,皖A1", &options());
    assert_eq!((cut.outcome, cut.problems[0].line), (Outcome::Refused, 3));
    let whole = import(&mut store, "member_ref,plate\nm1,皖A12345", &options());
    assert_eq!(whole.outcome, Outcome::Applied);
    assert!(whole.findings[0].seen.contains("no line end"));
}

#[test]
fn the_limit_of_the_box_is_kept_and_nothing_changed() {
    let mut store = MemberStore::in_memory().unwrap();
    let limit = |max_members| ImportOptions { max_members, ..options() };
    import(&mut store, "member_ref,plate\nm1,皖A12345\n", &limit(2));
    let error = store.import("member_ref,plate\nm2,皖A12346\nm3,皖A12347\n".as_bytes(), &limit(2), &mut |_| {});
    let words = error.unwrap_err().to_string();
    assert!(words.contains("3 members, `members.max_members` allows 2"), "{words}");
    assert_eq!(store.counts().unwrap().members, 1);
    let replaced = import(
        &mut store,
        "member_ref,plate\nm2,皖A12346\nm3,皖A12347\n",
        &ImportOptions { replace: true, ..limit(2) },
    );
    assert_eq!(replaced.total, 2);
}

#[test]
fn a_removal_takes_all_or_none_and_leaves_no_trace_in_the_files() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(FILE_NAME);
    let mut store = MemberStore::open(&path).unwrap();
    let watcher = MemberStore::open(&path).unwrap();
    let mut seen = Seen::default();
    watcher.changed(&mut seen).unwrap();
    import(&mut store, "member_ref,plate,tier\ncanary-17,皖AZ9Y8X,platinum\nm2,皖A12346,gold\n", &options());
    assert!(watcher.changed(&mut seen).unwrap());
    assert!(!watcher.changed(&mut seen).unwrap());

    let refs = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
    assert_eq!(store.remove(&refs(&["canary-17", "nobody"])).unwrap(), Err(refs(&["nobody"])));
    assert!(!watcher.changed(&mut seen).unwrap());
    assert_eq!(store.remove(&refs(&["canary-17", "canary-17"])).unwrap(), Ok(1));
    assert!(watcher.changed(&mut seen).unwrap());
    assert!(watcher.with_plate("皖AZ9Y8X").unwrap().is_empty());
    for file in std::fs::read_dir(folder.path()).unwrap() {
        let file = file.unwrap().path();
        let bytes = std::fs::read(&file).unwrap();
        for trace in ["canary-17", "皖AZ9Y8X", "platinum"] {
            let found = bytes.windows(trace.len()).any(|window| window == trace.as_bytes());
            assert!(!found, "{trace} in {}", file.display());
        }
    }
    store.check().unwrap();
}

#[test]
fn a_second_change_at_the_same_time_waits_and_then_says_who_is_in_the_way() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(FILE_NAME);
    let mut first = MemberStore::open(&path).unwrap();
    let mut second = MemberStore::open(&path).unwrap();
    second.connection.busy_timeout(Duration::from_millis(20)).unwrap();
    let held = first.connection.transaction_with_behavior(TransactionBehavior::Immediate).unwrap();
    let error = second.import("member_ref,plate\nm1,皖A12345\n".as_bytes(), &options(), &mut |_| {}).unwrap_err();
    assert!(matches!(error, StoreError::Busy(_)) && error.to_string().contains("try again"), "{error:?}");
    drop(held);
    import(&mut second, "member_ref,plate\nm1,皖A12345\n", &options());
}
