//! Tells a task that ran out of memory from one that was killed for another reason.

use crate::model::outcome::{Cause, Failure};
use crate::process::child::Finished;
use crate::process::registry::{ProcessRegistry, Shortage};

/// Whether a failed attempt, perhaps `alone`, ran out of memory, and the message about it.
pub fn out_of_memory(finished: &Finished, registry: &ProcessRegistry, alone: bool) -> Option<Failure> {
    if finished.ended_by.is_some() {
        return None;
    }
    let what = match finished.held.stopped {
        Some(Shortage { task, in_use, limit }) => {
            let [task, in_use, limit] = [task, in_use, limit].map(crate::units::bytes);
            format!("stopped at {task} of memory, with {in_use} of {limit} of the container's in use")
        }
        None if registry.was_kernel_killing(&finished.held) => {
            let limit = crate::units::bytes(registry.limit());
            format!("memory ran out: the kernel killed a process at the container's limit of {limit}")
        }
        None => return None,
    };
    registry.ran_short();
    let advice = if alone {
        ", although nothing else ran; start the container with more memory to run it"
    } else {
        ""
    };
    Some(Failure { cause: Cause::Oom, message: format!("{what}{advice}") })
}
