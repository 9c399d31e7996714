//! One line to an [`Entry`]: CSV under a header, or a JSON object.

use csv_core::{ReadRecordResult, Reader};
use jiff::tz::TimeZone;
use serde_json::Value as Json;

use super::entry::{Entry, Field, Value};
use super::report::Fault;

/// Most columns a header may have; each field may stand once.
const MAX_COLUMNS: usize = 32;

/// Reads CSV lines under one header; keeps its buffers.
pub(super) struct CsvLines {
    columns: Vec<Field>,
    cells: Cells,
}

impl CsvLines {
    /// From the header line.
    pub fn new(header: &str) -> Result<Self, Vec<Fault>> {
        let mut cells = Cells::new();
        let names = cells.split(header).map_err(|fault| vec![fault])?;
        if let Some(fault) = other_separator(header, names.len()) {
            return Err(vec![fault]);
        }
        let (mut columns, mut faults) = (Vec::new(), Vec::new());
        for name in names {
            match Field::from_name(name) {
                Ok(field) if columns.contains(&field) => {
                    let wrong = format!("the column `{}` stands twice", field.name());
                    faults.push(Fault::new(Some(field.name()), wrong, "keep one of them"));
                }
                Ok(Field::Faces) => {
                    let way_out = "leave it out, or import JSON Lines";
                    faults.push(Fault::new(Some("faces"), "templates cannot stand in CSV", way_out));
                }
                Ok(field) => columns.push(field),
                Err(fault) => faults.push(fault),
            }
        }
        for needed in [Field::MemberRef, Field::Plate] {
            if faults.is_empty() && !columns.contains(&needed) {
                let way_out = "begin the file with a header, at least `member_ref,plate`";
                faults.push(Fault::new(Some(needed.name()), format!("no column `{}`", needed.name()), way_out));
            }
        }
        if faults.is_empty() { Ok(Self { columns, cells }) } else { Err(faults) }
    }

    /// What the line says; a blank line says nothing.
    pub fn entry(&mut self, line: &str, zone: &TimeZone) -> Result<Option<Entry>, Vec<Fault>> {
        if line.trim().is_empty() {
            return Ok(None);
        }
        let cells = self.cells.split(line).map_err(|fault| vec![fault])?;
        if cells.len() != self.columns.len() {
            let wrong = format!("{} cells under {} columns", cells.len(), self.columns.len());
            let way_out = "put a value that holds a comma in quotes; separate several values in a cell by `;`";
            return Err(vec![Fault::new(None, wrong, way_out)]);
        }
        let fields = self.columns.iter().copied().zip(cells.iter().map(|cell| Value::Text(cell)));
        Entry::build(fields, zone).map(Some)
    }
}

/// A header in one piece that another separator would split.
fn other_separator(header: &str, cells: usize) -> Option<Fault> {
    let found = [(';', "semicolons"), ('\t', "tabs"), ('|', "bars")].into_iter().find(|(c, _)| header.contains(*c));
    let (_, name) = found.filter(|_| cells == 1)?;
    Some(Fault::new(
        None,
        format!("the columns are separated by {name}"),
        "separate them by commas; `;` separates values inside a cell",
    ))
}

/// The cells of one line.
struct Cells {
    reader: Reader,
    text: Vec<u8>,
    ends: [usize; MAX_COLUMNS],
}

impl Cells {
    fn new() -> Self {
        Self { reader: Reader::new(), text: Vec::new(), ends: [0; MAX_COLUMNS] }
    }

    fn split(&mut self, line: &str) -> Result<Vec<&str>, Fault> {
        if line.bytes().filter(|byte| *byte == b'"').count() % 2 != 0 {
            let way_out = "close it on the same line; a quote inside a value is written twice (\"\")";
            return Err(Fault::new(None, "a quote is opened and not closed", way_out));
        }
        if line.contains('\r') {
            return Err(Fault::new(None, "a carriage return stands inside the line", "end lines by LF or CR LF"));
        }
        self.reader.reset();
        // Unquoting only shortens.
        self.text.resize(line.len() + 1, 0);
        let (result, read, written, mut cells) =
            self.reader.read_record(line.as_bytes(), &mut self.text, &mut self.ends);
        match result {
            ReadRecordResult::InputEmpty => {
                let (_, _, more, last) =
                    self.reader.read_record(&[], &mut self.text[written..], &mut self.ends[cells..]);
                debug_assert_eq!((read, more), (line.len(), 0));
                cells += last;
            }
            _ => return Err(Fault::new(None, format!("more than {MAX_COLUMNS} cells"), "check the commas and quotes")),
        }
        let mut start = 0;
        let parts = self.ends[..cells].iter().map(|&end| {
            let cell = std::str::from_utf8(&self.text[start..end]);
            start = end;
            cell.map_err(|_| Fault::new(None, "the line is not UTF-8", "save the file as UTF-8"))
        });
        parts.collect()
    }
}

/// What a line of JSON Lines says; a blank line says nothing.
pub(super) fn json_entry(line: &str, zone: &TimeZone) -> Result<Option<Entry>, Vec<Fault>> {
    if line.trim().is_empty() {
        return Ok(None);
    }
    let way_out =
        "write one whole JSON object on the line, such as {\"member_ref\": \"m1\", \"plate\": [\"皖A12345\"]}";
    let wrong = |words: String| vec![Fault::new(None, words, way_out)];
    let object = match serde_json::from_str(line) {
        Ok(Json::Object(object)) => object,
        Ok(_) => return Err(wrong("the line is no JSON object".to_owned())),
        Err(error) if error.is_eof() => return Err(wrong("the JSON object is cut off".to_owned())),
        Err(error) => return Err(wrong(format!("no JSON: {error}"))),
    };
    let (mut fields, mut faults) = (Vec::new(), Vec::new());
    for (name, json) in &object {
        match Field::from_name(name).and_then(|field| value(field, json).map(|value| (field, value))) {
            Ok(found) => fields.push(found),
            Err(fault) => faults.push(fault),
        }
    }
    if !faults.is_empty() {
        return Err(faults);
    }
    Entry::build(fields, zone).map(Some)
}

