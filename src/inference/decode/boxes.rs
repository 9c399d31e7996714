//! Detectors' outputs: candidates above the threshold, suppressed where they overlap.

use super::plates::{self, Priors};
use super::{Numbers, trimmed};
use crate::domain::geometry::{Point, Quad, Rect};
use crate::domain::observation::Rows;
use crate::inference::pack::{BoxLayout, Column, CornerOrder, Output, Points, RowWord, Thresholds};

/// Candidates beyond this many, weakest first, are dropped before suppression: a picture of noise must not cost seconds.
const MOST_CANDIDATES: usize = 512;

/// Plates beyond this many in one frame are dropped, weakest first.
const MOST_PLATES: usize = 64;

/// A plate in the network's input, in its pixels.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Candidate {
    /// Upright box.
    pub rect: Rect,
    /// Corners, when the network tells them.
    pub corners: Option<Quad>,
    /// 0..1.
    pub score: f32,
    /// Lines, when the network tells them.
    pub rows: Option<Rows>,
}

/// Reads one kind of output.
#[derive(Clone, Debug)]
pub(crate) struct BoxDecoder {
    output: Output,
    thresholds: Thresholds,
    names: Vec<String>,
}

/// Where the attributes of a row stand.
#[derive(Clone, Copy)]
struct Dense {
    objectness: Option<usize>,
    classes: (usize, usize),
    /// First value and values per corner.
    corners: Option<(usize, usize)>,
}

impl BoxDecoder {
    /// For an output of a `plate-detect` model.
    pub fn new(output: &Output, thresholds: Thresholds) -> Self {
        let names = match output {
            Output::YunetPlate { offsets, scores, overlaps, .. } => {
                vec![offsets.clone(), scores.clone(), overlaps.clone()]
            }
            other => vec![other.name().to_owned()],
        };
        Self { output: output.clone(), thresholds, names }
    }

    /// The outputs that are read, by name in the graph.
    pub fn names(&self) -> &[String] {
        &self.names
    }

    /// Least score.
    pub fn set_score(&mut self, score: f32) {
        self.thresholds.score = score;
    }

