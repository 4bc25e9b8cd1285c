//! The elements of an array that is too long to be held in memory, one after the other.

use std::io::{self, Read};

use super::error::{Inside, JsonError, JsonFault};
use super::normalise::BYTE_ORDER_MARK;
use super::scan::{JsonKind, Scanned, Scanner, skip_whitespace};

/// How much is read at a time: large enough that the calls cost nothing, also on a network file system.
const BUFFER: usize = 256 * 1024;

/// The raw text of one element in the document.
#[derive(Debug, PartialEq, Eq)]
pub struct Element<'a> {
    /// Its bytes without whitespace around it; not yet [normalised](super::normalise()).
    pub text: &'a [u8],
    /// The byte of the document at which it begins.
    pub offset: u64,
    /// How many `NaN`, `Infinity` and `-Infinity` are in it.
    pub non_finite: usize,
    /// Whether it is on more than one line.
    pub line_breaks: bool,
    /// What it is.
    pub kind: JsonKind,
}

/// Why there are no more elements although the array has not ended.
#[derive(Debug, thiserror::Error)]
pub enum ElementsError {
    /// The reader failed.
    #[error("reading failed at byte {offset}")]
    Read {
        /// How many bytes had been read.
        offset: u64,
        /// What the system said.
        source: io::Error,
    },
    /// The document is not an array or not valid; the offset is from its beginning.
    #[error(transparent)]
    Json(#[from] JsonError),
}

/// Streams the elements of a document that is an array. Memory is that of the longest element, and at least a buffer.
///
/// The array has ended well only when [`next`](Self::next) has said `None`: an error may come after many elements.
#[derive(Debug)]
pub struct Elements<R> {
    source: JsonSource<R>,
    scanner: Scanner,
    place: JsonPlace,
    given: u64,
}

/// Where in the document the next byte is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum JsonPlace {
    Start,
    AfterElement,
    /// After the end or an error.
    Over,
}

impl<R: Read> Elements<R> {
    /// Reads from `reader`; an element may nest `max_depth` arrays and objects, the outer array not counted.
    pub fn new(reader: R, max_depth: usize) -> Self {
        Self::with_buffer(reader, max_depth, BUFFER)
    }

    /// Like [`new`](Self::new), with a buffer of this many bytes. It grows for a longer element.
    pub fn with_buffer(reader: R, max_depth: usize, bytes: usize) -> Self {
        let source = JsonSource { reader, buffer: vec![0; bytes], start: 0, filled: 0, before: 0 };
        Self { source, scanner: Scanner::new(max_depth), place: JsonPlace::Start, given: 0 }
    }

    /// The next element; `None` after the last, when nothing but whitespace follows the array.
    ///
    /// # Errors
    /// The document can't be read, or breaks at this element or after it. After an error there is `None`.
    #[expect(
        clippy::should_implement_trait,
        reason = "an element borrows the buffer, which Iterator can't say"
    )]
    pub fn next(&mut self) -> Result<Option<Element<'_>>, ElementsError> {
        let place = std::mem::replace(&mut self.place, JsonPlace::Over);
        if place == JsonPlace::Over || !self.advance_to_element(place)? {
            return Ok(None);
        }
        let Scanned { end, non_finite, line_breaks, kind } = self.scan_element()?;
        self.place = JsonPlace::AfterElement;
        self.given += 1;
        let offset = self.source.offset();
        Ok(Some(Element { text: self.source.take(end), offset, non_finite, line_breaks, kind }))
    }

    /// Goes to the next element's first byte; false: the document has ended as it should.
    fn advance_to_element(&mut self, place: JsonPlace) -> Result<bool, ElementsError> {
        if place == JsonPlace::Start {
            self.enter()?;
        }
        let byte = self.byte_within_array()?;
        match (place, byte) {
            (_, b']') => {
                self.source.take(1);
                self.leave()?;
                return Ok(false);
            }
            (JsonPlace::AfterElement, b',') => {
                self.source.take(1);
                self.byte_within_array()?;
            }
            (JsonPlace::AfterElement, found) => return Err(self.expected("',' or ']'", found)),
            _ => {}
        }
        Ok(true)
    }

    /// Goes into the array.
    fn enter(&mut self) -> Result<(), ElementsError> {
        while self.source.unread().len() < BYTE_ORDER_MARK.len() && self.source.read_more()? {}
        if self.source.unread().starts_with(BYTE_ORDER_MARK) {
            return Err(self.error(JsonFault::ByteOrderMark));
        }
        match self.source.after_whitespace()? {
            None => Err(self.error(JsonFault::Empty)),
            Some(b'[') => {
                self.source.take(1);
                Ok(())
            }
            Some(b'{') => Err(self.error(JsonFault::NotAnArray(JsonKind::Object))),
            Some(b'"') => Err(self.error(JsonFault::NotAnArray(JsonKind::String))),
            Some(b'-' | b'0'..=b'9') => Err(self.error(JsonFault::NotAnArray(JsonKind::Number))),
            Some(b't' | b'f') => Err(self.error(JsonFault::NotAnArray(JsonKind::Bool))),
            Some(b'n' | b'N' | b'I') => Err(self.error(JsonFault::NotAnArray(JsonKind::Null))),
            Some(found) => Err(self.expected("an array", found)),
        }
    }

    /// Checks that nothing follows the array.
    fn leave(&mut self) -> Result<(), ElementsError> {
        match self.source.after_whitespace()? {
            None => Ok(()),
            Some(found) => Err(self.expected("the end of the text", found)),
        }
    }

    /// The next byte that is not whitespace, which has to come.
    fn byte_within_array(&mut self) -> Result<u8, ElementsError> {
        match self.source.after_whitespace()? {
            Some(byte) => Ok(byte),
            None => Err(self.error(JsonFault::EndsAfter { inside: Inside::Array, elements: self.given })),
        }
    }

    /// Scans the current element, reading what it needs.
    fn scan_element(&mut self) -> Result<Scanned, ElementsError> {
        self.scanner.restart();
        loop {
            let offset = self.source.offset();
            let step = self.scanner.scan(self.source.unread());
            if let Some(scanned) = step.map_err(|error| error.shifted(offset))? {
                return Ok(scanned);
            }
            if !self.source.read_more()? {
                return Err(self.cut_off());
            }
        }
    }

    /// The error when the document ends within the current element.
    fn cut_off(&self) -> ElementsError {
        let inside = self.scanner.inside().unwrap_or(Inside::Array);
        let end = self.source.offset() + self.source.unread().len() as u64;
        JsonError { offset: end, what: JsonFault::EndsAfter { inside, elements: self.given } }.into()
    }

    fn expected(&self, wanted: &'static str, found: u8) -> ElementsError {
        self.error(JsonFault::Expected { wanted, found })
    }

    /// An error at the byte that is next.
    fn error(&self, what: JsonFault) -> ElementsError {
        JsonError { offset: self.source.offset(), what }.into()
    }
}

