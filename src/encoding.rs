//! Text files that are not plain UTF-8, as programs of other systems save them: recognised by their first bytes.

/// A text with this many bytes and a NUL in every second one is UTF-16.
const ENOUGH: usize = 8;

/// What such a file is, in words that go on after its name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ForeignEncoding {
    /// UTF-8 behind three bytes that are no part of the text.
    #[error("begins with a byte order mark: save it as UTF-8 without one (`tail -c +4 FILE > NEW`)")]
    ByteOrderMark,
    /// UTF-16, by the name that `iconv` has for it.
    #[error("is UTF-16 text: save it as UTF-8 (`iconv -f {0} -t UTF-8 FILE > NEW`)")]
    Utf16(&'static str),
}

impl ForeignEncoding {
    /// Of a text that begins so; `None` where nothing speaks against UTF-8.
    pub fn of(start: &[u8]) -> Option<Self> {
        let has_nul =
            |from: usize, is_nul: bool| start.iter().skip(from).step_by(2).all(|byte| (*byte == 0) == is_nul);
        match start {
            [0xef, 0xbb, 0xbf, ..] => Some(Self::ByteOrderMark),
            [0xff, 0xfe, ..] | [0xfe, 0xff, ..] => Some(Self::Utf16("UTF-16")),
            _ if start.len() < ENOUGH => None,
            _ if has_nul(0, false) && has_nul(1, true) => Some(Self::Utf16("UTF-16LE")),
            _ if has_nul(0, true) && has_nul(1, false) => Some(Self::Utf16("UTF-16BE")),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::ForeignEncoding::{self, ByteOrderMark, Utf16};

    #[test]
    fn what_other_systems_write_is_told_from_text_and_from_what_nuls_separate() {
        for (start, expected) in [
            (&b"\xef\xbb\xbf/data/a"[..], Some(ByteOrderMark)),
            (b"\xff\xfe/\0d\0", Some(Utf16("UTF-16"))),
            (b"\xfe\xff\0/\0d", Some(Utf16("UTF-16"))),
            (b"/\0d\0a\0t\0a\0", Some(Utf16("UTF-16LE"))),
            (b"\0/\0d\0a\0t\0a", Some(Utf16("UTF-16BE"))),
            (b"a\0b\0", None),
            (b"/data/a\0/data/b\0", None),
            ("/data/\u{fc}".as_bytes(), None),
            (b"/data/\xfc", None),
            (b"", None),
        ] {
            assert_eq!(ForeignEncoding::of(start), expected, "{start:?}");
        }
    }
}