    /// Candidates in falling order of score, from the outputs in the order of `names` and for an input of `size`, width
    /// and height in pixels; `Err` says how a shape differs from what the adaptor reads.
    pub fn decode(&self, outputs: &[Numbers<'_>], size: (usize, usize)) -> Result<Vec<Candidate>, String> {
        let mut found = match &self.output {
            Output::YunetPlate { strides, sizes, variance, .. } => {
                plates::decode(outputs, size, Priors { strides, sizes, variance: *variance }, self.thresholds.score)?
            }
            Output::YoloEnd2end { columns, classes, .. } => self.end2end(outputs[0], columns, classes)?,
            output => self.dense(outputs[0], output)?,
        };
        found.sort_by(|a, b| b.score.total_cmp(&a.score));
        found.truncate(MOST_CANDIDATES);
        Ok(suppressed(found, self.thresholds.nms_iou))
    }

    fn dense(&self, numbers: Numbers<'_>, output: &Output) -> Result<Vec<Candidate>, String> {
        let (boxes_first, order, words) = match output {
            Output::Yolov5Corners { corners, classes, .. } => (true, *corners, classes),
            Output::Yolov8 { corners, classes, layout, .. } => (*layout == BoxLayout::Nc, *corners, classes),
            other => return Err(format!("adaptor `{}` finds no boxes", other.adaptor())),
        };
        let (attributes, count) = match (trimmed(numbers.shape, 2), boxes_first) {
            (&[count, attributes], true) | (&[attributes, count], false) => (attributes as usize, count as usize),
            (shape, _) => return Err(format!("boxes need two axes, the output has {shape:?}")),
        };
        let dense = Dense::of(output, attributes)?;
        if numbers.data.len() < attributes * count {
            return Err("the output holds fewer numbers than its shape says".to_owned());
        }
        let step = if boxes_first { (attributes, 1) } else { (1, count) };
        let mut found = Vec::new();
        for place in 0..count {
            let value = |attribute: usize| numbers.data[place * step.0 + attribute * step.1];
            found.extend(self.candidate(value, dense, order, words));
        }
        Ok(found)
    }

    fn candidate(
        &self,
        value: impl Fn(usize) -> f32,
        dense: Dense,
        order: CornerOrder,
        words: &[RowWord],
    ) -> Option<Candidate> {
        let objectness = dense.objectness.map_or(1.0, &value);
        // Most rows end here; `!(a >= b)` also drops what is no number.
        if objectness.is_nan() || objectness < self.thresholds.score {
            return None;
        }
        let (class, best) = (dense.classes.0..dense.classes.1)
            .map(&value)
            .enumerate()
            .max_by(|a, b| a.1.total_cmp(&b.1))
            .unwrap_or((0, 1.0));
        let score = objectness * best;
        if score.is_nan() || score < self.thresholds.score || words.get(class) == Some(&RowWord::Other) {
            return None;
        }
        let (cx, cy, w, h) = (value(0), value(1), value(2), value(3));
        let rect = Rect::centred(Point::new(cx, cy), w, h);
        let corners = dense.corners.map(|(first, step)| {
            let corner = |n: usize| Point::new(value(first + n * step), value(first + n * step + 1));
            reading_order(std::array::from_fn(corner), order)
        });
        sound(rect, corners).then_some(Candidate { rect, corners, score, rows: rows(words, class) })
    }

    fn end2end(&self, numbers: Numbers<'_>, columns: &[Column], words: &[RowWord]) -> Result<Vec<Candidate>, String> {
        let &[_, width] = trimmed(numbers.shape, 2) else {
            return Err(format!("boxes need two axes, the output has {:?}", numbers.shape));
        };
        if width as usize != columns.len() {
            return Err(format!("a box has {width} columns, the manifest names {}", columns.len()));
        }
        let at = |wanted: Column| columns.iter().position(|&column| column == wanted);
        let value = |row: &[f32], wanted: Column| at(wanted).map_or(0.0, |place| row[place]);
        let read = |row: &[f32]| {
            let side = |column: Column| value(row, column);
            let rect = Rect::new(side(Column::X1), side(Column::Y1), side(Column::X2), side(Column::Y2));
            let (score, class) = (side(Column::Score), side(Column::Class) as usize);
            let counts = score >= self.thresholds.score && words.get(class) != Some(&RowWord::Other);
            let candidate = Candidate { rect, corners: None, score, rows: rows(words, class) };
            (counts && sound(rect, None)).then_some(candidate)
        };
        Ok(numbers.data.chunks_exact(columns.len()).filter_map(read).collect())
    }
}

impl Dense {
    fn of(output: &Output, attributes: usize) -> Result<Self, String> {
        let (fixed, corners, objectness, classes_after) = match output {
            Output::Yolov5Corners { .. } => (13, Some((5, 2)), Some(4), 13),
            Output::Yolov8 { points: Points::None, .. } => (4, None, None, 4),
            Output::Yolov8 { points: Points::Xy, .. } => (12, Some((attributes.saturating_sub(8), 2)), None, 4),
            _ => (16, Some((attributes.saturating_sub(12), 3)), None, 4),
        };
        let classes = attributes.saturating_sub(fixed);
        let words = match output {
            Output::Yolov5Corners { classes, .. } | Output::Yolov8 { classes, .. } => classes.len(),
            _ => 0,
        };
        if classes == 0 || (words > 0 && words != classes) {
            let wanted = fixed + words.max(1);
            return Err(format!("a box has {attributes} numbers, the manifest describes {wanted}"));
        }
        Ok(Self { objectness, classes: (classes_after, classes_after + classes), corners })
    }
}

fn rows(words: &[RowWord], class: usize) -> Option<Rows> {
    match words.get(class) {
        Some(RowWord::Single) => Some(Rows::Single),
        Some(RowWord::Double) => Some(Rows::Double),
        Some(RowWord::Other) | None => None,
    }
}

fn reading_order(c: [Point; 4], order: CornerOrder) -> Quad {
    match order {
        CornerOrder::TlTrBrBl => Quad(c),
        CornerOrder::TlBlBrTr => Quad([c[0], c[3], c[2], c[1]]),
        CornerOrder::BrBlTlTr => Quad([c[2], c[3], c[0], c[1]]),
    }
}

/// Numbers, and an extent; a network of random weights gives neither.
pub(super) fn sound(rect: Rect, corners: Option<Quad>) -> bool {
    let finite = |point: Point| point.x.abs() < 1e6 && point.y.abs() < 1e6;
    let box_sound = finite(Point::new(rect.x1, rect.y1)) && finite(Point::new(rect.x2, rect.y2));
    box_sound
        && rect.width() >= 1.0
        && rect.height() >= 1.0
        && corners.is_none_or(|quad| quad.0.into_iter().all(finite))
}

/// Greedy suppression of boxes that overlap a stronger one; input and output in falling order of score.
fn suppressed(candidates: Vec<Candidate>, iou: f32) -> Vec<Candidate> {
    let mut kept: Vec<Candidate> = Vec::new();
    for candidate in candidates {
        if kept.len() < MOST_PLATES && kept.iter().all(|strong| strong.rect.iou(&candidate.rect) <= iou) {
            kept.push(candidate);
        }
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decoder(output: &str) -> BoxDecoder {
        BoxDecoder::new(&toml::from_str(output).unwrap(), Thresholds::default())
    }

    fn numbers<'a>(shape: &'a [i64], data: &'a [f32]) -> Numbers<'a> {
        Numbers { shape, data }
    }

    /// Of an input; these adaptors do without it.
    const SIZE: (usize, usize) = (320, 320);
    const CORNERS: &str = "adaptor = 'yolov5-corners'\nname = 'o'\nclasses = ['single', 'double']";

    fn row(x: f32, objectness: f32, classes: [f32; 2]) -> Vec<f32> {
        let corners = [x - 20.0, 40.0, x + 20.0, 40.0, x + 20.0, 60.0, x - 20.0, 60.0];
        [&[x, 50.0, 40.0, 20.0, objectness][..], &corners, &classes].concat()
    }

    #[test]
    fn the_score_is_objectness_times_class_and_overlapping_boxes_are_one_plate() {
        let data = [row(100.0, 0.9, [0.1, 0.8]), row(102.0, 0.8, [0.1, 0.8]), row(300.0, 0.9, [0.2, 0.1])].concat();
        let found = decoder(CORNERS).decode(&[numbers(&[1, 3, 15], &data)], SIZE).unwrap();
        assert_eq!(found.len(), 1);
        assert!((found[0].score - 0.72).abs() < 1e-6);
        assert_eq!(found[0].rows, Some(Rows::Double));
        assert_eq!(found[0].corners.unwrap().0[1], Point::new(120.0, 40.0));
    }

    #[test]
    fn boxes_side_by_side_both_stay() {
        let data = [row(100.0, 0.9, [0.9, 0.1]), row(200.0, 0.9, [0.9, 0.1])].concat();
        assert_eq!(decoder(CORNERS).decode(&[numbers(&[1, 2, 15], &data)], SIZE).unwrap().len(), 2);
    }

    #[test]
    fn attributes_first_and_boxes_first_are_the_same_plate() {
        let data = [10.0, 20.0, 8.0, 4.0, 0.7];
        let wanted = Rect::new(6.0, 18.0, 14.0, 22.0);
        for (layout, shape) in [("cn", [1, 5, 1]), ("nc", [1, 1, 5])] {
            let decoder = decoder(&format!("adaptor = 'yolov8'\nname = 'o'\nlayout = '{layout}'"));
            let found = decoder.decode(&[numbers(&shape, &data)], SIZE).unwrap();
            assert_eq!((found[0].rect, found[0].score), (wanted, 0.7), "{layout}");
        }
    }

    #[test]
    fn a_pose_head_gives_corners_after_the_classes() {
        let data = [10.0, 20.0, 8.0, 4.0, 0.7, 6.0, 18.0, 1.0, 6.0, 22.0, 1.0, 14.0, 22.0, 1.0, 14.0, 18.0, 1.0];
        let text = "adaptor = 'yolov8'\nname = 'o'\npoints = 'xyv'\ncorners = 'tl-bl-br-tr'";
        let found = decoder(text).decode(&[numbers(&[1, 17, 1], &data)], SIZE).unwrap();
        assert_eq!(found[0].corners.unwrap(), Rect::new(6.0, 18.0, 14.0, 22.0).quad());
    }

    #[test]
    fn columns_after_the_graphs_own_suppression_are_read_by_name() {
        let text =
            "adaptor = 'yolo-end2end'\nname = 'o'\ncolumns = ['batch', 'x1', 'y1', 'x2', 'y2', 'class', 'score']";
        let data = [0.0, 1.0, 2.0, 30.0, 12.0, 0.0, 0.8, 0.0, 1.0, 2.0, 30.0, 12.0, 0.0, 0.1];
        let found = decoder(text).decode(&[numbers(&[2, 7], &data)], SIZE).unwrap();
        assert_eq!((found.len(), found[0].rect), (1, Rect::new(1.0, 2.0, 30.0, 12.0)));
        assert!(decoder(text).decode(&[numbers(&[0, 7], &[])], SIZE).unwrap().is_empty());
        assert!(decoder(text).decode(&[numbers(&[1, 6], &data[..6])], SIZE).unwrap_err().contains("6 columns"));
    }

    #[test]
    fn numbers_that_are_none_and_a_wrong_width_are_refused() {
        let mut data = row(100.0, 0.9, [0.9, 0.1]);
        data[2] = f32::NAN;
        assert!(decoder(CORNERS).decode(&[numbers(&[1, 1, 15], &data)], SIZE).unwrap().is_empty());
        let words = decoder(CORNERS).decode(&[numbers(&[1, 1, 14], &data[..14])], SIZE).unwrap_err();
        assert!(words.contains("14 numbers") && words.contains("describes 15"), "{words}");
    }
}