/// A reader and the part of its bytes that is still needed.
#[derive(Debug)]
struct JsonSource<R> {
    reader: R,
    buffer: Vec<u8>,
    /// The first byte of the buffer that is not taken.
    start: usize,
    /// The end of what has been read into the buffer.
    filled: usize,
    /// How many bytes of the document were in front of the buffer's first one.
    before: u64,
}

impl<R: Read> JsonSource<R> {
    /// What has been read and not been taken.
    fn unread(&self) -> &[u8] {
        &self.buffer[self.start..self.filled]
    }

    /// Where in the document the first byte not taken is.
    fn offset(&self) -> u64 {
        self.before + self.start as u64
    }

    fn take(&mut self, bytes: usize) -> &[u8] {
        let start = self.start;
        self.start += bytes;
        &self.buffer[start..self.start]
    }

    /// Takes whitespace and looks at the byte after it; `None`: the document has ended.
    fn after_whitespace(&mut self) -> Result<Option<u8>, ElementsError> {
        loop {
            self.start += skip_whitespace(self.unread(), 0);
            if let Some(byte) = self.unread().first() {
                return Ok(Some(*byte));
            }
            if !self.read_more()? {
                return Ok(None);
            }
        }
    }

    /// Reads once; false: the document has ended.
    fn read_more(&mut self) -> Result<bool, ElementsError> {
        self.make_room();
        loop {
            match self.reader.read(&mut self.buffer[self.filled..]) {
                Ok(0) => return Ok(false),
                Ok(bytes) => {
                    self.filled += bytes;
                    return Ok(true);
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(source) => {
                    return Err(ElementsError::Read { offset: self.before + self.filled as u64, source });
                }
            }
        }
    }

    /// Makes the buffer's end free: what is needed moves to the front, and only if it fills the buffer the buffer grows.
    fn make_room(&mut self) {
        if self.filled < self.buffer.len() {
            return;
        }
        self.buffer.copy_within(self.start..self.filled, 0);
        self.before += self.start as u64;
        self.filled -= self.start;
        self.start = 0;
        if self.filled == self.buffer.len() {
            self.buffer.resize((self.buffer.len() * 2).max(16), 0);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Gives so many bytes at a time.
    struct JsonPieces<'a>(&'a [u8], usize);

    impl Read for JsonPieces<'_> {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            let bytes = self.1.min(buffer.len());
            self.0.read(&mut buffer[..bytes])
        }
    }

    fn error(document: &[u8]) -> String {
        let mut elements = Elements::with_buffer(JsonPieces(document, 2), 10, 4);
        loop {
            match elements.next() {
                Ok(Some(_)) => {}
                Ok(None) => panic!("no error"),
                Err(error) => {
                    assert!(matches!(elements.next(), Ok(None)), "an error comes once");
                    return error.to_string();
                }
            }
        }
    }

