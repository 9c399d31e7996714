//! What lies on the stick: names are found whatever their case and with the `.txt` that editors append.
//!
//! Only plain files count: those of the top folder, and those that the settings name in folders below it. Nothing on the stick is executed, and no path leads out of it.

use std::fs;
use std::io::Read;
use std::path::{Component, Path, PathBuf};

use super::text;

/// Name of the settings on the stick.
pub const SITE: &str = "forecourt-site.toml";
/// Name of the file with the one-time token.
pub const ENROL: &str = "enrol.txt";

/// A folder that an installer brought.
#[derive(Clone, Debug)]
pub struct Stick {
    folder: PathBuf,
}

impl Stick {
    /// The folder.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn open(folder: &Path) -> Result<Self, String> {
        fs::read_dir(folder).map_err(|error| format!("cannot read `{}`: {error}", folder.display()))?;
        Ok(Self { folder: folder.to_owned() })
    }

    /// The folder.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// The file of that name; `None` when there is none.
    ///
    /// # Errors
    /// When several files could be meant.
    pub fn find(&self, name: &str) -> Result<Option<PathBuf>, String> {
        let entries = fs::read_dir(&self.folder).map_err(|error| format!("cannot read the stick: {error}"))?;
        let mut found: Vec<PathBuf> = entries
            .flatten()
            .filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_file()))
            .filter(|entry| entry.file_name().to_str().is_some_and(|each| means(each, name)))
            .map(|entry| entry.path())
            .collect();
        found.sort();
        match found.len() {
            0 | 1 => Ok(found.pop()),
            _ => {
                let names: Vec<String> = found
                    .iter()
                    .filter_map(|path| path.file_name())
                    .map(|name| format!("`{}`", name.display()))
                    .collect();
                Err(format!("{} could all be meant; leave one of them", names.join(" and ")))
            }
        }
    }

    /// The text of the file of that name.
    ///
    /// # Errors
    /// When there are several, or it is no text, in words.
    pub fn text(&self, name: &str) -> Result<Option<String>, String> {
        let Some(path) = self.find(name)? else { return Ok(None) };
        let bytes = read(&path, text::MOST_BYTES)?;
        text::decode(&bytes).map(Some).map_err(|reason| format!("`{name}`: {reason}"))
    }

    /// The bytes of a file that the settings name by a relative path; `None` when it is not on the stick.
    ///
    /// # Errors
    /// When the path leads out of the stick or the file cannot be read.
    pub fn named(&self, path: &Path) -> Result<Option<Vec<u8>>, String> {
        if !path.components().all(|part| matches!(part, Component::Normal(_) | Component::CurDir)) {
            return Err(format!("`{}` leads out of the stick", path.display()));
        }
        let mut whole = self.folder.clone();
        let mut parts = path.components().filter(|part| *part != Component::CurDir).peekable();
        while let Some(part) = parts.next() {
            whole.push(part);
            let Ok(about) = fs::symlink_metadata(&whole) else { return Ok(None) };
            // A link may lead anywhere.
            let is_last = parts.peek().is_none();
            if !(if is_last { about.is_file() } else { about.is_dir() }) {
                return Err(format!("`{}` is no plain file", path.display()));
            }
        }
        let bytes = read(&whole, text::MOST_BYTES)?;
        if bytes.len() > text::MOST_BYTES {
            return Err(format!("`{}` is larger than 1 MiB", path.display()));
        }
        Ok(Some(bytes))
    }
}

/// At most `most` bytes and one more, by which a larger file is known.
fn read(path: &Path, most: usize) -> Result<Vec<u8>, String> {
    let words = |error: std::io::Error| format!("cannot read `{}`: {error}", path.display());
    let mut bytes = Vec::new();
    let file = fs::File::open(path).map_err(words)?;
    file.take(most as u64 + 1).read_to_end(&mut bytes).map_err(words)?;
    Ok(bytes)
}

/// `FORECOURT-SITE.TOML.txt` means `forecourt-site.toml`; so does the `_` that some phones write for the `-`.
fn means(each: &str, name: &str) -> bool {
    let plain = |text: &str| text.trim().to_lowercase().replace(['_', ' '], "-");
    let (each, name) = (plain(each), plain(name));
    each == name || each.strip_suffix(".txt") == Some(&name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_found_as_people_write_it() {
        for each in ["forecourt-site.toml", "FORECOURT-SITE.TOML", "Forecourt-Site.toml.txt", "forecourt_site.toml"] {
            assert!(means(each, SITE), "{each}");
        }
        for each in ["site.toml", "forecourt-site.toml.bak", "forecourt-site.tom", "._forecourt-site.toml"] {
            assert!(!means(each, SITE), "{each}");
        }
        assert!(means("ENROL.TXT", ENROL) && means("enrol.txt.txt", ENROL));
    }

    #[test]
    fn two_that_could_be_meant_are_refused_and_none_is_none() {
        let folder = tempfile::tempdir().unwrap();
        let stick = Stick::open(folder.path()).unwrap();
        assert_eq!(stick.text(SITE), Ok(None));
        fs::write(folder.path().join("Forecourt-site.toml"), "a = 1\r\n").unwrap();
        assert_eq!(stick.text(SITE), Ok(Some("a = 1\n".to_owned())));
        fs::write(folder.path().join("forecourt-site.toml.txt"), "a = 2\n").unwrap();
        assert!(stick.text(SITE).unwrap_err().contains("leave one"));
    }

    #[test]
    fn no_path_leads_out_of_the_stick() {
        let folder = tempfile::tempdir().unwrap();
        let stick = Stick::open(folder.path()).unwrap();
        for path in ["/etc/passwd", "../x", "a/../../x", ""] {
            assert!(matches!(stick.named(path.as_ref()), Err(_) | Ok(None)), "{path}");
            assert!(path.is_empty() || stick.named(path.as_ref()).is_err(), "{path}");
        }
        std::os::unix::fs::symlink("/etc/passwd", folder.path().join("link")).unwrap();
        assert!(stick.named("link".as_ref()).is_err());
        std::os::unix::fs::symlink("/etc", folder.path().join("keys")).unwrap();
        assert!(stick.named("keys/passwd".as_ref()).is_err());
    }

    #[test]
    fn a_file_is_found_where_the_settings_name_it_and_never_cut() {
        let folder = tempfile::tempdir().unwrap();
        let stick = Stick::open(folder.path()).unwrap();
        fs::create_dir(folder.path().join("keys")).unwrap();
        fs::write(folder.path().join("keys/plat.pub"), "key").unwrap();
        for path in ["keys/plat.pub", "./keys/plat.pub", "keys/./plat.pub"] {
            assert_eq!(stick.named(path.as_ref()), Ok(Some(b"key".to_vec())), "{path}");
        }
        assert_eq!(stick.named("keys/other.pub".as_ref()), Ok(None));
        fs::write(folder.path().join("large"), vec![0; text::MOST_BYTES + 1]).unwrap();
        assert!(stick.named("large".as_ref()).unwrap_err().contains("larger than 1 MiB"));
    }
}
