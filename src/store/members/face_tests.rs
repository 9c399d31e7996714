//! Stories of face templates in the list: who gets into the gallery, what a key opens, what is left after a removal.

use std::path::Path;
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};

use super::*;
use crate::config::Privacy;
use crate::domain::face::Embedding;
use crate::domain::face::gallery::{Gallery, Impostors, Policy};
use crate::domain::member::NotMatched;
use crate::store::keys::{Custody, KeyError, KeyRing};

const SPACE: &str = "space-a";
const SIZE: usize = 64;

fn ring(folder: &Path) -> KeyRing {
    let privacy = Privacy { insecure_key: true, ..Privacy::default() };
    KeyRing::load(&privacy, folder).unwrap()
}

fn other_ring(folder: &Path, name: &str) -> KeyRing {
    let path = folder.join(name);
    KeyRing::make(&path).unwrap();
    KeyRing::of_file(&path, Custody::SameDisk).unwrap()
}

fn face(seed: u64) -> Embedding {
    let mut random = fastrand::Rng::with_seed(seed);
    Embedding::new(&(0..SIZE).map(|_| random.f32() - 0.5).collect::<Vec<_>>()).unwrap()
}

fn template(seed: u64) -> NewTemplate {
    NewTemplate { space: SPACE.to_owned(), vector: face(seed), quality: Some(0.7) }
}

fn policy() -> Policy {
    Policy::new(Impostors::normal(0.0, 0.125), 0.01)
}

fn now() -> Timestamp {
    "2026-05-01T00:00:00Z".parse().unwrap()
}

/// A list in a folder, with a key beside it.
struct Box1 {
    folder: tempfile::TempDir,
    store: MemberStore,
    ring: Arc<KeyRing>,
}

impl Box1 {
    fn with(csv: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let store = MemberStore::open(&folder.path().join(FILE_NAME)).unwrap();
        let ring = Arc::new(ring(folder.path()));
        let mut here = Self { folder, store, ring };
        here.import(csv);
        here
    }

    /// So many members who agreed, each with a template.
    fn enrolled(members: u64) -> Self {
        let lines: String = (0..members)
            .map(|n| {
                let faces = faces::written(&[template(n)]);
                let plate = format!("皖A{:05}", 10_000 + n);
                serde_json::json!({ "member_ref": format!("m{n}"), "plate": [plate], "consents": ["face"], "faces": faces })
            })
            .map(|line| format!("{line}\n"))
            .collect();
        Self::with(&lines)
    }

    fn import(&mut self, text: &str) -> Report {
        let options = ImportOptions { keys: Ok(self.ring.clone()), ..ImportOptions::at(now()) };
        self.store.import(text.as_bytes(), &options, &mut |_| {}).unwrap()
    }

    fn enrol(&mut self, n: u64) -> u64 {
        self.store.enrol(&self.ring, &format!("m{n}"), &[template(n)], false).unwrap()
    }

    fn load(&self, at: Timestamp) -> (Gallery, FaceReport) {
        self.store.gallery(&self.ring, SPACE, policy(), at).unwrap()
    }

    fn finds(&self, n: u64) -> bool {
        let (gallery, _) = self.load(now());
        let found = gallery.search(SPACE, &face(n)).member();
        let owner = found.and_then(|id| self.store.by_id(id).unwrap());
        owner.is_some_and(|member| member.member_ref == format!("m{n}"))
    }

    /// Every byte of the folder.
    fn holds(&self, needle: &[u8]) -> Option<String> {
        let files = std::fs::read_dir(self.folder.path()).unwrap().map(|entry| entry.unwrap().path());
        let holding =
            |path: &PathBuf| std::fs::read(path).unwrap().windows(needle.len()).any(|window| window == needle);
        files.filter(holding).map(|path| path.display().to_string()).next()
    }

