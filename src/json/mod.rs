//! Raw JSON: users' results carried over byte for byte.
//!
//! What a user's program prints is data that must not change on its way into a record and a merged file: digits of
//! any length, duplicate keys, lone surrogates (`"\ud800"`), the spelling of every number. The one exception is what
//! strict parsers refuse and Python writes: `NaN`, `Infinity` and `-Infinity` outside strings become `null` and are
//! counted.
//!
//! `serde_json` is not used for this: it refuses `NaN` and lone surrogates, has a recursion limit of its own, and
//! can't hand out the bytes of an array's elements while it reads a stream. What is needed instead is small: one
//! state machine (`scan.rs`) says where a value ends and what is in it, and everything else cuts text at such places.
//!
//! Valid is what Python 3.11's `json.loads` accepts of a text in UTF-8 (`tests/json_parity.rs` asks it); bytes that are
//! not UTF-8 are an error (RFC 8259, section 8.1), and so is a byte order mark. Nothing recurses: a level of nesting
//! costs one byte and no stack.

mod elements;
mod error;
mod grammar;
mod members;
mod normalise;
mod scan;
mod text;

pub use elements::{Element, Elements, ElementsError};
pub use error::{JsonError, JsonFault};
pub use members::{Member, members};
pub use normalise::{BYTE_ORDER_MARK, normalise};
pub use scan::{JsonKind, MAX_DEPTH, scan_value};
pub use text::{exact_text, string_eq, string_text, write_string};
