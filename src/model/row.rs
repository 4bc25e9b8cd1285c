//! A row of a table: a JSON object on one line, with a member for each column of the run, in their order. Its text is kept as
//! it is: nothing changes the digits of a number.

use std::borrow::Cow;

use crate::json;

/// The cell of the column at a place, from 0, as text.
pub fn cell(row: &[u8], column: usize) -> Option<Cow<'_, str>> {
    json::members(row).nth(column).map(|member| text_of(member.value))
}

/// What a JSON value is as text: a string without its quotes, null nothing, all else as it is written.
pub fn text_of(value: &[u8]) -> Cow<'_, str> {
    match value {
        [b'"', ..] => json::string_text(value),
        b"null" => Cow::Borrowed(""),
        other => String::from_utf8_lossy(other),
    }
}

#[cfg(test)]
mod tests {
    use super::cell;

    #[test]
    fn a_cell_has_the_characters_that_it_was_given() {
        let row = br#"{"seed":1,"alpha":1.50,"big":1e400,"name":"M \"31\"\u00e9","gone":null,"on":true,"list":[1, 2]}"#;
        let cells: Vec<_> = (0..8).map(|place| cell(row, place)).collect();
        let expected = ["1", "1.50", "1e400", "M \"31\"é", "", "true", "[1, 2]"];
        assert_eq!(cells[..7], expected.map(|cell| Some(cell.into())));
        assert_eq!(cells[7], None);
    }
}
