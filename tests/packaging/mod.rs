//! What people install, and what they have to type for it.

mod debian;
