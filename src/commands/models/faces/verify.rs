//! `--task face-verify`: are two pictures of one person?

use std::path::Path;

use serde_json::{Map, Value, json};

use super::super::super::vision::Setup;
use super::{Vector, share, tables, vectors};
use crate::domain::face::evaluation::{self, Pair};

/// The figures, and how many pictures could not be read.
pub fn run(path: &Path, setup: &Setup) -> anyhow::Result<(Map<String, Value>, usize)> {
    let table = tables::pairs(path)?;
    let looked = vectors(table.iter().flat_map(|pair| pair.files.clone()).collect(), setup)?;
    let score = |pair: &tables::Pair| {
        let [a, b] = pair.files.each_ref().map(|file| looked.seen.get(file).map(|seen: &Vector| &seen.embedding));
        Some(Pair { score: a?.cosine(b?), same: pair.same })
    };
    let pairs: Vec<Pair> = table.iter().filter_map(score).collect();
    let accuracy = evaluation::accuracy(&pairs);
    let scored: Vec<(f32, bool)> = pairs.iter().map(|pair| (pair.score, pair.same)).collect();
    let mut told = Map::new();
    told.insert("n".to_owned(), json!(pairs.len()));
    told.insert("same".to_owned(), json!(pairs.iter().filter(|pair| pair.same).count()));
    told.insert("accuracy".to_owned(), share(accuracy.map(|(mean, _)| mean)));
    told.insert("accuracy_deviation".to_owned(), share(accuracy.map(|(_, deviation)| deviation)));
    told.insert("auc".to_owned(), share(evaluation::auc(&scored)));
    told.insert("tar_at_far_1e3".to_owned(), share(evaluation::true_accept(&pairs, 1e-3)));
    told.insert("pictures".to_owned(), json!(looked.seen.len()));
    told.insert("assumed".to_owned(), json!(looked.seen.values().filter(|seen| seen.assumed).count()));
    told.insert("ms".to_owned(), looked.stages.json());
    Ok((told, looked.refused))
}
