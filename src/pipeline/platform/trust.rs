//! Reads the keys whose signatures count.

use std::path::Path;

use anyhow::Context;

use crate::domain::sync::{TrustedKey, TrustedKeys};

/// Each word is a key in hexadecimal, or a file when it holds a `/`.
pub(super) fn keys(setting: &str, words: &[String], base: &Path) -> anyhow::Result<TrustedKeys> {
    let read = |word: &String| {
        let text = if word.contains('/') {
            let path = base.join(word);
            std::fs::read_to_string(&path).with_context(|| format!("cannot read `{}` ({setting})", path.display()))?
        } else {
            word.clone()
        };
        TrustedKey::parse(&text).with_context(|| format!("`{word}` ({setting})"))
    };
    Ok(TrustedKeys::new(words.iter().map(read).collect::<anyhow::Result<_>>()?))
}
