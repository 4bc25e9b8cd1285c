//! The columns of a table of records: the results' keys in first-seen order, nested ones as `a.b`; then canfar-run's own.

use std::collections::{BTreeMap, HashMap, HashSet};

use crate::json::{self, JsonKind};
use crate::record::task_record::RESERVED;

/// Objects nested deeper than this are one column, as JSON text.
const DEEPEST: usize = 16;

/// Columns of canfar-run's own that come first; others follow as they are met.
const FIRST_OWN: [&str; 5] = ["path", "status", "index", "replica_id", "duration_s"];

/// The record itself, above all its keys.
const ROOT: usize = 0;

/// The columns of a table, learned record by record.
#[derive(Debug)]
pub(super) struct Columns {
    keys: Vec<Key>,
    /// Keys that have a cell in some record, in first-seen order: their place here is the number of their column.
    with_cells: Vec<usize>,
    /// How many records were read.
    records: u64,
}

/// A key of a record or of an object within it. A key that an object repeats is there as often.
#[derive(Debug)]
struct Key {
    name: String,
    /// 0 for the first of its name in its object.
    repeat: usize,
    above: usize,
    below: HashMap<String, Vec<usize>>,
    /// The record that it was last met in.
    met_in: u64,
    column: Option<usize>,
}

/// The columns as they are written.
#[derive(Debug)]
pub(super) struct Heading {
    pub(super) names: Vec<String>,
    /// By number of the column.
    pub(super) places: Vec<usize>,
}

/// The keys that lead to a column, outermost first, each with its repeat.
type Path<'a> = Vec<(&'a str, usize)>;

impl Columns {
    /// canfar-run's own columns that every table has.
    pub(super) fn new() -> Self {
        let mut columns = Self { keys: vec![Key::new(ROOT, "", 0)], with_cells: Vec::new(), records: 0 };
        let own = columns.key(ROOT, RESERVED);
        for name in FIRST_OWN {
            let key = columns.key(own, name);
            columns.column(key);
        }
        columns
    }

    /// Learns the columns of one more record.
    pub(super) fn learn(&mut self, record: &[u8]) {
        self.each_cell(record, &mut |_, _| {});
    }

    /// Gives every cell of a record to `take`: the number of its column and the raw value.
    pub(super) fn each_cell(&mut self, record: &[u8], take: &mut dyn FnMut(usize, &[u8])) {
        self.records += 1;
        if JsonKind::of(record) == JsonKind::Object {
            self.object(ROOT, record, 0, take);
        } else {
            let key = self.key(ROOT, "result");
            take(self.column(key), record);
        }
    }

    fn object(&mut self, above: usize, object: &[u8], depth: usize, take: &mut dyn FnMut(usize, &[u8])) {
        for member in json::members(object) {
            let key = self.key(above, &json::string_text(member.key));
            let is_nested = depth < DEEPEST
                && JsonKind::of(member.value) == JsonKind::Object
                && json::members(member.value).next().is_some();
            if is_nested {
                self.object(key, member.value, depth + 1, take);
            } else {
                take(self.column(key), member.value);
            }
        }
    }

    /// The key of that name that was not met in this record yet.
    fn key(&mut self, above: usize, name: &str) -> usize {
        let same = self.keys[above].below.get(name).map(Vec::as_slice).unwrap_or_default();
        let repeat = same.partition_point(|key| self.keys[*key].met_in == self.records);
        let known = same.get(repeat).copied();
        let key = known.unwrap_or_else(|| self.add(above, name, repeat));
        self.keys[key].met_in = self.records;
        key
    }

    fn add(&mut self, above: usize, name: &str, repeat: usize) -> usize {
        let key = self.keys.len();
        self.keys.push(Key::new(above, name, repeat));
        self.keys[above].below.entry(name.to_owned()).or_default().push(key);
        key
    }

    fn column(&mut self, key: usize) -> usize {
        let next = self.with_cells.len();
        *self.keys[key].column.get_or_insert_with(|| {
            self.with_cells.push(key);
            next
        })
    }

    /// The columns in their order, each with a name of its own. Which one has which name depends on which there are, and
    /// not on the order in which they were met.
    pub(super) fn heading(&mut self) -> Heading {
        let is_own = |path: &Path<'_>| path.len() > 1 && path[0].0 == RESERVED;
        if (0..self.with_cells.len()).all(|column| is_own(&self.path(column))) {
            // What a record has in any case.
            let key = self.key(ROOT, "file");
            self.column(key);
        }
        let paths: Vec<Path<'_>> = (0..self.with_cells.len()).map(|column| self.path(column)).collect();
        let (own, results): (Vec<usize>, Vec<usize>) =
            (0..paths.len()).partition(|column| is_own(&paths[*column]));
        let mut heading = Heading { names: Vec::new(), places: vec![0; paths.len()] };
        let mut taken = HashSet::new();
        // A user's keys come first, so ours give way.
        for columns in [results, own] {
            let mut names = distinct(&columns, &paths, &mut taken);
            for column in columns {
                heading.places[column] = heading.names.len();
                heading.names.push(names.remove(&column).unwrap_or_default());
            }
        }
        heading
    }

    fn path(&self, column: usize) -> Path<'_> {
        let mut path = Vec::new();
        let mut at = self.with_cells[column];
        while at != ROOT {
            let key = &self.keys[at];
            path.push((key.name.as_str(), key.repeat));
            at = key.above;
        }
        path.reverse();
        path
    }
}

impl Key {
    fn new(above: usize, name: &str, repeat: usize) -> Self {
        Self { name: name.to_owned(), repeat, above, below: HashMap::new(), met_in: 0, column: None }
    }
}

/// A name for each of `columns` that is not `taken`: where several would have one, that of the fewest keys has it, and
/// the others are numbered.
fn distinct(columns: &[usize], paths: &[Path<'_>], taken: &mut HashSet<String>) -> HashMap<usize, String> {
    let mut same: BTreeMap<String, Vec<usize>> = BTreeMap::new();
    columns.iter().for_each(|column| same.entry(plain_name(&paths[*column])).or_default().push(*column));
    let mut names = HashMap::new();
    for (name, columns) in &mut same {
        columns.sort_by_key(|column| (paths[*column].len(), &paths[*column]));
        if taken.insert(name.clone()) {
            names.insert(columns.remove(0), name.clone());
        }
    }
    // Only now: a name with a number may also be a user's own key.
    for (name, columns) in same {
        let mut number = 1_u64;
        for column in columns {
            let numbered = loop {
                number += 1;
                let numbered = format!("{name}_{number}");
                if taken.insert(numbered.clone()) {
                    break numbered;
                }
            };
            names.insert(column, numbered);
        }
    }
    names
}

fn plain_name(path: &Path<'_>) -> String {
    let joined = |keys: &[(&str, usize)]| keys.iter().map(|(key, _)| *key).collect::<Vec<_>>().join(".");
    match path.as_slice() {
        [(RESERVED, _), ("run", _), rest @ ..] => joined(&[&[("run_id", 0)], rest].concat()),
        [(RESERVED, _), own @ ..] if !own.is_empty() => format!("run_{}", joined(own)),
        keys => joined(keys),
    }
}
