//! The list changes while the service runs: by another process, and on a disk that goes bad.

use std::os::unix::fs::FileExt;
use std::path::Path;
use std::time::{Duration, Instant};

use super::*;
use crate::store::members::{FILE_NAME, ImportOptions};

const PLATE: &str = "皖A00001";

fn now() -> Timestamp {
    "2026-03-01T08:00:00Z".parse().unwrap()
}

fn import(store: &mut MemberStore, text: &str) {
    let report = store.import(text.as_bytes(), &ImportOptions::at(now()), &mut |_| {}).unwrap();
    assert_eq!(report.bad_lines, 0);
}

/// A list of so many plates from number 0 on.
fn listed(path: &Path, count: u32) -> MemberStore {
    let lines: String = (0..count).map(|n| format!("m{n},皖A{n:05}\n")).collect();
    let mut store = MemberStore::open(path).unwrap();
    import(&mut store, &format!("member_ref,plate\n{lines}"));
    store
}

fn directory(path: &Path) -> Directory {
    Directory::new(MemberStore::open(path).unwrap(), TimeZone::UTC, "cn").unwrap()
}

/// Looks until the index has followed.
fn followed(directory: &mut Directory) {
    let until = Instant::now() + Duration::from_secs(60);
    while directory.refresh(now()).unwrap() != News::TakenUp {
        assert!(Instant::now() < until, "the index does not follow");
        std::thread::yield_now();
    }
}

#[test]
fn a_removal_is_effective_at_once_and_the_index_follows_in_its_own_thread() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(FILE_NAME);
    let mut other = listed(&path, 3000);
    let mut directory = directory(&path);
    assert!(matches!(directory.owner(PLATE, now()).unwrap(), Owner::One(_)));
    assert_eq!(directory.refresh(now()).unwrap(), News::Nothing);

    other.remove(&["m1".to_owned()]).unwrap().unwrap();
    // The index has not followed yet, and nobody is found behind the plate any more.
    assert!(directory.list().contains(PLATE));
    assert!(matches!(directory.owner(PLATE, now()).unwrap(), Owner::Nobody(_)));
    assert_eq!(directory.standing("m1", now()).unwrap(), None);
    // The first look only begins the work: it does not wait for it.
    let before = directory.revision();
    assert_eq!(directory.refresh(now()).unwrap(), News::Changed);
    assert_eq!(directory.revision(), before);
    followed(&mut directory);
    assert!(!directory.list().contains(PLATE) && directory.revision() > before);
    assert_eq!(directory.list().len(), 2999);
}

#[test]
fn changes_while_the_index_is_built_are_followed_too() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(FILE_NAME);
    let mut other = listed(&path, 10);
    let mut directory = directory(&path);
    import(&mut other, "member_ref,plate\nnew1,沪B11111\n");
    assert_eq!(directory.refresh(now()).unwrap(), News::Changed);
    import(&mut other, "member_ref,plate\nnew2,沪B22222\n");
    let until = Instant::now() + Duration::from_secs(60);
    while !directory.list().contains("沪B22222") {
        directory.refresh(now()).unwrap();
        assert!(Instant::now() < until);
        std::thread::yield_now();
    }
    assert!(directory.list().contains("沪B11111"));
}

#[test]
fn damage_is_told_until_the_list_can_be_read_again() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(FILE_NAME);
    let mut other = listed(&path, 3000);
    let whole = std::fs::read(&path).unwrap();
    let mut directory = directory(&path);
    assert_eq!(directory.trouble(), None);
    // Everything behind the first page is lost; the pages that SQLite holds are dropped by a change.
    let file = std::fs::File::options().write(true).open(&path).unwrap();
    import(&mut other, "member_ref,plate\nnew1,沪B11111\n");
    let rest = vec![0xEE; whole.len() - 4096];
    file.write_all_at(&rest, 4096).unwrap();
    let failed = (0..200).any(|_| {
        std::thread::sleep(Duration::from_millis(5));
        directory.refresh(now()).is_err() || directory.owner("皖A02999", now()).is_err()
    });
    assert!(failed, "nobody noticed");
    let trouble = directory.trouble().unwrap();
    assert!(trouble.damaged && trouble.since == now(), "{trouble:?}");
    assert!(trouble.detail.contains("import the list again") && !trouble.detail.contains("皖"), "{trouble:?}");
    assert!(directory.list().contains(PLATE), "the list in memory goes on");
}
