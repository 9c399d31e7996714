//! `members enroll`: from photos of a member to one face template. The photos are read and forgotten; only the sealed
//! vector stays.

use std::path::{Path, PathBuf};

use anyhow::Context;
use jiff::Timestamp;
use serde::Serialize;
use serde_json::json;

use super::super::Exit;
use super::Place;
use crate::domain::Uptime;
use crate::domain::face::gallery::{Policy, Verdict};
use crate::domain::face::pool::{FacePool, PooledFace};
use crate::domain::face::{Embedding, FaceQuality, FaceReject};
use crate::domain::observation::StageTimes;
use crate::inference::pack::{Task, prefer_faces};
use crate::inference::{FaceReader, Portrait, Space, still};
use crate::store::keys::KeyRing;
use crate::store::members::{EnrolError, MemberStore, NewTemplate};

/// Deviations above the mean of different people from which two photos show one person, where the pack does not say.
const ONE_PERSON: f64 = 3.0;

/// What was typed after `members enroll`.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The member, who is listed and has agreed to be recognised by face.
    #[arg(value_name = "MEMBER_REF")]
    member_ref: String,
    /// A photo with this one face: JPEG, PNG or BMP; repeatable. Three, in ordinary light, are better than one.
    #[arg(long, value_name = "FILE", required = true, num_args = 1..)]
    photo: Vec<PathBuf>,
    /// Instead of the templates that the member has; otherwise beside them.
    #[arg(long)]
    replace: bool,
    /// Look at the photos, but store nothing.
    #[arg(long)]
    dry_run: bool,
    /// Pack that finds or describes faces, by name or folder; repeatable.
    #[arg(long, value_name = "NAME|DIR")]
    pack: Vec<String>,
}

/// One photo, and what became of it.
#[derive(Debug, Serialize)]
struct Photo {
    file: PathBuf,
    used: bool,
    words: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    quality: Option<FaceQuality>,
    #[serde(skip)]
    embedding: Option<Embedding>,
}

/// Runs it; exit code 5 when no photo was good enough or they show different people.
pub(super) fn run(args: &Args, place: &Place, json: bool) -> anyhow::Result<Exit> {
    let mut store = place.open()?;
    let member = store.get(&args.member_ref)?.ok_or_else(|| EnrolError::NoMember(args.member_ref.clone()))?;
    if !member.consents.face {
        return Err(EnrolError::NoConsent(args.member_ref.clone()).into());
    }
    let ring = place.keys()?;
    let mut faces = place.config().faces.clone();
    prefer_faces(&mut faces, &args.pack, &place.loaded.base, &[Task::FaceDetect, Task::FaceEmbed])?;
    let mut reader = FaceReader::load(&faces, &place.config().inference, &place.loaded.base)?;
    let space = reader.space().context("no pack has a model for `face-embed`")?.clone();
    let photos: Vec<Photo> = args.photo.iter().map(|file| look(file, &mut reader)).collect();
    let pooled = pool(&photos);
    let wrong = pooled.as_ref().and_then(|_| different_people(&photos, &space));
    let twin = match (&pooled, &wrong) {
        (Some(pooled), None) => twin(&store, &ring, &space, pooled, args, place)?,
        _ => None,
    };
    let mut templates = None;
    if let (Some(pooled), None, false) = (&pooled, &wrong, args.dry_run) {
        let template = NewTemplate {
            space: space.name.clone(),
            vector: pooled.embedding.clone(),
            quality: Some(pooled.quality.clamp(0.0, 1.0)),
        };
        templates = Some(store.enrol(&ring, &args.member_ref, &[template], args.replace)?);
    }
    let outcome = Outcome { args, space: &space, photos: &photos, pooled, wrong, twin, templates };
    if json {
        println!("{}", serde_json::to_string_pretty(&outcome.json())?);
    } else {
        outcome.tell();
    }
    Ok(if outcome.good() { Exit::Ok } else { Exit::Refused })
}

/// One template of photos that are all good enough; for the demo, whose photos are.
#[cfg(feature = "broker")]
pub(in crate::commands) fn template(files: &[PathBuf], reader: &mut FaceReader) -> anyhow::Result<NewTemplate> {
    let space = reader.space().context("no pack has a model for `face-embed`")?.name.clone();
    let photos: Vec<Photo> = files.iter().map(|file| look(file, reader)).collect();
    if let Some(photo) = photos.iter().find(|photo| !photo.used) {
        anyhow::bail!("`{}`: {}", photo.file.display(), photo.words);
    }
    let pooled = pool(&photos).context("there is no photo")?;
    Ok(NewTemplate { space, vector: pooled.embedding.clone(), quality: Some(pooled.quality.clamp(0.0, 1.0)) })
}

/// What a photo shows, in words.
fn look(file: &Path, reader: &mut FaceReader) -> Photo {
    let portrait = still::picture(file).and_then(|picture| {
        reader.portrait(&picture, false, false, &mut StageTimes::default()).context("cannot be looked at")
    });
    let refused =
        |words: String, quality| Photo { file: file.to_owned(), used: false, words, quality, embedding: None };
    match portrait {
        Err(error) => refused(format!("{error:#}"), None),
        Ok(None) => {
            refused("no face was found; take a photo in which the face fills a third of the height".into(), None)
        }
        Ok(Some(portrait)) => match unfit(&portrait) {
            Some(words) => refused(words, Some(portrait.quality)),
            None => Photo {
                file: file.to_owned(),
                used: true,
                words: grade(&portrait.quality),
                quality: Some(portrait.quality),
                embedding: portrait.embedding,
            },
        },
    }
}

