//! Finding the input files of a run: patterns, directories and plain paths become one sorted list without repeats.

mod ask;
mod error;
mod exclude;
mod explain;
mod find;
mod folder;
mod given;
mod ground;
mod harvest;
mod listed_files;
mod name_pattern;
mod name_set;
mod names;
mod path_list;
mod path_pattern;
mod patient;
mod pool;
mod reading;
mod search;
mod shown;
mod sizes;
mod target;
mod walk;

pub use error::{DiscoverError, NoMatch, Unmatched};
pub use find::find;
pub use given::{Given, read_entries};
pub use name_pattern::NamePattern;
pub use path_pattern::{fixed_part, plain_path};
pub use patient::Patient;
pub use search::{EntryType, Found, Note, Search};
pub use sizes::{sizes, sizes_where_told};
