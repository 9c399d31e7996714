//! Tables of pictures of faces. Files are relative to the table's folder; a file that is not there is looked for in
//! the working folder.

use std::path::{Path, PathBuf};

use anyhow::{Context, ensure};
use serde::Deserialize;
use serde::de::DeserializeOwned;

/// Two pictures, of one person or of two.
#[derive(Clone, Debug, PartialEq)]
pub struct Pair {
    /// The pictures.
    pub files: [PathBuf; 2],
    /// One person.
    pub same: bool,
}

/// A picture and a word: an identity, or a class of expression.
#[derive(Clone, Debug, PartialEq)]
pub struct Labelled {
    /// The picture.
    pub file: PathBuf,
    /// Empty: a stranger.
    pub word: String,
}

#[derive(Deserialize)]
struct PairLine {
    file_a: String,
    file_b: String,
    same: String,
}

#[derive(Deserialize)]
struct LabelLine {
    file: String,
    #[serde(alias = "class", alias = "label", alias = "expression")]
    identity: String,
}

/// `file_a,file_b,same`.
pub fn pairs(path: &Path) -> anyhow::Result<Vec<Pair>> {
    let mut found = Vec::new();
    for (place, line) in lines::<PairLine>(path)?.into_iter().enumerate() {
        let same = match line.same.to_ascii_lowercase().as_str() {
            "1" | "true" | "yes" | "same" => true,
            "0" | "false" | "no" | "different" => false,
            word => anyhow::bail!("table `{}`, line {}: `same` is `{word}`, not 1 or 0", path.display(), place + 2),
        };
        found.push(Pair { files: [file(path, &line.file_a), file(path, &line.file_b)], same });
    }
    Ok(found)
}

/// `file,identity` or `file,class`.
pub fn labelled(path: &Path) -> anyhow::Result<Vec<Labelled>> {
    let lines = lines::<LabelLine>(path)?;
    Ok(lines.into_iter().map(|line| Labelled { file: file(path, &line.file), word: line.identity }).collect())
}

fn lines<T: DeserializeOwned>(path: &Path) -> anyhow::Result<Vec<T>> {
    let named = || format!("table `{}`", path.display());
    let mut table = csv::ReaderBuilder::new().trim(csv::Trim::All).from_path(path).with_context(named)?;
    let mut found = Vec::new();
    for (place, line) in table.deserialize::<T>().enumerate() {
        found.push(line.with_context(|| format!("table `{}`, line {}", path.display(), place + 2))?);
    }
    ensure!(!found.is_empty(), "{} has no line below its header", named());
    Ok(found)
}

fn file(table: &Path, name: &str) -> PathBuf {
    let beside = table.parent().unwrap_or(Path::new("")).join(name);
    if !beside.exists() && Path::new(name).exists() { PathBuf::from(name) } else { beside }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(text: &str) -> (tempfile::TempDir, PathBuf) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("table.csv");
        std::fs::write(&path, text).unwrap();
        (folder, path)
    }

    #[test]
    fn files_are_beside_the_table_and_an_empty_identity_is_a_stranger() {
        let (folder, path) = written("file_a,file_b,same\na.png, b.png ,1\na.png,c.png,false\n");
        let found = pairs(&path).unwrap();
        assert_eq!(found[0].files[1], folder.path().join("b.png"));
        assert_eq!(found.iter().map(|pair| pair.same).collect::<Vec<_>>(), [true, false]);
        let (_folder, path) = written("file,identity\na.png,anna\nb.png,\n");
        let words: Vec<String> = labelled(&path).unwrap().into_iter().map(|each| each.word).collect();
        assert_eq!(words, ["anna", ""]);
        let (_folder, path) = written("file,class\na.png,happy\n");
        assert_eq!(labelled(&path).unwrap()[0].word, "happy");
    }

    #[test]
    fn a_wrong_line_is_named() {
        let (_folder, path) = written("file_a,file_b,same\na.png,b.png,maybe\n");
        let words = format!("{:#}", pairs(&path).unwrap_err());
        assert!(words.contains("line 2") && words.contains("maybe"), "{words}");
        let (_folder, path) = written("file,identity\n");
        assert!(labelled(&path).unwrap_err().to_string().contains("no line"));
    }
}
