//! Records as a table of text: strings unchanged, null as an empty field, everything else as JSON.

use std::borrow::Cow;
use std::io::{self, Write};

use crate::json::{self, JsonKind};
use crate::merge::columns::{Columns, Heading};

/// A table being written.
#[derive(Debug)]
pub(super) struct CsvTable<W: Write> {
    columns: Columns,
    /// By number of the column.
    places: Vec<usize>,
    writer: csv::Writer<W>,
    cells: Vec<Vec<u8>>,
}

impl<W: Write> CsvTable<W> {
    /// Writes the heading. `columns` are those of all records that will follow.
    pub(super) fn begin(out: W, delimiter: u8, mut columns: Columns) -> io::Result<Self> {
        let Heading { names, places } = columns.heading();
        let mut writer = csv::WriterBuilder::new().delimiter(delimiter).from_writer(out);
        writer.write_record(&names)?;
        Ok(Self { columns, places, writer, cells: vec![Vec::new(); names.len()] })
    }

    pub(super) fn record(&mut self, record: &[u8]) -> io::Result<()> {
        self.cells.iter_mut().for_each(Vec::clear);
        let (places, cells) = (&self.places, &mut self.cells);
        let mut has_place = true;
        self.columns.each_cell(record, &mut |column, value| match places
            .get(column)
            .and_then(|place| cells.get_mut(*place))
        {
            Some(cell) => cell.extend_from_slice(&text_of(value)),
            None => has_place = false,
        });
        if !has_place {
            return Err(io::Error::other("the results changed while they were merged: merge again"));
        }
        self.writer.write_record(&self.cells)?;
        Ok(())
    }

    pub(super) fn finish(self) -> io::Result<W> {
        self.writer.into_inner().map_err(csv::IntoInnerError::into_error)
    }
}

