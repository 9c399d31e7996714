//! Labelled pictures: `file,plate,x1,y1,x2,y2,corners,colour[,rows]`, files relative to the table's folder.
//!
//! Rows of one file belong together; a picture may hold plates that no row names. `corners` is
//! `"x,y x,y x,y x,y"` from the top left clockwise; box, corners and colour may be empty.

use std::path::{Path, PathBuf};

use anyhow::{Context, ensure};
use serde::Deserialize;

use crate::domain::geometry::{Point, Quad, Rect};
use crate::domain::observation::Rows;
use crate::domain::plate::{PlateColour, normalise};

/// A labelled plate.
#[derive(Clone, Debug, PartialEq)]
pub struct Label {
    /// Its text, normalised.
    pub plate: String,
    /// Upright box in pixels; that of the corners when only they are given.
    pub rect: Option<Rect>,
    /// Corners in pixels.
    pub corners: Option<Quad>,
    /// Its colour.
    pub colour: Option<PlateColour>,
    /// Its lines.
    pub rows: Rows,
}

/// A picture with its labelled plates.
#[derive(Clone, Debug, PartialEq)]
pub struct Picture {
    /// Where it lies.
    pub path: PathBuf,
    /// In the table's order.
    pub plates: Vec<Label>,
}

#[derive(Debug, Deserialize)]
struct Line {
    file: String,
    plate: String,
    #[serde(default)]
    x1: Option<f32>,
    #[serde(default)]
    y1: Option<f32>,
    #[serde(default)]
    x2: Option<f32>,
    #[serde(default)]
    y2: Option<f32>,
    #[serde(default)]
    corners: String,
    #[serde(default)]
    colour: String,
    #[serde(default)]
    rows: Option<u8>,
}

/// What a table is called: its folder, since the file is `labels.csv` everywhere.
pub fn name(path: &Path) -> String {
    let folder = path.parent().and_then(Path::file_name).or(path.file_stem());
    folder.unwrap_or(path.as_os_str()).to_string_lossy().into_owned()
}

/// Reads a table; errors name the line.
pub fn read(path: &Path) -> anyhow::Result<Vec<Picture>> {
    let named = || format!("labels `{}`", path.display());
    let folder = path.parent().unwrap_or(Path::new(""));
    let mut table = csv::ReaderBuilder::new().trim(csv::Trim::All).from_path(path).with_context(named)?;
    let mut pictures: Vec<Picture> = Vec::new();
    for (place, line) in table.deserialize::<Line>().enumerate() {
        let numbered = || format!("labels `{}`, line {}", path.display(), place + 2);
        let line = line.with_context(numbered)?;
        let file = folder.join(&line.file);
        let label = label(line).with_context(numbered)?;
        match pictures.iter_mut().rfind(|picture| picture.path == file) {
            Some(picture) => picture.plates.push(label),
            None => pictures.push(Picture { path: file, plates: vec![label] }),
        }
    }
    ensure!(!pictures.is_empty(), "{} has no line below its header", named());
    Ok(pictures)
}

fn label(line: Line) -> anyhow::Result<Label> {
    let corners = if line.corners.is_empty() { None } else { Some(quad(&line.corners)?) };
    let rect = match (line.x1, line.y1, line.x2, line.y2) {
        (Some(x1), Some(y1), Some(x2), Some(y2)) => Some(Rect::new(x1, y1, x2, y2)),
        (None, None, None, None) => corners.map(|quad| quad.bounds()),
        _ => anyhow::bail!("a box needs x1, y1, x2 and y2"),
    };
    let colour = match line.colour.as_str() {
        "" => None,
        word => Some(PlateColour::from_word(word).with_context(|| format!("`{word}` is no colour of a plate"))?),
    };
    let rows = if line.rows == Some(2) { Rows::Double } else { Rows::Single };
    Ok(Label { plate: normalise(&line.plate), rect, corners, colour, rows })
}

fn quad(text: &str) -> anyhow::Result<Quad> {
    let wrong = || format!("corners `{text}` are not `x,y x,y x,y x,y`");
    let point = |pair: &str| {
        let (x, y) = pair.split_once(',')?;
        Some(Point::new(x.parse().ok()?, y.parse().ok()?))
    };
    let points: Vec<Point> = text.split_whitespace().map(point).collect::<Option<_>>().with_context(wrong)?;
    points.try_into().ok().map(Quad).with_context(wrong)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table(text: &str) -> anyhow::Result<Vec<Picture>> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("labels.csv");
        std::fs::write(&path, format!("file,plate,x1,y1,x2,y2,corners,colour\n{text}")).unwrap();
        read(&path)
    }

    #[test]
    fn rows_of_one_file_belong_together_and_empty_columns_are_unknown() {
        let found =
            table("a.jpg,皖A·12345,1,2,30,12,\"1,2 30,2 30,12 1,12\",blue\nb.jpg,沪B1,,,,,,\na.jpg,沪C2,5,6,7,8,,\n")
                .unwrap();
        assert_eq!(found.len(), 2);
        assert_eq!(found[0].plates.len(), 2);
        assert_eq!(found[0].plates[0].plate, "皖A12345");
        assert_eq!(found[0].plates[0].corners, Some(Rect::new(1.0, 2.0, 30.0, 12.0).quad()));
        assert_eq!((found[1].plates[0].rect, found[1].plates[0].colour), (None, None));
    }

    #[test]
    fn a_wrong_line_is_named() {
        for (line, word) in
            [("a.jpg,X,1,2,,,,", "box"), ("a.jpg,X,,,,,\"1,2 3\",", "corners"), ("a.jpg,X,,,,,,mauve", "mauve")]
        {
            let words = format!("{:#}", table(line).unwrap_err());
            assert!(words.contains("line 2") && words.contains(word), "{words}");
        }
    }
}