    fn sealed(&self, n: u64) -> (Vec<u8>, Vec<u8>) {
        let sql = "select t.sealed, k.wrapped from template t join member_key k on k.member = t.member \
                   join member m on m.id = t.member where m.member_ref = ?1";
        self.store.connection.query_row(sql, [format!("m{n}")], |row| Ok((row.get(0)?, row.get(1)?))).unwrap()
    }
}

fn floats(seed: u64) -> Vec<u8> {
    face(seed).values().iter().flat_map(|value| value.to_le_bytes()).collect()
}

#[test]
fn who_was_enrolled_is_found_and_the_file_holds_no_plain_vector() {
    let lines: String = (0..5).map(|n| format!("m{n},皖A1000{n},face\n")).collect();
    let mut here = Box1::with(&format!("member_ref,plate,consents\n{lines}"));
    (0..5).for_each(|n| assert_eq!(here.enrol(n), 1));
    assert!((0..5).all(|n| here.finds(n)));
    let (gallery, report) = here.load(now());
    assert_eq!((gallery.templates(), report.members, report.damaged), (5, 5, 0));
    assert_eq!(here.holds(&floats(3)[..16]), None);
    assert!(here.holds(&here.sealed(3).0).is_some(), "the search itself finds what is there");
    assert_eq!(here.store.spaces().unwrap()[0], SpaceCount { space: SPACE.into(), templates: 5, members: 5 });
    assert_eq!(here.store.enrolled().unwrap(), 5);
}

#[test]
fn without_the_consent_nobody_is_enrolled_not_even_around_the_program() {
    let mut here = Box1::with("member_ref,plate,consents\nm1,皖A12345,plate\n");
    let error = here.store.enrol(&here.ring, "m1", &[template(1)], false).unwrap_err();
    assert!(matches!(error, EnrolError::NoConsent(_)), "{error}");
    let error = here.store.enrol(&here.ring, "m9", &[template(1)], false).unwrap_err();
    assert!(matches!(error, EnrolError::NoMember(_)), "{error}");
    let sql = "insert into template values (1, 1, 's', 1, null, 'imported', 1, '', zeroblob(44))";
    assert!(here.store.connection.execute(sql, []).unwrap_err().to_string().contains("consent"));
}

#[test]
fn a_withdrawn_consent_takes_the_templates_with_it() {
    let mut here = Box1::enrolled(3);
    let (sealed, wrapped) = here.sealed(1);
    here.import("member_ref,plate,consents\nm1,皖A10001,plate\n");
    let (gallery, _) = here.load(now());
    assert_eq!(gallery.templates(), 2);
    assert!(!here.finds(1) && here.finds(0));
    assert_eq!((here.holds(&sealed), here.holds(&wrapped)), (None, None));
    let record = here.store.audit(2).unwrap().remove(0);
    let subject = here.store.audit_subject("m1").unwrap();
    assert_eq!((record.action.as_str(), record.subject), ("consents-changed", subject));
    // Given again, the member is there, but has to be enrolled anew.
    here.import("member_ref,plate,consents\nm1,皖A10001,plate;face\n");
    assert!(!here.finds(1));
    here.enrol(1);
    assert!(here.finds(1));
}

#[test]
fn a_lease_that_runs_out_offline_takes_the_member_out_and_says_when() {
    let mut here = Box1::enrolled(2);
    let text = "member_ref,plate,not_after,valid_until,windows\nm0,皖A10000,2026-05-02T00:00:00Z,,\n\
                m1,皖A10001,,2026-06-01T00:00:00Z,mon 08:00-09:00\n";
    here.import(text);
    let (_, report) = here.load(now());
    let lease: Timestamp = "2026-05-02T00:00:00Z".parse().unwrap();
    assert_eq!((report.members, report.next_change), (2, Some(lease)));
    let (gallery, report) = here.load(lease);
    assert_eq!((gallery.templates(), report.left_out.get(&NotMatched::LeaseRunOut)), (1, Some(&1)));
    assert_eq!(report.next_change, Some("2026-06-01T00:00:00Z".parse().unwrap()));
    // A gallery that was not loaded anew is caught at the match.
    let owner = |id, at| here.store.face_owner(id, at, (1, 8 * 60)).unwrap().map(|member| member.member_ref);
    assert_eq!(owner(1, now()), Ok("m0".to_owned()));
    assert_eq!(owner(1, lease), Err(NotMatched::LeaseRunOut));
    assert_eq!(here.store.face_owner(2, now(), (1, 9 * 60)).unwrap(), Err(NotMatched::OutsideWindow));
    assert_eq!(owner(77, now()), Err(NotMatched::NoConsent));
}

