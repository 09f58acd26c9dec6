//! libFuzzer's way into `fuzz_targets::stun`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| fuzz_targets::stun(data));
