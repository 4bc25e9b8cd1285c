//! JSON documents for tests: valid ones with everything odd that is allowed, and ways to break them.

use fastrand::Rng;

/// Strings' contents between the quotes, all valid.
const STRING_PARTS: &[&str] = &[
    "a",
    "obs_0001.fits",
    " ",
    "é",
    "星",
    "\u{1f600}",
    "\u{7f}",
    "\u{a0}",
    "\u{2028}",
    "\u{feff}",
    "\u{ffff}",
    "NaN",
    "-Infinity",
    "null",
    "[{,:}]",
    r#"\""#,
    r"\\",
    r"\/",
    r"\b\f\n\r\t",
    r"\u0000",
    r"\u0041",
    r"\u00E9",
    r"\ud83d\ude00",
    r"\uD83D\uDE00",
    r"\ud800",
    r"\udfff",
    r"\ude00\ud83d",
    r"\ud83d\u0041",
    r"\ud83d\\ude00",
    r"\ud83dx\ude00",
];

const NUMBERS: &[&str] = &[
    "0",
    "-0",
    "1",
    "-1",
    "10",
    "0.0",
    "-0.10",
    "1e5",
    "1E+05",
    "0e-0",
    "12.50e3",
    "1e999",
    "123456789012345678901234567890",
    "0.1000000000000000055511151231257827",
];

const WORDS: &[&str] = &["true", "false", "null", "NaN", "Infinity", "-Infinity"];

/// What is put into documents to break them (and sometimes does not).
const FRAGMENTS: &[&[u8]] = &[
    b"NaN",
    b"-NaN",
    b"nan",
    b"Infinity",
    b"-Infinity",
    b"+Infinity",
    b"inf",
    b"True",
    b"None",
    b"nul",
    b"+1",
    b"01",
    b"-01",
    b"-",
    b"--1",
    b"1.",
    b".5",
    b"1.e5",
    b"1e",
    b"1e+",
    b"1e5.0",
    b"0x10",
    b"1_000",
    b"\xd9\xa1",
    b"1\xd9\xa1",
    b",",
    b",]",
    b",}",
    b":",
    b"[",
    b"]",
    b"{",
    b"}",
    b"{}",
    b"{1:2}",
    b"'",
    b"'a'",
    b"\"",
    b"\"a",
    b"\\",
    b"\\x",
    b"\\u12",
    b"\\u00g0",
    b"\\u+123",
    b"\\ud800",
    b"\\U0001f600",
    b"\"\\ud800\"",
    b"//",
    b"/**/",
    b"#",
    b"\0",
    b"\x01",
    b"\x0b",
    b"\x0c",
    b"\x1f",
    b"\x7f",
    b"\t",
    b"\n",
    b"\r",
    b"\r\n",
    b" ",
    "\u{85}".as_bytes(),
    "\u{a0}".as_bytes(),
    "\u{2028}".as_bytes(),
    "\u{3000}".as_bytes(),
    "\u{feff}".as_bytes(),
    b"\x80",
    b"\xff",
    b"\xc0\x80",
    b"\xc3",
    b"\xe2\x82",
    b"\xed\xa0\x80",
    b"\xf0\x9f\x98",
    b"\xf4\x90\x80\x80",
];

/// A valid document.
pub(crate) fn document(rng: &mut Rng) -> Vec<u8> {
    let blanks: &[&str] =
        rng.choice([&[""][..], &["", " "], &["", " ", "\t", "\n", "\r\n", "\n    "]]).unwrap();
    let mut writer = Writer { rng, blanks, out: Vec::new() };
    writer.blank();
    writer.value(4);
    writer.blank();
    writer.out
}

/// A valid document that is an array.
pub(crate) fn array(rng: &mut Rng) -> Vec<u8> {
    let mut document = b" [".to_vec();
    for index in 0..rng.usize(0..6) {
        if index > 0 {
            document.push(b',');
        }
        document.extend(self::document(rng));
    }
    document.extend(b"]\n");
    document
}

/// The document after a few changes, each at a random place.
pub(crate) fn mutated(document: &[u8], rng: &mut Rng) -> Vec<u8> {
    let mut bytes = document.to_vec();
    for _ in 0..rng.usize(1..=2) {
        let at = rng.usize(0..=bytes.len());
        let end = bytes.len().min(at + rng.usize(0..4));
        let fragment = rng.choice(FRAGMENTS).unwrap().iter().copied();
        match rng.u8(0..6) {
            0 => bytes.truncate(at),
            1 => drop(bytes.drain(at..end)),
            2 => drop(bytes.splice(at..end, fragment)),
            3 => drop(bytes.splice(at..at, fragment)),
            4 => bytes.iter_mut().skip(at).take(1).for_each(|byte| *byte ^= 1 << rng.u8(0..8)),
            _ => bytes.iter_mut().skip(at).take(1).for_each(|byte| *byte = rng.u8(..)),
        }
    }
    bytes
}

/// Each fragment as a document, as an element and in a string.
pub(crate) fn fragments() -> Vec<Vec<u8>> {
    let around: [(&[u8], &[u8]); 5] =
        [(b"", b""), (b"[", b"]"), (b"[1,", b" ]"), (b"{\"a\":", b"}"), (b"\"", b"\"")];
    let within = |fragment: &&[u8]| around.map(|(before, after)| [before, *fragment, after].concat());
    FRAGMENTS.iter().flat_map(within).collect()
}

/// Writes a random value.
struct Writer<'a> {
    rng: &'a mut Rng,
    /// What whitespace this document has between tokens.
    blanks: &'static [&'static str],
    out: Vec<u8>,
}

impl Writer<'_> {
    fn value(&mut self, depth: usize) {
        match self.rng.u8(0..if depth == 0 { 8 } else { 12 }) {
            0..3 => self.string(),
            3..6 => self.number(),
            6..8 => self.one_of(WORDS),
            8..10 => self.list(*b"[]", |writer| writer.value(depth - 1)),
            _ => self.list(*b"{}", |writer| {
                writer.string();
                writer.blank();
                writer.out.push(b':');
                writer.blank();
                writer.value(depth - 1);
            }),
        }
    }

    fn list(&mut self, [open, close]: [u8; 2], item: impl Fn(&mut Self)) {
        self.out.push(open);
        self.blank();
        for index in 0..self.rng.usize(0..5) {
            if index > 0 {
                self.out.push(b',');
                self.blank();
            }
            item(self);
            self.blank();
        }
        self.out.push(close);
    }

    fn string(&mut self) {
        self.out.push(b'"');
        for _ in 0..self.rng.usize(0..5) {
            self.one_of(STRING_PARTS);
        }
        self.out.push(b'"');
    }

    fn number(&mut self) {
        self.one_of(NUMBERS);
        let ends_with_digits = self.out.last() != Some(&b'0');
        if ends_with_digits && self.rng.u8(0..4) == 0 {
            let digits = self.rng.usize(1..60);
            self.out.extend(std::iter::repeat_with(|| self.rng.digit(10) as u8).take(digits));
        }
    }

    fn blank(&mut self) {
        self.one_of(self.blanks);
    }

    fn one_of(&mut self, texts: &[&str]) {
        let text = self.rng.choice(texts).unwrap();
        self.out.extend_from_slice(text.as_bytes());
    }
}
