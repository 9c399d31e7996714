//! Points, boxes, quadrilaterals and polygons of a picture.
//!
//! Pixels or fractions 0..1, as the caller says; x to the right, y down, from the top left.

/// A place in a picture.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Point {
    /// To the right.
    pub x: f32,
    /// Down.
    pub y: f32,
}

impl Point {
    /// A point.
    pub const fn new(x: f32, y: f32) -> Self {
        Self { x, y }
    }

    /// Straight-line distance.
    pub fn distance(self, other: Self) -> f32 {
        (self.x - other.x).hypot(self.y - other.y)
    }
}

/// An upright box; `x1 <= x2` and `y1 <= y2`.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Rect {
    /// Left.
    pub x1: f32,
    /// Top.
    pub y1: f32,
    /// Right.
    pub x2: f32,
    /// Bottom.
    pub y2: f32,
}

impl Rect {
    /// A box from any two opposite corners.
    pub fn new(x1: f32, y1: f32, x2: f32, y2: f32) -> Self {
        Self { x1: x1.min(x2), y1: y1.min(y2), x2: x1.max(x2), y2: y1.max(y2) }
    }

    /// From centre and size.
    pub fn centred(centre: Point, width: f32, height: f32) -> Self {
        Self::new(centre.x - width / 2.0, centre.y - height / 2.0, centre.x + width / 2.0, centre.y + height / 2.0)
    }

    /// Extent to the right.
    pub fn width(&self) -> f32 {
        self.x2 - self.x1
    }

    /// Extent downwards.
    pub fn height(&self) -> f32 {
        self.y2 - self.y1
    }

    /// Width times height.
    pub fn area(&self) -> f32 {
        self.width() * self.height()
    }

    /// The middle.
    pub fn centre(&self) -> Point {
        Point::new((self.x1 + self.x2) / 2.0, (self.y1 + self.y2) / 2.0)
    }

    /// Where a thing on the ground stands: the middle of the lower edge.
    pub fn foot(&self) -> Point {
        Point::new((self.x1 + self.x2) / 2.0, self.y2)
    }

    /// Area that both cover; 0 when they do not touch.
    pub fn intersection(&self, other: &Self) -> f32 {
        let width = (self.x2.min(other.x2) - self.x1.max(other.x1)).max(0.0);
        let height = (self.y2.min(other.y2) - self.y1.max(other.y1)).max(0.0);
        width * height
    }

    /// Intersection over union, 0..1.
    pub fn iou(&self, other: &Self) -> f32 {
        let shared = self.intersection(other);
        let union = self.area() + other.area() - shared;
        if union > 0.0 { shared / union } else { 0.0 }
    }

    /// The part that lies inside a picture.
    pub fn clipped(&self, width: f32, height: f32) -> Self {
        Self {
            x1: self.x1.clamp(0.0, width),
            y1: self.y1.clamp(0.0, height),
            x2: self.x2.clamp(0.0, width),
            y2: self.y2.clamp(0.0, height),
        }
    }

    /// Moved.
    pub fn shifted(&self, dx: f32, dy: f32) -> Self {
        Self { x1: self.x1 + dx, y1: self.y1 + dy, x2: self.x2 + dx, y2: self.y2 + dy }
    }

    /// The four corners.
    pub fn quad(&self) -> Quad {
        Quad([
            Point::new(self.x1, self.y1),
            Point::new(self.x2, self.y1),
            Point::new(self.x2, self.y2),
            Point::new(self.x1, self.y2),
        ])
    }
}

/// Four corners of a plate: top left, top right, bottom right, bottom left as one reads it.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Quad(pub [Point; 4]);

impl Quad {
    /// The upright box around it.
    pub fn bounds(&self) -> Rect {
        let mut bounds = Rect { x1: f32::MAX, y1: f32::MAX, x2: f32::MIN, y2: f32::MIN };
        for corner in self.0 {
            bounds.x1 = bounds.x1.min(corner.x);
            bounds.y1 = bounds.y1.min(corner.y);
            bounds.x2 = bounds.x2.max(corner.x);
            bounds.y2 = bounds.y2.max(corner.y);
        }
        bounds
    }

    /// Mean length of the upper and lower edge.
    pub fn width(&self) -> f32 {
        let [tl, tr, br, bl] = self.0;
        (tl.distance(tr) + bl.distance(br)) / 2.0
    }

    /// Mean length of the left and right edge.
    pub fn height(&self) -> f32 {
        let [tl, tr, br, bl] = self.0;
        (tl.distance(bl) + tr.distance(br)) / 2.0
    }
}

/// A closed outline, three corners or more.
#[derive(Clone, Debug, PartialEq)]
pub struct Polygon(Vec<Point>);

impl Polygon {
    /// `None` with fewer than three corners or a corner that is no number.
    pub fn new(corners: Vec<Point>) -> Option<Self> {
        let sound = corners.len() >= 3 && corners.iter().all(|c| c.x.is_finite() && c.y.is_finite());
        sound.then_some(Self(corners))
    }

    /// The corners in order.
    pub fn corners(&self) -> &[Point] {
        &self.0
    }

    /// Does the point lie inside? Even-odd rule; a point on an upper or left edge counts as inside.
    pub fn contains(&self, point: Point) -> bool {
        let mut inside = false;
        let mut before = self.0[self.0.len() - 1];
        for &corner in &self.0 {
            if (corner.y > point.y) != (before.y > point.y) {
                let share = (point.y - corner.y) / (before.y - corner.y);
                if point.x < corner.x + share * (before.x - corner.x) {
                    inside = !inside;
                }
            }
            before = corner;
        }
        inside
    }

    /// Signed area by the shoelace formula; its size is 0 for an outline that encloses nothing.
    pub fn area(&self) -> f32 {
        let next = self.0.iter().cycle().skip(1);
        self.0.iter().zip(next).map(|(a, b)| a.x * b.y - b.x * a.y).sum::<f32>() / 2.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn boxes_that_do_not_touch_do_not_overlap() {
        let (a, b) = (Rect::new(0.0, 0.0, 10.0, 10.0), Rect::new(20.0, 20.0, 30.0, 30.0));
        assert_eq!(a.iou(&b), 0.0);
        assert_eq!(a.iou(&a), 1.0);
        assert!((a.iou(&Rect::new(5.0, 0.0, 15.0, 10.0)) - 1.0 / 3.0).abs() < 1e-6);
    }

    #[test]
    fn a_notch_of_a_polygon_is_outside() {
        let corners = [(0.0, 0.0), (1.0, 0.0), (1.0, 1.0), (0.5, 0.5), (0.0, 1.0)];
        let shape = Polygon::new(corners.iter().map(|&(x, y)| Point::new(x, y)).collect()).unwrap();
        assert!(shape.contains(Point::new(0.5, 0.25)));
        assert!(!shape.contains(Point::new(0.5, 0.75)));
        assert!(Polygon::new(vec![Point::default(); 2]).is_none());
    }
}