#[test]
fn after_a_removal_no_byte_of_the_template_or_its_key_is_left() {
    let mut here = Box1::enrolled(40);
    let reader = MemberStore::open(&here.folder.path().join(FILE_NAME)).unwrap();
    let (sealed, wrapped) = here.sealed(17);
    assert!(here.holds(&sealed).is_some() && here.holds(&wrapped).is_some());
    assert_eq!(here.store.remove(&["m17".to_owned()]).unwrap(), Ok(1));
    for (what, bytes) in
        [("sealed", &sealed[..24]), ("sealed", &sealed[40..64]), ("key", &wrapped[..]), ("plain", &floats(17)[..16])]
    {
        assert_eq!(here.holds(bytes), None, "{what}");
    }
    assert!(!here.finds(17) && here.finds(18));
    drop(reader);
    let record = here.store.audit(1).unwrap().remove(0);
    assert_eq!((record.action.as_str(), record.detail["templates"].as_u64()), ("member-removed", Some(1)));
}

/// The same look over the files, with what makes it pass switched off: it must find the traces.
#[test]
fn planted_without_secure_delete_the_look_finds_what_was_left() {
    let mut here = Box1::enrolled(40);
    here.store.connection.pragma_update(None, "secure_delete", false).unwrap();
    let (sealed, wrapped) = here.sealed(17);
    here.store.remove(&["m17".to_owned()]).unwrap().unwrap();
    assert!(here.holds(&sealed[40..64]).is_some() || here.holds(&wrapped[24..]).is_some());
}

#[test]
fn all_templates_of_a_member_can_go_while_he_stays() {
    let mut here = Box1::enrolled(2);
    assert_eq!(here.store.remove_faces("m0").unwrap(), Some(1));
    assert_eq!(here.store.remove_faces("m9").unwrap(), None);
    assert!(!here.finds(0) && here.finds(1));
    assert!(here.store.get("m0").unwrap().unwrap().consents.face);
    here.store.remove_all().unwrap();
    assert_eq!(here.store.enrolled().unwrap(), 0);
}

#[test]
fn a_wrong_key_opens_nothing_says_so_and_leaves_the_plates_alone() {
    let here = Box1::enrolled(3);
    let wrong = other_ring(here.folder.path(), "wrong.key");
    let error = here.store.gallery(&wrong, SPACE, policy(), now()).unwrap_err();
    let words = error.to_string();
    assert!(
        words.contains("FC-KEY-004") && words.contains(here.ring.name()) && words.contains(wrong.name()),
        "{words}"
    );
    assert_eq!(here.store.match_set().unwrap().0.len(), 0, "these have no plate consent");
    assert_eq!(here.store.with_plate("皖A10001").unwrap().len(), 1);
}

#[test]
fn a_row_moved_to_another_member_or_database_does_not_open() {
    let here = Box1::enrolled(3);
    let connection = &here.store.connection;
    connection
        .execute_batch("drop trigger template_never_changes; update template set member = 2 where member = 1")
        .unwrap();
    let (gallery, report) = here.load(now());
    assert_eq!((gallery.templates(), report.damaged), (2, 1));
    connection.execute_batch("update vault set box_id = zeroblob(16)").unwrap();
    assert_eq!(here.load(now()).1.damaged, 2, "the keys of the two members who have templates now");
}

