//! `members calibrate`: how alike the enrolled faces look to each other, and the threshold that follows.
//!
//! A pack says how alike strangers look on the pictures of its makers. The members of one site are another crowd, under
//! other lamps; a few hundred of them measure it better.

use comfy_table::Table;
use jiff::Timestamp;
use serde_json::json;

use super::super::Exit;
use super::Place;
use super::look::table;
use crate::domain::face::gallery::{FEWEST_PAIRS, Gallery, Impostors, Policy, Sample};
use crate::store::members::MemberStore;

/// Most pairs that are looked at: a few seconds, and enough for the share that a threshold is about.
const MOST_PAIRS: usize = 5_000_000;
/// Bars of the histogram, and their longest.
const BARS: usize = 24;
const LONGEST: usize = 40;

/// What was typed after `members calibrate`.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The embedding space; needed when the list has templates of several.
    #[arg(long)]
    space: Option<String>,
    /// Show what comes of it, but keep the threshold that holds now.
    #[arg(long)]
    dry_run: bool,
    /// Forget what was measured; the pack's own figures hold again.
    #[arg(long, conflicts_with = "dry_run")]
    forget: bool,
}

/// Runs it.
pub(super) fn run(args: &Args, place: &Place, as_json: bool) -> anyhow::Result<Exit> {
    let mut store = place.open()?;
    let Some(space) = space(args, &store)? else {
        eprintln!("nobody is enrolled with a face; `forecourt members enroll` does that");
        return Ok(Exit::NotFound);
    };
    if args.forget {
        let was = store.forget_calibration(&space)?;
        println!("{}", if was { "Forgotten; the pack's figures hold." } else { "Nothing was measured yet." });
        return Ok(if was { Exit::Ok } else { Exit::NotFound });
    }
    let rate = place.config().faces.false_positive_identification_rate;
    // The distribution does not matter here: nothing is searched before it is measured.
    let policy = Policy::new(Impostors::normal(0.0, 1.0), rate);
    let (gallery, report) = store.gallery(&place.keys()?, &space, policy, Timestamp::now())?;
    if let Some(error) = report.locked {
        eprintln!("{error}");
    }
    let before = store.calibration(&space)?.map(|stored| stored.impostors);
    let mut sample = gallery.sample(MOST_PAIRS);
    let pairs = sample.scores.len();
    let impostors = match Impostors::fit(&mut sample.scores) {
        Ok(impostors) => impostors,
        Err(error) => {
            eprintln!("{error}; {} templates of {} members are there", gallery.templates(), gallery.members());
            return Ok(Exit::Refused);
        }
    };
    let found = Found { space: &space, rate, gallery: &gallery, sample: &sample, impostors, before };
    if as_json {
        println!("{}", serde_json::to_string_pretty(&found.json(&store)?)?);
    } else {
        found.tell(&store)?;
    }
    if !args.dry_run {
        store.calibrate(&space, &impostors, pairs as u64, gallery.templates() as u64)?;
    }
    if !as_json {
        println!("{}", if args.dry_run { "Nothing was changed." } else { "It holds from the next gallery on." });
    }
    Ok(Exit::Ok)
}

fn space(args: &Args, store: &MemberStore) -> anyhow::Result<Option<String>> {
    let spaces = store.spaces()?;
    if let Some(wanted) = &args.space {
        return Ok(spaces.into_iter().map(|count| count.space).find(|space| space == wanted));
    }
    let names: Vec<&str> = spaces.iter().map(|count| count.space.as_str()).collect();
    anyhow::ensure!(names.len() < 2, "the list has templates of {}; name one with --space", names.join(", "));
    Ok(names.first().map(|name| (*name).to_owned()))
}

/// What was measured.
struct Found<'a> {
    space: &'a str,
    rate: f64,
    gallery: &'a Gallery,
    /// Its scores are sorted.
    sample: &'a Sample,
    impostors: Impostors,
    before: Option<Impostors>,
}

