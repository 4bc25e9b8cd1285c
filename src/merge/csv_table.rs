//! Records as a table: the results' keys first, in first-seen order, nested ones as `a.b`; then canfar-run's own.

use std::collections::HashMap;
use std::io::{self, Write};

use crate::json::{self, Kind};
use crate::record::item::RESERVED;

/// Objects nested deeper than this are one column, as JSON text.
const DEEPEST: usize = 16;

/// Columns of canfar-run's own that come first; others follow as they are met.
const FIRST_OWN: [&str; 5] = ["run_path", "run_status", "run_index", "run_replica_id", "run_duration_s"];

/// The columns of a table, in order.
#[derive(Debug, Default)]
pub(super) struct Columns {
    results: Vec<String>,
    own: Vec<String>,
    places: HashMap<(Owner, String), usize>,
}

/// Whose a column is: a result may well have a key `run_path`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Owner {
    Result,
    Own,
}

impl Columns {
    /// Learns the columns of one more record.
    pub(super) fn learn(&mut self, record: &[u8]) {
        if self.own.is_empty() {
            FIRST_OWN.iter().for_each(|name| self.add(Owner::Own, name));
        }
        each_cell(record, &mut |owner, name, _| self.add(owner, name));
    }

    fn add(&mut self, owner: Owner, name: &str) {
        let key = (owner, name.to_owned());
        if self.places.contains_key(&key) {
            return;
        }
        let names = if owner == Owner::Own { &mut self.own } else { &mut self.results };
        self.places.insert(key, names.len());
        names.push(name.to_owned());
    }

    fn place(&self, owner: Owner, name: &str) -> Option<usize> {
        let place = *self.places.get(&(owner, name.to_owned()))?;
        Some(if owner == Owner::Own { self.results.len() + place } else { place })
    }
}

/// A table being written.
#[derive(Debug)]
pub(super) struct Table<W: Write> {
    columns: Columns,
    writer: csv::Writer<W>,
    cells: Vec<String>,
}

impl<W: Write> Table<W> {
    /// Writes the heading.
    pub(super) fn begin(out: W, columns: Columns) -> io::Result<Self> {
        let mut writer = csv::Writer::from_writer(out);
        if !columns.results.is_empty() || !columns.own.is_empty() {
            writer.write_record(columns.results.iter().chain(&columns.own))?;
        }
        let cells = vec![String::new(); columns.results.len() + columns.own.len()];
        Ok(Self { columns, writer, cells })
    }

    pub(super) fn record(&mut self, record: &[u8]) -> io::Result<()> {
        self.cells.iter_mut().for_each(String::clear);
        let (columns, cells) = (&self.columns, &mut self.cells);
        each_cell(record, &mut |owner, name, value| {
            if let Some(cell) = columns.place(owner, name).and_then(|place| cells.get_mut(place)) {
                *cell = text_of(value);
            }
        });
        self.writer.write_record(&self.cells)?;
        Ok(())
    }

    pub(super) fn finish(self) -> io::Result<W> {
        self.writer.into_inner().map_err(csv::IntoInnerError::into_error)
    }
}

/// What stands in a cell: strings as they are, null as nothing, lists as JSON.
fn text_of(value: &[u8]) -> String {
    match Kind::of(value) {
        Kind::Null => String::new(),
        Kind::String => json::string_text(value).into_owned(),
        _ => String::from_utf8_lossy(value).into_owned(),
    }
}

/// Gives every cell of a record: whose column, its name, the raw value.
fn each_cell(record: &[u8], take: &mut dyn FnMut(Owner, &str, &[u8])) {
    if Kind::of(record) != Kind::Object {
        return take(Owner::Result, "result", record);
    }
    for member in json::members(record) {
        if json::string_eq(member.key, RESERVED) && Kind::of(member.value) == Kind::Object {
            for own in json::members(member.value) {
                let key = json::string_text(own.key);
                let name = if key == "run" { "run_id".to_owned() } else { format!("run_{key}") };
                flatten(&name, own.value, 0, &mut |name, value| take(Owner::Own, name, value));
            }
        } else {
            let name = json::string_text(member.key);
            flatten(&name, member.value, 0, &mut |name, value| take(Owner::Result, name, value));
        }
    }
}

fn flatten(name: &str, value: &[u8], depth: usize, take: &mut dyn FnMut(&str, &[u8])) {
    let is_nested = Kind::of(value) == Kind::Object && depth < DEEPEST;
    let mut members = json::members(if is_nested { value } else { b"{}" }).peekable();
    if members.peek().is_none() {
        return take(name, value);
    }
    for member in members {
        let inner = format!("{name}.{}", json::string_text(member.key));
        flatten(&inner, member.value, depth + 1, take);
    }
}

#[cfg(test)]
mod tests {
    use super::{Columns, Table};

    #[test]
    fn keys_become_columns_in_first_seen_order_with_our_own_last() {
        let records: [&[u8]; 4] = [
            br#"{"file":"a","n":1.50,"canfar_run":{"run":"r","path":"/a","status":"ok","cause":null}}"#,
            br#"{"file":"b","pos":{"ra":10,"dec":{"v":-5}},"flags":[1,"x"],"e":{},"canfar_run":{"run":"r","path":"/b","log":{"file":"l"}}}"#,
            br#"{"n":null,"s":"x,\"\u00e9\"\n","run_path":"mine"}"#,
            b"42",
        ];
        let mut columns = Columns::default();
        records.iter().for_each(|record| columns.learn(record));
        let mut table = Table::begin(Vec::new(), columns).unwrap();
        records.iter().for_each(|record| table.record(record).unwrap());
        let text = String::from_utf8(table.finish().unwrap()).unwrap();
        let expected = "file,n,pos.ra,pos.dec.v,flags,e,s,run_path,result,run_path,run_status,run_index,run_replica_id,run_duration_s,run_id,run_cause,run_log.file\n\
                        a,1.50,,,,,,,,/a,ok,,,,r,,\n\
                        b,,10,-5,\"[1,\"\"x\"\"]\",{},,,,/b,,,,,r,,l\n\
                        ,,,,,,\"x,\"\"\u{e9}\"\"\n\",mine,,,,,,,,,\n\
                        ,,,,,,,,42,,,,,,,,\n";
        assert_eq!(text, expected);
    }
}
