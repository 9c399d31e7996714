//! Where a plate will be: constant velocity with random acceleration, one Kalman filter a coordinate.
//!
//! Centre in pixels, size as logarithms (a car that comes nearer grows by a factor, not by a step). Noise is in units of
//! the plate's width, so that a near car may jump further than a far one.
//! Source: Bar-Shalom, Li, Kirubarajan, "Estimation with Applications to Tracking and Navigation", 2001, §6.3.2.

use crate::domain::geometry::{Point, Rect};

/// Standard deviation of a measured centre, in plate widths.
const CENTRE_NOISE: f32 = 0.06;
/// Standard deviation of a measured size, as a logarithm.
const SIZE_NOISE: f32 = 0.08;
/// Speed that a vehicle may have when first seen, in plate widths a second (a plate is 0.44 m, so about 16 km/h).
const FIRST_SPEED: f32 = 10.0;
/// How fast it may grow when first seen, as a logarithm a second.
const FIRST_GROWTH: f32 = 1.0;
/// Random acceleration, in plate widths a second squared.
const ACCELERATION: f32 = 6.0;
/// Random change of growth, as a logarithm a second squared.
const GROWTH_CHANGE: f32 = 1.0;

/// One coordinate: value and speed with their covariance.
#[derive(Clone, Copy, Debug)]
struct Axis {
    value: f32,
    speed: f32,
    /// Variances of value and speed, and what they share.
    cov: [f32; 3],
}

impl Axis {
    fn first(value: f32, noise: f32, speed_noise: f32) -> Self {
        Self { value, speed: 0.0, cov: [noise * noise, 0.0, speed_noise * speed_noise] }
    }

    fn predicted(self, dt: f32, acceleration: f32) -> Self {
        let [value, both, speed] = self.cov;
        let random = acceleration * acceleration;
        Self {
            value: self.value + self.speed * dt,
            speed: self.speed,
            cov: [
                value + 2.0 * dt * both + dt * dt * speed + random * dt.powi(4) / 4.0,
                both + dt * speed + random * dt.powi(3) / 2.0,
                speed + random * dt * dt,
            ],
        }
    }

    fn corrected(self, measured: f32, noise: f32) -> Self {
        let [value, both, speed] = self.cov;
        let total = value + noise * noise;
        let (gain, speed_gain) = (value / total, both / total);
        let off = measured - self.value;
        Self {
            value: self.value + gain * off,
            speed: self.speed + speed_gain * off,
            cov: [(1.0 - gain) * value, (1.0 - gain) * both, speed - speed_gain * both],
        }
    }

    /// How surprising a measurement is: squared distance in standard deviations, and the logarithm of how much wider
    /// the expectation is than a measurement.
    fn surprise(&self, measured: f32, noise: f32) -> (f32, f32) {
        let total = self.cov[0] + noise * noise;
        let off = measured - self.value;
        (off * off / total, (total / (noise * noise)).ln() / 2.0)
    }
}

/// Position, size and their change, as of the last time it was seen.
#[derive(Clone, Copy, Debug)]
pub(super) struct Motion {
    x: Axis,
    y: Axis,
    width: Axis,
    height: Axis,
}

/// How well a box fits an expectation; lower is better.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Misfit {
    /// Squared distance of the centres in standard deviations.
    pub centre: f32,
    /// The same for width and height.
    pub size: f32,
    /// Logarithm of how vague the expected place was.
    pub vagueness: f32,
}

impl Motion {
    /// Seen for the first time; the box must be finite and not empty.
    pub fn first(seen: &Rect) -> Self {
        let (centre, unit) = (seen.centre(), seen.width());
        let place = |value| Axis::first(value, CENTRE_NOISE * unit, FIRST_SPEED * unit);
        let size = |value: f32| Axis::first(value.ln(), SIZE_NOISE, FIRST_GROWTH);
        Self { x: place(centre.x), y: place(centre.y), width: size(seen.width()), height: size(seen.height()) }
    }

