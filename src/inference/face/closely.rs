//! The one face of a photograph, looked for with patience: for enrolment and for judging models on photographs.
//!
//! A passport photograph, a crop of a data set and a holiday picture differ in what the detector likes: a face that fills
//! the picture, is cut at its edges, or has few pixels. So the picture is looked at in several sizes on a wide grey border; boxes that
//! agree are one face, and the mean of their points is steadier than any single one's. Where nothing is found the
//! picture may be taken as a face by itself, which the caller is told.

use super::FaceReader;
use super::geometry::Pose;
use super::quality;
use crate::domain::face::{Embedding, Expression, FaceQuality};
use crate::domain::frame::Frame;
use crate::domain::geometry::{Point, Rect};
use crate::domain::observation::StageTimes;
use crate::inference::decode::FaceBox;
use crate::inference::picture::Pixels;

/// Longer sides to which the picture alone is scaled, without its border.
const SIDES: [usize; 7] = [48, 64, 96, 128, 192, 288, 448];
/// Border on each side, as a share of the longer side.
const BORDER: f32 = 0.5;
/// The same for networks of one size, which see the picture smaller on a wider border.
const BORDERS: [f32; 3] = [0.0, 0.5, 1.25];
/// Grey value of the border.
const GREY: u8 = 127;
/// Least score of a box in a single view.
const LEAST: f32 = 0.05;
/// Least mean score over all views for a face, and for a place that is better than none in a picture that must show one.
const LEAST_MEAN: f32 = 0.1;
const FAINT_MEAN: f32 = 0.02;
/// Overlap from which boxes of two views are one face.
const SAME: f32 = 0.4;
/// Where the five points are in a picture that is nothing but a face.
const WHOLE: [[f32; 2]; 5] = [[0.29, 0.36], [0.71, 0.36], [0.50, 0.55], [0.34, 0.75], [0.66, 0.75]];
/// A face at least so high, as a share of the picture's height, fills the picture.
const FILLS: f32 = 0.6;
/// A small picture is enlarged by so much at most, but to this side in any case.
const ENLARGED: f32 = 1.2;
const ENLARGED_TO: usize = 192;
/// A larger picture is scaled down before it is looked at in several sizes; the crop is cut from the original.
const LARGE: usize = 1024;

/// How a face was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum How {
    /// By the detector.
    Found,
    /// Not at all: the whole picture was taken as the face.
    Assumed,
}

/// The one face of a photograph.
#[derive(Clone, Debug)]
pub struct Portrait {
    /// How it was found.
    pub how: How,
    /// Upright box in pixels of the picture.
    pub rect: Rect,
    /// Left eye, right eye, nose, left and right corner of the mouth.
    pub points: [Point; 5],
    /// Mean score of the detector over the views in which it was found, 0..1.
    pub detection: f32,
    /// Other faces in the picture that are nearly as plain.
    pub others: usize,
    /// Measured on the face.
    pub quality: FaceQuality,
    /// Why it is not good enough to be recognised from, by the pack and the settings.
    pub rejected: Option<crate::domain::face::FaceReject>,
    /// Its vector, the mean with that of the mirror image; `None` without an embedding.
    pub embedding: Option<Embedding>,
    /// Its expression; `None` when it was not wanted or no pack tells it.
    pub expression: Option<Expression>,
}

/// Boxes of several views that are one face.
struct Cluster {
    boxes: Vec<FaceBox>,
}

impl FaceReader {
    /// The plainest face of a photograph. With `assume`, a picture without one is taken as a face by itself; else it
    /// gives `None`.
    pub fn portrait(
        &mut self,
        picture: &Frame,
        expression: bool,
        assume: bool,
        times: &mut StageTimes,
    ) -> anyhow::Result<Option<Portrait>> {
        let least = if assume { FAINT_MEAN } else { LEAST_MEAN };
        let (face, how, others) = match self.plainest(picture, least, times)? {
            Some((face, others)) => (face, How::Found, others),
            None if assume => (assumed(picture), How::Assumed, 0),
            None => return Ok(None),
        };
        let pixels = Pixels::from(picture);
        let (mut quality, rejected) = self.judge(pixels, &face, times);
        if quality.sharpness == 0.0 {
            // The photograph is measured also where a camera's frame would not be looked at any closer.
            let seen = self.measure(pixels, &face.points, &Pose::of(&face.points));
            quality = quality::of_place(&face, &Pose::of(&face.points));
            quality::of_crop(&mut quality, seen, &self.limits);
        }
        let embedding = match &mut self.embedder {
            Some(embedder) => embedder.embed(pixels, &face.points, true, times)?,
            None => None,
        };
        let expression = if expression { self.express(picture, &face, times)? } else { None };
        let FaceBox { rect, points, score } = face;
        let portrait =
            Portrait { how, rect, points, detection: score, others, quality, rejected, embedding, expression };
        Ok(Some(portrait))
    }

