//! A reader's own errors, `truth,read,count`: every symbol that was read, and what had really been there.

use std::collections::HashMap;
use std::path::Path;

use anyhow::Context;
use serde::Deserialize;

use crate::domain::plate::confusion::Confusions;

/// A symbol that was read less often than this is taken as read so often: few errors of few are chance.
const FEW: f32 = 50.0;

#[derive(Deserialize)]
struct Line {
    truth: String,
    read: String,
    count: f32,
}

/// Reads the table; errors name the file and the line.
pub(crate) fn read(path: &Path) -> anyhow::Result<Confusions> {
    let mut table = csv::Reader::from_path(path).with_context(|| format!("confusions `{}`", path.display()))?;
    let mut counts: Vec<(char, char, f32)> = Vec::new();
    let mut totals: HashMap<char, f32> = HashMap::new();
    for (place, line) in table.deserialize::<Line>().enumerate() {
        let numbered = || format!("confusions `{}`, line {}", path.display(), place + 2);
        let Line { truth, read, count } = line.with_context(numbered)?;
        anyhow::ensure!(count >= 0.0, "{}: a count is never below 0", numbered());
        // A symbol that was made up or left out has no partner; the alignment of the evidence accounts for it.
        if let (Some(truth), Some(read)) = (only(&truth), only(&read)) {
            *totals.entry(read).or_default() += count;
            counts.push((read, truth, count));
        }
    }
    let mistaken = counts.into_iter().filter(|(read, truth, count)| read != truth && *count > 0.0);
    let share = |(read, truth, count): (char, char, f32)| (read, truth, count / totals[&read].max(FEW));
    Ok(Confusions { pairs: mistaken.map(share).collect(), ..Confusions::default() })
}

fn only(text: &str) -> Option<char> {
    let mut symbols = text.chars();
    symbols.next().filter(|_| symbols.next().is_none())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_are_of_all_that_was_read_as_the_symbol() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("confusions.csv");
        std::fs::write(&path, "truth,read,count\n8,8,90\nB,8,10\nD,0,1\n,8,5\n").unwrap();
        assert_eq!(read(&path).unwrap().pairs, vec![('8', 'B', 0.1), ('0', 'D', 0.02)]);
        std::fs::write(&path, "truth,read,count\n8,8,many\n").unwrap();
        assert!(format!("{:#}", read(&path).unwrap_err()).contains("line 2"));
    }
}
