//! Ed25519 over canonical JSON. Keys are the PEM files that `openssl genpkey -algorithm ed25519` writes, or 64
//! hexadecimal digits.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use ed25519_dalek::{Signature, Signer, VerifyingKey};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

use super::canonical::{canonical, hex};

/// What stands before the 32 bytes of a public key in its PEM file (SubjectPublicKeyInfo, RFC 8410).
const PUBLIC: [u8; 12] = [0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00];
/// The same for a secret one (PKCS #8, RFC 8410).
const SECRET: [u8; 16] =
    [0x30, 0x2e, 0x02, 0x01, 0x00, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x04, 0x22, 0x04, 0x20];

/// A key that cannot be read as one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// Neither PEM nor hexadecimal.
    #[error("is no Ed25519 key; write 64 hexadecimal digits, or a PEM file of `forecourt members keygen` or openssl")]
    NotAKey,
    /// The other half.
    #[error("is a public key; the secret one is needed")]
    Public,
    /// The other half, where it should never be.
    #[error("is a secret key; a box needs the public one")]
    Secret,
}

/// A key whose signatures count.
#[derive(Clone, Debug)]
pub struct TrustedKey {
    id: String,
    key: VerifyingKey,
}

impl TrustedKey {
    /// From PEM or 64 hexadecimal digits.
    ///
    /// # Errors
    /// When it is no public key.
    pub fn parse(text: &str) -> Result<Self, KeyError> {
        let bytes = match pem(text, "PUBLIC KEY")? {
            Some(der) => after(&der, &PUBLIC).ok_or(KeyError::NotAKey)?,
            None => from_hex(text).ok_or(KeyError::NotAKey)?,
        };
        let key = VerifyingKey::from_bytes(&bytes).map_err(|_| KeyError::NotAKey)?;
        Ok(Self { id: key_id(&key), key })
    }

    /// The first eight bytes of the key's SHA-256, in hexadecimal.
    pub fn id(&self) -> &str {
        &self.id
    }
}

/// All keys whose signatures count for one purpose.
#[derive(Clone, Debug, Default)]
pub struct TrustedKeys(Vec<TrustedKey>);

impl TrustedKeys {
    /// Of these.
    pub fn new(keys: Vec<TrustedKey>) -> Self {
        Self(keys)
    }

    /// Is nobody trusted?
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Was the object signed by a trusted key? In words why not.
    ///
    /// # Errors
    /// No signature, a key that is not trusted, or a signature that does not fit.
    pub fn verify(&self, object: &Value) -> Result<(), &'static str> {
        let field = |name| object.get(name).and_then(Value::as_str);
        let (Some(id), Some(signature)) = (field("key"), field("signature")) else { return Err("it is not signed") };
        let trusted = self.0.iter().find(|each| each.id == id).ok_or("it is signed by a key that is not trusted")?;
        let bytes = STANDARD.decode(signature).ok().and_then(|bytes| Signature::from_slice(&bytes).ok());
        let signature = bytes.ok_or("its signature is not readable")?;
        trusted.key.verify_strict(signed_part(object).as_bytes(), &signature).map_err(|_| "its signature does not fit")
    }
}

/// A key that signs; wiped when dropped.
pub struct SigningKey(ed25519_dalek::SigningKey);

impl SigningKey {
    /// From PEM or 64 hexadecimal digits.
    ///
    /// # Errors
    /// When it is no secret key.
    pub fn parse(text: &str) -> Result<Self, KeyError> {
        let bytes = match pem(text, "PRIVATE KEY")? {
            Some(der) => after(&der, &SECRET).ok_or(KeyError::NotAKey)?,
            None => from_hex(text).ok_or(KeyError::NotAKey)?,
        };
        Ok(Self(ed25519_dalek::SigningKey::from_bytes(&Zeroizing::new(bytes))))
    }

    /// The public half's name.
    pub fn id(&self) -> String {
        key_id(&self.0.verifying_key())
    }

    /// Puts `key` and `signature` into the object.
    #[must_use]
    pub fn sign(&self, mut object: Value) -> Value {
        object["key"] = json!(self.id());
        let signature = self.0.sign(signed_part(&object).as_bytes());
        object["signature"] = json!(STANDARD.encode(signature.to_bytes()));
        object
    }
}

/// Secret and public key as PEM files, made from 32 random bytes.
pub fn generate(random: &[u8; 32]) -> (Zeroizing<String>, String) {
    let key = ed25519_dalek::SigningKey::from_bytes(random);
    let secret = Zeroizing::new([SECRET.as_slice(), random].concat());
    let public = [PUBLIC.as_slice(), key.verifying_key().as_bytes()].concat();
    let wrap =
        |name: &str, der: &[u8]| format!("-----BEGIN {name}-----\n{}\n-----END {name}-----\n", STANDARD.encode(der));
    (Zeroizing::new(wrap("PRIVATE KEY", &secret)), wrap("PUBLIC KEY", &public))
}

