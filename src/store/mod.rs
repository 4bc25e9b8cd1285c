//! The files of a results directory: their names, and reliable ways to read and write them.

pub mod atomic_file;
pub mod file_id;
pub mod layout;
pub mod pulse;
pub mod regular;
pub mod remove_tree;
pub mod server_clock;
