//! libFuzzer's way into `fuzz_targets::bosh`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| fuzz_targets::bosh(data));
