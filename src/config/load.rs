//! Reads a settings file: text, keys, values, ranges. Every fault of the file is told at once.
//!
//! What it returns can be used as it is: paths are absolute, values lie in their ranges. Whether named files exist
//! and whether there is enough to start the service is asked separately, with [`Loaded::check_service`], because
//! reading an old clip on a desk needs neither.

use std::fs::{File, Metadata};
use std::io::Read;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use serde_json::{Map, Value};
use toml::Spanned;
use toml::de::{DeTable, Deserializer};

use super::finding::{Code, ConfigErrors, Finding};
use super::places::{self, Places};
use super::{Config, checks, keys, patch, paths, wrong};

/// A settings file larger than this is something else.
const MOST_BYTES: u64 = 1 << 20;

/// Settings, and where they came from.
#[derive(Clone, Debug)]
pub struct Loaded {
    /// What the file means; its paths are absolute.
    pub config: Config,
    /// The folder that relative paths are relative to, absolute.
    pub base: PathBuf,
    /// The file; `None` when there was none and the defaults hold.
    pub path: Option<PathBuf>,
    places: Places,
}

impl Loaded {
    /// What keeps the service from starting: who the box is, that there is a camera, and, when `files`, that every
    /// file that is named exists. Empty when nothing does.
    pub fn check_service(&self, files: bool) -> Vec<Finding> {
        let mut findings = checks::service(&self.config);
        if files {
            findings.extend(checks::files(&self.config, &self.base));
        }
        finished(findings, &self.places)
    }

    /// Findings that were made elsewhere, with their lines and in the order of the file.
    pub fn placed(&self, findings: Vec<Finding>) -> Vec<Finding> {
        finished(findings, &self.places)
    }
}

/// Reads a settings file.
pub fn load(path: &Path) -> Result<Loaded, ConfigErrors> {
    let fail = |findings| ConfigErrors { path: path.to_owned(), findings };
    let text = read(path).map_err(|finding| fail(vec![finding]))?;
    let (mut config, places) = parse(&text).map_err(fail)?;
    let file = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    let base = file.parent().map(Path::to_owned).unwrap_or_default();
    paths::resolve(&mut config, &base);
    Ok(Loaded { config, base, path: Some(path.to_owned()), places })
}

/// Reads a settings file and lays a patch from afar over it. What is wrong is told by key: the file has no line for it.
pub fn load_patched(path: &Path, patch: &Map<String, Value>) -> Result<Loaded, ConfigErrors> {
    let alone = load(path)?;
    if patch.is_empty() {
        return Ok(alone);
    }
    let fail = |findings| ConfigErrors { path: path.to_owned(), findings };
    let text = read(path).map_err(|finding| fail(vec![finding]))?;
    let text = patched(&text, patch).map_err(|problem| {
        fail(vec![Finding::new(Code::BadValue, "", problem, "send a patch that fits the settings of this box")])
    })?;
    let mut config = from_text(&text)
        .map_err(|findings| fail(findings.into_iter().map(|finding| Finding { line: None, ..finding }).collect()))?;
    paths::resolve(&mut config, &alone.base);
    Ok(Loaded { config, places: Places::default(), ..alone })
}

fn patched(text: &str, patch: &Map<String, Value>) -> Result<String, String> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut table: toml::Table = toml::from_str(text).map_err(|error| error.message().to_owned())?;
    patch::apply(&mut table, patch)?;
    toml::to_string(&table).map_err(|error| error.to_string())
}

/// Reads a settings file, or takes the defaults when none is named; then relative paths start in the working folder.
pub fn load_or_default(path: Option<&Path>) -> Result<Loaded, ConfigErrors> {
    if let Some(path) = path {
        return load(path);
    }
    let base = std::path::absolute(".").unwrap_or_default();
    let mut config = Config::default();
    paths::resolve(&mut config, &base);
    Ok(Loaded { config, base, path: None, places: Places::default() })
}

/// Settings from text, with paths as they stand there.
pub fn from_text(text: &str) -> Result<Config, Vec<Finding>> {
    parse(text).map(|(config, _)| config)
}

