//! Text files as people's computers write them: with a byte-order mark, as UTF-16, with CR LF.

use encoding_rs::{Encoding, UTF_8, UTF_16BE, UTF_16LE};

/// Larger files are something else.
pub const MOST_BYTES: usize = 1 << 20;

/// The text, with plain line ends; or why it is none, in words for an installer.
///
/// UTF-16 without a mark is recognised by its zeros: a settings file begins with ASCII.
pub fn decode(bytes: &[u8]) -> Result<String, String> {
    if bytes.len() > MOST_BYTES {
        return Err("it is larger than 1 MiB; this is no settings file".to_owned());
    }
    let (encoding, skip) = Encoding::for_bom(bytes).unwrap_or_else(|| (guessed(bytes), 0));
    let text = encoding.decode_without_bom_handling_and_without_replacement(&bytes[skip..]);
    let text = text.ok_or_else(|| format!("it is not {} text; save it as UTF-8", encoding.name()))?;
    if text.trim().is_empty() {
        return Err("it is empty".to_owned());
    }
    if text.contains('\0') {
        return Err("it holds zero bytes; the stick may be damaged, or the file is no text".to_owned());
    }
    Ok(text.replace("\r\n", "\n").replace('\r', "\n"))
}

fn guessed(bytes: &[u8]) -> &'static Encoding {
    match bytes {
        [first, 0, ..] if *first != 0 => UTF_16LE,
        [0, second, ..] if *second != 0 => UTF_16BE,
        _ => UTF_8,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "[site]\ntenant = \"店\"\n";

    fn utf16(text: &str, order: fn(u16) -> [u8; 2]) -> Vec<u8> {
        text.encode_utf16().flat_map(order).collect()
    }

    #[test]
    fn every_way_of_saving_gives_the_same_text() {
        let windows = TEXT.replace('\n', "\r\n");
        let marked = format!("\u{feff}{windows}");
        let ways: [Vec<u8>; 8] = [
            TEXT.into(),
            windows.clone().into(),
            TEXT.replace('\n', "\r").into(),
            marked.clone().into(),
            utf16(&marked, u16::to_le_bytes),
            utf16(&marked, u16::to_be_bytes),
            utf16(&windows, u16::to_le_bytes),
            utf16(&windows, u16::to_be_bytes),
        ];
        for way in ways {
            assert_eq!(decode(&way).as_deref(), Ok(TEXT), "{way:02x?}");
        }
    }

    #[test]
    fn what_is_no_text_is_refused_in_words() {
        for (bytes, word) in [
            (vec![], "empty"),
            (b"\xef\xbb\xbf \r\n".to_vec(), "empty"),
            (b"abc\xff\xfe".to_vec(), "UTF-8"),
            (b"abc\0\0\0".to_vec(), "zero"),
            (vec![b'x'; MOST_BYTES + 1], "1 MiB"),
            (b"\xff\xfea".to_vec(), "UTF-16LE"),
        ] {
            let words = decode(&bytes).unwrap_err();
            assert!(words.contains(word), "{words}");
        }
    }
}