/// Why no template is made of a photo.
fn unfit(portrait: &Portrait) -> Option<String> {
    let quality = &portrait.quality;
    if portrait.others > 0 {
        return Some(format!(
            "{} faces of similar size; whose it is cannot be told: cut the photo to the member's face",
            portrait.others + 1
        ));
    }
    let words = match portrait.rejected {
        None if portrait.embedding.is_none() => "the model gave no vector for this face".to_owned(),
        None => return None,
        Some(FaceReject::TooSmall) => {
            format!("the face is too small, {:.0} pixels between the eyes; take the photo from nearer", quality.eyes_px)
        }
        Some(FaceReject::CutOff) => "the face is cut off by the edge of the photo".to_owned(),
        Some(FaceReject::Blurred) => "the face is out of focus or moved".to_owned(),
        Some(FaceReject::Turned) => format!(
            "the face is turned away, {:.0}° to the side and {:.0}° up or down; look into the camera",
            quality.yaw.abs(),
            quality.pitch.abs()
        ),
        Some(FaceReject::Light) if quality.brightness < 0.5 => "the face is too dark; turn to the light".to_owned(),
        Some(FaceReject::Light) => "the face is washed out; less light, no flash".to_owned(),
    };
    Some(words)
}

fn grade(quality: &FaceQuality) -> String {
    let word = match quality.score {
        score if score >= 0.7 => "good",
        score if score >= 0.4 => "fair",
        _ => "poor, but usable",
    };
    format!(
        "{word}: {:.0} pixels between the eyes, {:.0}° to the side, brightness {:.0} %",
        quality.eyes_px,
        quality.yaw.abs(),
        quality.brightness * 100.0
    )
}

/// The photos as one face.
fn pool(photos: &[Photo]) -> Option<PooledFace> {
    let mut pool = FacePool::new(u32::try_from(photos.len()).unwrap_or(u32::MAX));
    for photo in photos {
        if let (Some(embedding), Some(quality)) = (&photo.embedding, &photo.quality) {
            pool.add(embedding.clone(), quality, Uptime::ZERO);
        }
    }
    pool.pooled()
}

/// Two photos that do not show one person, in words.
fn different_people(photos: &[Photo], space: &Space) -> Option<String> {
    let least = match (space.cosine, space.impostors) {
        (Some(cosine), _) => cosine,
        (None, Some(impostors)) => (impostors.mean + ONE_PERSON * impostors.deviation) as f32,
        (None, None) => return None,
    };
    let used: Vec<_> = photos.iter().filter_map(|photo| Some((&photo.file, photo.embedding.as_ref()?))).collect();
    let pairs = used.iter().enumerate().flat_map(|(at, one)| used[at + 1..].iter().map(move |other| (one, other)));
    let worst = pairs.map(|(one, other)| (one.1.cosine(other.1), one.0, other.0)).min_by(|a, b| a.0.total_cmp(&b.0));
    let (score, one, other) = worst.filter(|(score, ..)| *score < least)?;
    Some(format!(
        "`{}` and `{}` do not show one person ({score:.2}, {least:.2} is needed); leave one of them out",
        one.display(),
        other.display()
    ))
}

/// Another member who looks the same to the embedding.
fn twin(
    store: &MemberStore,
    ring: &KeyRing,
    space: &Space,
    pooled: &PooledFace,
    args: &Args,
    place: &Place,
) -> anyhow::Result<Option<String>> {
    let Some(impostors) = space.impostors else { return Ok(None) };
    let policy = Policy::new(impostors, place.config().faces.false_positive_identification_rate);
    let (mut gallery, _) = store.gallery(ring, &space.name, policy, Timestamp::now())?;
    if let Some(own) = store.id_of(&args.member_ref)? {
        gallery.remove(own);
    }
    let near = match gallery.search(&space.name, &pooled.embedding) {
        Verdict::Member { id, .. } | Verdict::Ambiguous { ids: [id, _], .. } => id,
        _ => return Ok(None),
    };
    Ok(store.by_id(near)?.map(|member| member.member_ref))
}

/// Everything that is told.
struct Outcome<'a> {
    args: &'a Args,
    space: &'a Space,
    photos: &'a [Photo],
    pooled: Option<PooledFace>,
    wrong: Option<String>,
    twin: Option<String>,
    /// The member's templates afterwards.
    templates: Option<u64>,
}

impl Outcome<'_> {
    fn good(&self) -> bool {
        self.pooled.is_some() && self.wrong.is_none()
    }

    fn json(&self) -> serde_json::Value {
        json!({
            "member_ref": self.args.member_ref,
            "enrolled": self.templates.is_some(),
            "space": self.space.name,
            "templates": self.templates,
            "quality": self.pooled.as_ref().map(|pooled| pooled.quality),
            "agreement": self.pooled.as_ref().map(|pooled| pooled.agreement),
            "photos": self.photos,
            "why_not": self.why_not(),
            "looks_like": self.twin,
        })
    }

    fn why_not(&self) -> Option<&str> {
        match &self.pooled {
            None => Some("no photo is good enough"),
            Some(_) => self.wrong.as_deref(),
        }
    }

    fn tell(&self) {
        for photo in self.photos {
            let mark = if photo.used { "used" } else { "not used" };
            println!("{}: {mark}; {}", photo.file.display(), photo.words);
        }
        if let Some(twin) = &self.twin {
            eprintln!(
                "note: `{twin}` looks the same; is it one person listed twice? Matching such two says `ambiguous`."
            );
        }
        let name = &self.args.member_ref;
        match (self.why_not(), self.templates) {
            (Some(why), _) => println!("{name} was not enrolled: {why}."),
            (None, None) => println!("{name} can be enrolled with these photos; nothing was stored."),
            (None, Some(1)) => println!("{name} is enrolled; the photos are not kept."),
            (None, Some(count)) => println!("{name} is enrolled with {count} templates now; the photos are not kept."),
        }
    }
}
