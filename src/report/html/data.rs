//! The data that the page's scripts draw and search: JSON, a column for each thing that is known, so that a task costs
//! some 80 bytes.

use std::collections::HashMap;
use std::io::{self, Write};
use std::path::Path;

use serde::Serialize;

use crate::report::html::links::relative;
use crate::report::html::model::{
    AttemptSpan, AttemptSpanEnd, RunHistory, TaskHistory, TaskSource, TaskStanding,
};
use crate::units;

#[derive(Serialize)]
struct Data<'a> {
    /// What times are counted from, milliseconds since 1970.
    begun: i64,
    /// The index of the first task; all columns begin with it.
    first_index: u64,
    /// Of every task its folder's place in `folders`, and its name in that.
    folders: Vec<String>,
    folder: Vec<u32>,
    name: Vec<String>,
    /// One digit a task: 0 ok, 1 failed, 2 running, 3 missing.
    state: String,
    /// Kinds of failure (cause, line), and of every task the place of its own, -1 for none.
    kinds: Vec<(String, &'a str)>,
    kind: Vec<i64>,
    replica: Vec<u32>,
    attempts: Vec<u32>,
    /// Milliseconds.
    start: Vec<Option<i64>>,
    duration: Vec<Option<i64>>,
    cpu: Vec<Option<i64>>,
    /// KiB.
    memory: Vec<Option<u64>>,
    /// Bytes.
    size: Vec<Option<u64>>,
    /// Each product that was declared, and the folders that these lie in, as links.
    product_folders: Vec<String>,
    products: Vec<ProductColumn>,
    launches: Vec<LaunchBar>,
    spans: SpanColumns,
}

/// A product of every task.
#[derive(Serialize)]
struct ProductColumn {
    /// Its name, if it was given one.
    name: Option<String>,
    /// Of every task the place of the folder, -1 where it is not made, and its name in that, as a link.
    folder: Vec<i64>,
    base: Vec<String>,
}

/// Replica, slots, begin, end.
type LaunchBar = (u32, u32, i64, i64);

/// All attempts by replica, slot and time. Of the first three columns, each value is the difference to the one before.
#[derive(Serialize)]
struct SpanColumns {
    task: Vec<i64>,
    replica: Vec<i64>,
    begin: Vec<i64>,
    slot: Vec<u32>,
    duration: Vec<i64>,
    /// One digit each: 0 ok, 1 failed, 2 running, 3 cut.
    end: String,
    /// If replicas share their work: 0 for a task of the replica's own share, else the replica with the task in its share, or with
    /// a minus the one that had it before.
    #[serde(skip_serializing_if = "Option::is_none")]
    source: Option<Vec<i64>>,
}

/// Writes it so that it is safe in a script element, whatever names contain. The page is in the folder `page`.
pub(super) fn write(history: &RunHistory, page: &Path, out: &mut dyn Write) -> io::Result<()> {
    serde_json::to_writer(Guarded(out), &Data::of(history, page)).map_err(io::Error::from)
}

/// Writes `<` as an escape: no text in JSON can then end, or begin, an element.
struct Guarded<'a>(&'a mut dyn Write);

