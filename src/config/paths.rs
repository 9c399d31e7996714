//! Paths of a settings file are relative to its folder; here they become absolute.

use std::path::{Path, PathBuf};

use super::Config;

/// Makes every path absolute, also those inside `source`, `packs` and `region`.
pub(super) fn resolve(config: &mut Config, base: &Path) {
    let Config { storage, cameras, plates, faces, mqtt, privacy, inference, members, commands, .. } = config;
    let mut fixed: Vec<&mut PathBuf> = vec![&mut storage.folder, &mut storage.control_socket];
    fixed.extend(plates.pack_folders.iter_mut().chain(&mut faces.pack_folders));
    fixed.extend(cameras.iter_mut().filter_map(|camera| camera.credentials_file.as_mut()));
    let of_mqtt = [&mut mqtt.password_file, &mut mqtt.ca_file, &mut mqtt.certificate_file, &mut mqtt.key_file];
    fixed.extend(of_mqtt.into_iter().filter_map(Option::as_mut));
    fixed.extend(inference.library.as_mut());
    fixed.extend(commands.pack_keys.iter_mut());
    for path in fixed {
        *path = from(base, path);
    }
    for camera in cameras {
        camera.source = source(&camera.source, base);
    }
    let names =
        plates.packs.iter_mut().chain(&mut faces.packs).chain(Some(&mut plates.region)).chain(&mut privacy.key_file);
    let names = names.chain(&mut members.trusted_keys).chain(&mut commands.trusted_keys);
    for words in names.filter(|words| is_path(words)) {
        *words = from(base, words.as_ref()).to_string_lossy().into_owned();
    }
}

/// Files that the settings name by a relative path and that may be brought along with them: keys, certificates,
/// passwords, a region's grammar. As they stand in the file; packs, recordings and libraries are none of them.
pub fn brought_along(config: &Config) -> Vec<PathBuf> {
    let Config { cameras, plates, mqtt, privacy, members, commands, .. } = config;
    let of_mqtt = [&mqtt.password_file, &mqtt.ca_file, &mqtt.certificate_file, &mqtt.key_file];
    let of_cameras = cameras.iter().map(|camera| &camera.credentials_file);
    let fixed = of_mqtt.into_iter().chain(of_cameras).flatten().cloned();
    let names = members.trusted_keys.iter().chain(&commands.trusted_keys).chain(&privacy.key_file);
    let names = names.chain(Some(&plates.region)).filter(|words| is_path(words)).map(PathBuf::from);
    fixed.chain(names).filter(|path| path.is_relative()).collect()
}

/// Without `.` in it; `..` stays, a link may stand before it.
fn from(base: &Path, path: &Path) -> PathBuf {
    let joined = base.join(path);
    std::path::absolute(&joined).unwrap_or(joined)
}

/// Is it a path, and not a bare name?
pub(super) fn is_path(words: &str) -> bool {
    words.contains('/')
}

/// The kind and path of a source that names a file or folder; a bare path is a file.
pub(super) fn source_path(source: &str) -> Option<(&str, &str)> {
    match source.split_once(':') {
        Some((kind @ ("file" | "images" | "v4l2"), path)) => Some((kind, path)),
        Some(_) => None,
        None => Some(("file", source)),
    }
}

fn source(text: &str, base: &Path) -> String {
    match source_path(text) {
        Some((kind, path)) if !path.is_empty() => format!("{kind}:{}", from(base, path.as_ref()).display()),
        _ => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Camera;

    #[test]
    fn a_path_starts_at_the_folder_of_the_file_and_a_name_stays_a_name() {
        let camera = |source: &str| Camera { source: source.into(), ..Camera::default() };
        let cameras = vec![camera("file:a.mp4"), camera("b.mp4"), camera("rtsp://h/1"), camera("images:/srv/x")];
        let mut config = Config { cameras, ..Config::default() };
        config.plates.packs = vec!["plate-cn".into(), "./mine".into()];
        config.faces.packs = vec!["face-demo".into(), "./own".into()];
        config.mqtt.ca_file = Some("ca.pem".into());
        resolve(&mut config, Path::new("/etc/forecourt"));
        let sources: Vec<&str> = config.cameras.iter().map(|camera| camera.source.as_str()).collect();
        assert_eq!(sources, ["file:/etc/forecourt/a.mp4", "file:/etc/forecourt/b.mp4", "rtsp://h/1", "images:/srv/x"]);
        assert_eq!(config.plates.packs, ["plate-cn", "/etc/forecourt/mine"]);
        assert_eq!(config.faces.packs, ["face-demo", "/etc/forecourt/own"]);
        assert_eq!(config.mqtt.ca_file, Some("/etc/forecourt/ca.pem".into()));
        let once = config.clone();
        resolve(&mut config, Path::new("/elsewhere"));
        assert_eq!(config, once);
    }
}
