//! The files of a results directory: their formats, each with its reader beside its writer.

pub mod command_files;
pub mod destination;
pub mod family;
pub mod inputs;
pub mod known_entries;
pub mod logs;
pub mod rel;
pub mod results;
pub mod task_record;
