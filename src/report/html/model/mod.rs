//! What happened in a run, put together from its list, journals and logs: plain data, whoever is to be shown it.

mod failures;
mod load;
mod replica;
mod task;
mod timeline;

pub use failures::{FailureExample, FailureKind};
pub use load::{RunHistory, load};
pub use task::{TaskHistory, TaskStanding};
pub use timeline::{AttemptSpan, AttemptSpanEnd, TimelineLaunch};
