//! What the settings of a box name outside its own folders, for the reset: where its data and its keys lie.

use std::path::{Path, PathBuf};

use super::Places;
use crate::config::{self, Config};

/// Where systemd looks for a credential that is handed to the service.
const CREDENTIALS: [&str; 4] = ["etc/credstore.encrypted", "etc/credstore", "run/credstore.encrypted", "run/credstore"];
/// Where the package keeps the device key.
const KEY_FOLDER: &str = "var/lib/forecourt-key";

/// Files and folders by what becomes of them; paths as they lie from here.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Named {
    /// Keys: overwritten and told by their hash.
    pub keys: Vec<PathBuf>,
    /// Passwords: overwritten and not told, for a hash of a short word gives it away.
    pub secrets: Vec<PathBuf>,
    /// `storage.folder`, when it is not the usual one.
    pub storage: Option<PathBuf>,
    /// What was named and cannot be found, in words.
    pub lost: Vec<String>,
}

impl Named {
    /// Of the box's settings, or of another `file`.
    pub fn of(places: &Places, file: Option<&Path>) -> Self {
        let own = places.settings_file();
        let file = file.unwrap_or(&own);
        if !file.exists() {
            return Self::default();
        }
        match config::load(file) {
            Ok(loaded) => Self::in_settings(places, &loaded.config),
            Err(errors) => {
                let words = format!(
                    "{}: cannot be used ({} findings), so data and keys that it names elsewhere were not looked for",
                    file.display(),
                    errors.findings.len()
                );
                Self { lost: vec![words], ..Self::default() }
            }
        }
    }

    fn in_settings(places: &Places, config: &Config) -> Self {
        let mut named = Self::default();
        let folder = &config.storage.folder;
        if *folder != Config::default().storage.folder {
            named.storage = named.found(places, "storage.folder", folder);
        }
        match config.privacy.key_file.as_deref() {
            Some(path) if path.contains('/') => {
                let key = named.found(places, "privacy.key_file", Path::new(path));
                named.keys.extend(key);
            }
            Some(credential) => named.credential(places, credential),
            None => {}
        }
        named.keys.extend(config.mqtt.key_file.iter().map(|path| places.at(path)));
        let cameras = config.cameras.iter().filter_map(|camera| camera.credentials_file.as_ref());
        named.secrets.extend(config.mqtt.password_file.iter().chain(cameras).map(|path| places.at(path)));
        named
    }

    fn found(&mut self, places: &Places, key: &str, path: &Path) -> Option<PathBuf> {
        let here = places.at(path);
        if here.symlink_metadata().is_ok() {
            return Some(here);
        }
        let words = "is not there; if its disk is away or it lies elsewhere, destroy it by hand";
        self.lost.push(format!("{}: `{key}` {words}", here.display()));
        None
    }

    /// A name without a folder: its file is where systemd is told to look.
    fn credential(&mut self, places: &Places, name: &str) {
        let names = [name.to_owned(), format!("{name}.cred")];
        let folders = CREDENTIALS.iter().chain([&KEY_FOLDER]).map(|folder| places.root.join(folder));
        let files = folders.flat_map(|folder| names.clone().map(|name| folder.join(name)));
        let there: Vec<PathBuf> = files.filter(|path| path.symlink_metadata().is_ok()).collect();
        if there.is_empty() {
            let looked = CREDENTIALS.map(|folder| format!("/{folder}")).join(", ");
            self.lost.push(format!(
                "the credential `{name}` (`privacy.key_file`): no file of it in {looked} or /{KEY_FOLDER}; destroy it by hand"
            ));
        }
        self.keys.extend(there);
    }
}
