//! JSON in one form only, and hashes over it.

use std::fmt::Write;

use serde_json::Value;
use sha2::{Digest, Sha256};

/// The canonical form (RFC 8785 for what is used here): no blanks, names sorted, integers, UTF-8.
pub fn canonical(value: &Value) -> String {
    let mut out = String::new();
    write(value, &mut out);
    out
}

fn write(value: &Value, out: &mut String) {
    match value {
        Value::Object(object) => {
            let mut names: Vec<&String> = object.keys().collect();
            names.sort_unstable_by(|a, b| a.encode_utf16().cmp(b.encode_utf16()));
            out.push('{');
            for (place, name) in names.into_iter().enumerate() {
                if place > 0 {
                    out.push(',');
                }
                let _ = write!(out, "{}:", Value::from(name.as_str()));
                write(&object[name], out);
            }
            out.push('}');
        }
        Value::Array(items) => {
            out.push('[');
            for (place, item) in items.iter().enumerate() {
                if place > 0 {
                    out.push(',');
                }
                write(item, out);
            }
            out.push(']');
        }
        single => {
            let _ = write!(out, "{single}");
        }
    }
}

/// Lower-case hexadecimal.
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut out, byte| {
        let _ = write!(out, "{byte:02x}");
        out
    })
}

/// SHA-256 of a line of a member list, without its line end.
pub fn hash_line(line: &[u8]) -> [u8; 32] {
    Sha256::digest(line).into()
}

/// The digest of a list: the hashes of its lines in hexadecimal, sorted, each with a line feed behind it, hashed again.
/// The order in which members are listed makes no difference. `sorted` must be sorted.
pub fn digest_of(sorted: impl Iterator<Item = [u8; 32]>) -> String {
    let mut all = Sha256::new();
    for hash in sorted {
        all.update(hex(&hash).as_bytes());
        all.update(b"\n");
    }
    hex(&all.finalize())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn names_are_sorted_at_every_depth_and_blanks_are_gone() {
        let value = json!({"b": [1, {"z": null, "a": true}], "a": "沪\n\"\\\u{1}", "Z": -7});
        assert_eq!(canonical(&value), "{\"Z\":-7,\"a\":\"沪\\n\\\"\\\\\\u0001\",\"b\":[1,{\"a\":true,\"z\":null}]}");
        assert_eq!(serde_json::from_str::<Value>(&canonical(&value)).unwrap(), value);
    }

    #[test]
    fn a_digest_can_be_made_with_the_tools_of_any_shell() {
        // printf 'a' | sha256sum; printf 'b' | sha256sum; both lines sorted | sha256sum
        let mut hashes = [hash_line(b"b"), hash_line(b"a")];
        hashes.sort_unstable();
        assert_eq!(hex(&hashes[0]), "3e23e8160039594a33894f6564e1b1348bbd7a0088d42c4acb73eeaed59c009d");
        assert_eq!(digest_of(hashes.into_iter()), "e31b611bfa25cad7df113c6721feec788606f694069ced6d3d3f738a89d14e2a");
    }
}
