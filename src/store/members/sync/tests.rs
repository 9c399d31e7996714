//! Lists of the platform: what they do, and what they cannot do.

use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::*;
use crate::domain::event::RemovedBy;
use crate::domain::sync::{FORMAT, Kind, canonical, hash_line, hex};

fn now() -> Timestamp {
    "2026-03-01T08:00:00Z".parse().unwrap()
}

fn line(name: &str, plate: &str) -> String {
    canonical(&json!({"member_ref": name, "plate": [plate], "consents": ["plate", "dwell"]}))
}

fn head(kind: Kind, rev: u64, lines: &[String]) -> Head {
    let mut hashes: Vec<_> = lines.iter().map(|line| hash_line(line.as_bytes())).collect();
    hashes.sort_unstable();
    Head {
        format: FORMAT.into(),
        kind,
        audience: "a".into(),
        epoch: "e1".into(),
        rev,
        issued: now(),
        count: lines.len() as u64,
        digest: digest_of(hashes.into_iter()),
        chunks: 1,
        chunk: None,
        from: None,
        sha256: Some(hex(&Sha256::digest(b""))),
        key: String::new(),
        signature: String::new(),
    }
}

fn snapshot(store: &mut MemberStore, rev: u64, lines: &[String]) -> Result<Applied, String> {
    let body = lines.join("\n").into_bytes();
    let applied = store.apply_snapshot(&head(Kind::Snapshot, rev, lines), &options(), |_| Ok(body.clone()));
    applied.map_err(reason)
}

fn delta(store: &mut MemberStore, rev: u64, after: &[String], changes: &[String]) -> Result<Applied, String> {
    let body = changes.join("\n").into_bytes();
    store.apply_delta(&head(Kind::Delta, rev, after), &body, &options()).map_err(reason)
}

fn options() -> ImportOptions {
    ImportOptions::at(now())
}

fn reason(error: ApplyError) -> String {
    match error {
        ApplyError::Wrong(wrong) => format!("{}: {}", wrong.reason, wrong.words),
        ApplyError::Store(error) => error.to_string(),
    }
}

fn names(store: &MemberStore) -> Vec<String> {
    let mut names: Vec<_> = store.all().unwrap().0.into_iter().map(|member| member.member_ref).collect();
    names.sort();
    names
}

fn removed(name: &str) -> String {
    json!({"member_ref": name, "deleted": true, "reason": "left the club"}).to_string()
}

#[test]
fn a_snapshot_makes_the_list_and_the_next_one_removes_whom_it_does_not_name() {
    let mut store = MemberStore::in_memory().unwrap();
    let (a, b, c) = (line("a", "皖A11111"), line("b", "皖A22222"), line("c", "皖A33333"));
    let applied = snapshot(&mut store, 1, &[a.clone(), b.clone()]).unwrap();
    assert_eq!(applied, Applied { added: 2, updated: 0, removed: 0, count: 2 });
    let applied = snapshot(&mut store, 2, &[b.clone(), c.clone()]).unwrap();
    assert_eq!(applied, Applied { added: 1, updated: 0, removed: 1, count: 2 });
    assert_eq!(names(&store), ["b", "c"]);
    assert!(store.with_plate("皖A11111").unwrap().is_empty());
    let receipt = store.receipts().unwrap().into_values().next().unwrap();
    assert_eq!((receipt.member_refs, receipt.by, receipt.rev), (vec!["a".to_owned()], RemovedBy::Snapshot, Some(2)));
    let list = store.synced_list().unwrap().unwrap();
    assert_eq!((list.rev, list.count), (2, 2));
    assert_eq!(store.synced_digest().unwrap(), (2, list.digest));
}

#[test]
fn a_delta_adds_changes_and_removes() {
    let mut store = MemberStore::in_memory().unwrap();
    let (a, b, c) = (line("a", "皖A11111"), line("b", "皖A22222"), line("c", "皖A33333"));
    snapshot(&mut store, 1, &[a, b]).unwrap();
    let other = line("b", "皖B22222");
    let applied = delta(&mut store, 2, &[other.clone(), c.clone()], &[removed("a"), other, c]).unwrap();
    assert_eq!(applied, Applied { added: 1, updated: 1, removed: 1, count: 2 });
    assert!(store.with_plate("皖A22222").unwrap().is_empty());
    assert_eq!(store.with_plate("皖B22222").unwrap()[0].member_ref, "b");
}

