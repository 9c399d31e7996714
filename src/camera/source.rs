//! What the settings string of a camera means, and which files can be a recording.
//!
//! Pure but for [`check_recording`], which reads a file's first bytes. A password never stands in the string: it would
//! end in process lists, logs and copied settings.

use std::fmt;
use std::io::Read;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};

/// What the kinds of source look like, for error messages.
const KINDS: &str = "`rtsp://HOST/PATH`, `file:PATH`, `images:FOLDER`, `v4l2:/dev/video0` or `gst:PIPELINE`";

/// Where a camera's frames come from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SourceSpec {
    /// A network camera; the URL holds no credentials.
    Rtsp(String),
    /// A recording.
    File(PathBuf),
    /// A folder of pictures, sorted by name.
    Images(PathBuf),
    /// A camera on USB or a capture card, by its device file.
    V4l2(PathBuf),
    /// A GStreamer pipeline that ends in `appsink`.
    Gst(String),
}

impl SourceSpec {
    /// Reads a settings string; relative paths are relative to `base`.
    pub fn parse(text: &str, base: &Path) -> Result<Self> {
        let text = text.trim();
        ensure!(!text.is_empty(), "the source is empty; write {KINDS}");
        if let Some(kind) = ["rtsp://", "rtsps://"].iter().find(|kind| starts_with_ignoring_case(text, kind)) {
            return rtsp(text, &text[kind.len()..]);
        }
        match text.split_once(':') {
            Some(("file", path)) => Ok(Self::File(resolved(path, base, "file:PATH")?)),
            Some(("images", path)) => Ok(Self::Images(resolved(path, base, "images:FOLDER")?)),
            Some(("v4l2", device)) => v4l2(device),
            Some(("gst", pipeline)) => gst(pipeline),
            Some((kind, _)) if is_word(kind) => bail!("`{kind}:` is no kind of source; write {KINDS}"),
            _ => Ok(Self::File(base.join(text))),
        }
    }

    /// Does the source deliver at its own pace?
    pub fn is_live(&self) -> bool {
        matches!(self, Self::Rtsp(_) | Self::V4l2(_) | Self::Gst(_))
    }
}

/// As it may be shown and logged.
impl fmt::Display for SourceSpec {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Rtsp(url) => write!(out, "{}", redacted(url)),
            Self::File(path) => write!(out, "file:{}", path.display()),
            Self::Images(path) => write!(out, "images:{}", path.display()),
            Self::V4l2(device) => write!(out, "v4l2:{}", device.display()),
            Self::Gst(pipeline) => write!(out, "gst:{}", redacted(pipeline)),
        }
    }
}

fn starts_with_ignoring_case(text: &str, prefix: &str) -> bool {
    text.get(..prefix.len()).is_some_and(|start| start.eq_ignore_ascii_case(prefix))
}

fn is_word(text: &str) -> bool {
    !text.is_empty() && text.chars().all(|each| each.is_ascii_alphanumeric() || "+-_".contains(each))
}

fn resolved(path: &str, base: &Path, wanted: &str) -> Result<PathBuf> {
    ensure!(!path.is_empty(), "the source names no path; write `{wanted}`");
    Ok(base.join(path))
}

fn rtsp(url: &str, after_scheme: &str) -> Result<SourceSpec> {
    let host = after_scheme.split(['/', '?']).next().unwrap_or_default();
    ensure!(
        !host.contains('@'),
        "the source `{}` holds a user or a password; put `user:password` into a file that only the service can read \
         and name it in `credentials_file`",
        redacted(url)
    );
    ensure!(!host.is_empty(), "the source `{url}` names no host; write `rtsp://HOST/PATH`");
    ensure!(!url.contains(char::is_whitespace), "the source `{url}` holds a space; write %20 for it");
    Ok(SourceSpec::Rtsp(url.to_owned()))
}

fn v4l2(device: &str) -> Result<SourceSpec> {
    ensure!(device.starts_with("/dev/"), "`v4l2:{device}` names no device file; write `v4l2:/dev/video0`");
    Ok(SourceSpec::V4l2(device.into()))
}

fn gst(pipeline: &str) -> Result<SourceSpec> {
    ensure!(!pipeline.trim().is_empty(), "the source names no pipeline; write `gst:… ! appsink`");
    ensure!(
        pipeline.contains("appsink"),
        "the GStreamer pipeline does not end in `appsink`, so no picture would come out; append `! videoconvert ! \
         video/x-raw,format=BGR ! appsink drop=true max-buffers=1`"
    );
    Ok(SourceSpec::Gst(pipeline.trim().to_owned()))
}

/// The URL with `user:password` in it, percent-encoded; for the library that opens it, never to be shown.
#[cfg(any(feature = "opencv", test))]
pub(super) fn with_credentials(url: &str, pair: &str) -> Result<String> {
    let (scheme, rest) = url.split_once("://").context("an RTSP source without a scheme")?;
    let (user, password) = pair.split_once(':').context("the credentials hold no `:`; write `user:password`")?;
    Ok(format!("{scheme}://{}:{}@{rest}", percent_encoded(user), percent_encoded(password)))
}

