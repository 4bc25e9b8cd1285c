//! What a task is given, what becomes of it, and what is kept of it.

mod ending;
mod output;
mod results;
mod scheduling;
mod surroundings;
mod usage;