/// The content of a cell. Half of a surrogate pair is not text, so a string with one stays JSON.
fn text_of(value: &[u8]) -> Cow<'_, [u8]> {
    match JsonKind::of(value) {
        JsonKind::Null => Cow::Borrowed(b""),
        JsonKind::String => match json::exact_text(value) {
            Some(Cow::Borrowed(text)) => Cow::Borrowed(text.as_bytes()),
            Some(Cow::Owned(text)) => Cow::Owned(text.into_bytes()),
            None => Cow::Borrowed(value),
        },
        _ => Cow::Borrowed(value),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::{Columns, CsvTable};

    fn table(records: &[&str]) -> String {
        let mut columns = Columns::new();
        records.iter().for_each(|record| columns.learn(record.as_bytes()));
        let mut table = CsvTable::begin(Vec::new(), b',', columns).unwrap();
        records.iter().for_each(|record| table.record(record.as_bytes()).unwrap());
        String::from_utf8(table.finish().unwrap()).unwrap()
    }

    /// Of each record its cells that are not empty, by the names of their columns, which have to be distinct.
    #[track_caller]
    fn cells(records: &[&str]) -> Vec<BTreeMap<String, String>> {
        let text = table(records);
        let mut reader = csv::Reader::from_reader(text.as_bytes());
        let names: Vec<String> = reader.headers().unwrap().iter().map(str::to_owned).collect();
        let distinct: BTreeSet<&String> = names.iter().collect();
        assert_eq!(distinct.len(), names.len(), "{names:?}");
        let row = |row: csv::Result<csv::StringRecord>| {
            let row = row.unwrap();
            let cells = names.iter().zip(row.iter()).filter(|(_, cell)| !cell.is_empty());
            cells.map(|(name, cell)| (name.clone(), cell.to_owned())).collect()
        };
        reader.records().map(row).collect()
    }

    /// The cells of records in this order and in the opposite one, as pairs of name and text.
    #[track_caller]
    fn expect<const N: usize>(records: [&str; N], expected: [&[(&str, &str)]; N]) {
        let mut expected = expected.map(|cells| {
            let cell = |(name, text): &(&str, &str)| ((*name).to_owned(), (*text).to_owned());
            cells.iter().map(cell).collect::<BTreeMap<_, _>>()
        });
        let mut records = records;
        assert_eq!(cells(&records), expected, "{records:?}");
        records.reverse();
        expected.reverse();
        assert_eq!(cells(&records), expected, "{records:?}");
    }

    #[test]
    fn keys_become_columns_in_first_seen_order_with_our_own_last() {
        let records = [
            r#"{"file":"a","n":1.50,"canfar_run":{"run":"r","path":"/a","status":"ok","cause":null}}"#,
            r#"{"file":"b","pos":{"ra":10,"dec":{"v":-5}},"flags":[1,"x"],"e":{},"canfar_run":{"run":"r","path":"/b","log":{"file":"l"}}}"#,
            r#"{"n":null,"s":"x,\"\u00e9\"\n","run_path":"mine"}"#,
            "42",
        ];
        let expected = "file,n,pos.ra,pos.dec.v,flags,e,s,run_path,result,run_path_2,run_status,run_index,run_replica_id,run_duration_s,run_id,run_cause,run_log.file\n\
                        a,1.50,,,,,,,,/a,ok,,,,r,,\n\
                        b,,10,-5,\"[1,\"\"x\"\"]\",{},,,,/b,,,,,r,,l\n\
                        ,,,,,,\"x,\"\"\u{e9}\"\"\n\",mine,,,,,,,,,\n\
                        ,,,,,,,,42,,,,,,,,\n";
        assert_eq!(table(&records), expected);
    }

    #[test]
    fn a_table_of_no_record_has_its_heading() {
        assert_eq!(table(&[]), "file,run_path,run_status,run_index,run_replica_id,run_duration_s\n");
    }

    #[test]
    fn a_key_with_a_dot_and_a_nested_one_have_a_column_each_whatever_the_order() {
        expect(
            [r#"{"a":{"b":1},"a.b":2}"#, r#"{"a.b":3}"#, r#"{"a":{"b":4}}"#],
            [&[("a.b", "2"), ("a.b_2", "1")], &[("a.b", "3")], &[("a.b_2", "4")]],
        );
        expect([r#"{"a.b":2,"a":{"b":1}}"#], [&[("a.b", "2"), ("a.b_2", "1")]]);
        expect(
            [r#"{"a":{"b":{"c":1}},"a.b":{"c":2},"a.b.c":3}"#, r#"{"a":{"b.c":4}}"#],
            [&[("a.b.c", "3"), ("a.b.c_3", "2"), ("a.b.c_4", "1")], &[("a.b.c_2", "4")]],
        );
        // A name with a number may be a key, too.
        expect([r#"{"a":{"b":1},"a.b":2,"a.b_2":3}"#], [&[("a.b", "2"), ("a.b_2", "3"), ("a.b_3", "1")]]);
    }

    #[test]
    fn a_repeated_key_has_a_column_for_each_time() {
        expect(
            [r#"{"a":1,"a":2,"\u0061":3}"#, r#"{"a":4}"#],
            [&[("a", "1"), ("a_2", "2"), ("a_3", "3")], &[("a", "4")]],
        );
        expect([r#"{"a":{"b":1,"b":2},"a":{"b":3}}"#], [&[("a.b", "1"), ("a.b_2", "2"), ("a.b_3", "3")]]);
    }

    #[test]
    fn ours_give_way_to_a_user_s_keys() {
        expect(
            [r#"{"run_path":"mine","run_path_2":5,"canfar_run":{"path":"/a","run":"r"}}"#, r#"{"run_id":1}"#],
            [
                &[("run_path", "mine"), ("run_path_2", "5"), ("run_path_3", "/a"), ("run_id_2", "r")],
                &[("run_id", "1")],
            ],
        );
        // What is no object under our key is nobody's but the user's.
        expect(
            [r#"{"canfar_run":5,"run_path":{"x":1}}"#, r#"{"canfar_run":{}}"#],
            [&[("canfar_run", "5"), ("run_path.x", "1")], &[("canfar_run", "{}")]],
        );
    }

    #[test]
    fn what_is_an_object_here_may_be_a_number_there() {
        expect(
            [r#"{"a":{"b":1}}"#, r#"{"a":2}"#, r#"{"a":{}}"#, r#"{"a":[]}"#, r#"{"a":""}"#, r#"{"a":null}"#],
            [&[("a.b", "1")], &[("a", "2")], &[("a", "{}")], &[("a", "[]")], &[], &[]],
        );
    }

    #[test]
    fn odd_keys_and_texts_come_through() {
        expect(
            [r#"{"":1,"a,\"b\"\n\t":2,"é☆":"\u0000\r","x":"\ud800 y","\ud800":3,"\ud801":4}"#],
            [&[
                ("", "1"),
                ("a,\"b\"\n\t", "2"),
                ("é☆", "\0\r"),
                ("x", r#""\ud800 y""#),
                ("\u{fffd}", "3"),
                ("\u{fffd}_2", "4"),
            ]],
        );
        expect([r#"{"":{"":1},".":2}"#], [&[(".", "2"), ("._2", "1")]]);
    }

    #[test]
    fn ten_thousand_keys_and_as_many_of_one_name_are_no_trouble() {
        let object = |name: &dyn Fn(usize) -> String| {
            let members: Vec<String> =
                (0..10_000).map(|number| format!("\"{}\":{}", name(number), number + 1)).collect();
            format!("{{{}}}", members.join(","))
        };
        for record in [object(&|number| format!("k{number}")), object(&|_| "k".to_owned())] {
            let cells = cells(&[&record]);
            let numbers: BTreeSet<usize> = cells[0].values().map(|cell| cell.parse().unwrap()).collect();
            assert_eq!(numbers, (1..=10_000).collect());
        }
    }

    #[test]
    fn objects_nested_deeper_than_columns_go_are_json() {
        let record = format!("{}7{}", "{\"a\":".repeat(20), "}".repeat(20));
        let cells = cells(&[&record]);
        let (name, text) = cells[0].first_key_value().unwrap();
        assert_eq!((name.split('.').count(), &**text), (17, "{\"a\":{\"a\":{\"a\":7}}}"));
    }

    #[test]
    fn a_key_that_nobody_told_of_is_no_value_lost_in_silence() {
        let mut table = CsvTable::begin(Vec::new(), b',', Columns::new()).unwrap();
        assert!(table.record(b"{\"new\":1}").unwrap_err().to_string().contains("merge again"));
    }

    /// Objects whose keys are likely to meet; each number in them is there once.
    fn object(depth: u32) -> BoxedStrategy<String> {
        let key = || prop::sample::select(vec!["a", "b", "a.b", "b.a", "a_2", "a.b_2", "run_path", ""]);
        let value = if depth == 0 {
            Just("#".to_owned()).boxed()
        } else {
            prop_oneof![2 => Just("#".to_owned()), 1 => object(depth - 1)].boxed()
        };
        let member = (key(), value).prop_map(|(key, value)| format!("\"{key}\":{value}"));
        vec(member, 1..4).prop_map(|members| format!("{{{}}}", members.join(","))).boxed()
    }

    /// Gives every `#` in records a number of its own.
    fn numbered(records: &[String]) -> Vec<String> {
        let mut number = 0;
        let mut next = |piece: &str| {
            number += 1;
            format!("{piece}{number}")
        };
        records
            .iter()
            .map(|record| {
                let pieces: Vec<&str> = record.split('#').collect();
                let (last, pieces) = pieces.split_last().unwrap();
                pieces.iter().map(|piece| next(piece)).collect::<String>() + last
            })
            .collect()
    }

    proptest! {
        #[test]
        fn every_value_has_a_cell_and_the_order_of_records_names_no_column(records in vec(object(2), 1..5)) {
            let records = numbered(&records);
            let texts: Vec<&str> = records.iter().map(String::as_str).collect();
            let rows = cells(&texts);
            for (record, row) in records.iter().zip(&rows) {
                let values = record.split(|char: char| !char.is_ascii_digit() && char != '_').filter(|part| {
                    !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit())
                });
                let values: BTreeSet<&str> = values.collect();
                prop_assert_eq!(row.values().map(String::as_str).collect::<BTreeSet<_>>(), values);
            }
            let reversed: Vec<&str> = texts.iter().rev().copied().collect();
            let mut backwards = cells(&reversed);
            backwards.reverse();
            prop_assert_eq!(rows, backwards);
        }
    }
}