/// Everything but the unreserved characters of RFC 3986 as `%XX`.
#[cfg(any(feature = "opencv", test))]
fn percent_encoded(text: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
    text.bytes().map(|byte| if plain(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") }).collect()
}

/// The text without the `user:password@` of any URL in it, and without `user-pw=` values of GStreamer.
pub fn redacted(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find("://") {
        let (before, after) = rest.split_at(at + 3);
        shown.push_str(before);
        let end = after.find(|each: char| each.is_whitespace() || "/?\"'`".contains(each)).unwrap_or(after.len());
        rest = match after[..end].rfind('@') {
            Some(host) => {
                shown.push_str("***");
                &after[host..]
            }
            None => after,
        };
    }
    shown.push_str(rest);
    without_values(&shown, &["user-pw=", "user-id=", "password="])
}

fn without_values(text: &str, keys: &[&str]) -> String {
    let hidden = |word: &str| match keys.iter().find_map(|key| word.find(key).map(|at| at + key.len())) {
        Some(end) => format!("{}***", &word[..end]),
        None => word.to_owned(),
    };
    text.split(' ').map(hidden).collect::<Vec<_>>().join(" ")
}

/// Refuses what cannot be a recording, by its size and first bytes, with words that name the file.
pub fn check_recording(path: &Path) -> Result<()> {
    let shown = path.display();
    let mut start = Vec::new();
    let file = std::fs::File::open(path).with_context(|| format!("cannot open the clip `{shown}`"))?;
    file.take(512).read_to_end(&mut start).with_context(|| format!("cannot read the clip `{shown}`"))?;
    ensure!(!start.is_empty(), "the clip `{shown}` is empty");
    if image::guess_format(&start).is_ok() {
        bail!("`{shown}` is a picture, not a clip; put pictures into a folder and write `images:FOLDER`");
    }
    let is_text = std::str::from_utf8(&start).is_ok_and(|text| !text.contains('\0'));
    ensure!(!is_text, "`{shown}` is a text file, not a clip; mp4, mkv, avi and ts files can be read");
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<SourceSpec> {
        SourceSpec::parse(text, Path::new("/etc/forecourt"))
    }

    #[test]
    fn each_kind_is_told_by_its_first_word() {
        let rtsp = "rtsp://10.0.0.5/stream1?channel=1";
        assert_eq!(parse(rtsp).unwrap(), SourceSpec::Rtsp(rtsp.into()));
        assert_eq!(parse("file:clips/a b.mp4").unwrap(), SourceSpec::File("/etc/forecourt/clips/a b.mp4".into()));
        assert_eq!(parse("/srv/a:b.mp4").unwrap(), SourceSpec::File("/srv/a:b.mp4".into()));
        assert_eq!(parse("clip.mp4").unwrap(), SourceSpec::File("/etc/forecourt/clip.mp4".into()));
        assert_eq!(parse("images:/srv/shots").unwrap(), SourceSpec::Images("/srv/shots".into()));
        assert_eq!(parse("v4l2:/dev/video2").unwrap(), SourceSpec::V4l2("/dev/video2".into()));
        assert_eq!(parse("gst: a ! appsink ").unwrap(), SourceSpec::Gst("a ! appsink".into()));
    }

    #[test]
    fn what_is_no_source_is_refused_with_the_way_out() {
        for (text, word) in [
            ("", "is empty"),
            ("usb:0", "`usb:` is no kind"),
            ("http://10.0.0.5/mjpeg", "`http:` is no kind"),
            ("file:", "file:PATH"),
            ("rtsp:///stream", "no host"),
            ("rtsp://10.0.0.5/a b", "%20"),
            ("v4l2:0", "v4l2:/dev/video0"),
            ("gst:videotestsrc", "append `! videoconvert"),
        ] {
            let words = parse(text).unwrap_err().to_string();
            assert!(words.contains(word), "{text}: {words}");
        }
    }

    #[test]
    fn a_password_in_the_string_is_refused_and_not_repeated() {
        let words = parse("rtsp://admin:s3cret@10.0.0.5/stream1").unwrap_err().to_string();
        assert!(words.contains("credentials_file") && !words.contains("s3cret"), "{words}");
    }

    #[test]
    fn credentials_are_percent_encoded_into_the_url() {
        let url = with_credentials("rtsp://cam:554/1", "ad min:p@s/s:密").unwrap();
        assert_eq!(url, "rtsp://ad%20min:p%40s%2Fs%3A%E5%AF%86@cam:554/1");
        assert!(with_credentials("rtsp://cam", "nobody").is_err());
    }

    #[test]
    fn whatever_is_shown_holds_no_password() {
        let text = "cannot open 'rtsp://admin:p@ss@cam/1', rtsp://a:b@c:554 via rtspsrc user-id=x user-pw=y location=z";
        let shown = "cannot open 'rtsp://***@cam/1', rtsp://***@c:554 via rtspsrc user-id=*** user-pw=*** location=z";
        assert_eq!(redacted(text), shown);
        assert_eq!(redacted("rtsp://cam/a@b"), "rtsp://cam/a@b");
    }

    #[test]
    fn files_that_are_no_recording_are_named() {
        let folder = tempfile::tempdir().unwrap();
        let png = [0x89, b'P', b'N', b'G', 13, 10, 26, 10];
        for (name, bytes, word) in
            [("e.mp4", &b""[..], "is empty"), ("t.mp4", b"hello\n", "text file"), ("p.mp4", &png, "images:FOLDER")]
        {
            let path = folder.path().join(name);
            std::fs::write(&path, bytes).unwrap();
            let words = check_recording(&path).unwrap_err().to_string();
            assert!(words.contains(word) && words.contains(name), "{words}");
        }
    }
}
