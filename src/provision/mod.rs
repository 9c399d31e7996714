//! From a stick to a working box: reading what an installer brought, putting it in place whole or not at all, the
//! identity that is made on the box, the label, and the way back to the state of the factory.
//!
//! Touches files only; what the checks of a site need from cameras and brokers is joined in `commands::provision`.

pub mod enrol;
pub mod identity;
pub mod label;
pub mod named;
pub mod reset;
pub mod site;
pub mod stick;
pub mod text;

use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use crate::domain::sync::hex;

/// Where a box keeps what provisioning makes.
#[derive(Clone, Debug)]
pub struct Places {
    /// Settings and the files that they name; `/etc/forecourt`.
    pub settings: PathBuf,
    /// Everything below is relative to it; `/` on a box.
    pub root: PathBuf,
}

impl Places {
    /// On a box, or below another root in a test or an image that is being made.
    pub fn below(root: &Path) -> Self {
        let root = std::path::absolute(root).unwrap_or_else(|_| root.to_owned());
        Self { settings: root.join("etc/forecourt"), root }
    }

    /// Where a path of the settings lies from here: an absolute one begins at the root of the box.
    pub fn at(&self, path: &Path) -> PathBuf {
        if path.starts_with(&self.root) {
            return path.to_owned();
        }
        self.root.join(path.strip_prefix("/").unwrap_or(path))
    }

    /// The settings file.
    pub fn settings_file(&self) -> PathBuf {
        self.settings.join("forecourt.toml")
    }

    /// Key, certificate and claim of the box; beside the settings, so that these name them as `identity/device.pem`.
    pub fn identity(&self) -> PathBuf {
        self.settings.join("identity")
    }
}

/// The serial number of this box: the board's own, else one made from the machine's id, which a new image changes. `None`
/// when there is neither: a number that is made of nothing would be that of many boxes.
pub fn serial(root: &Path) -> Option<String> {
    let board = ["sys/firmware/devicetree/base/serial-number", "sys/class/dmi/id/product_serial"];
    let read = |name: &str| std::fs::read_to_string(root.join(name)).ok();
    let tidy = |text: String| text.chars().filter(|each| each.is_ascii_alphanumeric()).take(32).collect::<String>();
    if let Some(own) = board.iter().filter_map(|name| read(name)).map(tidy).find(|text| is_meant(text)) {
        return Some(own);
    }
    let id = read("etc/machine-id")?;
    let id = id.trim();
    // Before its first start an image has an empty one, or the word `uninitialized`.
    let made = id.len() == 32 && id.bytes().all(|byte| byte.is_ascii_hexdigit()) && id.bytes().any(|byte| byte != b'0');
    made.then(|| hex(&Sha256::digest(format!("forecourt serial {id}")))[..12].to_owned())
}

/// Boards without a number say `0000000000`, `0123456789`, `To be filled by O.E.M.`, `Not Specified`, `None`.
fn is_meant(text: &str) -> bool {
    let counted = "01234567890123456789";
    let one_only = text.bytes().all(|byte| Some(byte) == text.bytes().next());
    text.len() >= 6 && text.bytes().any(|byte| byte.is_ascii_digit()) && !one_only && !counted.contains(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_boards_number_wins_unless_it_means_nothing() {
        let root = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| {
            let path = root.path().join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        };
        write("etc/machine-id", "5ad0cf3b7a0a4d3ba0f0e0c3b3d3c0aa\n");
        let made = serial(root.path());
        assert_eq!(made.as_ref().unwrap().len(), 12);
        for nothing in ["0000000000", "0123456789", "123456789", "1111111", "To be filled by O.E.M.", "None", ""] {
            write("sys/class/dmi/id/product_serial", nothing);
            assert_eq!(serial(root.path()), made, "{nothing}");
        }
        write("sys/firmware/devicetree/base/serial-number", "10000000abcdef01\0");
        assert_eq!(serial(root.path()).unwrap(), "10000000abcdef01");
    }

    #[test]
    fn boxes_that_have_no_number_do_not_share_one() {
        let root = tempfile::tempdir().unwrap();
        assert_eq!(serial(root.path()), None);
        std::fs::create_dir(root.path().join("etc")).unwrap();
        for nothing in ["", "\n", "uninitialized\n", "00000000000000000000000000000000\n", "5ad0cf3b"] {
            std::fs::write(root.path().join("etc/machine-id"), nothing).unwrap();
            assert_eq!(serial(root.path()), None, "{nothing}");
        }
    }

    #[test]
    fn a_path_of_the_settings_lies_below_the_root() {
        let places = Places::below(Path::new("/mnt/image"));
        assert_eq!(places.at(Path::new("/var/lib/x")), Path::new("/mnt/image/var/lib/x"));
        assert_eq!(places.at(Path::new("/mnt/image/etc/forecourt/k")), Path::new("/mnt/image/etc/forecourt/k"));
        assert_eq!(Places::below(Path::new("/")).at(Path::new("/var/lib/x")), Path::new("/var/lib/x"));
    }
}
