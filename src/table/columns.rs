//! The names of a table's columns: which are refused, and which columns are left out.

use std::collections::HashMap;

use super::error::{BadName, TableFault};
use crate::record::task_record::RESERVED;
use crate::template::Token;

/// The columns that have a name, by their places in the file, and how many have none.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct NamedColumns {
    pub(super) named: Vec<(usize, String)>,
    pub(super) unnamed: usize,
}

impl NamedColumns {
    /// Of these names, in the order of the file.
    ///
    /// # Errors
    /// When one can't be used, two are the same, or there is none.
    pub(super) fn of<'n>(names: impl IntoIterator<Item = &'n str>) -> Result<Self, TableFault> {
        let mut columns = Self::default();
        let mut places: HashMap<&str, usize> = HashMap::new();
        for (place, name) in names.into_iter().enumerate() {
            if name.is_empty() {
                columns.unnamed += 1;
                continue;
            }
            check_name(name, place)?;
            if let Some(first) = places.insert(name, place) {
                let name = shown(name);
                return Err(TableFault::Duplicate { first: first + 1, second: place + 1, name });
            }
            columns.named.push((place, name.to_owned()));
        }
        if columns.named.is_empty() { Err(TableFault::NoColumn) } else { Ok(columns) }
    }

    /// What to say of those without a name, as in tables with an index that pandas wrote.
    pub(super) fn note(&self, table: &str) -> Option<String> {
        let columns = crate::units::plural(
            self.unnamed as u64,
            "column without a name is",
            "columns without a name are",
        );
        (self.unnamed > 0).then(|| format!("{columns} left out of the table {table}"))
    }
}

/// Refuses a name that means something else in a command or a record.
///
/// # Errors
/// Says why.
pub(super) fn check_name(name: &str, place: usize) -> Result<(), TableFault> {
    let token = format!("{{{name}}}");
    let is_placeholder =
        Token::ALL.iter().any(|known| known.as_str() == token) || name == "out" || name.starts_with("out:");
    let why = match name {
        RESERVED => BadName::Reserved,
        _ if is_placeholder => BadName::Placeholder,
        _ if name.trim() != name => BadName::Blank,
        _ => return Ok(()),
    };
    Err(TableFault::BadName { place: place + 1, name: shown(name), why })
}

/// Text for a message: one line, not too long.
pub(super) fn shown(text: &str) -> String {
    const LONGEST: usize = 60;
    let text = crate::units::printable(text);
    match text.char_indices().nth(LONGEST) {
        Some((end, _)) => format!("{}...", &text[..end]),
        None => text,
    }
}
