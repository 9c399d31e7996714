//! Sealing of small secrets: XChaCha20-Poly1305 with a fresh random nonce, bound to what they belong to.
//!
//! A sealed text opens only under the same key and the same words ([`Bound`]): moved to another member, another
//! embedding space, another box or another revision, it is refused. The nonce has 192 bits, so random ones never meet.

use chacha20poly1305::aead::{Aead, KeyInit, Payload};
use chacha20poly1305::{XChaCha20Poly1305, XNonce};
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

use crate::domain::sync::hex;

/// Bytes of a key.
pub(super) const KEY: usize = 32;
/// Bytes of a nonce.
const NONCE: usize = 24;

/// A key in memory; wiped when dropped.
pub(super) type Key = Zeroizing<[u8; KEY]>;

/// The system gave no random bytes; nothing was sealed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the system gives no random numbers, so nothing can be sealed")]
pub struct NoRandomness;

/// The text was changed, belongs to something else, or was sealed with another key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct NotOpened;

/// What a sealed text belongs to: words one after the other, each with its length, so that no two lists look alike.
pub(super) struct Bound(Vec<u8>);

impl Bound {
    /// For one kind of text.
    pub fn to(kind: &str) -> Self {
        Self(Vec::with_capacity(96)).and(kind.as_bytes())
    }

    /// One word more.
    pub fn and(mut self, word: &[u8]) -> Self {
        let length = u32::try_from(word.len()).expect("words are short");
        self.0.extend_from_slice(&length.to_le_bytes());
        self.0.extend_from_slice(word);
        self
    }
}

/// Fills a new key.
pub(super) fn new_key() -> Result<Key, NoRandomness> {
    let mut key = Key::default();
    getrandom::fill(&mut *key).map_err(|_| NoRandomness)?;
    Ok(key)
}

/// Nonce, then the sealed text and its tag.
pub(super) fn seal(key: &Key, bound: &Bound, plain: &[u8]) -> Result<Vec<u8>, NoRandomness> {
    let mut nonce = [0; NONCE];
    getrandom::fill(&mut nonce).map_err(|_| NoRandomness)?;
    let payload = Payload { msg: plain, aad: &bound.0 };
    let sealed = cipher(key).encrypt(&XNonce::from(nonce), payload).expect("the text is far below the cipher's limit");
    Ok([nonce.as_slice(), &sealed].concat())
}

/// The plain text; wiped when dropped.
pub(super) fn open(key: &Key, bound: &Bound, sealed: &[u8]) -> Result<Zeroizing<Vec<u8>>, NotOpened> {
    let (nonce, text) = sealed.split_first_chunk::<NONCE>().ok_or(NotOpened)?;
    let payload = Payload { msg: text, aad: &bound.0 };
    cipher(key).decrypt(&XNonce::from(*nonce), payload).map(Zeroizing::new).map_err(|_| NotOpened)
}

/// A name of a key that tells nothing of it.
pub(super) fn name_of(key: &Key) -> String {
    let mut hash = Sha256::new();
    hash.update(b"forecourt device key\0");
    hash.update(**key);
    hex(&hash.finalize()[..8])
}

fn cipher(key: &Key) -> XChaCha20Poly1305 {
    XChaCha20Poly1305::new((&**key).into())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bound(member: &str) -> Bound {
        Bound::to("face").and(member.as_bytes()).and(b"space-a")
    }

    #[test]
    fn what_was_sealed_opens_only_under_its_key_and_its_words() {
        let (key, other) = (new_key().unwrap(), new_key().unwrap());
        let sealed = seal(&key, &bound("m1"), b"numbers").unwrap();
        assert_eq!(sealed.len(), 7 + NONCE + 16);
        assert_eq!(open(&key, &bound("m1"), &sealed).unwrap().as_slice(), b"numbers");
        assert_eq!(open(&key, &bound("m2"), &sealed), Err(NotOpened));
        assert_eq!(open(&other, &bound("m1"), &sealed), Err(NotOpened));
        for at in 0..sealed.len() {
            let mut changed = sealed.clone();
            changed[at] ^= 1;
            assert_eq!(open(&key, &bound("m1"), &changed), Err(NotOpened), "byte {at}");
        }
        assert_eq!(open(&key, &bound("m1"), &sealed[..20]), Err(NotOpened));
    }

    #[test]
    fn the_same_text_is_sealed_differently_each_time() {
        let key = new_key().unwrap();
        assert_ne!(seal(&key, &bound("m1"), b"x").unwrap(), seal(&key, &bound("m1"), b"x").unwrap());
    }

    #[test]
    fn words_cannot_be_moved_over_their_borders() {
        assert_ne!(Bound::to("face").and(b"ab").and(b"c").0, Bound::to("face").and(b"a").and(b"bc").0);
    }

    /// Test vector of draft-irtf-cfrg-xchacha-03, A.3.1, opened by this code's own format.
    #[test]
    fn the_cipher_is_the_one_of_the_draft() {
        let key: Key = Zeroizing::new(std::array::from_fn(|at| 0x80 + at as u8));
        let nonce: [u8; NONCE] = std::array::from_fn(|at| 0x40 + at as u8);
        let aad = [0x50, 0x51, 0x52, 0x53, 0xc0, 0xc1, 0xc2, 0xc3, 0xc4, 0xc5, 0xc6, 0xc7];
        let plain = b"Ladies and Gentlemen of the class of '99: If I could offer you only one tip for the future, \
                      sunscreen would be it.";
        let sealed = cipher(&key).encrypt(&XNonce::from(nonce), Payload { msg: plain, aad: &aad }).unwrap();
        assert_eq!(sealed[..8], [0xbd, 0x6d, 0x17, 0x9d, 0x3e, 0x83, 0xd4, 0x3b]);
        // The tag of the draft.
        let tag = [0xc0, 0x87, 0x59, 0x24, 0xc1, 0xc7, 0x98, 0x79, 0x47, 0xde, 0xaf, 0xd8, 0x78, 0x0a, 0xcf, 0x49];
        assert_eq!(sealed[sealed.len() - 16..], tag);
    }
}
