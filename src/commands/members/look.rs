//! `members list` and `members show`, and how a member looks on a terminal.

use std::io::{BufWriter, Write};

use comfy_table::{ContentArrangement, Table, presets};
use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde_json::json;

use super::super::Exit;
use super::super::closed::stdout;
use super::Place;
use crate::domain::member::{Member, NotMatched};
use crate::store::members::{Filter, Format, SpaceCount, StoreError, object};

/// What was typed after `members list`.
#[derive(Debug, clap::Args)]
pub(super) struct ListArgs {
    /// At most so many members; 0 shows all.
    #[arg(long, default_value_t = 100)]
    limit: u64,
    /// Only this tier.
    #[arg(long)]
    tier: Option<String>,
    /// Only this list, such as `vip`.
    #[arg(long)]
    list: Option<String>,
    /// Only what this organisation listed.
    #[arg(long)]
    organisation: Option<String>,
}

/// What was typed after `members show`.
#[derive(Debug, clap::Args)]
pub(super) struct ShowArgs {
    /// Names of members.
    #[arg(value_name = "MEMBER_REF", required = true)]
    member_refs: Vec<String>,
}

/// Runs `members list`; with `--json` one object a line, as `export` writes them.
pub(super) fn list(args: ListArgs, place: &Place, json: bool) -> anyhow::Result<Exit> {
    let store = place.open()?;
    let limit = (args.limit > 0).then_some(args.limit);
    let filter = Filter { tier: args.tier, list: args.list, organisation: args.organisation, limit };
    if json {
        store.export(&filter, Format::JsonLines, BufWriter::new(stdout()))?;
        return Ok(Exit::Ok);
    }
    let now = Timestamp::now();
    let mut table = table(&["member_ref", "plates", "tier", "list", "organisation", "consents", "now"]);
    let mut shown = 0;
    store.each(&filter, |_, member| {
        shown += 1;
        let state = matchable(&member, now, &place.zone);
        table.add_row([
            member.member_ref.clone(),
            member.plates.join(" "),
            member.tier.clone().unwrap_or_default(),
            member.list.clone(),
            member.organisation.clone().unwrap_or_default(),
            consents(&member),
            state.err().map_or("matched", short).to_owned(),
        ]);
        Ok::<_, StoreError>(())
    })?;
    writeln!(stdout(), "{table}")?;
    let counts = store.counts()?;
    eprintln!("{shown} of {} members, {} plates, revision {}.", counts.members, counts.plates, counts.revision);
    Ok(Exit::Ok)
}

/// Runs `members show`; with `--json` one object a line.
pub(super) fn show(args: ShowArgs, place: &Place, json: bool) -> anyhow::Result<Exit> {
    let store = place.open()?;
    let mut exit = Exit::Ok;
    for member_ref in &args.member_refs {
        let Some(member) = store.get(member_ref)? else {
            eprintln!("no member `{member_ref}` in the list; `forecourt members list` shows who is");
            exit = Exit::NotFound;
            continue;
        };
        let state = matchable(&member, Timestamp::now(), &place.zone);
        if json {
            let mut shown = object(&member);
            shown["templates"] = json!(store.templates_of(member_ref)?);
            shown["matched_now"] = json!(state.is_ok());
            shown["why_not"] = json!(state.err().map(short));
            writeln!(stdout(), "{shown}")?;
        } else {
            writeln!(stdout(), "{}", card(&member, state, &store.templates_of(member_ref)?))?;
        }
    }
    Ok(exit)
}

/// Everything about one member, a line each.
fn card(member: &Member, state: Result<(), NotMatched>, templates: &[SpaceCount]) -> Table {
    let fields = object(member);
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_content_arrangement(ContentArrangement::Dynamic);
    for (name, value) in fields.as_object().expect("a member is an object") {
        let text = match value {
            serde_json::Value::String(text) => text.clone(),
            serde_json::Value::Array(items) => {
                items.iter().filter_map(|item| item.as_str()).collect::<Vec<_>>().join("; ")
            }
            other => other.to_string(),
        };
        table.add_row([name.as_str(), &text]);
    }
    let faces: Vec<String> =
        templates.iter().map(|count| format!("{} in space {}", count.templates, count.space)).collect();
    table.add_row(["face templates", &if faces.is_empty() { "none".to_owned() } else { faces.join("; ") }]);
    let now =
        state.map_or_else(|why| format!("not matched by plate: {}", words(why)), |()| "matched by plate".to_owned());
    table.add_row(["now", &now]);
    table
}

/// May the member be matched by plate at this moment at the site?
pub(super) fn matchable(member: &Member, at: Timestamp, zone: &TimeZone) -> Result<(), NotMatched> {
    let local = at.to_zoned(zone.clone());
    let minute = u16::from(local.hour().unsigned_abs()) * 60 + u16::from(local.minute().unsigned_abs());
    member.plate_matchable(at, (local.weekday().to_monday_one_offset().unsigned_abs(), minute))
}

/// The reason as a word.
pub(in crate::commands) fn short(why: NotMatched) -> &'static str {
    match why {
        NotMatched::NoConsent => "no-consent",
        NotMatched::NotYetValid => "not-yet-valid",
        NotMatched::Expired => "expired",
        NotMatched::LeaseRunOut => "lease-run-out",
        NotMatched::OutsideWindow => "outside-window",
    }
}

/// The reason as a sentence.
pub(super) fn words(why: NotMatched) -> &'static str {
    match why {
        NotMatched::NoConsent => "there is no consent `plate`",
        NotMatched::NotYetValid => "`valid_from` has not come yet",
        NotMatched::Expired => "`valid_until` has passed",
        NotMatched::LeaseRunOut => "the consent lease (`not_after`) has run out",
        NotMatched::OutsideWindow => "the moment lies outside the weekly windows",
    }
}

fn consents(member: &Member) -> String {
    let given: Vec<&str> = member.consents.named().into_iter().filter_map(|(name, on)| on.then_some(name)).collect();
    if given.is_empty() { "none".to_owned() } else { given.join(" ") }
}

/// A table in the look of the house.
pub(in crate::commands) fn table(header: &[&str]) -> Table {
    let mut table = Table::new();
    table
        .load_style(presets::UTF8_FULL_CONDENSED)
        .set_content_arrangement(ContentArrangement::Dynamic)
        .set_header(header);
    table
}
