//! The field `faces` of a JSON line: templates that come ready made.
//!
//! `[{"space": "…", "vector": "base64 of 32-bit floats, little endian" or [numbers], "quality": 0.8}]`. No number of a
//! vector stands in a message.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value as Json, json};
use zeroize::Zeroizing;

use super::templates::{MOST_NUMBERS, MOST_TEMPLATES, NewTemplate};
use crate::domain::face::Embedding;

/// How it is written.
const FORM: &str = "write [{\"space\": \"NAME\", \"vector\": \"base64 of 32-bit floats\", \"quality\": 0.8}]";

/// What was wrong, and the way out.
type Wrong = (String, String);

fn wrong(what: impl Into<String>) -> Wrong {
    (what.into(), FORM.to_owned())
}

/// The templates of a line.
pub(super) fn templates(json: &Json) -> Result<Vec<NewTemplate>, Wrong> {
    let Json::Array(items) = json else { return Err(wrong("is no list of templates")) };
    if items.len() > MOST_TEMPLATES {
        return Err((format!("holds {} templates", items.len()), format!("give at most {MOST_TEMPLATES} a member")));
    }
    items
        .iter()
        .enumerate()
        .map(|(at, item)| template(item).map_err(|(what, way)| (format!("[{at}] {what}"), way)))
        .collect()
}

fn template(json: &Json) -> Result<NewTemplate, Wrong> {
    let Json::Object(fields) = json else { return Err(wrong("is no object")) };
    if let Some(stranger) = fields.keys().find(|key| !["space", "vector", "quality"].contains(&key.as_str())) {
        return Err(wrong(format!("has an unknown field `{stranger}`")));
    }
    let space = match fields.get("space") {
        Some(Json::String(space)) if (1..=128).contains(&space.trim().len()) => space.trim().to_owned(),
        _ => return Err(wrong("names no `space`")),
    };
    let quality = match fields.get("quality") {
        None | Some(Json::Null) => None,
        Some(json) => match json.as_f64().filter(|quality| (0.0..=1.0).contains(quality)) {
            Some(quality) => Some(quality as f32),
            None => return Err(wrong("has a `quality` that is no number from 0 to 1")),
        },
    };
    let numbers = numbers(fields)?;
    if numbers.len() > MOST_NUMBERS {
        return Err(wrong(format!("has a `vector` of {} numbers; {MOST_NUMBERS} are the most", numbers.len())));
    }
    let vector = Embedding::new(&numbers).map_err(|error| wrong(format!("has a `vector` that is none: {error}")))?;
    Ok(NewTemplate { space, vector, quality })
}

fn numbers(fields: &Map<String, Json>) -> Result<Zeroizing<Vec<f32>>, Wrong> {
    match fields.get("vector") {
        Some(Json::String(text)) => {
            let bytes = STANDARD
                .decode(text.trim())
                .map(Zeroizing::new)
                .map_err(|_| wrong("has a `vector` that is no base64"))?;
            if bytes.len() % 4 != 0 {
                return Err(wrong(format!("has a `vector` of {} bytes, which are no 32-bit floats", bytes.len())));
            }
            let four = |four: &[u8]| f32::from_le_bytes([four[0], four[1], four[2], four[3]]);
            Ok(Zeroizing::new(bytes.chunks_exact(4).map(four).collect()))
        }
        Some(Json::Array(items)) => {
            let mut numbers = Zeroizing::new(Vec::with_capacity(items.len()));
            for item in items {
                numbers.push(item.as_f64().ok_or_else(|| wrong("has a `vector` with something that is no number"))? as f32);
            }
            Ok(numbers)
        }
        _ => Err(wrong("has no `vector`")),
    }
}

/// Templates as [`templates`] reads them.
pub(super) fn written(templates: &[NewTemplate]) -> Json {
    let one = |template: &NewTemplate| {
        let bytes: Zeroizing<Vec<u8>> =
            Zeroizing::new(template.vector.values().iter().flat_map(|value| value.to_le_bytes()).collect());
        let mut object = json!({ "space": template.space, "vector": STANDARD.encode(&*bytes) });
        if let Some(quality) = template.quality {
            object["quality"] = json!((f64::from(quality) * 1e4).round() / 1e4);
        }
        object
    };
    templates.iter().map(one).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(json: &Json) -> String {
        let (what, way_out) = templates(json).unwrap_err();
        format!("{what}; {way_out}")
    }

    #[test]
    fn both_forms_of_a_vector_mean_the_same_and_are_written_back() {
        let base64 = STANDARD.encode([0.6_f32, 0.8].iter().flat_map(|value| value.to_le_bytes()).collect::<Vec<_>>());
        let text = templates(&json!([{ "space": "s", "vector": base64, "quality": 0.5 }])).unwrap();
        let list = templates(&json!([{ "space": "s", "vector": [0.6, 0.8], "quality": 0.5 }])).unwrap();
        assert_eq!(text, list);
        assert_eq!(templates(&written(&text)).unwrap(), text);
        assert!(templates(&json!([])).unwrap().is_empty());
    }

    #[test]
    fn what_is_no_template_is_named_and_its_numbers_are_not() {
        for (json, told) in [
            (json!("x"), "is no list"),
            (json!([7]), "[0] is no object"),
            (json!([{ "vector": [1.0] }]), "names no `space`"),
            (json!([{ "space": "s" }]), "has no `vector`"),
            (json!([{ "space": "s", "vector": "AAAA-" }]), "no base64"),
            (json!([{ "space": "s", "vector": "AAAA" }]), "3 bytes"),
            (json!([{ "space": "s", "vector": [] }]), "the vector is empty"),
            (json!([{ "space": "s", "vector": [0.0, 0.0] }]), "has no length"),
            (json!([{ "space": "s", "vector": [1.0, "NaN"] }]), "no number"),
            (json!([{ "space": "s", "vector": [1e300] }]), "not finite"),
            (json!([{ "space": "s", "vector": [1.0], "quality": 7 }]), "`quality`"),
            (json!([{ "space": "s", "vector": [1.0], "name": "Li" }]), "unknown field `name`"),
            (json!([{ "space": "s", "vector": vec![1.0; 5_000] }]), "5000 numbers"),
            (json!(vec![json!({ "space": "s", "vector": [1.0] }); 33]), "33 templates"),
        ] {
            assert!(words(&json).contains(told), "{}", words(&json));
        }
    }
}
