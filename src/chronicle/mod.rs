//! What happened in a run, put together from its list, journals and logs: plain data, whoever is to be shown it.

mod failures;
mod gather;
mod launches;
mod replica;
mod task;

pub use failures::{Example, Kind};
pub use gather::{Chronicle, Counts, gather};
pub use launches::{Launch, LaunchEnd, Stretch, StretchEnd};
pub use task::{State, Task};
