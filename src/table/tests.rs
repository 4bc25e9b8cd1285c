//! Tables as people and programs write them, and what is wrong with others.

use std::path::Path;

use super::{Table, TableSource, read};

/// A table of this name and text.
fn table(name: &str, text: impl AsRef<[u8]>) -> Result<Table, String> {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join(name);
    std::fs::write(&path, text).unwrap();
    let folder = format!("{}/", dir.path().display());
    let source = TableSource::open(&path, &|| true).and_then(|mut source| read(&mut source));
    source.map_err(|error| error.to_string().replace(&folder, ""))
}

/// Its rows, each with its label, and its columns, of which those of numbers have a mark.
#[track_caller]
fn read_as(name: &str, text: impl AsRef<[u8]>, columns: &str, rows: &[(&str, &str)]) -> Vec<String> {
    let table = table(name, text).unwrap();
    let named = |column: &crate::model::row::Column| {
        format!("{}{}", column.name, if column.numbers { "#" } else { "" })
    };
    assert_eq!(table.columns.iter().map(named).collect::<Vec<_>>().join(" "), columns);
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    let found: Vec<(String, String)> = table
        .entries
        .iter()
        .map(|entry| (entry.path.to_str().unwrap().to_owned(), text(entry.row.unwrap())))
        .collect();
    let expected: Vec<(String, String)> =
        rows.iter().map(|(label, row)| ((*label).to_owned(), (*row).to_owned())).collect();
    assert_eq!(found, expected);
    table.notes
}

