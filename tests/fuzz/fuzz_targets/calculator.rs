//! Any bytes are a question to the calculator: it answers with something, within its limits.

#![no_main]

use libfuzzer_sys::fuzz_target;
use socklab::arithmetic::{self, Dialect, limits};

/// The longest message that a server passes on, in bytes.
const MESSAGE: usize = 4096;

fuzz_target!(|text: &[u8]| {
    let text = &text[..text.len().min(MESSAGE)];
    for dialect in [Dialect::Python, Dialect::Integer] {
        let answer = arithmetic::evaluate(text, dialect);
        let mut reply = String::new();
        match &answer.outcome {
            Ok(value) => value.render(&mut reply),
            Err(error) => error.render(&mut reply),
        }
        .expect("a string takes all that is written to it");
        assert!(!reply.is_empty(), "no reply");
        assert!(reply.len() <= limits::REPLY_BYTES, "a reply of {} bytes", reply.len());
        assert!(answer.work <= limits::WORK, "{} products", answer.work);
    }
});
