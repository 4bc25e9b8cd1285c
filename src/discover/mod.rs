//! Finding the input files of a run: patterns, directories and plain paths become one sorted list without repeats.

mod ask;
mod char_class;
mod context;
mod error;
mod exclude;
mod explain;
mod file_list;
mod find;
mod folder;
mod folder_scan;
mod interruptible_reader;
mod list_names;
mod listed_files;
mod matches;
mod name_pattern;
mod path_list;
mod path_pattern;
mod pool;
mod quoted;
mod search;
mod sizes;
mod target;
mod walk;

pub use error::DiscoverError;
pub use file_list::read_entries;
pub use find::find;
pub use interruptible_reader::InterruptibleReader;
pub use name_pattern::NamePattern;
pub use path_pattern::{fixed_part, plain_path};
pub use search::{EntryType, Found, Note, Search};
pub use sizes::{sizes, sizes_where_told};
