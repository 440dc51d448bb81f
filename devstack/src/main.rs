//! The local stack and its commands.

fn main() {}