    /// What is expected `dt` seconds later.
    pub fn predicted(&self, dt: f32) -> Self {
        let unit = self.unit();
        Self {
            x: self.x.predicted(dt, ACCELERATION * unit),
            y: self.y.predicted(dt, ACCELERATION * unit),
            width: self.width.predicted(dt, GROWTH_CHANGE),
            height: self.height.predicted(dt, GROWTH_CHANGE),
        }
    }

    /// The expectation, corrected by what was seen.
    pub fn corrected(&self, seen: &Rect) -> Self {
        let (centre, noise) = (seen.centre(), CENTRE_NOISE * seen.width());
        Self {
            x: self.x.corrected(centre.x, noise),
            y: self.y.corrected(centre.y, noise),
            width: self.width.corrected(seen.width().ln(), SIZE_NOISE),
            height: self.height.corrected(seen.height().ln(), SIZE_NOISE),
        }
    }

    /// How well a box fits this expectation.
    pub fn misfit(&self, seen: &Rect) -> Misfit {
        let (centre, noise) = (seen.centre(), CENTRE_NOISE * self.unit());
        let (x, x_vague) = self.x.surprise(centre.x, noise);
        let (y, y_vague) = self.y.surprise(centre.y, noise);
        let (width, _) = self.width.surprise(seen.width().ln(), SIZE_NOISE);
        let (height, _) = self.height.surprise(seen.height().ln(), SIZE_NOISE);
        Misfit { centre: x + y, size: width + height, vagueness: x_vague + y_vague }
    }

    /// The expected box; its size is held between a pixel and what a picture can hold.
    pub fn rect(&self) -> Rect {
        let side = |axis: &Axis| axis.value.clamp(0.0, 12.0).exp();
        Rect::centred(Point::new(self.x.value, self.y.value), side(&self.width), side(&self.height))
    }

    /// Speed over the picture, in plate widths a second.
    pub fn speed(&self) -> f32 {
        self.x.speed.hypot(self.y.speed) / self.unit()
    }

    fn unit(&self) -> f32 {
        self.width.value.clamp(0.0, 12.0).exp()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plate(x: f32) -> Rect {
        Rect::centred(Point::new(x, 300.0), 100.0, 30.0)
    }

    #[test]
    fn after_a_few_frames_the_next_place_of_a_steady_car_is_known() {
        let mut motion = Motion::first(&plate(100.0));
        for step in 1..8_u8 {
            motion = motion.predicted(0.2).corrected(&plate(100.0 + 120.0 * f32::from(step)));
        }
        let next = motion.predicted(0.2);
        assert!((next.rect().centre().x - 1060.0).abs() < 10.0, "{:?}", next.rect());
        assert!((motion.speed() - 6.0).abs() < 0.5, "{}", motion.speed());
        let right = next.misfit(&plate(1060.0));
        assert!(right.centre < next.misfit(&plate(900.0)).centre);
    }

    #[test]
    fn the_longer_nothing_is_seen_the_vaguer_the_expectation() {
        let motion = Motion::first(&plate(100.0)).predicted(0.1).corrected(&plate(100.0));
        let vague = |dt| motion.predicted(dt).misfit(&plate(100.0)).vagueness;
        assert!(vague(0.1) < vague(1.0) && vague(1.0) < vague(2.0));
    }

    #[test]
    fn hours_of_standing_still_leave_numbers_sound() {
        let mut motion = Motion::first(&plate(100.0));
        for step in 0..50_000_u32 {
            let wobble = if step % 2 == 0 { 0.5 } else { -0.5 };
            motion = motion.predicted(0.2).corrected(&plate(100.0 + wobble));
        }
        assert!((motion.rect().centre().x - 100.0).abs() < 1.0);
        assert!(motion.x.cov.iter().all(|each| each.is_finite()) && motion.x.cov[0] > 0.0);
    }
}
