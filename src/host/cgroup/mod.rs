//! What the control groups around this process allow and count: CPU time, memory, processes. It only reads, knows both
//! versions of the interface, and treats a value that is missing or makes no sense as no limit.

mod group;
mod memory;
mod place;
#[cfg(test)]
mod tests;

pub use group::Cgroup;
pub use memory::MemoryGroup;
