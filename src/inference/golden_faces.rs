//! Golden samples of models for faces: does an embedding or a model of expression give what its pack says?

use anyhow::{Context, bail, ensure};

use super::face::{Embedder, ExpressionModel};
use super::pack::{Golden, Pack};
use super::still;
use crate::domain::face::Embedding;
use crate::domain::frame::Frame;
use crate::domain::observation::StageTimes;

/// How far each number of a golden vector may be off.
const NUMBER: f32 = 0.01;

/// Of an aligned crop: its first numbers, and how like other crops it is.
pub(super) fn check_vector(embedder: &mut Embedder, pack: &Pack, frame: &Frame, golden: &Golden) -> anyhow::Result<()> {
    let least = embedder.space().cosine;
    let mut vector = |frame: &Frame| -> anyhow::Result<Embedding> {
        let vector = embedder.embed_crop(frame.into(), &mut StageTimes::default())?;
        vector.context("the network gives no vector")
    };
    let found = vector(frame)?;
    if let Some(wanted) = &golden.vector {
        ensure!(wanted.len() <= found.values().len(), "it has {} numbers, the sample more", found.values().len());
        let off = wanted.iter().zip(found.values()).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
        ensure!(off <= NUMBER, "a number of its vector is off by {off:.3}, {NUMBER} is allowed");
    }
    for (other, same) in [(&golden.like, true), (&golden.unlike, false)] {
        let Some(file) = other else { continue };
        let least = least.context("`like` and `unlike` need `likeness.cosine`")?;
        let cosine = found.cosine(&vector(&still::picture(&pack.path(file)?)?)?);
        let words = if same { "one person" } else { "two people" };
        ensure!((cosine >= least) == same, "`{file}` has the cosine {cosine:.2}; {words} were expected at {least}");
    }
    if golden.vector.is_none() && golden.like.is_none() && golden.unlike.is_none() {
        bail!("an embedding's golden sample needs `vector`, `like` or `unlike`");
    }
    Ok(())
}

/// Of a ready crop: the most probable class.
pub(super) fn check_expression(model: &mut ExpressionModel, frame: &Frame, golden: &Golden) -> anyhow::Result<()> {
    let wanted = golden.expression.as_deref().context("its golden sample needs `expression`")?;
    let told = model.tell_crop(frame.into(), &mut StageTimes::default())?;
    let best = told.classes.iter().max_by(|a, b| a.1.total_cmp(&b.1)).map_or("none", |(word, _)| word.as_str());
    ensure!(best == wanted, "it tells {best}, not {wanted}");
    Ok(())
}
