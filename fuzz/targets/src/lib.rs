//! What the fuzzer calls: one function per reader, which must take any bytes without a panic.
//!
//! `cargo xtask fuzz TARGET` explores; the tests here replay the committed corpora, so that what was once
//! found stays mended.
