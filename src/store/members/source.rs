//! A file as lines: bounded in length, numbered, and recognised by its first one (byte order mark, encoding, format).
//!
//! A line is a record in both formats, so that one bad line spoils no other and memory is bounded whatever comes in.

use std::io::{BufRead, Read};

use super::report::Fault;

/// Longest line, in bytes; a member with a hundred plates needs two thousand, 32 face templates of 512 numbers 90,000.
const MAX_LINE: u64 = 256 * 1024;

/// How members are written in a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// Comma-separated values with a header.
    Csv,
    /// One JSON object a line.
    JsonLines,
}

/// How far an import is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Progress {
    /// Bytes read.
    pub bytes: u64,
    /// Lines read.
    pub lines: u64,
}

/// Lines of a file.
pub(super) struct Lines<R> {
    reader: R,
    line: Vec<u8>,
    /// Number of the line last read, from 1.
    pub number: u64,
    bytes: u64,
    /// Did the line last read end in a line feed?
    pub ended: bool,
}

/// What came next.
pub(super) enum Next<'a> {
    /// A line without its line end and without a byte order mark.
    Line(&'a [u8]),
    /// A line over the limit; the rest of it was passed over.
    TooLong,
    /// The end of the file.
    End,
}

impl<R: BufRead> Lines<R> {
    pub fn new(reader: R) -> Self {
        Self { reader, line: Vec::new(), number: 0, bytes: 0, ended: true }
    }

    pub fn progress(&self) -> Progress {
        Progress { bytes: self.bytes, lines: self.number }
    }

    pub fn next(&mut self) -> std::io::Result<Next<'_>> {
        self.line.clear();
        let read = (&mut self.reader).take(MAX_LINE).read_until(b'\n', &mut self.line)? as u64;
        if read == 0 {
            return Ok(Next::End);
        }
        self.number += 1;
        self.bytes += read;
        self.ended = self.line.last() == Some(&b'\n');
        if read == MAX_LINE && !self.ended {
            self.pass_over()?;
            return Ok(Next::TooLong);
        }
        let mut text = self.line.strip_suffix(b"\n").unwrap_or(&self.line);
        text = text.strip_suffix(b"\r").unwrap_or(text);
        if self.number == 1 {
            text = text.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(text);
        }
        Ok(Next::Line(text))
    }

    /// Reads on to the end of the line without keeping it.
    fn pass_over(&mut self) -> std::io::Result<()> {
        while !self.ended {
            self.line.clear();
            let read = (&mut self.reader).take(MAX_LINE).read_until(b'\n', &mut self.line)? as u64;
            self.bytes += read;
            self.ended = read == 0 || self.line.last() == Some(&b'\n');
        }
        Ok(())
    }
}

/// The fault of a line over the limit.
pub(super) fn too_long() -> Fault {
    let way_out = "write each member on its own line; a member with many plates may have several lines";
    Fault::new(None, format!("the line is longer than {} KiB", MAX_LINE / 1024), way_out)
}

/// The text of a line, or what its bytes look like instead.
pub(super) fn text(line: &[u8]) -> Result<&str, Fault> {
    std::str::from_utf8(line).map_err(|_| {
        let way_out = "save the file as UTF-8 (Excel: `CSV UTF-8`; a GBK file: `iconv -f GBK -t UTF-8`)";
        Fault::new(None, "the line is not UTF-8", way_out)
    })
}

/// Says what the first line cannot be the beginning of; `None`: it looks like text.
pub(super) fn not_text(first: &[u8]) -> Option<Fault> {
    let fault = |wrong: &str, way_out: &str| Some(Fault::new(None, wrong, way_out));
    match first {
        [0xFF, 0xFE, ..] | [0xFE, 0xFF, ..] => utf16(),
        [b'P', b'K', 3 | 5, ..] => {
            fault("the file is a workbook or a zip archive", "save it as `CSV UTF-8`, or unpack it, and import that")
        }
        [0x1F, 0x8B, ..] => {
            fault("the file is compressed with gzip", "unpack it first: `zcat FILE | forecourt members import -`")
        }
        [0xFF, 0xD8, 0xFF, ..] | [0x89, b'P', b'N', b'G', ..] => {
            fault("the file is a picture", "name the list of members; `forecourt members enroll` takes photos")
        }
        _ if first.starts_with(b"SQLite format 3\0") => fault("the file is a database", "export it as `CSV UTF-8`"),
        _ if first.starts_with(b"%PDF-") => fault("the file is a PDF document", "export the list as `CSV UTF-8`"),
        _ if every_other_is_zero(first) => utf16(),
        _ if first.contains(&0) => fault("the file is no text", "name a CSV or JSON Lines file"),
        _ => None,
    }
}

/// Letters of the Latin alphabet in UTF-16: zeros in half of the places, and in no other.
fn every_other_is_zero(first: &[u8]) -> bool {
    let zeros = |start: usize| first.iter().skip(start).step_by(2).filter(|byte| **byte == 0).count();
    let (even, odd) = (zeros(0), zeros(1));
    even.min(odd) == 0 && even.max(odd) * 4 >= first.len()
}

fn utf16() -> Option<Fault> {
    let way_out = "save it as UTF-8 (Excel: `CSV UTF-8`), or `iconv -f UTF-16 -t UTF-8 FILE`";
    Some(Fault::new(None, "the file is UTF-16, not UTF-8", way_out))
}

/// The format of a text by its first line that is not blank.
pub(super) fn format_of(first: &str) -> Result<Format, Fault> {
    match first.trim_start().as_bytes().first() {
        Some(b'{') => Ok(Format::JsonLines),
        Some(b'[') => {
            let way_out = "write one object a line (JSON Lines): `jq -c '.[]' FILE | forecourt members import -`";
            Err(Fault::new(None, "the file is a JSON list", way_out))
        }
        _ => Ok(Format::Csv),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(bytes: &[u8]) -> Vec<Option<Vec<u8>>> {
        let mut lines = Lines::new(bytes);
        let mut out = Vec::new();
        loop {
            match lines.next().unwrap() {
                Next::Line(line) => out.push(Some(line.to_vec())),
                Next::TooLong => out.push(None),
                Next::End => return out,
            }
        }
    }

    #[test]
    fn marks_and_line_ends_of_every_system_are_taken_off() {
        let lines = all(b"\xEF\xBB\xBFa\r\nb\n\nc");
        assert_eq!(lines, [Some(b"a".to_vec()), Some(b"b".to_vec()), Some(vec![]), Some(b"c".to_vec())]);
    }

    #[test]
    fn a_huge_line_is_passed_over_and_the_next_one_read() {
        let mut bytes = b"a\n".to_vec();
        bytes.extend(std::iter::repeat_n(b'x', 3 * MAX_LINE as usize + 7));
        bytes.extend(b"\nb\n");
        assert_eq!(all(&bytes), [Some(b"a".to_vec()), None, Some(b"b".to_vec())]);
    }
}
