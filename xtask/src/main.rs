//! Helps people build, test and try Telltale; ships nothing.
fn main() {}
