//! The list as a file that `import` reads back to the same list.

use std::io::Write;
use std::path::Path;
use std::sync::Arc;

use serde_json::{Map, Value, json};
use zeroize::Zeroizing;

use super::audit::Action;
use super::entry::Field;
use super::faces;
use super::source::Format;
use super::{Filter, ImportOptions, MemberStore, Report, StoreError, read, text};
use crate::domain::member::Member;
use crate::store::keys::KeyRing;

/// Why a list was not written.
#[derive(Debug, thiserror::Error)]
pub enum ExportError {
    /// The list could not be read.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The file could not be written.
    #[error("cannot write the member list: {0}")]
    Write(#[from] std::io::Error),
}

impl From<csv::Error> for ExportError {
    fn from(error: csv::Error) -> Self {
        Self::Write(error.into())
    }
}

/// Reads a member file without a database, as a platform signs it: members as objects with their face templates, merged
/// as an import would, and the report. A file with bad lines gives nobody unless `options.skip_bad`.
///
/// # Errors
/// When the file cannot be read.
pub fn read_objects(path: &Path, options: &ImportOptions) -> Result<(Vec<Value>, Report), ExportError> {
    let file = std::fs::File::open(path).map_err(|source| StoreError::file("cannot read", path, source))?;
    let ring = Arc::new(KeyRing::passing().map_err(StoreError::from)?);
    let options = ImportOptions { dry_run: false, keys: Ok(Arc::clone(&ring)), ..options.clone() };
    let mut store = MemberStore::in_memory()?;
    let report = store.import(std::io::BufReader::new(file), &options, &mut |_| {})?;
    let mut lines = Zeroizing::new(Vec::new());
    store.export_with_faces(&Filter::default(), &ring, &mut *lines)?;
    let parsed = lines.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()).map(serde_json::from_slice);
    let members = parsed.collect::<Result<_, _>>().map_err(std::io::Error::from)?;
    Ok((members, report))
}

impl MemberStore {
    /// Writes the members that pass the filter; returns how many. CSV has the columns of lease and weekly windows only
    /// when somebody has one.
    pub fn export(&self, filter: &Filter, format: Format, sink: impl Write) -> Result<u64, ExportError> {
        match format {
            Format::Csv => self.export_csv(filter, sink),
            Format::JsonLines => self.export_json_lines(filter, sink),
        }
    }

    /// Writes JSON Lines with the face templates, unsealed, and a record of it. Whoever has the file has the faces.
    ///
    /// # Errors
    /// When a template cannot be opened with `ring`, or the file cannot be written.
    pub fn export_with_faces(
        &mut self,
        filter: &Filter,
        ring: &KeyRing,
        mut sink: impl Write,
    ) -> Result<u64, ExportError> {
        let (mut written, mut templates) = (0, 0);
        self.each(filter, |id, member| {
            let faces = self.unsealed(ring, id, &member.member_ref)?;
            templates += faces.len();
            written += 1;
            let mut object = object(&member);
            if !faces.is_empty() {
                object[Field::Faces.name()] = faces::written(&faces);
            }
            writeln!(sink, "{object}").map_err(ExportError::from)
        })?;
        sink.flush()?;
        self.record(Action::TemplatesExported, "", &json!({ "members": written, "templates": templates }))?;
        Ok(written)
    }

    fn export_csv(&self, filter: &Filter, sink: impl Write) -> Result<u64, ExportError> {
        let (leases, windows) = read::needs_more_columns(&self.connection).map_err(|source| self.sqlite(source))?;
        let wanted = |field: &Field| match field {
            Field::NotAfter => leases,
            Field::Windows => windows,
            Field::Faces => false,
            _ => true,
        };
        let columns: Vec<Field> = Field::ALL.into_iter().filter(wanted).collect();
        let mut writer = csv::Writer::from_writer(sink);
        writer.write_record(columns.iter().map(|column| column.name()))?;
        let mut written = 0;
        self.each(filter, |_, member| {
            written += 1;
            writer.write_record(columns.iter().map(|&column| cell(&member, column))).map_err(ExportError::from)
        })?;
        writer.flush()?;
        Ok(written)
    }

