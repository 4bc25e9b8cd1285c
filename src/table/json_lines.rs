//! Tables of JSON lines: an object per line, whose keys are the columns in the order in which they are first seen.

use std::borrow::Cow;
use std::collections::HashMap;
use std::io::BufRead;

use super::columns::{check_name, shown};
use super::error::{TableError, TableFault, TooLongRow};
use super::source::TableSource;
use super::{Rows, Table};
use crate::json::{self, BYTE_ORDER_MARK, JsonKind, MAX_DEPTH, Member};
use crate::model::row::{self, Column, is_number};
use crate::units;

/// Reads an object per line.
///
/// # Errors
/// What is wrong with them, with the line.
pub(super) fn read(source: &mut TableSource<'_>) -> Result<Table, TableError> {
    let mut seen = SeenColumns::default();
    let mut non_finite = 0;
    each(source, |source, line, object, nulled| {
        non_finite += nulled;
        seen.take(object).map_err(|fault| source.at(line, fault))
    })?;
    if seen.columns.is_empty() {
        return Err(source.whole(TableFault::NoColumn));
    }
    let mut rows = Rows::of(&seen.columns);
    each(source, |source, line, object, _| {
        let row = seen.arranged(object).ok_or_else(|| source.whole(TableFault::Changed))?;
        let label = rows.label.and_then(|label| row::cell(&row, label));
        rows.push(label.as_deref(), &row).map_err(|error| source.at(line, TooLongRow(error).into()))
    })?;
    let note = (non_finite > 0).then(|| {
        let values = units::plural(non_finite, "NaN or Infinity", "NaN and Infinity");
        format!("{values} in the table {} became null: JSON has no such numbers", source.name())
    });
    Ok(rows.into_table(seen.columns, note.into_iter().collect()))
}

/// Gives the object of each line to `take`, with its line and how many NaN and Infinity in it became null.
fn each(
    source: &mut TableSource<'_>,
    mut take: impl FnMut(&TableSource<'_>, u64, &[u8], u64) -> Result<(), TableError>,
) -> Result<(), TableError> {
    let mut reader = source.reader().map_err(|cause| source.unreadable(cause))?;
    let mut text = Vec::new();
    for line in 1.. {
        text.clear();
        if reader.read_until(b'\n', &mut text).map_err(|cause| source.unreadable(cause))? == 0 {
            break;
        }
        let object = text.strip_prefix(if line == 1 { BYTE_ORDER_MARK } else { b"" }).unwrap_or(&text);
        if object.trim_ascii().is_empty() {
            continue;
        }
        let at = |fault| source.at(line, fault);
        if str::from_utf8(object).is_err() {
            return Err(at(TableFault::NotUtf8));
        }
        let normal = json::normalise(object.trim_ascii(), MAX_DEPTH)
            .map_err(|error| at(TableFault::NotJson(error.to_string())))?;
        if normal.kind != JsonKind::Object {
            return Err(at(TableFault::NotJson("it is another value".to_owned())));
        }
        take(source, line, &normal.text, normal.non_finite as u64)?;
    }
    Ok(())
}

/// The columns that were seen so far.
#[derive(Debug, Default)]
struct SeenColumns {
    columns: Vec<Column>,
    places: HashMap<String, usize>,
}

impl SeenColumns {
    /// Takes the keys of an object, and what its values are.
    fn take(&mut self, object: &[u8]) -> Result<(), TableFault> {
        let mut taken = HashMap::new();
        for (number, member) in json::members(object).enumerate() {
            let name = name_of(&member).ok_or_else(|| TableFault::NotJson("a key is no text".to_owned()))?;
            if let Some(first) = taken.insert(name.clone().into_owned(), number) {
                return Err(TableFault::Duplicate {
                    first: first + 1,
                    second: number + 1,
                    name: shown(&name),
                });
            }
            let place = match self.places.get(&*name) {
                Some(place) => *place,
                None => self.add(&name, number)?,
            };
            if member.value.starts_with(b"\"") && json::string_text(member.value).contains('\0') {
                return Err(TableFault::Nul);
            }
            self.columns[place].numbers &= member.value == b"null" || is_number(member.value);
        }
        Ok(())
    }

    fn add(&mut self, name: &str, number: usize) -> Result<usize, TableFault> {
        check_name(name, number)?;
        let place = self.columns.len();
        self.columns.push(Column { name: name.to_owned(), numbers: true });
        self.places.insert(name.to_owned(), place);
        Ok(place)
    }

    /// An object with all columns in their order; one that is so already stays as it is. What it has no key for is null.
    fn arranged<'o>(&self, object: &'o [u8]) -> Option<Cow<'o, [u8]>> {
        let mut values: Vec<Option<&[u8]>> = vec![None; self.columns.len()];
        let mut is_in_order = true;
        for (number, member) in json::members(object).enumerate() {
            let place = *self.places.get(&*name_of(&member)?)?;
            is_in_order &= place == number;
            values[place] = Some(member.value);
        }
        if is_in_order && values.last().is_some_and(Option::is_some) {
            return Some(Cow::Borrowed(object));
        }
        let cells = self.columns.iter().zip(values.into_iter().map(|value| value.unwrap_or(b"null")));
        Some(Cow::Owned(row::object_of(cells.map(|(column, value)| (column.name.as_str(), value)))))
    }
}

fn name_of<'m>(member: &Member<'m>) -> Option<Cow<'m, str>> {
    json::exact_text(member.key)
}
