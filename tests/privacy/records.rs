//! What is told of the processing: the audit log, the report, the codes in the manual.

use std::fs;
use std::path::Path;

use serde_json::Value;

use crate::site::{CROWD, FAILED, NOT_FOUND, OK, Site, members};

#[test]
fn a_log_that_somebody_changed_is_found_out() {
    let here = Site::with_key();
    here.import(&members(CROWD));
    here.told(&["members", "remove", "m3"], OK);
    here.told(&["members", "remove", "m4"], OK);
    let sound = here.json(&["privacy", "audit", "verify"], OK);
    assert_eq!((sound["fault"].is_null(), sound["records"].as_u64()), (true, Some(3)));
    let kept = format!("{}:{}", sound["last"], sound["head"].as_str().unwrap());
    here.told(&["privacy", "audit", "verify", "--expect", &kept], OK);

    let database = here.database();
    assert!(database.execute("delete from audit where seq = 2", []).is_err());
    let (changed, gone) = ("update audit set actor = 'user:nobody' where seq = 2", "delete from audit where seq = 3");
    database.execute_batch("drop trigger audit_never_changes; drop trigger audit_never_goes").unwrap();
    database.execute_batch("begin").unwrap();
    for (sql, words) in [(changed, "record 2 was changed"), (gone, "record 3 is missing")] {
        database.execute_batch("savepoint before").unwrap();
        database.execute(sql, []).unwrap();
        database.execute_batch("commit").unwrap();
        let told = here.told(&["privacy", "audit", "verify"], FAILED);
        assert!(told.contains("BROKEN") && told.contains(words), "{told}");
        let mend = "update audit set actor = (select actor from audit where seq = 1) where seq = 2";
        database.execute(mend, []).unwrap();
        database.execute_batch("begin").unwrap();
    }
    database.execute_batch("rollback").unwrap();
    // Written anew from the start, in itself sound: only the hash that was kept tells.
    database.execute_batch("delete from audit; update audit_ends set before_seq = 0, before_hash = zeroblob(32), last_seq = 0, last_hash = zeroblob(32)").unwrap();
    for name in ["m5", "m6", "m7"] {
        here.told(&["members", "remove", name], OK);
    }
    here.told(&["privacy", "audit", "verify"], OK);
    let told = here.told(&["privacy", "audit", "verify", "--expect", &kept], FAILED);
    assert!(told.contains("is not the one that was kept"), "{told}");
}

#[test]
fn the_report_is_filled_from_the_box_and_names_what_is_open() {
    let here = Site::with_key();
    here.settings(
        "key_file = \"./box.key\"",
        "[faces]\npacks = [\"face-demo\"]\n\n[mqtt]\nurl = \"mqtt://broker:1883\"",
    );
    here.import(&members(CROWD));
    let codes = |report: &Value| -> Vec<String> {
        let findings = report["findings"].as_array().unwrap().iter();
        findings.map(|finding| finding["code"].as_str().unwrap().to_owned()).collect()
    };
    let report = here.json(&["privacy", "report"], OK);
    assert_eq!((report["enrolled_persons"].as_u64(), report["consents"]["face"].as_u64()), (Some(CROWD), Some(CROWD)));
    // The key lies on the disk of the data in this story.
    assert_eq!(codes(&report), ["FC-PRV-001", "FC-PRV-002", "FC-PRV-004", "FC-PRV-005"]);

    let confirm = ["provision", "confirm-signage", "--photo-id", "2026-11-22/IMG-0042", "--by", "Li"];
    here.told(&confirm, OK);
    here.output(&["provision", "confirm-signage", "--photo-id", "a photo of the door"], 2);
    here.output(&["provision", "confirm-signage"], 2);
    let report = here.json(&["privacy", "report"], OK);
    assert_eq!(report["signage"]["photo_id"], "2026-11-22/IMG-0042");
    assert!(!codes(&report).contains(&"FC-PRV-001".to_owned()));
    let text = here.told(&["privacy", "report"], OK);
    for words in
        ["| enrolled with a face template | 60 |", "confirmed by Li", "mqtt://broker:1883", "| gate |", "[FC-PRV-005]"]
    {
        assert!(text.contains(words), "{words}\n{text}");
    }
    here.told(&["provision", "confirm-signage", "--withdraw"], OK);
    here.told(&["provision", "confirm-signage", "--withdraw"], NOT_FOUND);
    let actions = here.told(&["privacy", "audit", "list"], OK);
    assert!(
        actions.contains("signage-confirmed") && actions.contains("signage-withdrawn") && actions.contains("reported")
    );
}

#[test]
fn every_code_of_a_key_or_a_report_is_explained() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let read = |name: &str| fs::read_to_string(root.join(name)).unwrap();
    let manual = read("docs/troubleshooting.md") + &read("docs/privacy.md");
    let sources =
        ["src/store/keys/error.rs", "src/store/members/error.rs", "src/commands/privacy/report.rs"].map(read).concat();
    let mut codes: Vec<&str> =
        sources.match_indices("FC-").map(|(at, _)| &sources[at..at + 10]).filter(|code| !code.ends_with('n')).collect();
    codes.sort_unstable();
    codes.dedup();
    assert!(codes.len() >= 15, "{codes:?}");
    for code in codes {
        assert!(manual.contains(&format!("| `{code}` |")), "{code} is not explained");
    }
}
