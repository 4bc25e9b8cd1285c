//! What is kept in a results directory: its formats, with reader beside writer, and who may write.

pub mod command_files;
pub mod destination;
pub mod inputs;
pub mod item;
pub mod logs;
pub mod rel;
pub mod results;
