//! One face that is followed: what is pooled of it, whose it was found to be, when it is worth another look.
//!
//! Everything that could tell who a stranger is lies in here and goes with it, or earlier, with [`Person::wipe`].

use std::time::Duration;

use super::{FaceAttention, FaceRules};
use crate::domain::Uptime;
use crate::domain::event::Look;
use crate::domain::face::pool::{ExpressionPool, FacePool, LookRules, PooledExpression};
use crate::domain::face::{Embedding, Expression, FaceQuality, FaceReject};
use crate::domain::geometry::Rect;
use crate::domain::visit::MemberFacts;
use crate::domain::visit::zones::Whereabouts;

/// Vectors of a face that is out of sight for longer are wiped, whether its track goes on or not.
const WIPE_AFTER: Duration = Duration::from_secs(1);
/// Looks at an undecided face before they become rarer, and then rare.
const EAGER: u32 = 12;
const PATIENT: u32 = 40;
/// Time between two looks at a face: undecided for a while, for long, and a member's, which only guards the track.
const RARER: Duration = Duration::from_millis(400);
const RARE: Duration = Duration::from_secs(2);
const GUARD: Duration = Duration::from_secs(1);

/// Of one track.
pub(super) struct Person {
    pub(super) pool: FacePool,
    expressions: ExpressionPool,
    first_expression: Option<Uptime>,
    pub(super) whereabouts: Whereabouts,
    pub(super) rect: Rect,
    pub(super) seen: Uptime,
    pub(super) first_seen: Uptime,
    /// Vectors that were made of it.
    pub(super) looks: u32,
    due: Uptime,
    pub(super) member: Option<MemberFacts>,
    pub(super) was_member: bool,
    pub(super) was_ambiguous: bool,
    /// When it was last asked whether the member may still be matched.
    pub(super) asked: Uptime,
    /// Why no vector was made of it in the last frame.
    pub(super) rejected: Option<FaceReject>,
}

impl Person {
    /// In its first frame.
    pub(super) fn first(
        rules: &FaceRules,
        rect: Rect,
        whereabouts: Whereabouts,
        at: Uptime,
        first_seen: Uptime,
    ) -> Self {
        let look_rules = LookRules { window: rules.expression_window, ..LookRules::default() };
        Self {
            pool: FacePool::new(rules.best_frames),
            expressions: ExpressionPool::new(look_rules),
            first_expression: None,
            whereabouts,
            rect,
            seen: at,
            first_seen,
            looks: 0,
            due: Uptime::ZERO,
            member: None,
            was_member: false,
            was_ambiguous: false,
            asked: at,
            rejected: None,
        }
    }

    /// What inference is to do with it in the next frame.
    pub(super) fn attention(&self, at_exit: bool) -> FaceAttention {
        FaceAttention { rect: self.rect, due: self.due, expression: at_exit && self.shows_expression() }
    }

    /// Is it a member who agreed that the expression is looked at?
    fn shows_expression(&self) -> bool {
        self.member.as_ref().is_some_and(|facts| facts.expression)
    }

    /// Pools a vector.
    pub(super) fn add(&mut self, embedding: Embedding, quality: &FaceQuality, at: Uptime) {
        self.pool.add(embedding, quality, at);
        self.looks = self.looks.saturating_add(1);
        self.rejected = None;
        self.due = at + self.pause();
    }

    fn pause(&self) -> Duration {
        match self.looks {
            _ if self.member.is_some() => GUARD,
            0..EAGER => Duration::ZERO,
            EAGER..PATIENT => RARER,
            _ => RARE,
        }
    }

    /// Pools an expression, of a member who agreed; what the platform is to be told of it now.
    pub(super) fn express(
        &mut self,
        expression: &Expression,
        quality: &FaceQuality,
        at: Uptime,
        window: Duration,
    ) -> Option<Look> {
        if !self.shows_expression() {
            return None;
        }
        self.expressions.add(expression.clone(), quality, at);
        let first = *self.first_expression.get_or_insert(at);
        self.expressions.pooled().map(|pooled| told(&pooled, at.saturating_sub(first).min(window)))
    }

    /// It was found to be a member's.
    pub(super) fn found(&mut self, facts: MemberFacts, at: Uptime) {
        (self.member, self.was_member, self.asked) = (Some(facts), true, at);
        self.due = at + GUARD;
    }

    /// What the member may be told of now; `None`: nothing at all. What was pooled before goes with the consent to it.
    pub(super) fn stands(&mut self, facts: Option<MemberFacts>) {
        if facts.is_none() {
            self.pool.clear();
        }
        self.member = facts;
        if !self.shows_expression() {
            self.expressions.clear();
            self.first_expression = None;
        }
    }

    /// Out of sight for too long? Then its vectors go, before its track does; true when there were any.
    pub(super) fn wipe(&mut self, at: Uptime) -> bool {
        let due = at.saturating_sub(self.seen) > WIPE_AFTER && self.pool.frames() > 0;
        if due {
            self.pool.clear();
        }
        due
    }
}

/// The pooled expression as the platform is told.
fn told(pooled: &PooledExpression, over: Duration) -> Look {
    let PooledExpression { look, shares, frames, quality } = pooled;
    let whole = (shares.positive + shares.neutral + shares.negative).max(f32::MIN_POSITIVE);
    Look {
        expression: *look,
        positive: shares.positive / whole,
        neutral: shares.neutral / whole,
        negative: shares.negative / whole,
        classes: shares.classes.iter().cloned().collect(),
        frames: *frames,
        quality: *quality,
        seconds: over.as_secs_f64(),
    }
}