fn read(path: &Path) -> Result<String, Finding> {
    use std::io::ErrorKind::{IsADirectory, NotFound};
    let shown = path.display();
    let whole = |code, problem: String, remedy: &str| Finding::new(code, "", problem, remedy);
    let unreadable = |error: std::io::Error| match error.kind() {
        NotFound => whole(
            Code::Missing,
            format!("there is no file `{shown}`"),
            "name the settings file with `--config FILE`; `forecourt config default` prints one to start from",
        ),
        IsADirectory => whole(Code::Unreadable, format!("`{shown}` is a folder"), "name the file inside it"),
        _ => whole(Code::Unreadable, format!("`{shown}` cannot be read: {error}"), "check the owner and the rights"),
    };
    // A pipe that nobody writes to would be waited for. What a shell hands over (`<(…)`, `/dev/stdin`) is meant so.
    let waits = |about: Metadata| !about.is_file() && !about.is_dir() && !path.starts_with("/dev");
    if path.metadata().is_ok_and(waits) {
        let problem = format!("`{shown}` is a pipe, a socket or a device");
        return Err(whole(Code::Unreadable, problem, "name a file"));
    }
    let file = File::open(path).map_err(unreadable)?;
    let mut bytes = Vec::new();
    file.take(MOST_BYTES + 1).read_to_end(&mut bytes).map_err(unreadable)?;
    if bytes.len() as u64 > MOST_BYTES {
        let problem = format!("`{shown}` is larger than 1 MiB");
        return Err(whole(Code::TooLarge, problem, "this is no settings file; name the right one"));
    }
    String::from_utf8(bytes).map_err(|error| {
        let line = error.as_bytes()[..error.utf8_error().valid_up_to()].iter().filter(|b| **b == b'\n').count() + 1;
        let problem = format!("`{shown}` is not UTF-8 text");
        Finding { line: Some(line), ..whole(Code::NotText, problem, "save it as UTF-8, or name the right file") }
    })
}

fn parse(text: &str) -> Result<(Config, Places), Vec<Finding>> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let (mut table, errors) = DeTable::parse_recoverable(text);
    let places = Places::of(text, table.get_ref());
    if !errors.is_empty() {
        return Err(syntax(&errors, &places));
    }
    let mut findings = keys::refuse_unknown(table.get_mut());
    let config = typed(text, table, &places, &mut findings);
    let refused: Vec<String> = findings.iter().map(|finding| finding.key.clone()).collect();
    let settled = |finding: &Finding| !refused.iter().any(|key| key.starts_with(&finding.key));
    findings.extend(checks::values(&config).into_iter().filter(settled));
    if findings.is_empty() { Ok((config, places)) } else { Err(finished(findings, &places)) }
}

fn syntax(errors: &[toml::de::Error], places: &Places) -> Vec<Finding> {
    let one = |error: &toml::de::Error| Finding {
        line: error.span().map(|span| places.line_at(span.start)),
        ..Finding::new(Code::Syntax, "", format!("this is not TOML: {}", error.message()), "correct the line")
    };
    let mut findings: Vec<Finding> = errors.iter().map(one).collect();
    // One slip makes the reader stumble more than once on a line.
    findings.dedup_by_key(|finding| finding.line);
    findings
}

/// Takes out one bad value after the other until the rest can be understood.
fn typed(text: &str, mut table: Spanned<DeTable<'_>>, places: &Places, findings: &mut Vec<Finding>) -> Config {
    loop {
        let error = match Config::deserialize(Deserializer::from(table.clone())) {
            Ok(config) => return config,
            Err(error) => error,
        };
        let span = error.span().unwrap_or_default();
        let key = places.path_around(&span).unwrap_or_default();
        let finding = wrong::finding(key, error.message(), text.get(span.clone()).unwrap_or_default());
        findings.push(Finding { line: Some(places.line_at(span.start)), ..finding });
        if !places::cut(table.get_mut(), &span) {
            return Config::default();
        }
    }
}

/// Adds the lines and sorts by them.
fn finished(mut findings: Vec<Finding>, places: &Places) -> Vec<Finding> {
    for finding in &mut findings {
        finding.line = finding.line.or_else(|| places.line_of(&finding.key));
    }
    findings.sort_by_key(|finding| finding.line);
    // A table that is refused may be stumbled over once for each key in it.
    findings.dedup();
    findings
}
