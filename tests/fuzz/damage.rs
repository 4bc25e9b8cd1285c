//! What befalls files: cut, torn, edited by hand, overwritten with NUL bytes by a power loss, mixed up.

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::Index;

#[derive(Debug, Clone)]
pub(super) enum Damage {
    Cut(Index),
    Delete(Index, usize),
    Nul(Index, usize),
    Flip(Index, u8),
    Insert(Index, Vec<u8>),
    Copy(Index, usize, Index),
    DropLine(Index),
    RepeatLine(Index, Index),
    Replace(Index, Index),
    Crlf,
}

/// Words of our formats, and others in their places.
const WORDS: [(&str, &str); 12] = [
    ("\"v\":1", "\"v\":2"),
    ("\"ok\"", "\"failed\""),
    ("\"failed\"", "\"ok\""),
    ("\"index\":", "\"index\":1"),
    ("\"record\":", "\"record\":null,\"x\":"),
    ("\"check\":", "\"chick\":"),
    ("\"end\"", "\"start\""),
    ("\"start\"", "\"end\""),
    ("\"alone\":false", "\"alone\":true"),
    ("\"even\"", "\"stripe\""),
    ("\"count\":", "\"count\":9"),
    ("\"replica_count\":", "\"replica_count\":1"),
];

pub(super) fn damage() -> impl Strategy<Value = Damage> {
    let at = any::<Index>;
    prop_oneof![
        2 => at().prop_map(Damage::Cut),
        2 => (at(), 1..200_usize).prop_map(|(at, bytes)| Damage::Delete(at, bytes)),
        2 => (at(), 1..600_usize).prop_map(|(at, bytes)| Damage::Nul(at, bytes)),
        4 => (at(), 1..=255_u8).prop_map(|(at, mask)| Damage::Flip(at, mask)),
        4 => (at(), 0..8_u8).prop_map(|(at, bit)| Damage::Flip(at, 1 << bit)),
        1 => (at(), vec(any::<u8>(), 1..20)).prop_map(|(at, bytes)| Damage::Insert(at, bytes)),
        2 => (at(), 1..400_usize, at()).prop_map(|(from, bytes, to)| Damage::Copy(from, bytes, to)),
        2 => at().prop_map(Damage::DropLine),
        2 => (at(), at()).prop_map(|(line, to)| Damage::RepeatLine(line, to)),
        2 => (at(), at()).prop_map(|(which, place)| Damage::Replace(which, place)),
        1 => Just(Damage::Crlf),
    ]
}

impl Damage {
    pub(super) fn apply(&self, bytes: &mut Vec<u8>) {
        let part = |from: &Index, length: usize, of: &[u8]| {
            let from = from.index(of.len() + 1);
            from..of.len().min(from + length)
        };
        match self {
            Self::Cut(at) => bytes.truncate(at.index(bytes.len() + 1)),
            Self::Delete(at, length) => _ = bytes.drain(part(at, *length, bytes)),
            Self::Nul(at, length) => {
                let part = part(at, *length, bytes);
                bytes[part].fill(0);
            }
            Self::Flip(at, mask) if !bytes.is_empty() => {
                let at = at.index(bytes.len());
                bytes[at] ^= mask;
            }
            Self::Flip(..) => {}
            Self::Insert(at, what) => {
                let at = at.index(bytes.len() + 1);
                bytes.splice(at..at, what.iter().copied());
            }
            Self::Copy(from, length, to) => {
                let copied = bytes[part(from, *length, bytes)].to_vec();
                let to = to.index(bytes.len() + 1);
                bytes.splice(to..to, copied);
            }
            Self::DropLine(line) => lines(bytes, |lines| {
                lines.remove(line.index(lines.len()));
            }),
            Self::RepeatLine(line, to) => lines(bytes, |lines| {
                let line = lines[line.index(lines.len())].clone();
                lines.insert(to.index(lines.len()), line);
            }),
            Self::Replace(which, place) => replace(bytes, WORDS[which.index(WORDS.len())], *place),
            Self::Crlf => lines(bytes, |lines| lines.iter_mut().for_each(|line| line.extend(b"\r"))),
        }
    }
}

fn lines(bytes: &mut Vec<u8>, change: impl FnOnce(&mut Vec<Vec<u8>>)) {
    let mut lines: Vec<Vec<u8>> = bytes.split(|byte| *byte == b'\n').map(<[u8]>::to_vec).collect();
    change(&mut lines);
    *bytes = lines.join(&b'\n');
}

fn replace(bytes: &mut Vec<u8>, (word, other): (&str, &str), place: Index) {
    let places: Vec<usize> = memchr::memmem::find_iter(bytes, word).collect();
    if !places.is_empty() {
        let at = *place.get(&places);
        bytes.splice(at..at + word.len(), other.bytes());
    }
}
