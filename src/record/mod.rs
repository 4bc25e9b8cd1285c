//! What is kept in a results directory: its formats, with reader beside writer, and who may write.

pub mod atomic_file;
pub mod command_files;
pub mod history;
pub mod inputs;
pub mod item;
pub mod journal;
pub mod layout;
pub mod lease;
pub mod logs;
pub mod regular;
pub mod rel;
pub mod results;
pub mod succession;
pub mod suspicion;
