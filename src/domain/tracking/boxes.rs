//! Which boxes of a frame can be followed at all.

use super::Voice;
use crate::domain::geometry::Rect;

/// Two boxes are one plate when they share this part of the smaller.
const DUPLICATE: f32 = 0.6;
/// Boxes looked at in one frame; those of the lowest score beyond it are passed over.
const MOST_BOXES: usize = 128;

/// A box that can be followed.
pub(super) struct Seen<W> {
    pub(super) observation: usize,
    pub(super) rect: Rect,
    pub(super) word: Option<W>,
}

/// Boxes that are boxes, each plate or face once, the surest first; `boxes` tells box and score of an observation.
pub(super) fn usable<V: Voice, O>(
    all: &[O],
    boxes: impl Fn(&O) -> (Rect, f32),
    word: impl Fn(&O) -> Option<V::Word>,
) -> Vec<Seen<V::Word>> {
    let mut order: Vec<usize> = (0..all.len()).filter(|&place| is_box(&boxes(&all[place]).0)).collect();
    order.sort_by(|&a, &b| boxes(&all[b]).1.total_cmp(&boxes(&all[a]).1));
    let mut kept: Vec<Seen<V::Word>> = Vec::with_capacity(order.len().min(MOST_BOXES));
    for observation in order.into_iter().take(MOST_BOXES) {
        let seen = Seen { observation, rect: boxes(&all[observation]).0, word: word(&all[observation]) };
        if !kept.iter().any(|other| is_duplicate::<V>(other, &seen)) {
            kept.push(seen);
        }
    }
    kept
}

fn is_box(rect: &Rect) -> bool {
    let finite = [rect.x1, rect.y1, rect.x2, rect.y2].iter().all(|side| side.is_finite() && side.abs() < 1e5);
    finite && rect.width() >= 1.0 && rect.height() >= 1.0
}

/// Two boxes of one plate or face; two of which one hides the other look different.
fn is_duplicate<V: Voice>(kept: &Seen<V::Word>, seen: &Seen<V::Word>) -> bool {
    let shared = kept.rect.intersection(&seen.rect) / kept.rect.area().min(seen.rect.area());
    let differ = matches!((&kept.word, &seen.word), (Some(a), Some(b)) if V::differ(a, b));
    shared > DUPLICATE && !differ
}