    #[test]
    fn elements_come_as_they_stand_with_what_is_special_in_them() {
        let document = b" [1.50 ,\n{\"a\": \n[NaN]}, \"\\ud800\"]\n";
        let mut elements = Elements::with_buffer(JsonPieces(document, 3), 2, 0);
        let element = |text, offset, kind| Element { text, offset, non_finite: 0, line_breaks: false, kind };
        assert_eq!(elements.next().unwrap(), Some(element(b"1.50", 2, JsonKind::Number)));
        let object = element(b"{\"a\": \n[NaN]}", 9, JsonKind::Object);
        assert_eq!(elements.next().unwrap(), Some(Element { non_finite: 1, line_breaks: true, ..object }));
        assert_eq!(elements.next().unwrap(), Some(element(b"\"\\ud800\"", 24, JsonKind::String)));
        assert_eq!(elements.next().unwrap(), None);
        assert_eq!(elements.next().unwrap(), None);
    }

    #[test]
    fn an_empty_array_has_no_elements() {
        for document in ["[]", " [ ] \n"] {
            assert_eq!(Elements::new(document.as_bytes(), 0).next().unwrap(), None);
        }
    }

    #[test]
    fn what_is_not_an_array_says_what_it_is() {
        assert_eq!(error(b""), "at byte 0: there is nothing: the text is empty");
        assert_eq!(error(b" \n"), "at byte 2: there is nothing: the text is empty");
        assert_eq!(error(b" {}"), "at byte 1: not an array but an object");
        assert_eq!(error(b"\"[]\""), "at byte 0: not an array but a string");
        assert_eq!(error(b"-1"), "at byte 0: not an array but a number");
        assert_eq!(error(b"true"), "at byte 0: not an array but true or false");
        assert_eq!(error(b"NaN"), "at byte 0: not an array but null");
        assert_eq!(error(b"<html>"), "at byte 0: expected an array, found '<'");
        assert!(error(b"\xef\xbb\xbf[]").starts_with("at byte 0: the text begins with a byte order mark"));
    }

    #[test]
    fn a_document_that_is_cut_off_says_after_how_many_elements() {
        assert_eq!(error(b"["), "at byte 1: the text ends in the middle of an array after 0 elements");
        assert_eq!(error(b"[1,"), "at byte 3: the text ends in the middle of an array after 1 element");
        assert_eq!(error(b"[1, 2 "), "at byte 6: the text ends in the middle of an array after 2 elements");
        assert_eq!(error(b"[1, \"a"), "at byte 6: the text ends in the middle of a string after 1 element");
        assert_eq!(error(b"[{}, 12"), "at byte 7: the text ends in the middle of a number after 1 element");
    }

    #[test]
    fn a_break_is_named_by_its_place_in_the_document() {
        assert_eq!(error(b"[1, [2, x]]"), "at byte 8: expected a value, found 'x'");
        assert_eq!(error(b"[1 2]"), "at byte 3: expected ',' or ']', found '2'");
        assert_eq!(error(b"[1,]"), "at byte 3: expected a value, found ']'");
        assert_eq!(error(b"[1] ]"), "at byte 4: expected the end of the text, found ']'");
    }

    #[test]
    fn the_buffer_grows_for_a_longer_element_only() {
        let short = format!("[{}1]", "\"abcdefgh\", ".repeat(1000));
        let mut elements = Elements::with_buffer(JsonPieces(short.as_bytes(), 5), 0, 16);
        while elements.next().unwrap().is_some() {}
        assert_eq!(elements.source.buffer.len(), 16);

        let long = format!("[\"{}\", 1]", "x".repeat(1000));
        let mut elements = Elements::with_buffer(long.as_bytes(), 0, 16);
        assert_eq!(elements.next().unwrap().unwrap().text.len(), 1002);
        assert_eq!(elements.source.buffer.len(), 1024);
    }

    #[test]
    fn an_element_that_comes_byte_by_byte_is_looked_at_once() {
        // Looked at again for each byte these would be 10^13 steps: the test would not end.
        for element in
            [format!("\"{}\"", "é".repeat(1_500_000)), "9".repeat(3_000_000), "[ ".repeat(1_500_000)]
        {
            let document = format!("[{element}");
            let mut elements = Elements::new(JsonPieces(document.as_bytes(), 1), usize::MAX);
            while let Ok(Some(_)) = elements.next() {}
            assert_eq!(
                elements.source.offset() + elements.source.unread().len() as u64,
                document.len() as u64
            );
        }
    }

    #[test]
    fn a_failing_reader_is_named_with_the_byte_it_came_to() {
        struct BrokenElements;
        impl Read for BrokenElements {
            fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
                Err(io::Error::other("stale file handle"))
            }
        }
        let mut elements = Elements::new(b"[1, 2".chain(BrokenElements), 0);
        assert_eq!(elements.next().unwrap().unwrap().text, b"1");
        let error = elements.next().unwrap_err();
        assert_eq!(error.to_string(), "reading failed at byte 5");
        assert!(std::error::Error::source(&error).is_some_and(|why| why.to_string() == "stale file handle"));
    }
}
