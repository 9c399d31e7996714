//! The file that holds a camera's `user:password`.
//!
//! Read anew at each attempt to open, so that a changed password needs no restart. The words never reach a log.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use anyhow::{Context, Result, ensure};

/// The one line of the file; refused when every user of the machine may read it.
pub fn read(path: &Path) -> Result<String> {
    let shown = path.display();
    let facts = std::fs::metadata(path).with_context(|| format!("cannot read the `credentials_file` `{shown}`"))?;
    ensure!(
        facts.permissions().mode() & 0o004 == 0,
        "the `credentials_file` `{shown}` may be read by every user of this machine; run `chmod 640 {shown}` and give \
         it to the service's group"
    );
    let text =
        std::fs::read_to_string(path).with_context(|| format!("cannot read the `credentials_file` `{shown}`"))?;
    let mut lines = text.lines().filter(|line| !line.is_empty());
    let line = lines.next().unwrap_or_default();
    let sound = lines.next().is_none() && line.split_once(':').is_some_and(|(user, _)| !user.is_empty());
    ensure!(sound, "the `credentials_file` `{shown}` must hold one line `user:password` and nothing else");
    Ok(line.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read_after(mode: u32, text: &str) -> Result<String> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("gate.credentials");
        std::fs::write(&path, text).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
        read(&path)
    }

    #[test]
    fn one_line_is_read_and_a_colon_may_stand_in_the_password() {
        assert_eq!(read_after(0o640, "admin:a:b c\n").unwrap(), "admin:a:b c");
    }

    #[test]
    fn what_everybody_may_read_is_refused() {
        let words = read_after(0o644, "admin:secret\n").unwrap_err().to_string();
        assert!(words.contains("chmod 640") && !words.contains("secret"), "{words}");
    }

    #[test]
    fn anything_but_one_pair_is_refused_and_not_repeated() {
        for text in ["", "admin\n", ":secret\n", "admin:secret\nroot:secret\n"] {
            let words = read_after(0o600, text).unwrap_err().to_string();
            assert!(words.contains("user:password") && !words.contains("secret"), "{words}");
        }
    }
}
