//! From a stick to a working box: reading what an installer brought, putting it in place whole or not at all, the
//! identity that is made on the box, the label, and the way back to the state of the factory.
//!
//! Touches files only; what the checks of a site need from cameras and brokers is joined in `commands::provision`.

pub mod enrol;
pub mod identity;
pub mod label;
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
        Self { settings: root.join("etc/forecourt"), root: root.to_owned() }
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

/// The serial number of this box: the board's own, else one made from the machine's id, which a new image changes.
pub fn serial(root: &Path) -> String {
    let board = ["sys/firmware/devicetree/base/serial-number", "sys/class/dmi/id/product_serial"];
    let read = |name: &str| std::fs::read_to_string(root.join(name)).ok();
    let tidy = |text: String| text.chars().filter(|each| each.is_ascii_alphanumeric()).take(32).collect::<String>();
    // Boards without a number say `0000000000`, `To be filled by O.E.M.`, `Not Specified`, `None`.
    let meant = |text: &String| text.len() >= 6 && text.bytes().any(|byte| byte.is_ascii_digit() && byte != b'0');
    if let Some(own) = board.iter().filter_map(|name| read(name)).map(tidy).find(meant) {
        return own;
    }
    let id = read("etc/machine-id").unwrap_or_default();
    hex(&Sha256::digest(format!("forecourt serial {}", id.trim())))[..12].to_owned()
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
        assert_eq!(made.len(), 12);
        for nothing in ["0000000000", "To be filled by O.E.M.", "None", ""] {
            write("sys/class/dmi/id/product_serial", nothing);
            assert_eq!(serial(root.path()), made, "{nothing}");
        }
        write("sys/firmware/devicetree/base/serial-number", "10000000abcdef01\0");
        assert_eq!(serial(root.path()), "10000000abcdef01");
    }
}
