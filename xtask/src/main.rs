//! Placeholder until the first real code arrives.
fn main() {}