    /// The expression of the plainest face of a photograph, and whether it was found or the picture taken as a crop. A
    /// picture that a face fills is a ready crop for a network that looks at a square around the box.
    pub fn expression_of(
        &mut self,
        picture: &Frame,
        times: &mut StageTimes,
    ) -> anyhow::Result<Option<(Expression, How)>> {
        let found = self.plainest(picture, FAINT_MEAN, times)?.map(|(face, _)| face);
        let Some(model) = &mut self.expression else { return Ok(None) };
        let fills = |face: &FaceBox| face.rect.height() >= FILLS * picture.height as f32;
        let face = match found {
            Some(face) if !(model.takes_squares() && fills(&face)) => face,
            None if !model.takes_squares() => assumed(picture),
            _ => return Ok(Some((model.tell_crop(picture.into(), times)?, How::Assumed))),
        };
        let how = if face.score > 0.0 { How::Found } else { How::Assumed };
        Ok(Some((model.tell(picture.into(), &face, times)?, how)))
    }

    fn plainest(
        &mut self,
        picture: &Frame,
        least: f32,
        times: &mut StageTimes,
    ) -> anyhow::Result<Option<(FaceBox, usize)>> {
        let (mut clusters, mut views): (Vec<Cluster>, usize) = (Vec::new(), 0);
        for (border, sides) in self.views(picture) {
            let (bordered, shift) = with_border(picture, border);
            for longest in sides {
                views += 1;
                for face in self.detector.find_at((&bordered).into(), longest, LEAST, times)? {
                    add(&mut clusters, moved_back(face, shift));
                }
            }
        }
        let side = |length: u32| length as f32;
        let weigh = |cluster: &Cluster| cluster.weight(side(picture.width), side(picture.height));
        clusters.sort_by(|a, b| weigh(b).total_cmp(&weigh(a)));
        let Some(best) = clusters.first().filter(|cluster| cluster.sum() >= least * views as f32) else {
            return Ok(None);
        };
        let others = clusters[1..].iter().filter(|other| weigh(other) >= 0.5 * weigh(best)).count();
        Ok(Some((best.mean(), others)))
    }

    /// Borders, and the longest sides of the picture with its border in the views.
    fn views(&self, picture: &Frame) -> Vec<(f32, Vec<usize>)> {
        let longest = picture.width.max(picture.height) as usize;
        if !self.detector.any_size() {
            return BORDERS.map(|border| (border, vec![longest])).to_vec();
        }
        let most = ((longest as f32 * ENLARGED) as usize).max(ENLARGED_TO);
        let small = SIDES.into_iter().filter(|&side| side <= most);
        // A large picture may hold a small face.
        let large = [640, LARGE].into_iter().filter(|&side| longest > SIDES[SIDES.len() - 1] && side < 2 * longest);
        let whole = 1.0 + 2.0 * BORDER;
        vec![(BORDER, small.chain(large).map(|side| (side as f32 * whole) as usize).collect())]
    }
}

impl Cluster {
    fn sum(&self) -> f32 {
        self.boxes.iter().map(|face| face.score).sum()
    }

    /// Plain, large and in the middle: that is whom a photograph shows.
    fn weight(&self, width: f32, height: f32) -> f32 {
        let rect = self.mean().rect;
        let centre = rect.centre();
        let aside = ((centre.x / width - 0.5).powi(2) + (centre.y / height - 0.5).powi(2)).sqrt();
        let share = (rect.area() / (width * height)).clamp(1e-4, 1.0);
        self.sum() * share.powf(0.25) * (1.0 - 1.2 * aside).max(0.1)
    }

