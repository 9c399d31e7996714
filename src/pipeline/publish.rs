//! The platform's side of a member list: a list file into signed pieces, and these to a box over a broker.
//!
//! So that a test or a small dealer can run without a platform, and so that the rules of `docs/sync.md` have a second
//! reader: what is made here is what the box of `platform::lists` takes.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use jiff::Timestamp;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::domain::sync::{
    FORMAT, Head, Kind, LARGEST_CHUNK, MembersState, SigningKey, canonical, digest_of, hash_line, hex,
};
use crate::mqtt::Remote;

/// Room for the head before the lines of a piece.
const HEAD_ROOM: usize = 2 * 1024;
/// Chunks that may be on their way to a slow box; beyond, its word is waited for.
const AHEAD: usize = 64;
/// Pause between two looks at what the box says.
const LOOK_EVERY: Duration = Duration::from_millis(200);

/// Names of the pieces in a folder.
const MANIFEST: &str = "manifest.json";
const DELTA: &str = "delta.jsonl";

/// What a list is signed as.
pub struct Signing<'a> {
    /// For which boxes.
    pub audience: &'a str,
    /// Name of the line of revisions.
    pub epoch: &'a str,
    /// Revision.
    pub rev: u64,
    /// When.
    pub issued: Timestamp,
    /// Largest chunk, in bytes.
    pub chunk_bytes: usize,
}

/// What was signed.
#[derive(Debug, PartialEq, Eq, serde::Serialize)]
pub struct Signed {
    /// Members.
    pub count: u64,
    /// Digest of the list.
    pub digest: String,
    /// Chunks of the snapshot.
    pub chunks: u32,
    /// Lines of the delta, when one was made.
    pub changes: Option<usize>,
}

/// Signs a list into a folder: `manifest.json`, `snapshot-NNNNN.jsonl`, and `delta.jsonl` when the lines of revision
/// `previous.0` are given. Members are objects as an import reads them.
///
/// # Errors
/// A member without a name or with a name that another has, a piece that is too large, a folder that cannot be written.
pub fn sign(
    members: &[Value],
    previous: Option<(u64, &[Value])>,
    signing: &Signing<'_>,
    key: &SigningKey,
    folder: &Path,
) -> anyhow::Result<Signed> {
    let lines = by_name(members)?;
    let mut hashes: Vec<[u8; 32]> = lines.values().map(|line| hash_line(line.as_bytes())).collect();
    hashes.sort_unstable();
    let digest = digest_of(hashes.into_iter());
    let bodies = cut(lines.values(), signing.chunk_bytes)?;
    let chunks = u32::try_from(bodies.len()).context("the list has too many chunks")?;
    let head = json!({
        "format": FORMAT, "kind": Kind::Manifest, "audience": signing.audience, "epoch": signing.epoch, "rev": signing.rev,
        "issued": signing.issued, "count": lines.len(), "digest": digest, "chunks": chunks,
    });
    std::fs::create_dir_all(folder).with_context(|| format!("cannot make `{}`", folder.display()))?;
    let write = |name: &str, bytes: &[u8]| {
        let path = folder.join(name);
        std::fs::write(&path, bytes).with_context(|| format!("cannot write `{}`", path.display()))
    };
    for (number, body) in bodies.iter().enumerate() {
        let mut own = head.clone();
        own["kind"] = json!(Kind::Snapshot);
        own["chunk"] = json!(number);
        write(&chunk_name(number), &piece(own, body, key))?;
    }
    let changes = match previous {
        None => None,
        Some((from, members)) => {
            let body = changes(&by_name(members)?, &lines);
            anyhow::ensure!(
                body.len() + HEAD_ROOM <= LARGEST_CHUNK,
                "the changes have {} bytes, a delta may have {}; publish the snapshot instead (leave --previous out)",
                body.len(),
                LARGEST_CHUNK - HEAD_ROOM
            );
            let mut own = head.clone();
            own["kind"] = json!(Kind::Delta);
            own["from"] = json!(from);
            write(DELTA, &piece(own, &body, key))?;
            Some(body.iter().filter(|byte| **byte == b'\n').count())
        }
    };
    // Last: a folder with a manifest is whole.
    write(MANIFEST, key.sign(head).to_string().as_bytes())?;
    Ok(Signed { count: lines.len() as u64, digest, chunks, changes })
}

fn chunk_name(number: usize) -> String {
    format!("snapshot-{number:05}.jsonl")
}

/// Head and lines, signed.
fn piece(mut head: Value, body: &[u8], key: &SigningKey) -> Vec<u8> {
    head["sha256"] = json!(hex(&Sha256::digest(body)));
    [key.sign(head).to_string().as_bytes(), b"\n", body].concat()
}