fn value(field: Field, json: &Json) -> Result<Value<'_>, Fault> {
    match json {
        Json::Null => Ok(Value::Text("")),
        json if field == Field::Faces => Ok(Value::Json(json)),
        Json::Array(items) => {
            items.iter().map(|item| json_text(field, item)).collect::<Result<_, _>>().map(Value::List)
        }
        Json::Object(pairs) => {
            let pair = |(name, json)| json_text(field, json).map(|text| (String::as_str(name), text));
            pairs.iter().map(pair).collect::<Result<_, _>>().map(Value::Pairs)
        }
        single => json_text(field, single).map(Value::Text),
    }
}

fn json_text(field: Field, json: &Json) -> Result<&str, Fault> {
    let found = match json {
        Json::String(text) => return Ok(text),
        // Large numbers would lose digits.
        Json::Number(_) => "a number",
        _ => "something that is no text",
    };
    let way_out = "write texts in quotes, lists as [\"a\", \"b\"] and external_ids as {\"name\": \"value\"}";
    Err(Fault::new(Some(field.name()), format!("holds {found}"), way_out))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(faults: Vec<Fault>) -> String {
        faults
            .iter()
            .map(|fault| format!("{}: {}; {}\n", fault.field.unwrap_or("-"), fault.wrong, fault.way_out))
            .collect()
    }

    fn refused(header: &str) -> String {
        words(CsvLines::new(header).err().unwrap())
    }

    fn csv(header: &str, line: &str) -> Result<Option<Entry>, Vec<Fault>> {
        CsvLines::new(header).unwrap().entry(line, &TimeZone::UTC)
    }

    #[test]
    fn an_unknown_column_names_the_nearest_known_one() {
        assert!(refused("member_ref,plate,organization").contains("did you mean `organisation`?"));
        assert!(refused("member_ref,plate,phone_number").contains("the fields are member_ref, plate, tier"));
        assert!(refused("member_ref,tier").contains("no column `plate`"));
        assert!(refused("member_ref,plate,plate").contains("stands twice"));
        assert!(refused("member_ref;plate").contains("separated by semicolons"));
        assert!(refused("m1,皖A12345").contains("unknown field `m1`"));
    }

    #[test]
    fn columns_may_stand_in_any_order_and_cells_may_be_quoted() {
        let entry =
            csv("plate, Member_Ref ,tier", "\"皖A-12345;皖A·67890\",m1,\"gold, \"\"plus\"\"\"").unwrap().unwrap();
        assert_eq!(entry.member_ref, "m1");
        assert_eq!(entry.plates, ["皖A12345", "皖A67890"]);
        assert_eq!(entry.tier, Some(Some("gold, \"plus\"".to_owned())));
        assert_eq!(entry.consents, None);
    }

    #[test]
    fn everything_that_is_wrong_with_a_line_is_told_at_once() {
        let header = "member_ref,plate,valid_from,consents,external_ids";
        let said = words(csv(header, ",皖A1,soon,plate;smell,oneid").unwrap_err());
        for part in [
            "member_ref: no member_ref",
            "plate: `皖A1` has 3 characters",
            "valid_from: `soon` is no date or time",
            "consents: `smell` is no consent; the consents are plate, face, dwell and expression",
            "external_ids: `oneid` has no `=`",
        ] {
            assert!(said.contains(part), "{part}\n{said}");
        }
    }

    #[test]
    fn broken_lines_are_told_apart() {
        let line = |line| words(csv("member_ref,plate", line).unwrap_err());
        assert!(line("m1,\"皖A12345").contains("not closed"));
        assert!(line("m1").contains("1 cells under 2 columns"));
        assert!(line("m1,皖A12345,gold").contains("3 cells under 2 columns"));
        assert!(line("m1,皖A1234?").contains("which no plate has"));
        assert!(line(&format!("m1,{}", ",".repeat(100))).contains("more than 32 cells"));
        let json = |line| words(json_entry(line, &TimeZone::UTC).unwrap_err());
        assert!(json("{\"member_ref\": \"m1\", \"plate\": [\"皖A1").contains("cut off"));
        assert!(json("[1]").contains("no JSON object"));
        assert!(json("{\"member_ref\": 7, \"plate\": \"皖A12345\"}").contains("member_ref: holds a number"));
        assert!(json("{\"member_ref\": \"m1\", \"plates\": [\"皖A12345\"]}").contains("did you mean `plate`?"));
    }

    #[test]
    fn json_lines_have_real_lists_and_objects() {
        let line = r#"{"member_ref":"m1","plate":["皖A12345","皖AD12345"],"consents":["plate"],"external_ids":{"oneid":"7"},
            "windows":["mon-fri 08:00-18:00"],"tier":null}"#;
        let entry = json_entry(line, &TimeZone::UTC).unwrap().unwrap();
        assert_eq!(entry.plates.len(), 2);
        assert_eq!(entry.tier, Some(None));
        assert!(entry.consents.unwrap().plate && !entry.consents.unwrap().dwell);
        assert_eq!(entry.external_ids.unwrap()["oneid"], "7");
        assert_eq!(entry.windows.unwrap()[0].days, [1, 2, 3, 4, 5]);
    }
}