#[test]
fn the_device_key_changes_and_a_run_that_was_killed_goes_on() {
    let mut here = Box1::enrolled(1_200);
    let former = here.ring.clone();
    let fresh = other_ring(here.folder.path(), "new.key").before(&former);
    let new_alone = KeyRing::of_file(&here.folder.path().join("new.key"), Custody::SameDisk).unwrap();
    // Killed after the first batch: what the second one would do is undone by a trigger.
    let stop = "create trigger killed before update on member_key when old.member > 700 begin select raise(abort, 'killed'); end";
    here.store.connection.execute_batch(stop).unwrap();
    here.store.rewrap(&fresh, &mut |_, _| {}).unwrap_err();
    here.store.connection.execute_batch("drop trigger killed").unwrap();
    // Half-way: each key opens its part and says what is missing.
    for (ring, members) in [(&*former, 700), (&new_alone, 500)] {
        let (gallery, report) = here.store.gallery(ring, SPACE, policy(), now()).unwrap();
        assert_eq!(gallery.members(), members);
        let error = report.locked.unwrap();
        assert!(matches!(error, KeyError::HalfWay { locked, .. } if locked as usize == 1_200 - members), "{error}");
        assert!(error.to_string().contains("FC-KEY-005"), "{error}");
    }
    assert_eq!(here.store.gallery(&fresh, SPACE, policy(), now()).unwrap().1.members, 1_200);
    // The next run goes on.
    let mut told = Vec::new();
    let done = here.store.rewrap(&fresh, &mut |done, all| told.push((done, all))).unwrap();
    assert_eq!(done, Rewrapped { changed: 700, before: 500, locked: 0 });
    assert_eq!(told.last(), Some(&(1_200, 1_200)));
    assert_eq!(here.store.gallery(&new_alone, SPACE, policy(), now()).unwrap().1.members, 1_200);
    assert!(here.store.gallery(&former, SPACE, policy(), now()).unwrap_err().to_string().contains("FC-KEY-004"));
    assert_eq!(here.store.rewrap(&fresh, &mut |_, _| {}).unwrap().changed, 0);
    assert_eq!(here.store.verify_audit(None).unwrap().fault, None);
}

#[test]
fn what_no_key_opens_can_be_purged_and_what_ran_out_too() {
    let mut here = Box1::enrolled(3);
    let wrong = other_ring(here.folder.path(), "wrong.key");
    assert_eq!(here.store.purge_unreadable(&here.ring).unwrap(), 0);
    assert_eq!(here.store.purge_unreadable(&wrong).unwrap(), 3);
    assert_eq!((here.store.enrolled().unwrap(), here.store.counts().unwrap().members), (0, 3));
    here.import("member_ref,plate,not_after\nm0,皖A10000,2026-05-02T00:00:00Z\n");
    let day = |days: i64| now() + SignedDuration::from_hours(24 * days);
    let keep = std::time::Duration::from_secs(30 * 86_400);
    assert_eq!(here.store.purge_expired(day(20), keep).unwrap(), 0);
    assert_eq!(here.store.purge_expired(day(32), keep).unwrap(), 1);
    assert!(here.store.get("m0").unwrap().is_none());
    assert_eq!(here.store.audit(1).unwrap()[0].subject, here.store.audit_subject("m0").unwrap());
}