/// Everything but the signature, in its canonical form.
fn signed_part(object: &Value) -> String {
    let mut part = object.clone();
    if let Some(fields) = part.as_object_mut() {
        fields.shift_remove("signature");
    }
    canonical(&part)
}

fn key_id(key: &VerifyingKey) -> String {
    hex(&Sha256::digest(key.as_bytes())[..8])
}

/// The bytes inside a PEM text; `None`: it is none.
fn pem(text: &str, wanted: &str) -> Result<Option<Zeroizing<Vec<u8>>>, KeyError> {
    let text = text.trim();
    let Some(rest) = text.strip_prefix("-----BEGIN ") else { return Ok(None) };
    let (name, rest) = rest.split_once("-----").ok_or(KeyError::NotAKey)?;
    if name != wanted {
        return Err(match name {
            "PUBLIC KEY" => KeyError::Public,
            "PRIVATE KEY" => KeyError::Secret,
            _ => KeyError::NotAKey,
        });
    }
    let (body, _) = rest.split_once("-----END").ok_or(KeyError::NotAKey)?;
    let body: Zeroizing<String> = Zeroizing::new(body.split_whitespace().collect());
    STANDARD.decode(body.as_bytes()).map(|bytes| Some(Zeroizing::new(bytes))).map_err(|_| KeyError::NotAKey)
}

fn after(der: &[u8], head: &[u8]) -> Option<[u8; 32]> {
    der.strip_prefix(head)?.try_into().ok()
}

fn from_hex(text: &str) -> Option<[u8; 32]> {
    let text = text.trim();
    let digits = (text.len() == 64 && text.is_ascii()).then_some(text)?;
    let mut bytes = [0; 32];
    for (place, byte) in bytes.iter_mut().enumerate() {
        *byte = u8::from_str_radix(&digits[2 * place..2 * place + 2], 16).ok()?;
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pair(seed: u8) -> (SigningKey, TrustedKeys) {
        let (secret, public) = generate(&[seed; 32]);
        (SigningKey::parse(&secret).unwrap(), TrustedKeys::new(vec![TrustedKey::parse(&public).unwrap()]))
    }

    #[test]
    fn what_was_signed_is_believed_whatever_the_order_and_the_blanks() {
        let (key, trusted) = pair(7);
        let signed = key.sign(json!({"rev": 3, "audience": "a/b/c", "later": {"z": 1, "a": [true]}}));
        trusted.verify(&signed).unwrap();
        let (id, signature) = (&signed["key"], &signed["signature"]);
        let shuffled = format!(
            "{{ \"signature\": {signature}, \"later\": {{\"a\": [true], \"z\": 1}}, \"key\": {id}, \"audience\":\"a\\/b/c\", \"rev\":3 }}"
        );
        trusted.verify(&serde_json::from_str(&shuffled).unwrap()).unwrap();
    }

    #[test]
    fn whatever_was_changed_is_not_believed() {
        let (key, trusted) = pair(7);
        let signed = key.sign(json!({"rev": 3}));
        let mut changed = signed.clone();
        changed["rev"] = json!(4);
        assert_eq!(trusted.verify(&changed), Err("its signature does not fit"));
        changed = signed.clone();
        changed["more"] = json!(1);
        assert!(trusted.verify(&changed).is_err());
        assert_eq!(pair(8).1.verify(&signed), Err("it is signed by a key that is not trusted"));
        assert_eq!(trusted.verify(&json!({"rev": 3})), Err("it is not signed"));
        assert!(TrustedKeys::default().verify(&signed).is_err());
    }

    #[test]
    fn keys_of_openssl_are_read_and_halves_are_told_apart() {
        // openssl genpkey -algorithm ed25519; the example of RFC 8410, section 10.
        let secret = "-----BEGIN PRIVATE KEY-----\nMC4CAQAwBQYDK2VwBCIEINTuctv5E1hK1bbY8fdp+K06/nwoy/HU++CXqI9EdVhC\n-----END PRIVATE KEY-----\n";
        let public = "-----BEGIN PUBLIC KEY-----\nMCowBQYDK2VwAyEAGb9ECWmEzf6FQbrBZ9w7lshQhqowtrbLDFw4rXAxZuE=\n-----END PUBLIC KEY-----\n";
        let key = SigningKey::parse(secret).unwrap();
        assert_eq!(key.id(), TrustedKey::parse(public).unwrap().id());
        assert_eq!(SigningKey::parse(public).err(), Some(KeyError::Public));
        assert_eq!(TrustedKey::parse(secret).err(), Some(KeyError::Secret));
        for nonsense in ["", "abc", "-----BEGIN PUBLIC KEY-----", &"zz".repeat(32)] {
            assert_eq!(TrustedKey::parse(nonsense).err(), Some(KeyError::NotAKey), "{nonsense}");
        }
        let hex = "19bf44096984cdfe8541bac167dc3b96c85086aa30b6b6cb0c5c38ad703166e1";
        assert_eq!(TrustedKey::parse(hex).unwrap().id(), key.id());
    }
}
