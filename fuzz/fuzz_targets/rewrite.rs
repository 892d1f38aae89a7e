#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| procemu_fuzz::rewrite::check(data));