#[test]
fn a_column_is_numbers_if_every_cell_is_one_or_empty_and_keeps_their_digits() {
    let csv = "seed,alpha,code,gone\n1,1.50,00001,\n-2,1e400,2,\n,0.1,3,\n";
    let rows = [
        ("0", r#"{"seed":1,"alpha":1.50,"code":"00001","gone":null}"#),
        ("1", r#"{"seed":-2,"alpha":1e400,"code":"2","gone":null}"#),
        ("2", r#"{"seed":null,"alpha":0.1,"code":"3","gone":null}"#),
    ];
    assert!(read_as("t.csv", csv, "seed# alpha# code gone#", &rows).is_empty());
    read_as("T.TSV", csv.replace(',', "\t"), "seed# alpha# code gone#", &rows);
}

#[test]
fn separated_values_are_read_as_other_programs_write_them() {
    let row = ("M 31", r#"{"n":1,"name":"M 31","note":"a \"b\",\nc"}"#);
    let csv = "n,name,note\n1,M 31,\"a \"\"b\"\",\nc\"\n";
    read_as("t.csv", csv, "n# name note", &[row]);
    read_as("t.csv", format!("\u{feff}{csv}"), "n# name note", &[row]);
    read_as("t.csv", csv.trim_end(), "n# name note", &[row]);
    read_as(
        "t.csv",
        "n,name\r\n1,a\r\n\r\n2,\r\n",
        "n# name",
        &[("a", r#"{"n":1,"name":"a"}"#), ("1", r#"{"n":2,"name":""}"#)],
    );
    let notes = read_as("t.csv", ",n\n0,5\n1,6\n", "n#", &[("0", r#"{"n":5}"#), ("1", r#"{"n":6}"#)]);
    assert!(notes[0].starts_with("1 column without a name is left out of the table"), "{notes:?}");
    read_as(
        "t.csv",
        "id,name,path\n7,a,/d/a\n",
        "id# name path",
        &[("/d/a", r#"{"id":7,"name":"a","path":"/d/a"}"#)],
    );
    assert!(table("t.csv", "n,name\n").unwrap().entries.is_empty());
}

#[test]
fn json_lines_keep_their_text_and_what_has_no_key_is_null() {
    let notes = read_as(
        "t.jsonl",
        "\u{feff}{\"seed\": 1, \"alpha\": 1.50}\n\n{\"alpha\": 2, \"tags\": [1, {\"a\": null}], \"seed\": 2}\r\n{\"seed\": NaN}\n",
        "seed# alpha# tags",
        &[
            ("0", r#"{"seed":1,"alpha":1.50,"tags":null}"#),
            ("1", r#"{"seed":2,"alpha":2,"tags":[1, {"a": null}]}"#),
            ("2", r#"{"seed":null,"alpha":null,"tags":null}"#),
        ],
    );
    assert!(notes[0].starts_with("1 NaN or Infinity in the table"), "{notes:?}");
    let same = "{\"name\": \"a\\u00e9\", \"n\":  1e400}";
    read_as("t.ndjson", format!("{same}\n"), "name n#", &[("aé", same)]);
}

#[test]
fn ecsv_says_what_its_cells_are() {
    let header = "# %ECSV 1.0\n# ---\n# datatype:\n# - {name: n, datatype: int64}\n# - {name: t, unit: km / s, datatype: float64, description: 'a, \"b\"'}\n# - name: code\n#   datatype: string\n# - {name: ok, datatype: bool}\n# meta: !!omap\n# - {comments: [made by hand]}\n# schema: astropy-2.0\n";
    let rows = [
        ("0", r#"{"n":1,"t":1.0,"code":"007","ok":true}"#),
        ("1", r#"{"n":null,"t":"nan","code":"a b","ok":false}"#),
    ];
    let body = "n t code ok\n1 1.0 007 True\n\"\" nan \"a b\" False\n";
    read_as("t.ecsv", format!("{header}{body}"), "n# t# code ok", &rows);
    read_as("t.csv", format!("{header}{body}"), "n# t# code ok", &rows);
    let commas = header.replace("# meta", "# delimiter: ','\n# meta");
    read_as(
        "t.ecsv",
        format!("{commas}{}", "n,t,code,ok\n1,1.0,007,True\n,nan,a b,False\n"),
        "n# t# code ok",
        &rows,
    );
    for (wrong, said) in [
        (
            format!("{header}n t ok code\n"),
            "t.ecsv:12: the column names here are not those of the header above: n, t, ok, code",
        ),
        (
            format!("{header}{body}1.x 1 a True\n"),
            "t.ecsv:15: `1.x` in the column `n` is no int64, which the header says it is: change either",
        ),
        (
            "# %ECSV 1.0\n# ---\n# meta: 1\nn\n1\n".to_owned(),
            "t.ecsv:1: this is no header of an ECSV table: ",
        ),
    ] {
        let error = table("t.ecsv", wrong).unwrap_err();
        assert!(error.starts_with(said), "{error}");
    }
}

#[test]
fn what_is_read_from_a_pipe_tells_by_itself_what_it_is() {
    for (text, columns) in [("a,b\n1,2\n", 2), ("a\tb\n1\t2\n", 2), ("{\"a\": 1, \"b\": 2}\n", 2)] {
        let start = text.as_bytes();
        let format = super::TableFormat::guessed(start).seen_in(start);
        let name = format!(
            "t.{}",
            match format {
                super::TableFormat::Csv => "csv",
                super::TableFormat::Tsv => "tsv",
                super::TableFormat::Ecsv => "ecsv",
                super::TableFormat::JsonLines => "jsonl",
            }
        );
        assert_eq!(table(&name, text).unwrap().columns.len(), columns, "{text}");
    }
    assert_eq!(super::TableFormat::of(Path::new("-")), None);
}

#[test]
fn what_is_wrong_is_told_with_its_line() {
    for (name, text, said) in [
        ("t.csv", &b""[..], "the table t.csv is empty"),
        ("t.csv", b" \n\n", "the table t.csv is empty"),
        (
            "t.csv",
            b"a,b\n1,2\n3\n",
            "t.csv:3: this row has 1 field, and the header 2 fields: fill in what is missing",
        ),
        (
            "t.csv",
            b"a,b\n\"1\n\",2\n3,4,5\n",
            "t.csv:4: this row has 3 fields, and the header 2 fields: put a cell with the delimiter in it in quotes",
        ),
        (
            "t.csv",
            b"a,index\n",
            "t.csv:1: column 2 is called `index`, which is a placeholder of every run: give it another name",
        ),
        ("t.csv", b"a,/.\n", "t.csv:1: column 2 is called `/.`, which is a placeholder"),
        ("t.csv", b"out:cat\n", "t.csv:1: column 1 is called `out:cat`, which is a placeholder"),
        (
            "t.csv",
            b"a,canfar_run\n",
            "t.csv:1: column 2 is called `canfar_run`, which is canfar-run's own key in a record",
        ),
        ("t.csv", b"a, b\n", "t.csv:1: column 2 is called ` b`, with a blank at its beginning or end"),
        ("t.csv", b"a,b,a\n", "t.csv:1: columns 1 and 3 are both called `a`: give each its own name"),
        ("t.csv", b",\n1,2\n", "the table t.csv has no column with a name"),
        ("t.csv", b"a,b\n1,\"2\n3,4\n", "t.csv:2: the quote that begins here is never closed"),
        ("t.csv", b"a,b\n1,\"2\"x\n3,4\n", "t.csv:2: in this line something follows a closing quote"),
        ("t.csv", b"a,b\n1,2\n1,\0\n", "t.csv:3: this line has a NUL byte in it"),
        ("t.csv", b"a,b\n1,\xe9\n", "t.csv:2: this line is not UTF-8: save the table as UTF-8"),
        ("t.csv", b"\xff\xfea\0,\0b\0\n\0", "the table t.csv is UTF-16 text"),
        ("t.jsonl", b"{\"a\": 1}\n[1]\n", "t.jsonl:2: this line is no JSON object: it is another value"),
        ("t.jsonl", b"{\"a\": 1}\n\n{\"a\": }\n", "t.jsonl:3: this line is no JSON object: "),
        ("t.jsonl", b"{\"a\": 1, \"b\": 2, \"a\": 3}\n", "t.jsonl:1: columns 1 and 3 are both called `a`"),
        ("t.jsonl", b"{\"a\": 1}\n{\"slot\": 1}\n", "t.jsonl:2: column 1 is called `slot`"),
        ("t.jsonl", b"{}\n", "the table t.jsonl has no column with a name"),
        ("t.jsonl", b"{\"a\": \"\\u0000\"}\n", "t.jsonl:1: this line has a NUL byte in it"),
        ("t.jsonl", b"{\"a\": \"\xe9\"}\n", "t.jsonl:1: this line is not UTF-8"),
    ] {
        match table(name, text) {
            Err(error) => assert!(error.starts_with(said), "{said}\n{error}"),
            Ok(table) => panic!("{said}: {table:?}"),
        }
    }
}
