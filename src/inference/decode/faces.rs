//! Face detectors' outputs: boxes with five points above the threshold, suppressed where they overlap.

use super::Numbers;
use crate::domain::geometry::{Point, Rect};
use crate::inference::pack::{Output, Thresholds, YunetScore};

/// Candidates beyond this many, weakest first, are dropped before suppression.
const MOST_CANDIDATES: usize = 1024;
/// Faces beyond this many in one frame are dropped, weakest first.
const MOST_FACES: usize = 128;

/// A face in the network's input, in its pixels.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct FaceBox {
    /// Upright box.
    pub rect: Rect,
    /// Left eye, right eye, nose, left and right corner of the mouth, as seen in the picture.
    pub points: [Point; 5],
    /// 0..1.
    pub score: f32,
}

/// Reads one kind of output.
#[derive(Clone, Debug)]
pub(crate) struct FaceDecoder {
    output: Output,
    thresholds: Thresholds,
    names: Vec<String>,
}

/// Numbers of the outputs, in the order of `FaceDecoder::names`.
type Fetched<'a> = &'a [Numbers<'a>];

impl FaceDecoder {
    /// For an output of a `face-detect` model.
    pub fn new(output: &Output, thresholds: Thresholds) -> Self {
        let names = match output {
            Output::Yunet { strides, .. } => strides
                .iter()
                .flat_map(|stride| ["cls", "obj", "bbox", "kps"].map(|word| format!("{word}_{stride}")))
                .collect(),
            Output::Scrfd { scores, boxes, points, .. } => {
                let levels = scores.iter().zip(boxes).zip(points);
                levels.flat_map(|((score, rect), point)| [score.clone(), rect.clone(), point.clone()]).collect()
            }
            Output::Retinaface { boxes, scores, points, .. } => vec![boxes.clone(), scores.clone(), points.clone()],
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

    /// Faces in falling order of score, for an input of `width` × `height` pixels; `Err` says how a shape differs.
    pub fn decode(&self, outputs: Fetched<'_>, (width, height): (usize, usize)) -> Result<Vec<FaceBox>, String> {
        let mut found = Vec::new();
        match &self.output {
            Output::Yunet { score, strides } => {
                for (level, &stride) in outputs.chunks_exact(4).zip(strides) {
                    self.yunet(level, *score, Grid::new(width, height, stride, 1), &mut found)?;
                }
            }
            Output::Scrfd { strides, anchors, .. } => {
                for (level, &stride) in outputs.chunks_exact(3).zip(strides) {
                    self.scrfd(level, Grid::new(width, height, stride, *anchors), &mut found)?;
                }
            }
            Output::Retinaface { strides, sizes, variance, .. } => {
                let priors = priors(width, height, strides, sizes);
                self.retinaface(outputs, &priors, *variance, &mut found)?;
            }
            Output::FaceRows { .. } => self.rows(outputs[0], &mut found)?,
            other => return Err(format!("adaptor `{}` finds no faces", other.adaptor())),
        }
        found.sort_by(|a, b| b.score.total_cmp(&a.score));
        found.truncate(MOST_CANDIDATES);
        Ok(suppressed(found, self.thresholds.nms_iou))
    }

    fn yunet(&self, level: Fetched<'_>, rule: YunetScore, grid: Grid, found: &mut Vec<FaceBox>) -> Result<(), String> {
        let [classes, objects, boxes, points] = level else { return Err("four outputs a stride".to_owned()) };
        for (numbers, each) in [(classes, 1), (objects, 1), (boxes, 4), (points, 10)] {
            grid.holds(*numbers, each)?;
        }
        let least = match rule {
            YunetScore::Product => self.thresholds.score,
            YunetScore::Root => self.thresholds.score * self.thresholds.score,
        };
        for (place, (class, object)) in classes.data.iter().zip(objects.data).enumerate() {
            let product = class.clamp(0.0, 1.0) * object.clamp(0.0, 1.0);
            // Most places end here; `!(a >= b)` also drops what is no number.
            if product.is_nan() || product < least {
                continue;
            }
            let score = if rule == YunetScore::Root { product.sqrt() } else { product };
            let (at, step) = (grid.place(place), grid.stride as f32);
            let [x, y, w, h] = four(&boxes.data[place * 4..]);
            let centre = Point::new(at.x + x * step, at.y + y * step);
            let rect = Rect::centred(centre, w.exp() * step, h.exp() * step);
            add(found, rect, five(&points.data[place * 10..], at, step), score);
        }
        Ok(())
    }

    fn scrfd(&self, level: Fetched<'_>, grid: Grid, found: &mut Vec<FaceBox>) -> Result<(), String> {
        let [scores, boxes, points] = level else { return Err("three outputs a stride".to_owned()) };
        for (numbers, each) in [(scores, 1), (boxes, 4), (points, 10)] {
            grid.holds(*numbers, each)?;
        }
        for (place, &score) in scores.data.iter().enumerate() {
            if score.is_nan() || score < self.thresholds.score {
                continue;
            }
            let (at, step) = (grid.place(place), grid.stride as f32);
            let [left, top, right, bottom] = four(&boxes.data[place * 4..]).map(|side| side * step);
            let rect = Rect { x1: at.x - left, y1: at.y - top, x2: at.x + right, y2: at.y + bottom };
            add(found, rect, five(&points.data[place * 10..], at, step), score);
        }
        Ok(())
    }

    fn retinaface(
        &self,
        outputs: Fetched<'_>,
        priors: &[[f32; 4]],
        [of_centre, of_size]: [f32; 2],
        found: &mut Vec<FaceBox>,
    ) -> Result<(), String> {
        let [boxes, scores, points] = outputs else { return Err("three outputs".to_owned()) };
        for (numbers, each) in [(boxes, 4), (scores, 2), (points, 10)] {
            if numbers.data.len() != priors.len() * each {
                return Err(format!(
                    "{} priors need {each} numbers each, an output has {:?}",
                    priors.len(),
                    numbers.shape
                ));
            }
        }
        for (place, &[cx, cy, w, h]) in priors.iter().enumerate() {
            let score = scores.data[place * 2 + 1];
            if score.is_nan() || score < self.thresholds.score {
                continue;
            }
            let [x, y, dw, dh] = four(&boxes.data[place * 4..]);
            let centre = Point::new(cx + x * of_centre * w, cy + y * of_centre * h);
            let rect = Rect::centred(centre, w * (dw * of_size).exp(), h * (dh * of_size).exp());
            let offsets = &points.data[place * 10..];
            let point =
                |n: usize| Point::new(cx + offsets[2 * n] * of_centre * w, cy + offsets[2 * n + 1] * of_centre * h);
            add(found, rect, std::array::from_fn(point), score);
        }
        Ok(())
    }

    fn rows(&self, numbers: Numbers<'_>, found: &mut Vec<FaceBox>) -> Result<(), String> {
        if numbers.shape.last() != Some(&15) {
            return Err(format!("a face has 15 numbers, the output has the shape {:?}", numbers.shape));
        }
        for row in numbers.data.chunks_exact(15).filter(|row| row[4] >= self.thresholds.score) {
            let rect = Rect { x1: row[0], y1: row[1], x2: row[2], y2: row[3] };
            add(found, rect, five(&row[5..], Point::default(), 1.0), row[4].min(1.0));
        }
        Ok(())
    }
}

/// Places of one stride, row by row.
#[derive(Clone, Copy)]
struct Grid {
    columns: usize,
    rows: usize,
    stride: usize,
    anchors: usize,
}

impl Grid {
    fn new(width: usize, height: usize, stride: usize, anchors: usize) -> Self {
        Self { columns: width.div_ceil(stride), rows: height.div_ceil(stride), stride, anchors }
    }

    fn holds(&self, numbers: Numbers<'_>, each: usize) -> Result<(), String> {
        let Self { columns, rows, stride, anchors } = *self;
        if numbers.data.len() == columns * rows * anchors * each {
            return Ok(());
        }
        let shape = numbers.shape;
        Err(format!(
            "stride {stride} needs {columns}x{rows} places of {anchors} boxes and {each} numbers, an output has {shape:?}"
        ))
    }

    fn place(&self, place: usize) -> Point {
        let cell = place / self.anchors;
        Point::new((cell % self.columns * self.stride) as f32, (cell / self.columns * self.stride) as f32)
    }
}

/// Centre and size of every prior box, in pixels of the input; centres in the middle of their cells.
fn priors(width: usize, height: usize, strides: &[usize], sizes: &[Vec<f32>]) -> Vec<[f32; 4]> {
    let mut priors = Vec::new();
    for (&stride, sizes) in strides.iter().zip(sizes) {
        let grid = Grid::new(width, height, stride, 1);
        for cell in 0..grid.columns * grid.rows {
            let at = grid.place(cell);
            let half = stride as f32 / 2.0;
            priors.extend(sizes.iter().map(|&size| [at.x + half, at.y + half, size, size]));
        }
    }
    priors
}

fn four(numbers: &[f32]) -> [f32; 4] {
    [numbers[0], numbers[1], numbers[2], numbers[3]]
}

fn five(numbers: &[f32], at: Point, step: f32) -> [Point; 5] {
    std::array::from_fn(|n| Point::new(at.x + numbers[2 * n] * step, at.y + numbers[2 * n + 1] * step))
}

/// Adds a face whose numbers are numbers and that has an extent.
fn add(found: &mut Vec<FaceBox>, rect: Rect, points: [Point; 5], score: f32) {
    let near = |value: f32| value.abs() < 1e6;
    let finite = [rect.x1, rect.y1, rect.x2, rect.y2].into_iter().all(near)
        && points.iter().all(|point| near(point.x) && near(point.y));
    if finite && rect.width() >= 1.0 && rect.height() >= 1.0 {
        found.push(FaceBox { rect, points, score });
    }
}

/// Greedy suppression of boxes that overlap a stronger one; input and output in falling order of score.
fn suppressed(candidates: Vec<FaceBox>, iou: f32) -> Vec<FaceBox> {
    let mut kept: Vec<FaceBox> = Vec::new();
    for candidate in candidates {
        if kept.len() < MOST_FACES && kept.iter().all(|strong| strong.rect.iou(&candidate.rect) <= iou) {
            kept.push(candidate);
        }
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decoder(output: &str, score: f32) -> FaceDecoder {
        FaceDecoder::new(&toml::from_str(output).unwrap(), Thresholds { score, nms_iou: 0.45, certain: 0.0 })
    }

    /// Outputs of one stride of 8 for an input of 16 x 8: two places.
    fn numbers<'a>(shapes: &'a [Vec<i64>], data: &'a [Vec<f32>]) -> Vec<Numbers<'a>> {
        shapes.iter().zip(data).map(|(shape, data)| Numbers { shape, data }).collect()
    }

    fn shapes(data: &[Vec<f32>], places: usize) -> Vec<Vec<i64>> {
        data.iter().map(|each| vec![1, places as i64, (each.len() / places) as i64]).collect()
    }

    #[test]
    fn yunet_counts_from_the_corner_of_a_place_and_sizes_are_exponents() {
        let kps: Vec<f32> = (0..20).map(|n| if n < 10 { 0.0 } else { (n - 10) as f32 / 10.0 }).collect();
        let boxes = vec![0.0, 0.0, 0.0, 0.0, 0.5, 0.25, 0.0, 2.0_f32.ln()];
        let data = vec![vec![0.1, 0.8], vec![0.9, 0.5], boxes, kps];
        let shape = shapes(&data, 2);
        let found = decoder("adaptor = 'yunet'\nstrides = [8]", 0.3).decode(&numbers(&shape, &data), (16, 8)).unwrap();
        assert_eq!(found.len(), 1);
        assert!((found[0].score - 0.4).abs() < 1e-6);
        assert_eq!(found[0].rect, Rect::centred(Point::new(12.0, 2.0), 8.0, 16.0));
        assert!((found[0].points[4].x - (8.0 + 6.4)).abs() < 1e-5 && (found[0].points[4].y - 7.2).abs() < 1e-5);
        let text = "adaptor = 'yunet'\nstrides = [8]\nscore = 'root'";
        let root = decoder(text, 0.6).decode(&numbers(&shape, &data), (16, 8)).unwrap();
        assert!((root[0].score - 0.4_f32.sqrt()).abs() < 1e-6);
        let words = decoder(text, 0.6).decode(&numbers(&shape, &data), (32, 8)).unwrap_err();
        assert!(words.contains("4x1 places"), "{words}");
    }

    #[test]
    fn scrfd_has_two_boxes_at_a_place_and_tells_distances() {
        let text = "adaptor = 'scrfd'\nscores = ['a']\nboxes = ['b']\npoints = ['c']\nstrides = [8]";
        let mut boxes = vec![0.0; 16];
        boxes[12..].copy_from_slice(&[0.5, 0.25, 1.0, 1.0]);
        let data = vec![vec![0.0, 0.1, 0.2, 0.9], boxes, vec![0.5; 40]];
        let shape = shapes(&data, 4);
        let found = decoder(text, 0.5).decode(&numbers(&shape, &data), (16, 8)).unwrap();
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].rect, Rect::new(4.0, -2.0, 16.0, 8.0));
        assert_eq!(found[0].points[2], Point::new(12.0, 4.0));
    }

    #[test]
    fn retinaface_moves_prior_boxes() {
        let text = "adaptor = 'retinaface'\nboxes = 'b'\nscores = 's'\npoints = 'p'\nstrides = [8]\nsizes = [[16, 32]]";
        let mut boxes = vec![0.0; 16];
        boxes[12..].copy_from_slice(&[1.0, -1.0, 5.0 * 0.5_f32.ln(), 0.0]);
        let scores = vec![0.9, 0.1, 0.9, 0.1, 0.9, 0.1, 0.2, 0.8];
        let data = vec![boxes, scores, vec![1.0; 40]];
        let shape = shapes(&data, 4);
        let found = decoder(text, 0.5).decode(&numbers(&shape, &data), (16, 8)).unwrap();
        let rect = found[0].rect;
        assert!(rect.centre().distance(Point::new(15.2, 0.8)) < 1e-4);
        assert!((rect.width() - 16.0).abs() < 1e-4 && (rect.height() - 32.0).abs() < 1e-4);
        assert!((found[0].points[0].x - 15.2).abs() < 1e-5 && (found[0].points[0].y - 7.2).abs() < 1e-5);
    }

    #[test]
    fn rows_are_taken_as_they_are_and_overlapping_ones_are_one_face() {
        let row = |x: f32, score: f32| {
            let mut row = vec![x, 10.0, x + 20.0, 30.0, score];
            row.extend((0..10).map(|n| x + n as f32));
            row
        };
        let data = vec![[row(10.0, 0.9), row(12.0, 0.8), row(100.0, 0.7), row(200.0, f32::NAN)].concat()];
        let shape = vec![vec![1, 4, 15]];
        let found =
            decoder("adaptor = 'face-rows'\nname = 'o'", 0.5).decode(&numbers(&shape, &data), (320, 320)).unwrap();
        assert_eq!(found.iter().map(|face| face.rect.x1).collect::<Vec<_>>(), [10.0, 100.0]);
        assert_eq!(found[1].points[4], Point::new(108.0, 109.0));
        let narrow = vec![vec![1, 4, 14]];
        let words = decoder("adaptor = 'face-rows'\nname = 'o'", 0.5).decode(&numbers(&narrow, &data), (320, 320));
        assert!(words.unwrap_err().contains("15 numbers"));
    }
}
