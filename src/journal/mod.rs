//! The journals of launches, and the state of tasks and replicas that follows from them.

pub mod event;
mod held_blocks;
pub mod launch_state;
pub mod launches;
pub mod line;
pub mod reader;
pub mod record_reader;
pub mod state;
pub mod tail;
pub mod task_states;
pub mod writer;