/// Canonical lines by name.
fn by_name(members: &[Value]) -> anyhow::Result<BTreeMap<String, String>> {
    let mut lines = BTreeMap::new();
    for member in members {
        let name = member["member_ref"].as_str().context("a member has no `member_ref`")?;
        if lines.insert(name.to_owned(), canonical(member)).is_some() {
            bail!("`{name}` is listed twice");
        }
    }
    anyhow::ensure!(!lines.is_empty(), "the list names nobody; to empty a box remove its members one by one");
    Ok(lines)
}

/// Lines into bodies of at most `bytes`.
fn cut<'a>(lines: impl Iterator<Item = &'a String>, bytes: usize) -> anyhow::Result<Vec<Vec<u8>>> {
    let room = bytes.min(LARGEST_CHUNK).saturating_sub(HEAD_ROOM);
    let mut bodies = vec![Vec::new()];
    for line in lines {
        anyhow::ensure!(line.len() < room, "a member needs {} bytes, a chunk has room for {room}", line.len() + 1);
        let last = bodies.last_mut().expect("there is one from the start");
        if last.len() + line.len() + 1 > room {
            bodies.push(Vec::new());
        }
        let last = bodies.last_mut().expect("there is one from the start");
        last.extend_from_slice(line.as_bytes());
        last.push(b'\n');
    }
    Ok(bodies)
}

fn changes(before: &BTreeMap<String, String>, after: &BTreeMap<String, String>) -> Vec<u8> {
    let mut body = Vec::new();
    for name in before.keys().filter(|name| !after.contains_key(*name)) {
        body.extend_from_slice(canonical(&json!({ "member_ref": name, "deleted": true })).as_bytes());
        body.push(b'\n');
    }
    for (_, line) in after.iter().filter(|(name, line)| before.get(*name) != Some(line)) {
        body.extend_from_slice(line.as_bytes());
        body.push(b'\n');
    }
    body
}

/// How a publication goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Progress {
    /// Pieces that the box has, of how many.
    Staged(u32, u32),
    /// The box has refused a piece.
    Refused(String),
}

/// Publishes a signed folder to the box whose topics begin with `root`, and waits until it says that the list is in force.
/// `false`: it did not say so within `limit`; the manifest stays with the broker, and the rest can be sent again.
///
/// # Errors
/// A folder without a signed list, or a broker that refuses.
pub fn publish(
    remote: &mut Remote,
    root: &str,
    folder: &Path,
    limit: Duration,
    tell: &mut dyn FnMut(Progress),
) -> anyhow::Result<bool> {
    let manifest = std::fs::read(folder.join(MANIFEST)).with_context(|| {
        format!("`{}` holds no signed list; make one with `forecourt members sign`", folder.display())
    })?;
    let head: Head = serde_json::from_slice(&manifest).context("the manifest is not understood")?;
    let words = anyhow::Error::msg;
    remote.subscribe(&format!("{root}/state/members")).map_err(words)?;
    if let Ok(delta) = std::fs::read(folder.join(DELTA)) {
        remote.publish(&format!("{root}/members/delta/{}/{}", head.epoch, head.rev), delta, false).map_err(words)?;
    }
    remote.publish(&format!("{root}/members/manifest"), manifest, true).map_err(words)?;
    let mut sending = Sending { remote, root, folder, head: &head, sent: BTreeMap::new(), refused: None };
    let until = Instant::now() + limit;
    let mut last = None;
    while Instant::now() < until {
        if let Some((_, payload)) = sending.remote.hear(LOOK_EVERY).map_err(words)? {
            last = serde_json::from_slice::<MembersState>(&payload).ok().or(last);
        }
        let Some(state) = &last else { continue };
        if sending.is_reached(state) {
            return Ok(true);
        }
        sending.answer(state, tell)?;
    }
    Ok(false)
}

/// A publication under way.
struct Sending<'a> {
    remote: &'a mut Remote,
    root: &'a str,
    folder: &'a Path,
    head: &'a Head,
    /// Chunks that were sent, and when.
    sent: BTreeMap<u32, Instant>,
    refused: Option<u64>,
}

/// A chunk that did not arrive for so long is sent again.
const SEND_AGAIN: Duration = Duration::from_secs(20);

