//! What is wrong with a settings file, in words an installer can act on.
//!
//! Every finding has a code that stands in `docs/troubleshooting.md`, the key, the line where it is known, what is
//! wrong and the way out. All findings of a file are told at once.

use std::fmt;
use std::path::PathBuf;

use serde::Serialize;

macro_rules! codes {
    ($($(#[doc = $words:literal])+ $name:ident = $number:literal,)+) => {
        /// What kind of finding; quoted as `[FC-CFG-0NN]`.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
        #[repr(u8)]
        pub enum Code { $($(#[doc = $words])+ $name = $number,)+ }

        impl Code {
            /// All of them, in order of their numbers.
            pub const ALL: &[Self] = &[$(Self::$name),+];

            /// What it means, as the manual puts it.
            pub fn meaning(self) -> &'static str {
                match self { $(Self::$name => concat!($($words),+).trim_ascii(),)+ }
            }
        }
    };
}

codes! {
    /// The settings file is not there.
    Missing = 1,
    /// The settings file is a folder or may not be read.
    Unreadable = 2,
    /// The settings file is larger than 1 MiB.
    TooLarge = 3,
    /// The settings file is not UTF-8 text.
    NotText = 4,
    /// The settings file is not TOML.
    Syntax = 5,
    /// A key that does not exist.
    UnknownKey = 6,
    /// A value of the wrong type, or a word that is none of the known ones.
    BadValue = 7,
    /// `site.tenant`, `site.site` or `site.device` is missing or holds a character that a topic must not hold.
    SiteWord = 8,
    /// The site's time zone is not known.
    TimeZone = 9,
    /// There is no camera.
    NoCamera = 10,
    /// A camera has no name, one that is not allowed, or one that another camera has.
    CameraId = 11,
    /// A camera's source is missing or of no known kind.
    CameraSource = 12,
    /// A camera has nothing to read, or the same thing twice.
    CameraRead = 13,
    /// A zone has no name, one that is not allowed, or one that another zone of the camera has.
    ZoneId = 14,
    /// A zone's outline encloses nothing, leaves the picture, or crosses itself.
    ZoneOutline = 15,
    /// A number is outside its range.
    OutOfRange = 16,
    /// A length of time is outside its range, or does not fit another one.
    Time = 17,
    /// A file or folder that is named does not exist.
    NoFile = 18,
    /// The region of the plates is not known.
    Region = 19,
    /// `visits.closes_at` is no time of day, or the site has no time zone.
    ClosesAt = 20,
    /// The address of the broker is not understood.
    MqttUrl = 21,
    /// Credentials of the broker that only make sense together stand alone.
    MqttCredentials = 22,
    /// A word that becomes part of a topic or of a client id holds a character that it must not hold.
    TopicWord = 23,
    /// No pack is named, or none of that name can be opened.
    NoPack = 24,
    /// The settings name a device key and allow one beside the data; only one of them can hold.
    TwoKeys = 25,
    /// `inference.providers` is empty, names a provider twice, or names one after `cpu`.
    Providers = 26,
    /// A key of `members.trusted_keys` or `commands.trusted_keys` is no public Ed25519 key.
    TrustedKey = 40,
}

impl fmt::Display for Code {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "FC-CFG-{:03}", *self as u8)
    }
}

impl Serialize for Code {
    fn serialize<S: serde::Serializer>(&self, sink: S) -> Result<S::Ok, S::Error> {
        sink.collect_str(self)
    }
}

/// One thing that is wrong.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Finding {
    /// What kind.
    pub code: Code,
    /// The key, such as `camera[0].zone[1].polygon` (counted from 0); empty when it is about the whole file.
    pub key: String,
    /// Line of the file, from 1, where it is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub line: Option<usize>,
    /// What is wrong.
    pub problem: String,
    /// The way out.
    pub remedy: String,
}

impl Finding {
    /// A finding without a line.
    pub fn new(code: Code, key: impl Into<String>, problem: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self { code, key: key.into(), line: None, problem: problem.into(), remedy: remedy.into() }
    }
}

/// `[FC-CFG-006] line 12: `camera[0].fps`: no such key; did you mean `analysis_fps`?`
impl fmt::Display for Finding {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "[{}] ", self.code)?;
        if let Some(line) = self.line {
            write!(out, "line {line}: ")?;
        }
        if !self.key.is_empty() {
            write!(out, "`{}`: ", self.key)?;
        }
        write!(out, "{}; {}", self.problem, self.remedy)
    }
}

/// Everything that is wrong with a settings file; never empty.
#[derive(Clone, Debug, PartialEq)]
pub struct ConfigErrors {
    /// The file.
    pub path: PathBuf,
    /// In order of their lines.
    pub findings: Vec<Finding>,
}

impl fmt::Display for ConfigErrors {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "the settings in `{}` cannot be used", self.path.display())?;
        self.findings.iter().try_for_each(|finding| write!(out, "\n  {finding}"))
    }
}

impl std::error::Error for ConfigErrors {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_is_quoted_with_three_digits_and_none_is_given_twice() {
        assert_eq!(Code::UnknownKey.to_string(), "FC-CFG-006");
        assert!(Code::ALL.is_sorted());
        assert_eq!(Code::Missing.meaning(), "The settings file is not there.");
    }
}