    /// Mean box and points, weighed by score.
    fn mean(&self) -> FaceBox {
        let sum = self.sum().max(f32::MIN_POSITIVE);
        let mean = |value: fn(&FaceBox, usize) -> f32, n: usize| {
            self.boxes.iter().map(|face| value(face, n) * face.score).sum::<f32>() / sum
        };
        let rect = Rect {
            x1: mean(|face, _| face.rect.x1, 0),
            y1: mean(|face, _| face.rect.y1, 0),
            x2: mean(|face, _| face.rect.x2, 0),
            y2: mean(|face, _| face.rect.y2, 0),
        };
        let point = |n: usize| Point::new(mean(|face, n| face.points[n].x, n), mean(|face, n| face.points[n].y, n));
        let score = sum / self.boxes.len() as f32;
        FaceBox { rect, points: std::array::from_fn(point), score }
    }
}

fn add(clusters: &mut Vec<Cluster>, face: FaceBox) {
    let near = |cluster: &&mut Cluster| cluster.boxes.iter().any(|other| other.rect.iou(&face.rect) >= SAME);
    match clusters.iter_mut().find(near) {
        Some(cluster) => cluster.boxes.push(face),
        None => clusters.push(Cluster { boxes: vec![face] }),
    }
}

fn moved_back(face: FaceBox, shift: f32) -> FaceBox {
    let points = face.points.map(|point| Point::new(point.x - shift, point.y - shift));
    FaceBox { rect: face.rect.shifted(-shift, -shift), points, ..face }
}

fn assumed(picture: &Frame) -> FaceBox {
    let (width, height) = (picture.width as f32, picture.height as f32);
    let points = WHOLE.map(|[x, y]| Point::new(x * width, y * height));
    FaceBox { rect: Rect::new(0.0, 0.0, width, height), points, score: 0.0 }
}

/// The picture on a grey border, and how far it moved.
fn with_border(picture: &Frame, share: f32) -> (Frame, f32) {
    let border = (share * picture.width.max(picture.height) as f32).round() as u32;
    let (width, height) = (picture.width + 2 * border, picture.height + 2 * border);
    let mut bgr = vec![GREY; width as usize * height as usize * 3];
    let row = picture.width as usize * 3;
    for y in 0..picture.height as usize {
        let start = ((y + border as usize) * width as usize + border as usize) * 3;
        bgr[start..start + row].copy_from_slice(&picture.bgr[y * row..(y + 1) * row]);
    }
    (Frame { seq: picture.seq, at: picture.at, width, height, bgr }, border as f32)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::Uptime;

    fn face(x: f32, side: f32, score: f32) -> FaceBox {
        FaceBox { rect: Rect::new(x, 10.0, x + side, 10.0 + side), points: [Point::new(x, 10.0); 5], score }
    }

    #[test]
    fn boxes_of_several_views_are_one_face_and_the_surer_ones_weigh_more() {
        let mut clusters = Vec::new();
        for each in [face(10.0, 40.0, 0.9), face(14.0, 40.0, 0.3), face(100.0, 40.0, 0.5)] {
            add(&mut clusters, each);
        }
        assert_eq!(clusters.len(), 2);
        let mean = clusters[0].mean();
        assert!((mean.points[0].x - 11.0).abs() < 1e-4 && (mean.score - 0.6).abs() < 1e-5);
    }

    #[test]
    fn the_large_face_in_the_middle_is_meant_and_not_the_passer_by() {
        let weight = |face: FaceBox| Cluster { boxes: vec![face] }.weight(250.0, 250.0);
        let middle = FaceBox { rect: Rect::new(80.0, 70.0, 170.0, 180.0), ..face(0.0, 1.0, 0.7) };
        let aside = FaceBox { rect: Rect::new(0.0, 60.0, 50.0, 120.0), ..face(0.0, 1.0, 0.8) };
        assert!(weight(middle) > 2.0 * weight(aside));
    }

    #[test]
    fn the_border_is_grey_and_the_picture_stays_whole_in_it() {
        let picture = Frame::new(0, Uptime::ZERO, 4, 2, (0..24).collect()).unwrap();
        let (bordered, shift) = with_border(&picture, 0.5);
        assert_eq!((bordered.width, bordered.height, shift), (8, 6, 2.0));
        assert_eq!(bordered.pixel(2, 2), [0, 1, 2]);
        assert_eq!(bordered.pixel(5, 3), [21, 22, 23]);
        assert_eq!((bordered.pixel(1, 2), bordered.pixel(6, 3)), ([127; 3], [127; 3]));
    }
}