#[test]
fn ready_templates_are_imported_and_exported_only_when_asked_for() {
    let mut here = Box1::with("member_ref,plate\nm9,皖A99999\n");
    let vector: Vec<f32> = face(1).values().to_vec();
    let line = |consents: &str, faces: &serde_json::Value| {
        format!("{{\"member_ref\":\"m1\",\"plate\":[\"皖A10001\"],\"consents\":[{consents}],\"faces\":{faces}}}\n")
    };
    let one = serde_json::json!([{ "space": SPACE, "vector": vector, "quality": 0.9 }]);
    let refused = here.import(&line("\"plate\"", &one));
    assert_eq!((refused.outcome, refused.problems[0].field), (Outcome::Refused, Some("faces")));
    assert!(refused.problems[0].wrong.contains("no consent `face`"));
    let applied = here.import(&line("\"face\"", &one));
    assert_eq!((applied.outcome, applied.templates), (Outcome::Applied, 1));
    assert!(here.finds(1));
    let other_size = serde_json::json!([{ "space": SPACE, "vector": [1.0, 2.0] }]);
    assert!(here.import(&line("\"face\"", &other_size)).problems[0].wrong.contains("has 2 numbers"));

    let mut plain = Vec::new();
    here.store.export(&Filter::default(), Format::JsonLines, &mut plain).unwrap();
    assert!(!String::from_utf8(plain).unwrap().contains("vector"));
    let mut full = Vec::new();
    let ring = here.ring.clone();
    here.store.export_with_faces(&Filter::default(), &ring, &mut full).unwrap();
    assert_eq!(here.store.audit(1).unwrap()[0].action, "templates-exported");
    let mut second = Box1::with("member_ref,plate\nx,皖A99998\n");
    assert_eq!(second.import(&String::from_utf8(full).unwrap()).templates, 1);
    assert!(second.finds(1));

    // A file that says nothing of faces leaves them; an empty list takes them away.
    here.import("member_ref,plate\nm1,皖A10001\n");
    assert!(here.finds(1));
    here.import(&line("\"face\"", &serde_json::json!([])));
    assert!(!here.finds(1));
}

#[test]
fn without_a_key_a_line_with_templates_is_refused_with_the_way_out_and_plates_are_not() {
    let mut store = MemberStore::in_memory().unwrap();
    let text = "{\"member_ref\":\"m1\",\"plate\":[\"皖A10001\"],\"consents\":[\"face\"],\"faces\":[{\"space\":\"s\",\"vector\":[1]}]}\n\
                {\"member_ref\":\"m2\",\"plate\":[\"皖A10002\"]}\n";
    let options = ImportOptions { skip_bad: true, ..ImportOptions::at(now()) };
    let report = store.import(text.as_bytes(), &options, &mut |_| {}).unwrap();
    assert_eq!((report.outcome, report.added, report.bad_lines), (Outcome::Applied, 1, 1));
    assert!(report.problems[0].wrong.contains("FC-KEY-001"), "{:?}", report.problems);
}

#[test]
fn signs_and_thresholds_are_kept_and_recorded() {
    let mut here = Box1::enrolled(2);
    assert_eq!(here.store.signage_confirmed().unwrap(), None);
    here.store.confirm_signage("IMG-0042", "user:li").unwrap();
    let signage = here.store.signage_confirmed().unwrap().unwrap();
    assert_eq!((signage.photo_id.as_str(), signage.confirmed_by.as_str()), ("IMG-0042", "user:li"));
    let settings = ["a", "a", "b", "a"].map(|digest| here.store.note_settings(digest).unwrap());
    assert_eq!(settings, [true, false, true, true]);
    assert!(here.store.withdraw_signage().unwrap() && !here.store.withdraw_signage().unwrap());
    let measured = Impostors::fit(&mut (0..5_000).map(|n| (n % 997) as f32 / 3_000.0).collect::<Vec<_>>()).unwrap();
    let before = here.load(now()).0.threshold();
    here.store.calibrate(SPACE, &measured, 5_000, 100).unwrap();
    let calibration = here.store.calibration(SPACE).unwrap().unwrap();
    assert_eq!((calibration.impostors, calibration.pairs), (measured, 5_000));
    assert_ne!(here.load(now()).0.threshold(), before);
    assert!(here.store.forget_calibration(SPACE).unwrap() && !here.store.forget_calibration(SPACE).unwrap());
    assert_eq!(here.load(now()).0.threshold(), before);
    assert_eq!(here.store.verify_audit(None).unwrap().fault, None);
}
