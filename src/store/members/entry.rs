//! What one line of a file says of one member: typed and checked, with the difference between "said nothing" and
//! "said: empty" kept.
//!
//! Both file formats come through here, so that they mean the same and refuse the same.

use std::collections::BTreeMap;

use jiff::Timestamp;
use jiff::tz::TimeZone;

use super::faces;
use super::report::Fault;
use super::templates::NewTemplate;
use super::text::{self, Edge};
use crate::domain::member::{Consents, WeeklyWindow};
use crate::domain::plate::normalise;

/// Longest `member_ref`, in bytes.
const MAX_REF: usize = 128;
/// Longest tier, list, organisation, name or value of an external id, in bytes.
const MAX_TEXT: usize = 256;

/// A field of the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Field {
    MemberRef,
    Plate,
    Tier,
    List,
    Organisation,
    ValidFrom,
    ValidUntil,
    Consents,
    ExternalIds,
    NotAfter,
    Windows,
    Faces,
}

impl Field {
    /// In the order in which they are written; lease and windows only when somebody has them, faces never in CSV.
    pub const ALL: [Self; 12] = [
        Self::MemberRef,
        Self::Plate,
        Self::Tier,
        Self::List,
        Self::Organisation,
        Self::ValidFrom,
        Self::ValidUntil,
        Self::Consents,
        Self::ExternalIds,
        Self::NotAfter,
        Self::Windows,
        Self::Faces,
    ];

    pub fn name(self) -> &'static str {
        match self {
            Self::MemberRef => "member_ref",
            Self::Plate => "plate",
            Self::Tier => "tier",
            Self::List => "list",
            Self::Organisation => "organisation",
            Self::ValidFrom => "valid_from",
            Self::ValidUntil => "valid_until",
            Self::Consents => "consents",
            Self::ExternalIds => "external_ids",
            Self::NotAfter => "not_after",
            Self::Windows => "windows",
            Self::Faces => "faces",
        }
    }

    /// The field of that name, or the fault that names the nearest.
    pub fn from_name(name: &str) -> Result<Self, Fault> {
        let plain = name.trim().to_ascii_lowercase();
        if let Some(field) = Self::ALL.into_iter().find(|field| field.name() == plain) {
            return Ok(field);
        }
        let distance = |field: &Self| strsim::damerau_levenshtein(field.name(), &plain);
        let nearest = Self::ALL.into_iter().min_by_key(distance).filter(|field| distance(field) <= 3);
        let known = Self::ALL.map(Self::name).join(", ");
        let way_out = match nearest {
            Some(field) => format!("did you mean `{}`?", field.name()),
            None => format!("leave it out; the fields are {known}"),
        };
        Err(Fault::new(None, format!("unknown field `{}`", name.trim()), way_out))
    }
}