impl Sending<'_> {
    fn is_reached(&self, state: &MembersState) -> bool {
        let Head { epoch, rev, digest, .. } = self.head;
        state.wants.is_none()
            && state.list.as_ref().is_some_and(|list| (&list.epoch, list.rev, &list.digest) == (epoch, *rev, digest))
    }

    /// Sends what the box says it is missing, not too far ahead of it.
    fn answer(&mut self, state: &MembersState, tell: &mut dyn FnMut(Progress)) -> anyhow::Result<()> {
        if let Some(refused) = &state.refused {
            // What was refused before this publication is none of its business.
            if self.refused.is_some_and(|known| refused.refused > known) {
                tell(Progress::Refused(format!("{}: {}", refused.reason, refused.words)));
            }
            self.refused = Some(refused.refused);
        } else {
            self.refused = Some(0);
        }
        let Some(wants) = &state.wants else { return Ok(()) };
        if (&wants.epoch, wants.rev) != (&self.head.epoch, self.head.rev) {
            return Ok(());
        }
        tell(Progress::Staged(wants.staged, wants.chunks));
        let missing = wants.missing.iter().flat_map(|[first, last]| *first..=*last);
        let fresh = |sent: Option<&Instant>| sent.is_none_or(|at| at.elapsed() >= SEND_AGAIN);
        let due: Vec<u32> = missing.take(AHEAD).filter(|chunk| fresh(self.sent.get(chunk))).collect();
        for chunk in due {
            let path = self.folder.join(chunk_name(chunk as usize));
            let bytes = std::fs::read(&path).with_context(|| format!("cannot read `{}`", path.display()))?;
            let topic = format!("{}/members/snapshot/{}/{}/{chunk}", self.root, wants.epoch, wants.rev);
            self.remote.publish(&topic, bytes, false).map_err(anyhow::Error::msg)?;
            self.sent.insert(chunk, Instant::now());
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::sync::{Parcel, TrustedKey, TrustedKeys, generate};

    fn member(name: &str, plate: &str) -> Value {
        json!({"plate": [plate], "member_ref": name, "consents": ["plate"]})
    }

    fn signing(rev: u64, chunk_bytes: usize) -> Signing<'static> {
        Signing { audience: "a/b/c", epoch: "e1", rev, issued: Timestamp::UNIX_EPOCH, chunk_bytes }
    }

    #[test]
    fn every_piece_is_believed_by_the_box_and_together_they_are_the_list() {
        let folder = tempfile::tempdir().unwrap();
        let (secret, public) = generate(&[5; 32]);
        let trusted = TrustedKeys::new(vec![TrustedKey::parse(&public).unwrap()]);
        let key = SigningKey::parse(&secret).unwrap();
        let members: Vec<Value> = (0..40).map(|n| member(&format!("m{n:02}"), &format!("皖A{n:05}"))).collect();
        let signed = sign(&members, Some((1, &members[..39])), &signing(2, 3_000), &key, folder.path()).unwrap();
        assert_eq!((signed.count, signed.changes), (40, Some(1)));
        assert!(signed.chunks > 2, "{signed:?}");
        let mut lines = Vec::new();
        for number in 0..signed.chunks {
            let bytes = std::fs::read(folder.path().join(chunk_name(number as usize))).unwrap();
            assert!(bytes.len() <= 3_000);
            let parcel = Parcel::open(&bytes, &trusted, "a/b/c").unwrap();
            assert_eq!((parcel.head.chunk, parcel.head.rev), (Some(number), 2));
            lines.extend(String::from_utf8(parcel.body).unwrap().lines().map(str::to_owned));
        }
        let mut hashes: Vec<_> = lines.iter().map(|line| hash_line(line.as_bytes())).collect();
        hashes.sort_unstable();
        assert_eq!((lines.len(), digest_of(hashes.into_iter())), (40, signed.digest));
        let delta = Parcel::open(&std::fs::read(folder.path().join(DELTA)).unwrap(), &trusted, "a/b/c").unwrap();
        assert_eq!(delta.head.from, Some(1));
        Parcel::open(&std::fs::read(folder.path().join(MANIFEST)).unwrap(), &trusted, "a/b/c").unwrap();
    }

    #[test]
    fn what_no_box_would_take_is_not_signed() {
        let folder = tempfile::tempdir().unwrap();
        let key = SigningKey::parse(&generate(&[5; 32]).0).unwrap();
        let refused =
            |members: &[Value]| sign(members, None, &signing(1, 60_000), &key, folder.path()).unwrap_err().to_string();
        assert!(refused(&[]).contains("names nobody"));
        assert!(refused(&[member("a", "皖A11111"), member("a", "皖A22222")]).contains("listed twice"));
        assert!(refused(&[json!({"plate": []})]).contains("no `member_ref`"));
        assert!(refused(&[member("a", &"x".repeat(70_000))]).contains("has room for"));
    }
}
