//! ONNX Runtime: where its library lies, and one session with one thread.
//!
//! The library is looked up, not linked, so that the program starts and explains itself without it. Builds of 1.29
//! and later contain code that reports to its maker unless told not to by the environment; such a build is refused
//! while `ORT_DISABLE_TELEMETRY=1` is not set. A box at a dealer calls nobody.

#[cfg(not(feature = "onnx"))]
mod absent;
mod execution;
#[cfg(feature = "onnx")]
mod session;

use std::io::Read;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};

use crate::config::{Inference, Provider};

#[cfg(not(feature = "onnx"))]
pub(crate) use absent::{Outputs, Session};
pub use execution::{Execution, execution};
#[cfg(feature = "onnx")]
pub(crate) use session::{Outputs, Session};

/// File name of the library.
const LIBRARY: &str = "libonnxruntime.so";

/// Stands in every build that contains the telemetry client, and in no other.
const TELEMETRY_MARK: &[u8] = b"Applications6Events";

/// Where and how sessions are made.
#[derive(Clone, Debug)]
#[cfg_attr(not(feature = "onnx"), expect(dead_code, reason = "without ONNX Runtime there is nothing to load"))]
pub(crate) struct Runtime {
    /// `libonnxruntime.so`.
    pub library: PathBuf,
    /// Threads inside one session.
    pub threads: usize,
    /// What to run on, in order of preference.
    pub providers: Vec<Provider>,
}

/// An input or output of a session.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Port {
    /// Name in the graph.
    pub name: String,
    /// Type of its numbers, as ONNX Runtime calls it.
    pub dtype: String,
    /// Lengths of the axes; -1 for any.
    pub shape: Vec<i64>,
}

impl Runtime {
    /// Finds the library; `base` is the folder that `inference.library` is relative to.
    pub fn find(settings: &Inference, base: &Path) -> anyhow::Result<Self> {
        if !cfg!(feature = "onnx") {
            bail!("this program was built without ONNX Runtime (feature `onnx`); it recognises nothing");
        }
        let library = match &settings.library {
            Some(path) => base.join(path),
            None => look_up(std::env::var_os("FORECOURT_ONNXRUNTIME").map(PathBuf::from), &program_folders())?,
        };
        if !library.is_file() {
            bail!("no ONNX Runtime at `{}`; correct `inference.library`", library.display());
        }
        if std::env::var_os("ORT_DISABLE_TELEMETRY").is_none_or(|value| value != "1") && calls_home(&library)? {
            bail!(
                "`{}` is a build of ONNX Runtime that reports to its maker; use 1.27.0, or set ORT_DISABLE_TELEMETRY=1",
                library.display()
            );
        }
        Ok(Self { library, threads: usize::from(settings.threads.max(1)), providers: settings.providers.clone() })
    }
}

fn program_folders() -> Vec<PathBuf> {
    let program = std::env::current_exe().unwrap_or_default();
    program.ancestors().skip(1).map(Path::to_owned).collect()
}

/// `above` are the program's folder and those above it, nearest first.
fn look_up(variable: Option<PathBuf>, above: &[PathBuf]) -> anyhow::Result<PathBuf> {
    if let Some(path) = variable {
        return if path.is_dir() { Ok(path.join(LIBRARY)) } else { Ok(path) };
    }
    let own = above
        .first()
        .into_iter()
        .flat_map(|folder| [folder.join(LIBRARY), folder.join("../lib/forecourt").join(LIBRARY)]);
    let installed = [PathBuf::from("/usr/lib/forecourt").join(LIBRARY)];
    let kind = std::env::consts::ARCH;
    let checkout = above.iter().map(|folder| folder.join("third_party/onnxruntime").join(kind).join(LIBRARY));
    own.chain(installed).chain(checkout).find(|path| path.is_file()).context(
        "ONNX Runtime was not found; run `tools/setup.sh` in a checkout, install the package, or set `inference.library`",
    )
}

/// Looks for the telemetry client in the library, a piece at a time.
fn calls_home(library: &Path) -> anyhow::Result<bool> {
    let reading = || format!("cannot read `{}`", library.display());
    let mut file = std::fs::File::open(library).with_context(reading)?;
    let mut piece = vec![0; 1 << 20];
    let mut held = 0;
    loop {
        let read = file.read(&mut piece[held..]).with_context(reading)?;
        if read == 0 {
            return Ok(false);
        }
        let filled = held + read;
        if memchr::memmem::find(&piece[..filled], TELEMETRY_MARK).is_some() {
            return Ok(true);
        }
        held = filled.min(TELEMETRY_MARK.len() - 1);
        piece.copy_within(filled - held..filled, 0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_library_that_reports_to_its_maker_is_known_by_its_mark_even_across_pieces() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(LIBRARY);
        let mut bytes = vec![0; (1 << 20) - 5];
        std::fs::write(&path, &bytes).unwrap();
        assert!(!calls_home(&path).unwrap());
        bytes.extend(TELEMETRY_MARK);
        std::fs::write(&path, &bytes).unwrap();
        assert!(calls_home(&path).unwrap());
    }

    #[test]
    fn the_library_beside_the_program_wins_over_that_of_a_checkout() {
        let root = tempfile::tempdir().unwrap();
        let above = vec![root.path().join("target/debug"), root.path().join("target"), root.path().to_owned()];
        let checkout = root.path().join("third_party/onnxruntime").join(std::env::consts::ARCH);
        std::fs::create_dir_all(&checkout).unwrap();
        std::fs::create_dir_all(&above[0]).unwrap();
        std::fs::write(checkout.join(LIBRARY), "").unwrap();
        assert_eq!(look_up(None, &above).unwrap(), checkout.join(LIBRARY));
        std::fs::write(above[0].join(LIBRARY), "").unwrap();
        assert_eq!(look_up(None, &above).unwrap(), above[0].join(LIBRARY));
        assert_eq!(look_up(Some("/x/lib.so".into()), &above).unwrap(), Path::new("/x/lib.so"));
    }
}
