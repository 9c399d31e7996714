//! `--task face-identify`: are members found in the gallery, and strangers not?

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::ensure;
use serde_json::{Map, Value, json};

use super::super::super::vision::Setup;
use super::{Looked, Vector, share, tables, vectors};
use crate::domain::Uptime;
use crate::domain::face::Embedding;
use crate::domain::face::evaluation::{self, Search};
use crate::domain::face::pool::FacePool;

/// Pictures of one member that are pooled at most.
const MOST_PICTURES: u32 = 64;

/// The figures, and how many pictures could not be read.
pub fn run(gallery: &Path, probes: &Path, setup: &Setup) -> anyhow::Result<(Map<String, Value>, usize)> {
    let (gallery, probes) = (tables::labelled(gallery)?, tables::labelled(probes)?);
    let files = gallery.iter().chain(&probes).map(|each| each.file.clone());
    let looked = vectors(files.collect(), setup)?;
    let members = pooled(&gallery, &looked);
    ensure!(!members.is_empty(), "the gallery holds no member: no picture with an identity could be read");
    let search = |probe: &tables::Labelled| {
        let seen = looked.seen.get(&probe.file)?;
        let scored = members.iter().map(|(word, member)| (member.cosine(&seen.embedding), *word));
        let (score, best) = scored.max_by(|a, b| a.0.total_cmp(&b.0))?;
        let right = members.contains_key(probe.word.as_str()).then(|| best == probe.word);
        Some(Search { score, right })
    };
    let searches: Vec<Search> = probes.iter().filter_map(search).collect();
    let known = searches.iter().filter(|search| search.right.is_some()).count();
    let first = searches.iter().filter(|search| search.right == Some(true)).count();
    let at = |rate: f64| evaluation::true_identification(&searches, rate);
    let mut told = Map::new();
    told.insert("enrolled".to_owned(), json!(members.len()));
    told.insert("probes_of_members".to_owned(), json!(known));
    told.insert("probes_of_strangers".to_owned(), json!(searches.len() - known));
    told.insert("tpir_at_fpir_1pct".to_owned(), share(at(0.01).map(|(found, _)| found)));
    told.insert("tpir_at_fpir_0_1pct".to_owned(), share(at(0.001).map(|(found, _)| found)));
    told.insert("threshold_at_fpir_1pct".to_owned(), share(at(0.01).map(|(_, threshold)| f64::from(threshold))));
    told.insert("rank_1".to_owned(), share((known > 0).then(|| first as f64 / known as f64)));
    told.insert("assumed".to_owned(), json!(looked.seen.values().filter(|seen| seen.assumed).count()));
    told.insert("ms".to_owned(), looked.stages.json());
    Ok((told, looked.refused))
}

/// One vector for each member: the mean of his pictures, weighed by their quality.
fn pooled<'a>(gallery: &'a [tables::Labelled], looked: &Looked<Vector>) -> BTreeMap<&'a str, Embedding> {
    let mut pools: BTreeMap<&str, FacePool> = BTreeMap::new();
    for picture in gallery.iter().filter(|picture| !picture.word.is_empty()) {
        if let Some(seen) = looked.seen.get(&picture.file) {
            let pool = pools.entry(&picture.word).or_insert_with(|| FacePool::new(MOST_PICTURES));
            pool.add(seen.embedding.clone(), &seen.quality, Uptime::ZERO);
        }
    }
    pools.into_iter().filter_map(|(word, pool)| Some((word, pool.pooled()?.embedding))).collect()
}
