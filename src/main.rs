//! The process: hands its arguments over to the library and exits with the answer.

fn main() {}
