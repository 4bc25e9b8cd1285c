//! What happened in a run, combined from its list, journals and logs: plain data, independent of how it is shown.

mod failures;
mod load;
mod replica;
mod sharing;
mod task;
mod timeline;

pub use failures::{FailureExample, FailureKind};
pub use load::{RunHistory, load};
pub use sharing::{SharedWork, Takeover, TaskSource};
pub use task::{TaskHistory, TaskStanding};
pub use timeline::{AttemptSpan, AttemptSpanEnd, TimelineLaunch};
