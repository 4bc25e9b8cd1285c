//! A row of a table: a JSON object on one line, with a member for each column of the run, in their order. Its text is kept as
//! it is: nothing changes the digits of a number.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

use crate::json;

/// A column of the rows of a run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Column {
    /// Its name.
    pub name: String,
    /// Whether its cells are numbers, or null where they are empty.
    pub numbers: bool,
}

/// The text of an object with these members, each with its value as JSON.
pub fn object_of<'m>(members: impl IntoIterator<Item = (&'m str, &'m [u8])>) -> Vec<u8> {
    let mut object = vec![b'{'];
    for (name, value) in members {
        json::write_string(&mut object, name);
        object.push(b':');
        object.extend_from_slice(value);
        object.push(b',');
    }
    object.pop_if(|last| *last == b',');
    object.push(b'}');
    object
}

/// Whether a text is a number as JSON writes it: `1.50` and `1e400` are, `00001`, `+1` and `nan` are not.
pub fn is_number(text: &[u8]) -> bool {
    let digits = |text: &[u8]| text.iter().take_while(|byte| byte.is_ascii_digit()).count();
    let text = text.strip_prefix(b"-").unwrap_or(text);
    let (whole, rest) = text.split_at(digits(text));
    if whole.is_empty() || (whole.len() > 1 && whole[0] == b'0') {
        return false;
    }
    let rest = match rest.strip_prefix(b".") {
        Some(fraction) if digits(fraction) > 0 => &fraction[digits(fraction)..],
        Some(_) => return false,
        None => rest,
    };
    let Some(exponent) = rest.strip_prefix(b"e").or(rest.strip_prefix(b"E")) else { return rest.is_empty() };
    let exponent = exponent.strip_prefix(b"+").or(exponent.strip_prefix(b"-")).unwrap_or(exponent);
    !exponent.is_empty() && digits(exponent) == exponent.len()
}

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
    use super::{cell, is_number, object_of};

    #[test]
    fn numbers_are_those_of_json() {
        for number in ["0", "-0", "10", "1.50", "1e400", "-1.5E+3", "0.1e-9"] {
            assert!(is_number(number.as_bytes()), "{number}");
        }
        for text in
            ["", "-", "00001", "+1", ".5", "1.", "1e", "nan", "inf", "1 ", " 1", "0x1", "1_000", "1,5"]
        {
            assert!(!is_number(text.as_bytes()), "{text}");
        }
    }

    #[test]
    fn an_object_has_its_members_in_order() {
        assert_eq!(object_of([("a\"", &b"1.50"[..]), ("b", b"null")]), br#"{"a\"":1.50,"b":null}"#);
        assert_eq!(object_of([]), b"{}");
    }

    #[test]
    fn a_cell_has_the_characters_that_it_was_given() {
        let row = br#"{"seed":1,"alpha":1.50,"big":1e400,"name":"M \"31\"\u00e9","gone":null,"on":true,"list":[1, 2]}"#;
        let cells: Vec<_> = (0..8).map(|place| cell(row, place)).collect();
        let expected = ["1", "1.50", "1e400", "M \"31\"é", "", "true", "[1, 2]"];
        assert_eq!(cells[..7], expected.map(|cell| Some(cell.into())));
        assert_eq!(cells[7], None);
    }
}