#[test]
fn whatever_is_wrong_with_a_list_leaves_the_former_one_as_it_was() {
    let mut store = MemberStore::in_memory().unwrap();
    let good = [line("a", "皖A11111"), line("b", "皖A22222")];
    snapshot(&mut store, 1, &good).unwrap();
    let before = (store.all().unwrap(), store.synced_list().unwrap());
    let odd = |text: &str| vec![line("c", "皖A33333"), text.to_owned()];
    for (lines, expected) in [
        (odd(&line("c", "皖A33333")), "duplicate"),
        (odd(r#"{"member_ref":"d","plate":["皖A1"],"consents":[]}"#), "member: member 2, plate"),
        (odd(r#"{"member_ref":"d","plate":["皖A44444"]}"#), "member: member 2, consents"),
        (odd(r#"{"member_ref":"d","plate":["皖A44444"],"consents":["plate"],"nose":1}"#), "member: member 2"),
        (odd(r#"{"member_ref":"d","plate":[NaN],"consents":["plate"]}"#), "member: member 2"),
        (odd(&"[".repeat(60_000)), "member: member 2"),
        (odd(&format!("{{\"member_ref\":\"{}\"}}", "x".repeat(70_000))), "longer than 64 KiB"),
        (odd(&removed("a")), "member: member 2"),
    ] {
        let said = snapshot(&mut store, 2, &lines).unwrap_err();
        assert!(said.contains(expected) && !said.contains('皖'), "{said} for {expected}");
        assert_eq!((store.all().unwrap(), store.synced_list().unwrap()), before);
    }
    assert!(delta(&mut store, 2, &good, &[removed("z")]).unwrap_err().contains("is not listed"));
    let body = good.join("\n").into_bytes();
    let mut wrong = head(Kind::Snapshot, 2, &good);
    wrong.count = 3;
    let said = store.apply_snapshot(&wrong, &options(), |_| Ok(body.clone())).map_err(reason).unwrap_err();
    assert!(said.starts_with("count"), "{said}");
    wrong.count = 2;
    wrong.digest = "0".repeat(64);
    let said = store.apply_snapshot(&wrong, &options(), |_| Ok(body.clone())).map_err(reason).unwrap_err();
    assert!(said.starts_with("digest"), "{said}");
    assert_eq!((store.all().unwrap(), store.synced_list().unwrap()), before);
}

#[test]
fn a_list_may_not_be_larger_than_the_box_allows() {
    let mut store = MemberStore::in_memory().unwrap();
    let lines: Vec<_> = (0..3).map(|n| line(&format!("m{n}"), &format!("皖A1111{n}"))).collect();
    let body = lines.join("\n").into_bytes();
    let few = ImportOptions { max_members: 2, ..options() };
    let said = store.apply_snapshot(&head(Kind::Snapshot, 1, &lines), &few, |_| Ok(body.clone())).map_err(reason);
    assert!(said.unwrap_err().starts_with("too-many"));
    assert_eq!(store.counts().unwrap().members, 0);
}

#[test]
fn members_that_were_imported_on_the_box_stay_whatever_the_platform_lists() {
    let mut store = MemberStore::in_memory().unwrap();
    let csv = "member_ref,plate\nown,皖A99999\n";
    store.import(csv.as_bytes(), &options(), &mut |_| {}).unwrap();
    snapshot(&mut store, 1, &[line("a", "皖A11111")]).unwrap();
    snapshot(&mut store, 2, &[line("b", "皖A22222")]).unwrap();
    assert_eq!(names(&store), ["b", "own"]);
    assert_eq!(store.synced_digest().unwrap().0, 1);
}

#[test]
fn a_removed_member_does_not_come_back_with_the_same_line_and_comes_with_a_new_one() {
    let mut store = MemberStore::in_memory().unwrap();
    let (a, b) = (line("a", "皖A11111"), line("b", "皖A22222"));
    snapshot(&mut store, 1, &[a.clone(), b.clone()]).unwrap();
    assert!(store.erase("a", "c7", now()).unwrap());
    assert!(!store.erase("a", "c8", now()).unwrap());
    let receipt = store.receipts().unwrap().into_values().next().unwrap();
    assert_eq!((receipt.by, receipt.command.as_deref()), (RemovedBy::Command, Some("c7")));
    // The same revision again, and one that the platform made before it knew.
    snapshot(&mut store, 1, &[a.clone(), b.clone()]).unwrap();
    let c = line("c", "皖A33333");
    snapshot(&mut store, 2, &[a.clone(), b.clone(), c.clone()]).unwrap();
    assert_eq!((names(&store), store.tombstones().unwrap()), (vec!["b".to_owned(), "c".to_owned()], 1));
    assert_eq!(store.synced_digest().unwrap().1, store.synced_list().unwrap().unwrap().digest);
    // Enrolled anew.
    let anew = line("a", "皖B11111");
    delta(&mut store, 3, &[anew.clone(), b.clone(), c.clone()], &[anew]).unwrap();
    assert_eq!((names(&store).len(), store.tombstones().unwrap()), (3, 0));
    store.erase("a", "c9", now()).unwrap();
    // The platform knows now.
    snapshot(&mut store, 4, &[b, c]).unwrap();
    assert_eq!((names(&store).len(), store.tombstones().unwrap()), (2, 0));
}

#[test]
fn the_consent_lease_is_renewed_by_each_list() {
    let mut store = MemberStore::in_memory().unwrap();
    let lines = [line("a", "皖A11111")];
    let body = lines.join("\n").into_bytes();
    let leased = |day: &str| ImportOptions {
        default_lease: std::time::Duration::from_secs(14 * 86_400),
        ..ImportOptions::at(format!("2026-03-{day}T00:00:00Z").parse().unwrap())
    };
    for (rev, day, end) in [(1, "01", "2026-03-15T00:00:00Z"), (2, "08", "2026-03-22T00:00:00Z")] {
        store
            .apply_snapshot(&head(Kind::Snapshot, rev, &lines), &leased(day), |_| Ok(body.clone()))
            .map_err(reason)
            .unwrap();
        assert_eq!(store.get("a").unwrap().unwrap().not_after.unwrap().to_string(), end);
    }
}

#[test]
fn many_removals_are_told_in_a_few_receipts() {
    let mut store = MemberStore::in_memory().unwrap();
    let lines: Vec<_> = (0..250).map(|n| line(&format!("m{n}"), &format!("皖A{n:05}"))).collect();
    snapshot(&mut store, 1, &lines).unwrap();
    snapshot(&mut store, 2, &[line("x", "皖B00000")]).unwrap();
    let receipts = store.receipts().unwrap();
    assert_eq!(receipts.values().map(|receipt| receipt.member_refs.len()).collect::<Vec<_>>(), [100, 100, 50]);
    for id in receipts.keys() {
        store.forget_receipt(*id).unwrap();
    }
    assert!(store.receipts().unwrap().is_empty());
}

#[test]
fn of_a_thousand_mutations_of_a_list_none_harms() {
    let mut store = MemberStore::in_memory().unwrap();
    let good = [line("a", "皖A11111"), line("b", "皖A22222")];
    snapshot(&mut store, 1, &good).unwrap();
    let before = store.all().unwrap();
    let body = good.join("\n").into_bytes();
    let mut dice = fastrand::Rng::with_seed(28);
    let mut refused = 0;
    for _ in 0..1_000 {
        let mut spoilt = body.clone();
        for _ in 0..dice.usize(1..4) {
            let place = dice.usize(0..spoilt.len());
            match dice.u8(0..3) {
                0 => spoilt[place] ^= 1 << dice.u8(0..8),
                1 => drop(spoilt.remove(place)),
                _ => spoilt.insert(place, dice.u8(..)),
            }
        }
        let applied = store.apply_snapshot(&head(Kind::Snapshot, 2, &good), &options(), |_| Ok(spoilt.clone()));
        refused += u32::from(applied.is_err());
        // A mutation may undo itself; whatever was taken is the list of the digest.
        assert_eq!(store.all().unwrap().0, before.0);
    }
    assert!(refused > 900, "{refused}");
    let _: Value = serde_json::from_slice(&serde_json::to_vec(&store.synced_list().unwrap()).unwrap()).unwrap();
}
