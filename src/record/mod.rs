//! What is kept in a results directory: its formats, with reader beside writer, and who may write.

pub mod atomic_file;
pub mod attempts;
pub mod command_files;
pub mod destination;
pub mod history;
pub mod inputs;
pub mod item;
pub mod journal;
pub mod launches;
pub mod layout;
pub mod line;
pub mod lines;
pub mod logs;
pub mod records;
pub mod regular;
pub mod rel;
pub mod results;
pub mod suspicion;
pub mod tail;
