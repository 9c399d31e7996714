//! What stands before a piece of a member list: which list, for whom, which piece, signed.
//!
//! A manifest is such a head alone. A chunk of a snapshot, or a delta, is a head on the first line and its members on
//! the lines after it; the head tells their hash. Every head names the whole list, so that each piece stands alone.

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sha2::{Digest, Sha256};

use super::TrustedKeys;
use super::canonical::hex;

/// The words in `format`.
pub const FORMAT: &str = "forecourt-members/1";
/// Largest chunk or delta, head and lines, in bytes; below what the box takes as one MQTT packet.
pub const LARGEST_CHUNK: usize = 240 * 1024;
/// Most chunks of a snapshot.
const MOST_CHUNKS: u32 = 65_536;

/// Which piece it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// The newest revision, retained; without lines.
    Manifest,
    /// A piece of the whole list.
    Snapshot,
    /// What changed since another revision.
    Delta,
}

/// The signed head.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Head {
    /// `forecourt-members/1`.
    pub format: String,
    /// Which piece it is.
    pub kind: Kind,
    /// For which boxes: `TENANT`, `TENANT/SITE` or `TENANT/SITE/DEVICE`.
    pub audience: String,
    /// Name of this line of revisions; a new one when the platform begins to count anew.
    pub epoch: String,
    /// Revision; only grows within an epoch.
    #[schemars(range(min = 1))]
    pub rev: u64,
    /// When it was signed; only grows over epochs.
    pub issued: Timestamp,
    /// Members of the whole list at this revision.
    pub count: u64,
    /// Digest of the whole list at this revision: 64 hexadecimal digits.
    #[schemars(regex(pattern = "^[0-9a-f]{64}$"))]
    pub digest: String,
    /// Chunks of its snapshot.
    pub chunks: u32,
    /// Snapshot: which chunk, from 0.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub chunk: Option<u32>,
    /// Delta: the revision that it changes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<u64>,
    /// SHA-256 of all bytes after the first line feed, in hexadecimal.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(regex(pattern = "^[0-9a-f]{64}$"))]
    pub sha256: Option<String>,
    /// Name of the key: the first eight bytes of its SHA-256 in hexadecimal.
    pub key: String,
    /// Ed25519 over the canonical form of all other fields, in base64.
    pub signature: String,
}

/// A piece whose head is sound and trusted, and whose lines are what the head says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Parcel {
    /// Its head.
    pub head: Head,
    /// The lines after it.
    pub body: Vec<u8>,
}

/// Why a piece is refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wrong {
    /// One word, as it stands in `state/members`.
    pub reason: &'static str,
    /// In words; never a plate.
    pub words: String,
}

impl Wrong {
    /// With its words.
    pub fn new(reason: &'static str, words: impl Into<String>) -> Self {
        Self { reason, words: words.into() }
    }
}

impl Parcel {
    /// Reads a piece and believes it only when a trusted key signed it for this box (`TENANT/SITE/DEVICE`).
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn open(payload: &[u8], trusted: &TrustedKeys, own: &str) -> Result<Self, Wrong> {
        if payload.len() > LARGEST_CHUNK {
            return Err(Wrong::new("too-large", format!("it has {} bytes, {LARGEST_CHUNK} are taken", payload.len())));
        }
        let (first, body) = match payload.iter().position(|byte| *byte == b'\n') {
            Some(end) => (&payload[..end], &payload[end + 1..]),
            None => (payload, &[][..]),
        };
        let object: Value =
            serde_json::from_slice(first).map_err(|_| Wrong::new("not-readable", "its first line is no JSON"))?;
        trusted.verify(&object).map_err(|words| Wrong::new("not-trusted", words))?;
        let head: Head = serde_json::from_value(object)
            .map_err(|error| Wrong::new("not-readable", format!("its head is not understood: {error}")))?;
        head.check(own)?;
        let sum = head.sha256.as_deref();
        match head.kind {
            Kind::Manifest if !body.is_empty() => return Err(Wrong::new("not-readable", "a manifest has one line")),
            Kind::Manifest => {}
            Kind::Snapshot | Kind::Delta if sum != Some(hex(&Sha256::digest(body)).as_str()) => {
                return Err(Wrong::new("damaged", "its lines are not those that were signed"));
            }
            Kind::Snapshot | Kind::Delta => {}
        }
        Ok(Self { head, body: body.to_vec() })
    }
}