impl Write for Guarded<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        for (number, part) in bytes.split(|byte| *byte == b'<').enumerate() {
            if number > 0 {
                self.0.write_all(b"\\u003c")?;
            }
            self.0.write_all(part)?;
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

impl<'a> Data<'a> {
    fn of(history: &'a RunHistory, page: &Path) -> Self {
        let (product_folders, products) = products(history, page);
        let begun = history.times().map_or(0, |times| times.0);
        let tasks = &history.tasks;
        let (folders, folder, name) = names(history);
        Self {
            begun,
            first_index: history.header.first_index,
            folders,
            folder,
            name,
            state: tasks.iter().map(|task| state_digit(task.state)).collect(),
            kinds: history
                .kinds
                .iter()
                .map(|kind| (kind.group.cause.to_string(), kind.group.last_line.as_str()))
                .collect(),
            kind: tasks.iter().map(|task| task.kind.map_or(-1, i64::from)).collect(),
            replica: tasks.iter().map(|task| task.replica).collect(),
            attempts: tasks.iter().map(|task| task.attempts).collect(),
            start: tasks.iter().map(|task| task.begun_ms.map(|ms| ms - begun)).collect(),
            duration: of_usage(tasks, |task| Some(units::millis(task.usage?.duration_s))),
            cpu: of_usage(tasks, |task| Some(units::millis(task.usage?.cpu_s))),
            memory: tasks.iter().map(|task| Some(task.usage?.max_rss_bytes? / 1024)).collect(),
            size: tasks.iter().map(|task| task.size).collect(),
            product_folders,
            products,
            launches: launches(history, begun),
            spans: SpanColumns::of(history, begun),
        }
    }
}

fn of_usage(tasks: &[TaskHistory], of: impl Fn(&TaskHistory) -> Option<i64>) -> Vec<Option<i64>> {
    tasks.iter().map(of).collect()
}

fn launches(history: &RunHistory, begun: i64) -> Vec<LaunchBar> {
    let bar = |launch: &crate::report::html::model::TimelineLaunch| {
        (launch.replica, launch.slots, launch.begun_ms - begun, launch.last_ms - begun)
    };
    history.launches.iter().map(bar).collect()
}

fn state_digit(state: TaskStanding) -> char {
    match state {
        TaskStanding::Ok => '0',
        TaskStanding::Failed => '1',
        TaskStanding::Running => '2',
        TaskStanding::Missing => '3',
    }
}

/// Many files lie in few folders.
fn names(history: &RunHistory) -> (Vec<String>, Vec<u32>, Vec<String>) {
    let (mut folders, mut folder, mut name) = (Vec::new(), Vec::new(), Vec::new());
    let mut places: HashMap<String, u32> = HashMap::new();
    for entry in history.entries.iter() {
        let path = units::path(entry.path);
        let begin = path.trim_end_matches('/').rfind('/').map_or(0, |slash| slash + 1);
        let (before, base) = path.split_at(begin);
        let place = places.get(before).copied().unwrap_or_else(|| {
            let place = u32::try_from(folders.len()).unwrap_or(u32::MAX);
            folders.push(before.to_owned());
            places.insert(before.to_owned(), place);
            place
        });
        folder.push(place);
        name.push(base.to_owned());
    }
    (folders, folder, name)
}

/// Many products lie in few folders.
fn products(history: &RunHistory, page: &Path) -> (Vec<String>, Vec<ProductColumn>) {
    let Some(declared) = history.declared_products() else { return (Vec::new(), Vec::new()) };
    let mut folders = IndexedNames::default();
    let column = |name: Option<&str>| ProductColumn {
        name: name.map(units::printable),
        folder: Vec::with_capacity(history.tasks.len()),
        base: Vec::with_capacity(history.tasks.len()),
    };
    let mut columns: Vec<ProductColumn> = declared.names().map(column).collect();
    for ((index, task), entry) in
        (history.header.first_index..).zip(&history.tasks).zip(history.entries.iter())
    {
        let is_made = !task.products.is_empty();
        let paths = if is_made { declared.paths(entry, index) } else { Vec::new() };
        for (place, column) in columns.iter_mut().enumerate() {
            let link = paths.get(place).and_then(|path| relative(page, path));
            let (folder, base) =
                link.map_or((-1, String::new()), |(folder, base)| (folders.place(&folder), base));
            column.folder.push(folder);
            column.base.push(base);
        }
    }
    (folders.names, columns)
}

/// Names, each once.
#[derive(Default)]
struct IndexedNames {
    names: Vec<String>,
    places: HashMap<String, i64>,
}

impl IndexedNames {
    fn place(&mut self, name: &str) -> i64 {
        if let Some(place) = self.places.get(name) {
            return *place;
        }
        let place = i64::try_from(self.names.len()).unwrap_or(i64::MAX);
        self.names.push(name.to_owned());
        self.places.insert(name.to_owned(), place);
        place
    }
}

impl SpanColumns {
    fn of(history: &RunHistory, begun: i64) -> Self {
        let spans = &history.spans;
        let place = |one: &AttemptSpan| {
            history.header.place_of(one.index).and_then(|at| i64::try_from(at).ok()).unwrap_or(0)
        };
        Self {
            task: differences(spans.iter().map(place)),
            replica: differences(spans.iter().map(|one| i64::from(one.replica))),
            begin: differences(spans.iter().map(|one| one.begun_ms - begun)),
            slot: spans.iter().map(|one| one.slot).collect(),
            duration: spans.iter().map(|one| one.ms).collect(),
            end: spans.iter().map(|one| end_digit(one.end)).collect(),
            source: history.shared.as_ref().map(|_| spans.iter().map(|one| source(one.source)).collect()),
        }
    }
}

fn source(source: TaskSource) -> i64 {
    match source {
        TaskSource::OwnShare => 0,
        TaskSource::OtherShare(share) => share.into(),
        TaskSource::TakenOver(from) => -i64::from(from),
    }
}

fn end_digit(end: AttemptSpanEnd) -> char {
    match end {
        AttemptSpanEnd::Ok => '0',
        AttemptSpanEnd::Failed => '1',
        AttemptSpanEnd::Running => '2',
        AttemptSpanEnd::Cut => '3',
    }
}

fn differences(values: impl Iterator<Item = i64>) -> Vec<i64> {
    let mut before = 0;
    values.map(|value| value - std::mem::replace(&mut before, value)).collect()
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    #[test]
    fn no_text_can_end_the_element_it_stands_in() {
        let mut out = Vec::new();
        super::Guarded(&mut out).write_all(b"[\"</script><!--\",\"<\"]").unwrap();
        assert_eq!(out, b"[\"\\u003c/script>\\u003c!--\",\"\\u003c\"]");
        assert_eq!(serde_json::from_slice::<[String; 2]>(&out).unwrap(), ["</script><!--", "<"]);
    }

    #[test]
    fn columns_that_grow_are_written_as_differences() {
        assert_eq!(super::differences([5, 7, 7, 2].into_iter()), [5, 2, 0, -5]);
    }
}
