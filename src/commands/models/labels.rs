//! Labelled pictures: `file,plate,x1,y1,x2,y2,corners,colour[,rows]`, files relative to the table's folder.
//!
//! Rows of one file belong together; a picture may hold plates that no row names. A row without a plate says that the
//! picture shows none. `corners` is
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
    /// In the table's order; none: the picture shows no plate.
    pub plates: Vec<Label>,
}

#[derive(Debug, Deserialize)]
struct Line {
    file: String,
    plate: String,
    #[serde(default)]
    x1: String,
    #[serde(default)]
    y1: String,
    #[serde(default)]
    x2: String,
    #[serde(default)]
    y2: String,
    #[serde(default)]
    corners: String,
    #[serde(default)]
    colour: String,
    #[serde(default)]
    rows: String,
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
        let line = line.map_err(words).with_context(numbered)?;
        let file = folder.join(&line.file);
        let label = label(line).with_context(numbered)?;
        let known = pictures.iter_mut().rfind(|picture| picture.path == file);
        match (known, label) {
            (None, label) => pictures.push(Picture { path: file, plates: label.into_iter().collect() }),
            (Some(picture), Some(label)) if !picture.plates.is_empty() => picture.plates.push(label),
            (Some(picture), None) if picture.plates.is_empty() => {}
            _ => {
                let contradiction = "one line says that the picture shows no plate, another names one";
                return Err(anyhow::anyhow!("{contradiction}; correct one of them")).with_context(numbered);
            }
        }
    }
    ensure!(!pictures.is_empty(), "{} has no line below its header", named());
    Ok(pictures)
}

/// What is wrong with a line, without its place, which the caller tells.
fn words(error: csv::Error) -> anyhow::Error {
    match error.kind() {
        csv::ErrorKind::UnequalLengths { expected_len, len, .. } => {
            anyhow::anyhow!("it has {len} columns, the header has {expected_len}")
        }
        csv::ErrorKind::Deserialize { err, .. } => anyhow::anyhow!("{}", err.kind()),
        _ => error.into(),
    }
}

/// A number of pixels; `None` for an empty field.
fn pixels(text: &str, column: &str) -> anyhow::Result<Option<f32>> {
    let number = (!text.is_empty()).then(|| text.parse::<f32>().ok().filter(|number| number.is_finite()));
    match number {
        None => Ok(None),
        Some(Some(number)) => Ok(Some(number)),
        Some(None) => anyhow::bail!("`{text}` in the column `{column}` is no number of pixels"),
    }
}

/// The plate of a line; `None` when the line says that there is none.
fn label(line: Line) -> anyhow::Result<Option<Label>> {
    let corners = if line.corners.is_empty() { None } else { Some(quad(&line.corners)?) };
    let corner = (pixels(&line.x1, "x1")?, pixels(&line.y1, "y1")?, pixels(&line.x2, "x2")?, pixels(&line.y2, "y2")?);
    let rect = match corner {
        (Some(x1), Some(y1), Some(x2), Some(y2)) => Some(Rect::new(x1, y1, x2, y2)),
        (None, None, None, None) => corners.map(|quad| quad.bounds()),
        _ => anyhow::bail!("a box needs x1, y1, x2 and y2"),
    };
    let colour = match line.colour.as_str() {
        "" => None,
        word => Some(PlateColour::from_word(word).with_context(|| format!("`{word}` is no colour of a plate"))?),
    };
    let rows = match line.rows.as_str() {
        "2" => Rows::Double,
        "" | "1" => Rows::Single,
        other => anyhow::bail!("`{other}` in the column `rows` is neither 1 nor 2"),
    };
    let plate = normalise(&line.plate);
    if plate.is_empty() {
        ensure!(rect.is_none(), "there is a box and no text of a plate; leave the box out where there is no plate");
        return Ok(None);
    }
    Ok(Some(Label { plate, rect, corners, colour, rows }))
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
        for (line, word) in [
            ("a.jpg,X,1,2,,,,", "box"),
            ("a.jpg,X,,,,,\"1,2 3\",", "corners"),
            ("a.jpg,X,,,,,,mauve", "mauve"),
            ("a.jpg,X,1,2x,3,4,,", "`2x` in the column `y1` is no number"),
            ("a.jpg,X,1,2", "4 columns, the header has 8"),
            ("a.jpg,,1,2,3,4,,", "no text of a plate"),
        ] {
            let words = format!("{:#}", table(line).unwrap_err());
            assert!(words.contains("line 2") && words.contains(word) && !words.contains("byte"), "{words}");
        }
    }

    #[test]
    fn a_line_without_a_plate_says_that_the_picture_shows_none() {
        let found = table("a.jpg,,,,,,,blue\na.jpg,,,,,,,\nb.jpg,沪B1,,,,,,\n").unwrap();
        let plates: Vec<usize> = found.iter().map(|picture| picture.plates.len()).collect();
        assert_eq!(plates, [0, 1]);
        for lines in ["a.jpg,,,,,,,\na.jpg,沪B1,,,,,,\n", "a.jpg,沪B1,,,,,,\na.jpg,,,,,,,\n"] {
            let words = format!("{:#}", table(lines).unwrap_err());
            assert!(words.contains("line 3") && words.contains("another names one"), "{words}");
        }
    }
}
