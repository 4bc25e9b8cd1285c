//! What happened in a run, put together from its list, journals and logs: plain data, whoever is to be shown it.

mod failures;
mod load;
mod replica;
mod task;
mod timeline;

pub use failures::{Example, Kind};
pub use load::{Chronicle, Counts, gather};
pub use task::{State, Task};
pub use timeline::{Launch, LaunchEnd, Stretch, StretchEnd};
