//! libFuzzer's way into `fuzz_targets::sip_stack`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| fuzz_targets::sip_stack(data));
