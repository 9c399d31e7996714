//! Who a face is, by the list of members on this box, and why or why not. For the technician at the terminal: nothing
//! here is logged or sent.

use std::path::Path;

use anyhow::Context;
use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde_json::{Value, json};

use crate::commands::members::not_matched;
use crate::config::Config;
use crate::domain::face::Embedding;
use crate::domain::face::gallery::{Gallery, Verdict};
use crate::inference::{FaceReader, Space};
use crate::pipeline::members::face_policy;
use crate::pipeline::rules::time_zone;
use crate::store::keys::KeyRing;
use crate::store::members::{FaceReport, MemberId, MemberStore};

/// The members who may be matched by face at this moment.
pub(super) struct Who {
    store: MemberStore,
    gallery: Gallery,
    report: FaceReport,
    space: String,
    zone: TimeZone,
}

/// What is said of one face.
#[derive(Debug)]
pub(super) struct Answer {
    /// The member, when there is one and he may be told of at this moment.
    pub member_ref: Option<String>,
    /// The whole answer.
    pub told: Value,
    /// The reason as a sentence.
    pub why: String,
}

impl Who {
    /// Opens the list and unseals its templates of the pack's space.
    pub fn open(file: &Path, config: &Config, reader: &FaceReader) -> anyhow::Result<Self> {
        let space: &Space = reader.space().context("no pack has a model for `face-embed`")?;
        let store = MemberStore::open_existing(file)?;
        let folder = file.parent().unwrap_or(Path::new(""));
        let ring = KeyRing::load(&config.privacy, folder)?;
        let (gallery, report) = store.gallery(&ring, &space.name, face_policy(config, space), Timestamp::now())?;
        Ok(Self { store, gallery, report, space: space.name.clone(), zone: time_zone(config)? })
    }

    /// What the gallery was made of, as a sentence.
    pub fn about(&self) -> String {
        let left_out: u64 = self.report.left_out.values().sum();
        format!(
            "{} templates of {} members in the space `{}`; {left_out} members may not be matched now",
            self.report.templates, self.report.members, self.space
        )
    }

    /// Looks a face up.
    pub fn is(&self, face: &Embedding) -> anyhow::Result<Answer> {
        let verdict = self.gallery.search(&self.space, face);
        let why = verdict.why();
        let mut told = json!({ "verdict": verdict.word(), "why": why });
        match verdict {
            Verdict::Member { id, score, margin, threshold } => {
                told["score"] = json!(places(score));
                told["threshold"] = json!(places(threshold));
                told["margin"] = json!(places(margin));
                return self.member(id, told, why);
            }
            Verdict::Ambiguous { scores, needed, .. } => {
                told["score"] = json!(places(scores[0]));
                told["second"] = json!(places(scores[1]));
                told["margin"] = json!(places(scores[0] - scores[1]));
                told["needed_margin"] = json!(places(needed));
            }
            Verdict::Unsure { score, threshold, .. } | Verdict::Nobody { score, threshold } => {
                told["score"] = json!(places(score));
                told["threshold"] = json!(places(threshold));
            }
            Verdict::Abstain { .. } => {}
        }
        Ok(Answer { member_ref: None, told, why })
    }

    /// Weekly windows and the lease are asked at the match itself.
    fn member(&self, id: MemberId, mut told: Value, why: String) -> anyhow::Result<Answer> {
        let now = Timestamp::now();
        let local = now.to_zoned(self.zone.clone());
        let minute = u16::from(local.hour().unsigned_abs()) * 60 + u16::from(local.minute().unsigned_abs());
        let day = local.weekday().to_monday_one_offset().unsigned_abs();
        match self.store.face_owner(id, now, (day, minute))? {
            Ok(member) => {
                told["member_ref"] = json!(member.member_ref);
                Ok(Answer { member_ref: Some(member.member_ref), told, why })
            }
            Err(reason) => {
                told["verdict"] = json!("not-matchable");
                told["why"] = json!(not_matched(reason));
                Ok(Answer { member_ref: None, told, why: format!("not matchable: {}", not_matched(reason)) })
            }
        }
    }
}

/// To a thousandth.
fn places(value: f32) -> f64 {
    (f64::from(value) * 1e3).round() / 1e3
}