impl Head {
    fn check(&self, own: &str) -> Result<(), Wrong> {
        let wrong = |words: &str| Err(Wrong::new("not-readable", words));
        if self.format != FORMAT {
            return Err(Wrong::new("format", format!("its format is not `{FORMAT}`")));
        }
        if !audience_holds(&self.audience, own) {
            return Err(Wrong::new("audience", "it is meant for another box"));
        }
        let word = |text: &str| text.chars().all(|c| c.is_ascii_alphanumeric() || "-_.".contains(c));
        if self.epoch.is_empty() || self.epoch.len() > 64 || !word(&self.epoch) {
            return wrong("`epoch` is no word of 1 to 64 letters, digits, `-`, `_`, `.`");
        }
        if self.rev == 0 || self.rev > i64::MAX.cast_unsigned() {
            return wrong("`rev` is no number from 1");
        }
        if self.digest.len() != 64 || !self.digest.bytes().all(|c| c.is_ascii_digit() || (b'a'..=b'f').contains(&c)) {
            return wrong("`digest` is not 64 hexadecimal digits in lower case");
        }
        if !(1..=MOST_CHUNKS).contains(&self.chunks) {
            return wrong("`chunks` is no number from 1 to 65536");
        }
        match (self.kind, self.chunk, self.from) {
            (Kind::Snapshot, Some(chunk), None) if chunk < self.chunks => Ok(()),
            (Kind::Delta, None, Some(from)) if from < self.rev => Ok(()),
            (Kind::Manifest, None, None) => Ok(()),
            _ => wrong("`chunk` and `from` do not fit `kind`"),
        }
    }

    /// Is it about the same list in the same state?
    pub fn same_list(&self, other: &Self) -> bool {
        let about = |head: &Self| (head.epoch.clone(), head.rev, head.digest.clone(), head.count, head.chunks);
        about(self) == about(other)
    }
}

/// Does an audience name the box `TENANT/SITE/DEVICE`?
pub fn audience_holds(audience: &str, own: &str) -> bool {
    !audience.is_empty() && (own == audience || own.strip_prefix(audience).is_some_and(|rest| rest.starts_with('/')))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::{SigningKey, TrustedKey, generate};
    use super::*;

    fn keys() -> (SigningKey, TrustedKeys) {
        let (secret, public) = generate(&[3; 32]);
        (SigningKey::parse(&secret).unwrap(), TrustedKeys::new(vec![TrustedKey::parse(&public).unwrap()]))
    }

    fn head(kind: &str) -> Value {
        json!({
            "format": FORMAT, "kind": kind, "audience": "acme/sh", "epoch": "2026", "rev": 3, "issued": "2026-03-01T08:00:00Z",
            "count": 1, "digest": "0".repeat(64), "chunks": 2,
        })
    }

    fn chunk(body: &str) -> Value {
        let mut head = head("snapshot");
        head["chunk"] = json!(1);
        head["sha256"] = json!(hex(&Sha256::digest(body)));
        head
    }

    fn opened(head: &Value, body: &str, own: &str) -> Result<Parcel, &'static str> {
        let payload = format!("{head}\n{body}");
        let payload = if body.is_empty() { head.to_string() } else { payload };
        Parcel::open(payload.as_bytes(), &keys().1, own).map_err(|wrong| wrong.reason)
    }

    #[test]
    fn a_signed_chunk_is_opened_by_the_box_it_is_meant_for() {
        let signed = keys().0.sign(chunk("{}\n"));
        assert_eq!(opened(&signed, "{}\n", "acme/sh/box-1").unwrap().body, b"{}\n");
        assert_eq!(opened(&signed, "{} \n", "acme/sh/box-1"), Err("damaged"));
        for other in ["acme/shop/box-1", "other/sh/box-1", "acme"] {
            assert_eq!(opened(&signed, "{}\n", other), Err("audience"), "{other}");
        }
    }

    #[test]
    fn heads_that_make_no_sense_are_refused_though_they_are_signed() {
        for (name, value, reason) in [
            ("format", json!("forecourt-members/2"), "format"),
            ("epoch", json!("a/b"), "not-readable"),
            ("rev", json!(0), "not-readable"),
            ("rev", json!(-1), "not-readable"),
            ("count", json!(1.5), "not-readable"),
            ("digest", json!("00"), "not-readable"),
            ("chunks", json!(0), "not-readable"),
            ("chunks", json!(4_000_000_000_u64), "not-readable"),
            ("chunk", json!(2), "not-readable"),
            ("from", json!(2), "not-readable"),
            ("sha256", Value::Null, "damaged"),
        ] {
            let mut odd = chunk("{}\n");
            odd[name] = value;
            assert_eq!(opened(&keys().0.sign(odd), "{}\n", "acme/sh/b"), Err(reason), "{name}");
        }
        assert_eq!(opened(&chunk("{}\n"), "{}\n", "acme/sh/b"), Err("not-trusted"));
        assert_eq!(opened(&keys().0.sign(head("manifest")), "{}\n", "acme/sh/b"), Err("not-readable"));
        opened(&keys().0.sign(head("manifest")), "", "acme/sh/b").unwrap();
    }

    #[test]
    fn garbage_and_bombs_are_refused_before_they_cost_anything() {
        let trusted = keys().1;
        let refused = |payload: &[u8]| Parcel::open(payload, &trusted, "a/b/c").unwrap_err().reason;
        assert_eq!(refused(b""), "not-readable");
        assert_eq!(refused(&[0xff, 0, 1]), "not-readable");
        assert_eq!(refused("[".repeat(200_000).as_bytes()), "not-readable");
        assert_eq!(refused(&vec![b' '; LARGEST_CHUNK + 1]), "too-large");
        assert_eq!(refused(b"[1]"), "not-trusted");
    }
}
