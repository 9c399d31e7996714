//! `members match`: what a plate that was read without any doubt would match, and why or why not.
//!
//! It answers for the list, not for a picture: how sure a reading is, is asked of the evidence when a camera sees the
//! plate. The listed plates nearby are told because they are what an unreadable character leaves open.

use anyhow::Context;
use jiff::Timestamp;
use serde::Serialize;

use super::super::Exit;
use super::Place;
use super::look::{matchable, short, table, words};
use crate::domain::member::{Member, NotMatched};
use crate::domain::plate::grammar::Grammar;
use crate::domain::plate::list::PlateList;
use crate::domain::plate::normalise;
use crate::store::members::MemberStore;

/// Places in which a listed plate may differ to be told.
const NEAR: u32 = 2;
/// Listed plates nearby that are told.
const MOST_NEAR: usize = 20;

/// What was typed after `members match`.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The plate, with or without dots and hyphens.
    plate: String,
    /// At this moment instead of now, such as `2026-01-31T08:00:00+08:00`.
    #[arg(long, value_name = "TIME")]
    at: Option<String>,
}

/// What comes of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
enum Verdict {
    /// One member would be told of.
    Listed,
    /// Several members have the plate; nobody is told of.
    Ambiguous,
    /// It is listed, but for nobody who may be matched at that moment.
    NotMatchable,
    /// Nobody has it.
    NotListed,
}

/// The whole answer.
#[derive(Debug, Serialize)]
struct Answer {
    plate: String,
    verdict: Verdict,
    at: Timestamp,
    region: String,
    formats: Vec<String>,
    members: Vec<Candidate>,
    near: Vec<Near>,
}

/// A member who has the plate.
#[derive(Debug, Serialize)]
struct Candidate {
    member_ref: String,
    tier: Option<String>,
    list: String,
    matchable: bool,
    why_not: Option<&'static str>,
    #[serde(skip)]
    reason: Option<NotMatched>,
}

/// A listed plate that is easily taken for it.
#[derive(Debug, Serialize)]
struct Near {
    plate: String,
    differs: u32,
    /// The places that differ, from 1.
    places: Vec<usize>,
    members: Vec<String>,
}

/// Runs it.
pub(super) fn run(args: Args, place: &Place, json: bool) -> anyhow::Result<Exit> {
    let store = place.open()?;
    let at = match &args.at {
        Some(text) => text.parse().with_context(|| format!("`{text}` is no time; write 2026-01-31T08:00:00+08:00"))?,
        None => Timestamp::now(),
    };
    let answer = answer(&store, place, normalise(&args.plate), at)?;
    if json {
        println!("{}", serde_json::to_string_pretty(&answer)?);
    } else {
        tell(&answer);
    }
    Ok(if answer.verdict == Verdict::Listed { Exit::Ok } else { Exit::NotFound })
}

fn answer(store: &MemberStore, place: &Place, plate: String, at: Timestamp) -> anyhow::Result<Answer> {
    let candidate = |member: Member| {
        let reason = matchable(&member, at, &place.zone).err();
        Candidate {
            member_ref: member.member_ref,
            tier: member.tier,
            list: member.list,
            matchable: reason.is_none(),
            why_not: reason.map(short),
            reason,
        }
    };
    let members: Vec<Candidate> = store.with_plate(&plate)?.into_iter().map(candidate).collect();
    let verdict = match (members.iter().filter(|member| member.matchable).count(), members.len()) {
        (1, _) => Verdict::Listed,
        (0, 0) => Verdict::NotListed,
        (0, _) => Verdict::NotMatchable,
        _ => Verdict::Ambiguous,
    };
    let region = place.config().plates.region.clone();
    let grammar = Grammar::built_in(&region);
    let mut formats: Vec<String> =
        grammar.iter().flat_map(|grammar| grammar.matching(&plate)).map(|format| format.kind.clone()).collect();
    formats.dedup();
    let near = near(store, &plate)?;
    Ok(Answer { verdict, at, region, formats, members, near, plate })
}

/// Plates of the match set that differ in one or two places.
fn near(store: &MemberStore, plate: &str) -> anyhow::Result<Vec<Near>> {
    let (entries, _) = store.match_set()?;
    let (list, _) = PlateList::build(entries);
    let found = list.near(plate, NEAR, MOST_NEAR + 1).into_iter().filter(|near| near.differs > 0).take(MOST_NEAR);
    found
        .map(|near| {
            let mut members = Vec::new();
            for id in list.owners(&near.plate) {
                members.extend(store.by_id(id)?.map(|member| member.member_ref));
            }
            let both = near.plate.chars().zip(plate.chars()).enumerate();
            let places = both.filter(|(_, (a, b))| a != b).map(|(place, _)| place + 1).collect();
            Ok(Near { plate: near.plate, differs: near.differs, places, members })
        })
        .collect()
}

fn tell(answer: &Answer) {
    let plate = &answer.plate;
    let matched: Vec<&str> =
        answer.members.iter().filter(|member| member.matchable).map(|member| member.member_ref.as_str()).collect();
    match answer.verdict {
        Verdict::Listed => println!("{plate} matches {}.", matched[0]),
        Verdict::Ambiguous => {
            println!("{plate} is ambiguous: {} have it, so nobody is told of.", matched.join(" and "))
        }
        Verdict::NotMatchable => println!("{plate} is listed, but for nobody who may be matched at that moment."),
        Verdict::NotListed => println!("{plate} is not listed."),
    }
    for member in &answer.members {
        let tier = member.tier.as_deref().unwrap_or("no tier");
        let state = member.reason.map_or("may be matched".to_owned(), |why| format!("not matched: {}", words(why)));
        println!("  {} ({}, {tier}): {state}", member.member_ref, member.list);
    }
    if answer.formats.is_empty() {
        println!("It has no format of the region `{}`; a camera will hardly read it so.", answer.region);
    } else {
        println!("Format in the region `{}`: {}.", answer.region, answer.formats.join(", "));
    }
    if answer.near.is_empty() {
        println!("No other listed plate differs in only one or two places.");
        return;
    }
    println!("Listed plates nearby; when the places that differ cannot be read, the camera may not tell them apart:");
    let mut table = table(&["plate", "differs in place", "members"]);
    for near in &answer.near {
        let places: Vec<String> = near.places.iter().map(usize::to_string).collect();
        table.add_row([near.plate.clone(), places.join(", "), near.members.join(" ")]);
    }
    println!("{table}");
}