    fn export_json_lines(&self, filter: &Filter, mut sink: impl Write) -> Result<u64, ExportError> {
        let mut written = 0;
        self.each(filter, |_, member| {
            written += 1;
            writeln!(sink, "{}", object(&member)).map_err(ExportError::from)
        })?;
        sink.flush()?;
        Ok(written)
    }
}

/// What a CSV cell says.
fn cell(member: &Member, field: Field) -> String {
    let optional = |text: &Option<String>| text.clone().unwrap_or_default();
    let moment = |at: &Option<jiff::Timestamp>| at.map(|at| at.to_string()).unwrap_or_default();
    match field {
        Field::MemberRef => member.member_ref.clone(),
        Field::Plate => member.plates.join(";"),
        Field::Tier => optional(&member.tier),
        Field::List => member.list.clone(),
        Field::Organisation => optional(&member.organisation),
        Field::ValidFrom => moment(&member.valid_from),
        Field::ValidUntil => moment(&member.valid_until),
        Field::Consents => text::consent_names(&member.consents).join(";"),
        Field::ExternalIds => text::pairs(&member.external_ids),
        Field::NotAfter => moment(&member.not_after),
        Field::Windows => text::windows_text(&member.windows),
        Field::Faces => String::new(),
    }
}

/// A member under the names of the import, with real lists; fields that say nothing are left out, consents never are.
pub fn object(member: &Member) -> Value {
    let mut object = Map::new();
    let mut put = |field: Field, value: Value| object.insert(field.name().to_owned(), value);
    put(Field::MemberRef, json!(member.member_ref));
    put(Field::Plate, json!(member.plates));
    if let Some(tier) = &member.tier {
        put(Field::Tier, json!(tier));
    }
    put(Field::List, json!(member.list));
    if let Some(organisation) = &member.organisation {
        put(Field::Organisation, json!(organisation));
    }
    let moments = [
        (Field::ValidFrom, member.valid_from),
        (Field::ValidUntil, member.valid_until),
        (Field::NotAfter, member.not_after),
    ];
    for (field, at) in moments {
        if let Some(at) = at {
            put(field, json!(at.to_string()));
        }
    }
    put(Field::Consents, json!(text::consent_names(&member.consents)));
    if !member.external_ids.is_empty() {
        put(Field::ExternalIds, json!(member.external_ids));
    }
    if !member.windows.is_empty() {
        put(Field::Windows, member.windows.iter().map(text::window_text).collect());
    }
    Value::Object(object)
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use jiff::Timestamp;
    use proptest::prelude::*;

    use super::super::{ImportOptions, Outcome, row};
    use super::*;
    use crate::domain::member::{Consents, WeeklyWindow};

    /// Texts with everything that separates, quotes and escapes.
    fn text() -> impl Strategy<Value = String> {
        "[a-zA-Z0-9金;=,\"\\\\ #'{}|-]{1,12}"
            .prop_map(|text| text.trim().to_owned())
            .prop_filter("blank", |text| !text.is_empty())
    }

    fn moment() -> impl Strategy<Value = Timestamp> {
        (0_i64..4_000_000_000).prop_map(|ms| Timestamp::from_millisecond(ms * 1_000 + ms % 1_000).unwrap())
    }

    fn window() -> impl Strategy<Value = WeeklyWindow> {
        let days = proptest::collection::btree_set(1_u8..=7, 1..=7);
        (days, 0_u16..1440, 0_u16..=1440).prop_filter("empty", |(_, from, to)| from != to).prop_map(
            |(days, from, to)| WeeklyWindow { days: days.into_iter().collect(), from_minute: from, to_minute: to },
        )
    }

    fn member() -> impl Strategy<Value = Member> {
        let plates = proptest::collection::btree_set("[皖苏粤][A-Z][A-Z0-9]{5,6}", 1..4).prop_shuffle_set();
        let ends = (proptest::option::of(moment()), proptest::option::of(moment()), proptest::option::of(moment()));
        let words = (proptest::option::of(text()), text(), proptest::option::of(text()));
        let ids = proptest::collection::btree_map(text(), text(), 0..3);
        let windows = proptest::collection::vec(window(), 0..3);
        (text(), plates, words, ends, any::<[bool; 4]>(), ids, windows).prop_map(
            |(member_ref, plates, (tier, list, organisation), (a, b, not_after), consents, external_ids, windows)| {
                let (valid_from, valid_until) = match (a, b) {
                    (Some(a), Some(b)) if a == b => (Some(a), None),
                    (Some(a), Some(b)) => (Some(a.min(b)), Some(a.max(b))),
                    other => other,
                };
                let [plate, face, dwell, expression] = consents;
                let consents = Consents { plate, face, dwell, expression };
                Member {
                    member_ref,
                    plates,
                    tier,
                    list,
                    organisation,
                    valid_from,
                    valid_until,
                    windows,
                    consents,
                    not_after,
                    external_ids,
                }
            },
        )
    }

    trait ShuffleSet: Strategy<Value = BTreeSet<String>> + Sized {
        /// The order of the plates in a list is the member's, not the alphabet's.
        fn prop_shuffle_set(self) -> impl Strategy<Value = Vec<String>> {
            self.prop_map(|set| set.into_iter().collect::<Vec<_>>()).prop_shuffle()
        }
    }

    impl<S: Strategy<Value = BTreeSet<String>>> ShuffleSet for S {}

    fn stored(members: &[Member]) -> MemberStore {
        let store = MemberStore::in_memory().unwrap();
        for member in members {
            let id = row::write(&mut store.connection.prepare(row::INSERT).unwrap(), member, 1).unwrap();
            for (position, plate) in member.plates.iter().enumerate() {
                let values = (id, position as i64, plate);
                store
                    .connection
                    .execute("insert into plate (member, position, plate) values (?1, ?2, ?3)", values)
                    .unwrap();
            }
        }
        store
    }

    fn exported(store: &MemberStore, format: Format) -> Vec<u8> {
        let mut bytes = Vec::new();
        store.export(&Filter::default(), format, &mut bytes).unwrap();
        bytes
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]
        #[test]
        fn what_is_exported_is_imported_to_the_same_list(
            members in proptest::collection::vec(member(), 1..6)
        ) {
            let named: BTreeMap<String, Member> = members.into_iter().map(|m| (m.member_ref.clone(), m)).collect();
            let members: Vec<Member> = named.into_values().collect();
            let first = stored(&members);
            for format in [Format::Csv, Format::JsonLines] {
                let file = exported(&first, format);
                let mut second = MemberStore::in_memory().unwrap();
                let options = ImportOptions { format: Some(format), ..ImportOptions::at(Timestamp::UNIX_EPOCH) };
                let report = second.import(file.as_slice(), &options, &mut |_| {}).unwrap();
                prop_assert_eq!(report.outcome, Outcome::Applied, "{:?} {}", report.problems, String::from_utf8_lossy(&file));
                prop_assert_eq!(&second.all().unwrap().0, &members);
                prop_assert_eq!(exported(&second, format), file);
            }
        }
    }

    #[test]
    fn a_plain_list_is_exported_under_the_nine_columns() {
        let mut store = MemberStore::in_memory().unwrap();
        let options = ImportOptions::at(Timestamp::UNIX_EPOCH);
        store.import("member_ref,plate\nm1,皖A·12345\n".as_bytes(), &options, &mut |_| {}).unwrap();
        let csv = String::from_utf8(exported(&store, Format::Csv)).unwrap();
        let header = "member_ref,plate,tier,list,organisation,valid_from,valid_until,consents,external_ids";
        assert_eq!(csv, format!("{header}\nm1,皖A12345,,member,,,,plate;dwell,\n"));
        let json = String::from_utf8(exported(&store, Format::JsonLines)).unwrap();
        let line = r#"{"member_ref":"m1","plate":["皖A12345"],"list":"member","consents":["plate","dwell"]}"#;
        assert_eq!(json, format!("{line}\n"));
    }
}