/// The value of a field as the format hands it over.
pub(super) enum Value<'a> {
    /// A CSV cell or a JSON string: lists are separated by `;` inside.
    Text(&'a str),
    /// A JSON list.
    List(Vec<&'a str>),
    /// A JSON object.
    Pairs(Vec<(&'a str, &'a str)>),
    /// JSON with a form of its own.
    Json(&'a serde_json::Value),
}

/// What one line says. `None`: nothing was said; the stored value or the default holds.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Entry {
    pub member_ref: String,
    pub plates: Vec<String>,
    pub tier: Option<Option<String>>,
    pub list: Option<Option<String>>,
    pub organisation: Option<Option<String>>,
    pub valid_from: Option<Option<Timestamp>>,
    pub valid_until: Option<Option<Timestamp>>,
    pub consents: Option<Consents>,
    pub external_ids: Option<BTreeMap<String, String>>,
    pub not_after: Option<Option<Timestamp>>,
    pub windows: Option<Vec<WeeklyWindow>>,
    pub faces: Option<Vec<NewTemplate>>,
}

impl Entry {
    /// From the fields of a line; everything that is wrong with it is told at once.
    pub fn build<'a>(
        fields: impl IntoIterator<Item = (Field, Value<'a>)>,
        zone: &TimeZone,
    ) -> Result<Self, Vec<Fault>> {
        let mut entry = Self::default();
        let mut faults = Vec::new();
        for (field, value) in fields {
            if let Err((wrong, way_out)) = entry.set(field, value, zone) {
                faults.push(Fault::new(Some(field.name()), wrong, way_out));
            }
        }
        let told = |faults: &[Fault], field: Field| faults.iter().any(|fault| fault.field == Some(field.name()));
        let mut missing = |field: Field, empty: bool| {
            if empty && !told(&faults, field) {
                let way_out = "every line needs a member_ref and a plate";
                faults.push(Fault::new(Some(field.name()), format!("no {}", field.name()), way_out));
            }
        };
        missing(Field::MemberRef, entry.member_ref.is_empty());
        missing(Field::Plate, entry.plates.is_empty());
        if let (Some(Some(from)), Some(Some(until))) = (entry.valid_from, entry.valid_until)
            && from >= until
        {
            let wrong = format!("ends at {until}, not after it begins at {from}");
            faults.push(Fault::new(Some(Field::ValidUntil.name()), wrong, "swap the two or leave one empty"));
        }
        if faults.is_empty() { Ok(entry) } else { Err(faults) }
    }

    /// Does the line name a member and a plate and say nothing else?
    pub fn bare(&self) -> bool {
        let empty = |value: &Option<Option<String>>| value.as_ref().is_none_or(Option::is_none);
        let open = |value: &Option<Option<Timestamp>>| value.is_none_or(|moment| moment.is_none());
        empty(&self.tier)
            && empty(&self.list)
            && empty(&self.organisation)
            && open(&self.valid_from)
            && open(&self.valid_until)
            && open(&self.not_after)
            && self.consents.is_none_or(|consents| consents == Consents::default())
            && self.external_ids.as_ref().is_none_or(BTreeMap::is_empty)
            && self.windows.as_ref().is_none_or(Vec::is_empty)
            && self.faces.as_ref().is_none_or(Vec::is_empty)
    }

    fn set(&mut self, field: Field, value: Value<'_>, zone: &TimeZone) -> Result<(), (String, String)> {
        match field {
            Field::MemberRef => self.member_ref = member_ref(value)?,
            Field::Plate => self.plates = plates(value)?,
            Field::Tier => self.tier = Some(optional(value)?),
            Field::List => self.list = Some(optional(value)?),
            Field::Organisation => self.organisation = Some(optional(value)?),
            Field::ValidFrom => self.valid_from = Some(moment(value, zone, Edge::Begin)?),
            Field::ValidUntil => self.valid_until = Some(moment(value, zone, Edge::End)?),
            Field::NotAfter => self.not_after = Some(moment(value, zone, Edge::End)?),
            Field::Consents => self.consents = Some(consents(value)?),
            Field::ExternalIds => self.external_ids = Some(external_ids(value)?),
            Field::Windows => self.windows = Some(windows(value)?),
            Field::Faces => self.faces = Some(templates(value)?),
        }
        Ok(())
    }
}

/// What was wrong, and the way out.
type Wrong = (String, String);

fn wrong(what: impl Into<String>, way_out: impl Into<String>) -> Wrong {
    (what.into(), way_out.into())
}

/// A single text without blanks around it.
fn single(value: Value<'_>) -> Result<&str, Wrong> {
    let text = match value {
        Value::Text(text) => text.trim(),
        Value::List(_) | Value::Pairs(_) | Value::Json(_) => {
            return Err(wrong("is a list or an object", "write one text in quotes"));
        }
    };
    sound(text)
}

/// Neither control characters nor very long.
fn sound(text: &str) -> Result<&str, Wrong> {
    if text.len() > MAX_TEXT {
        return Err(wrong(format!("is {} bytes long", text.len()), format!("shorten it to {MAX_TEXT} bytes")));
    }
    match text.chars().find(|character| character.is_control()) {
        Some(odd) => Err(wrong(format!("holds the control character U+{:04X}", odd as u32), "remove it")),
        None => Ok(text),
    }
}

fn optional(value: Value<'_>) -> Result<Option<String>, Wrong> {
    single(value).map(|text| (!text.is_empty()).then(|| text.to_owned()))
}

fn member_ref(value: Value<'_>) -> Result<String, Wrong> {
    let text = single(value)?;
    if text.len() > MAX_REF {
        return Err(wrong(
            format!("is {} bytes long", text.len()),
            format!("use the platform's short name, at most {MAX_REF} bytes"),
        ));
    }
    Ok(text.to_owned())
}

/// The parts of a list in either form, unescaped; blank parts are left out.
fn parts(value: Value<'_>) -> Result<Vec<String>, Wrong> {
    match value {
        Value::Text(text) => Ok(text::split_list(text).into_iter().map(text::unescape).collect()),
        Value::List(parts) => {
            Ok(parts.into_iter().map(str::trim).filter(|part| !part.is_empty()).map(str::to_owned).collect())
        }
        Value::Pairs(_) | Value::Json(_) => Err(wrong("is an object", "write a list, such as [\"a\", \"b\"]")),
    }
}

fn plates(value: Value<'_>) -> Result<Vec<String>, Wrong> {
    let mut plates = Vec::new();
    for part in parts(value)? {
        let plate = normalise(&part);
        check_plate(&plate, &part)?;
        if !plates.contains(&plate) {
            plates.push(plate);
        }
    }
    Ok(plates)
}

/// 4 to 12 letters, digits and Chinese characters; what a region allows is its grammar's business.
fn check_plate(plate: &str, written: &str) -> Result<(), Wrong> {
    let written: String = written.chars().take(40).collect();
    if let Some(odd) = plate.chars().find(|character| !character.is_alphanumeric()) {
        let way_out = "use letters, digits and Chinese characters; several plates are separated by `;`";
        return Err(wrong(format!("`{written}` holds `{}`, which no plate has", odd.escape_default()), way_out));
    }
    let length = plate.chars().count();
    if !(4..=12).contains(&length) {
        let way_out = "write the whole plate, 4 to 12 characters; several plates are separated by `;`";
        return Err(wrong(format!("`{written}` has {length} characters"), way_out));
    }
    Ok(())
}

fn moment(value: Value<'_>, zone: &TimeZone, edge: Edge) -> Result<Option<Timestamp>, Wrong> {
    let text = single(value)?;
    if text.is_empty() {
        return Ok(None);
    }
    text::moment(text, zone, edge).ok_or_else(|| {
        wrong(format!("`{text}` is no date or time"), "write 2026-01-31 or 2026-01-31T08:00:00+08:00 (RFC 3339)")
    })
}

fn consents(value: Value<'_>) -> Result<Consents, Wrong> {
    let names = parts(value)?;
    text::consents_from(names.iter().map(String::as_str))
        .map_err(|name| wrong(format!("`{name}` is no consent"), "the consents are plate, face, dwell and expression"))
}

fn external_ids(value: Value<'_>) -> Result<BTreeMap<String, String>, Wrong> {
    const FORM: &str = "write name=value, several separated by `;` (JSON: an object of texts)";
    let pairs: Vec<(String, String)> = match value {
        Value::Pairs(pairs) => pairs.into_iter().map(|(n, v)| (n.trim().to_owned(), v.trim().to_owned())).collect(),
        Value::Text(text) => text::split_list(text)
            .into_iter()
            .map(|part| text::split_pair(part).ok_or_else(|| wrong(format!("`{part}` has no `=`"), FORM)))
            .collect::<Result<_, _>>()?,
        Value::List(_) | Value::Json(_) => return Err(wrong("is a list", FORM)),
    };
    let mut ids = BTreeMap::new();
    for (name, value) in pairs {
        if sound(&name)?.is_empty() || sound(&value)?.is_empty() {
            return Err(wrong(format!("`{name}={value}` lacks its name or its value"), FORM));
        }
        if ids.insert(name.clone(), value).is_some() {
            return Err(wrong(format!("`{name}` stands twice"), "keep one of them"));
        }
    }
    Ok(ids)
}

fn templates(value: Value<'_>) -> Result<Vec<NewTemplate>, Wrong> {
    match value {
        Value::Json(json) => faces::templates(json),
        _ => Ok(Vec::new()),
    }
}

fn windows(value: Value<'_>) -> Result<Vec<WeeklyWindow>, Wrong> {
    let read = |part: &String| {
        text::window(part).ok_or_else(|| {
            wrong(
                format!("`{part}` is no weekly window"),
                "write `mon-fri 08:00-18:30`; an end before the begin runs over midnight",
            )
        })
    };
    parts(value)?.iter().map(read).collect()
}
