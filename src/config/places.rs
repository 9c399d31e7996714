//! Where each key of a settings file stands, so that a finding can name its line.

use std::collections::BTreeMap;
use std::ops::Range;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// Spans of all keys and values of a file, by path (`camera[0].zone[1].polygon`).
#[derive(Clone, Debug, Default)]
pub(super) struct Places {
    spans: BTreeMap<String, Place>,
    line_starts: Vec<usize>,
}

#[derive(Clone, Debug)]
struct Place {
    key: Range<usize>,
    value: Range<usize>,
}

impl Places {
    /// Of a parsed file.
    pub(super) fn of(text: &str, table: &DeTable<'_>) -> Self {
        let newlines = text.bytes().enumerate().filter(|(_, byte)| *byte == b'\n').map(|(at, _)| at + 1);
        let mut places = Self { spans: BTreeMap::new(), line_starts: newlines.collect() };
        places.add_table(table, "");
        places
    }

    /// The line, from 1, of a byte.
    pub(super) fn line_at(&self, byte: usize) -> usize {
        self.line_starts.partition_point(|start| *start <= byte) + 1
    }

    /// The line of a key, or of the nearest table around it.
    pub(super) fn line_of(&self, path: &str) -> Option<usize> {
        let mut path = path;
        loop {
            if let Some(place) = self.spans.get(path) {
                return Some(self.line_at(place.key.start));
            }
            path = &path[..path.rfind(['.', '['])?];
        }
    }

    /// The innermost key whose name or value holds the span.
    pub(super) fn path_around(&self, span: &Range<usize>) -> Option<&str> {
        let holds = |outer: &Range<usize>| outer.start <= span.start && span.end <= outer.end;
        let around = self.spans.iter().filter(|(_, place)| holds(&place.key) || holds(&place.value));
        around.max_by_key(|(path, _)| path.len()).map(|(path, _)| path.as_str())
    }

    fn add_table(&mut self, table: &DeTable<'_>, path: &str) {
        for (key, value) in table {
            let path = join(path, key.get_ref());
            self.spans.insert(path.clone(), Place { key: key.span(), value: value.span() });
            self.add_value(value.get_ref(), &path);
        }
    }

    fn add_value(&mut self, value: &DeValue<'_>, path: &str) {
        match value {
            DeValue::Table(table) => self.add_table(table, path),
            DeValue::Array(items) => {
                for (index, item) in items.iter().enumerate() {
                    let path = format!("{path}[{index}]");
                    self.spans.insert(path.clone(), Place { key: item.span(), value: item.span() });
                    self.add_value(item.get_ref(), &path);
                }
            }
            _ => {}
        }
    }
}

/// `camera[0]` and `id` make `camera[0].id`.
pub(super) fn join(path: &str, key: &str) -> String {
    if path.is_empty() { key.to_owned() } else { format!("{path}.{key}") }
}

/// Takes the innermost entry out of the table whose name or value holds the span; was there one?
pub(super) fn cut(table: &mut DeTable<'_>, span: &Range<usize>) -> bool {
    let holds = |outer: &Range<usize>| outer.start <= span.start && span.end <= outer.end;
    let entry = table.iter().find(|(key, value)| holds(&key.span()) || encloses(value, span));
    let Some(name) = entry.map(|(key, _)| key.clone()) else { return false };
    if let Some(value) = table.get_mut(name.get_ref().as_ref())
        && cut_inside(value.get_mut(), span)
    {
        return true;
    }
    table.remove(name.get_ref().as_ref()).is_some()
}

fn cut_inside(value: &mut DeValue<'_>, span: &Range<usize>) -> bool {
    match value {
        DeValue::Table(inner) => cut(inner, span),
        DeValue::Array(items) if items.iter().all(|item| item.get_ref().is_table()) => {
            items.iter_mut().any(|item| cut_inside(item.get_mut(), span))
        }
        _ => false,
    }
}

/// Does the value, or anything in it, hold the span? A table's own span ends with its header line.
fn encloses(value: &Spanned<DeValue<'_>>, span: &Range<usize>) -> bool {
    let own = value.span();
    if own.start <= span.start && span.end <= own.end {
        return true;
    }
    match value.get_ref() {
        DeValue::Table(table) => table.iter().any(|(key, inner)| {
            let key = key.span();
            (key.start <= span.start && span.end <= key.end) || encloses(inner, span)
        }),
        DeValue::Array(items) => items.iter().any(|item| encloses(item, span)),
        _ => false,
    }
}
