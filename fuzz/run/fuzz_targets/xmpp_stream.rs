//! libFuzzer's way into `fuzz_targets::xmpp_stream`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| fuzz_targets::xmpp_stream(data));
