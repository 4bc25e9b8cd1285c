//! Writes an image as a FITS file: header cards of 80 bytes, big-endian pixels, both padded to blocks of 2880 bytes
//! (FITS standard 4.0, sections 3.3, 4.1 and 4.4.1).

use super::image::Image;

const CARD: usize = 80;
const BLOCK: usize = 2880;
/// What is added to a signed 16-bit value to get an unsigned one: FITS knows no unsigned 16-bit type.
const UNSIGNED_OFFSET: f32 = 32768.0;

/// How a pixel is stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Storage {
    /// Unsigned 16-bit, as cameras write it: `BITPIX = 16` with `BZERO = 32768`.
    Unsigned16,
    /// 32-bit floating point: `BITPIX = -32`.
    Float32,
}

/// The value of a header card.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Value<'a> {
    Logical(bool),
    Integer(i64),
    Real(f64),
    Text(&'a str),
}

/// One line of a header; the comment is cut where the line ends.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Card<'a>(pub(crate) &'a str, pub(crate) Value<'a>, pub(crate) &'a str);

/// The whole file: the cards an image needs, then `cards`, then the pixels.
pub(crate) fn file_bytes(image: &Image, storage: Storage, cards: &[Card]) -> Vec<u8> {
    let mut bytes = header(image, storage, cards);
    match storage {
        Storage::Unsigned16 => bytes.extend(image.pixels.iter().flat_map(|&p| unsigned16(p).to_be_bytes())),
        Storage::Float32 => bytes.extend(image.pixels.iter().flat_map(|p| p.to_be_bytes())),
    }
    pad(&mut bytes, 0);
    bytes
}

fn header(image: &Image, storage: Storage, cards: &[Card]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(BLOCK);
    let bitpix = match storage {
        Storage::Unsigned16 => 16,
        Storage::Float32 => -32,
    };
    push(&mut bytes, Card("SIMPLE", Value::Logical(true), "file conforms to the FITS standard"));
    push(&mut bytes, Card("BITPIX", Value::Integer(bitpix), "bits per pixel; negative: floating point"));
    push(&mut bytes, Card("NAXIS", Value::Integer(2), "number of axes"));
    push(&mut bytes, Card("NAXIS1", length(image.width), "pixels in a row"));
    push(&mut bytes, Card("NAXIS2", length(image.height), "rows"));
    if storage == Storage::Unsigned16 {
        push(&mut bytes, Card("BZERO", Value::Real(UNSIGNED_OFFSET.into()), "offset of unsigned integers"));
        push(&mut bytes, Card("BSCALE", Value::Real(1.0), "physical = BZERO + BSCALE * stored"));
    }
    for card in cards {
        push(&mut bytes, *card);
    }
    bytes.extend(format!("{:<CARD$}", "END").bytes());
    pad(&mut bytes, b' ');
    bytes
}

fn push(bytes: &mut Vec<u8>, Card(keyword, value, comment): Card) {
    let value = match value {
        Value::Logical(value) => format!("{:>20}", if value { "T" } else { "F" }),
        Value::Integer(value) => format!("{value:>20}"),
        Value::Real(value) => format!("{value:>20.8}"),
        Value::Text(value) => format!("{:<20}", format!("'{:<8}'", value.replace('\'', "''"))),
    };
    let line = format!("{keyword:<8}= {value} / {comment}");
    bytes.extend(format!("{line:<CARD$.CARD$}").bytes());
}

fn length(axis: usize) -> Value<'static> {
    Value::Integer(i64::try_from(axis).unwrap_or(i64::MAX))
}

fn pad(bytes: &mut Vec<u8>, with: u8) {
    bytes.resize(bytes.len().next_multiple_of(BLOCK), with);
}

#[expect(
    clippy::cast_possible_truncation,
    reason = "a float cast saturates, which is what a full pixel does"
)]
fn unsigned16(value: f32) -> i16 {
    (value.round() - UNSIGNED_OFFSET) as i16
}