impl Found<'_> {
    fn threshold(&self) -> f32 {
        self.impostors.threshold(self.rate, self.gallery.templates())
    }

    fn quantile(&self, share: f64) -> f32 {
        let scores = &self.sample.scores;
        scores[((scores.len() - 1) as f64 * share).round() as usize]
    }

    /// Names of members who look like one person.
    fn alike(&self, store: &MemberStore) -> anyhow::Result<Vec<([String; 2], f32)>> {
        let name = |id| store.by_id(id).map(|member| member.map(|member| member.member_ref).unwrap_or_default());
        self.sample.alike.iter().map(|pair| Ok(([name(pair.ids[0])?, name(pair.ids[1])?], pair.score))).collect()
    }

    fn json(&self, store: &MemberStore) -> anyhow::Result<serde_json::Value> {
        let share = [0.01, 0.05, 0.25, 0.5, 0.75, 0.95, 0.99, 0.999, 1.0];
        let quantiles: Vec<_> =
            share.iter().map(|&share| json!({ "share": share, "score": self.quantile(share) })).collect();
        Ok(json!({
            "space": self.space,
            "templates": self.gallery.templates(),
            "members": self.gallery.members(),
            "pairs": self.sample.scores.len(),
            "all_pairs": self.sample.complete,
            "impostors": self.impostors,
            "quantiles": quantiles,
            "false_positive_identification_rate": self.rate,
            "threshold": self.threshold(),
            "threshold_before": self.before.map(|former| former.threshold(self.rate, self.gallery.templates())),
            "look_like_one_person": self.alike(store)?,
        }))
    }

    fn tell(&self, store: &MemberStore) -> anyhow::Result<()> {
        let which = if self.sample.complete { "all" } else { "some of the" };
        println!(
            "Space {}: {} templates of {} members, {} pairs of different members ({which} pairs; {FEWEST_PAIRS} are needed).",
            self.space,
            self.gallery.templates(),
            self.gallery.members(),
            self.sample.scores.len()
        );
        println!("{}", self.histogram());
        println!(
            "Mean {:.3}, deviation {:.3}; 99 % of the pairs are below {:.3}, 99.9 % below {:.3}, the most alike has {:.3}.",
            self.impostors.mean,
            self.impostors.deviation,
            self.quantile(0.99),
            self.quantile(0.999),
            self.quantile(1.0)
        );
        let share = format!("{} %", self.rate * 100.0);
        match self.before.map(|former| former.threshold(self.rate, self.gallery.templates())) {
            Some(before) => {
                println!("Threshold for {share} of strangers: {:.3}; until now {before:.3}.", self.threshold())
            }
            None => println!("Threshold for {share} of strangers: {:.3}; until now the pack's.", self.threshold()),
        }
        let alike = self.alike(store)?;
        if !alike.is_empty() {
            println!(
                "These look like one person listed twice; they were left out, and matching them says `ambiguous`:"
            );
            println!("{}", doubles(&alike));
        }
        Ok(())
    }

    /// How often which score comes up, a bar each.
    fn histogram(&self) -> String {
        let (low, high) = (self.quantile(0.0), self.quantile(1.0));
        let step = ((high - low) / BARS as f32).max(f32::EPSILON);
        let mut counts = [0_usize; BARS];
        for score in &self.sample.scores {
            counts[(((score - low) / step) as usize).min(BARS - 1)] += 1;
        }
        let most = counts.iter().copied().max().unwrap_or(1).max(1);
        let bar = |(at, count): (usize, &usize)| {
            // The root, so that the few far out are seen at all.
            let length = ((*count as f64 / most as f64).sqrt() * LONGEST as f64).ceil() as usize;
            format!("{:>7.3} {:<LONGEST$} {count}", low + at as f32 * step, "█".repeat(length))
        };
        counts.iter().enumerate().map(bar).collect::<Vec<_>>().join("\n")
    }
}

fn doubles(alike: &[([String; 2], f32)]) -> Table {
    let mut table = table(&["member", "member", "score"]);
    for ([one, other], score) in alike {
        table.add_row([one, other, &format!("{score:.3}")]);
    }
    table
}
