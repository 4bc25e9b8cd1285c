//! A path as a Python string literal, as `repr` writes it.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;

/// The text that `os.fsdecode` makes of the path, in quotes. What can't be shown is written as an escape.
pub(super) fn python_text(path: &OsStr) -> String {
    let mut text = String::new();
    for chunk in path.as_bytes().utf8_chunks() {
        for letter in chunk.valid().chars() {
            match letter {
                '\\' => text.push_str("\\\\"),
                '\n' => text.push_str("\\n"),
                '\r' => text.push_str("\\r"),
                '\t' => text.push_str("\\t"),
                _ if is_hidden(letter) => text.push_str(&match u32::from(letter) {
                    code @ ..=0xff => format!("\\x{code:02x}"),
                    code @ ..=0xffff => format!("\\u{code:04x}"),
                    code => format!("\\U{code:08x}"),
                }),
                _ => text.push(letter),
            }
        }
        chunk.invalid().iter().for_each(|byte| text.push_str(&format!("\\udc{byte:02x}")));
    }
    match text.contains('\'') {
        true if text.contains('"') => format!("'{}'", text.replace('\'', "\\'")),
        true => format!("\"{text}\""),
        false => format!("'{text}'"),
    }
}

/// Control characters, and those that change in which direction or whether others are shown.
fn is_hidden(letter: char) -> bool {
    letter.is_control()
        || (letter.is_whitespace() && letter != ' ')
        || matches!(letter, '\u{ad}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}')
}

#[cfg(test)]
mod tests {
    use std::ffi::OsStr;
    use std::os::unix::ffi::OsStrExt;

    use super::python_text;

    #[test]
    fn a_path_is_written_as_python_reads_it() {
        for (path, text) in [
            (&b"/data/a b.fits"[..], "'/data/a b.fits'"),
            (b"it's", "\"it's\""),
            (b"it's \"x\"", "'it\\'s \"x\"'"),
            (b"a\n\x1b\\\xff\xc3\xa9", "'a\\n\\x1b\\\\\\udcff\u{e9}'"),
            ("\u{202e}\u{a0}".as_bytes(), "'\\u202e\\xa0'"),
        ] {
            assert_eq!(python_text(OsStr::from_bytes(path)), text);
        }
    }
}
