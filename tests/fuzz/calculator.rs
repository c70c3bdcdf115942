//! Whatever bytes the calculator is given, in both dialects: it returns, it keeps its limits, and
//! its reply is one line.

#![no_main]

use libfuzzer_sys::fuzz_target;
use socklab::arithmetic::{Answer, Dialect, evaluate, limits};

fuzz_target!(|text: &[u8]| {
    for dialect in [Dialect::Python, Dialect::Integer] {
        check(&evaluate(text, dialect));
    }
});

fn check(answer: &Answer) {
    assert!(answer.work <= limits::WORK, "{} limb products", answer.work);
    let mut reply = String::new();
    let (written, may_be_empty) = match &answer.outcome {
        // Only a string can be empty: nothing times what hex(1) is.
        Ok(value) => (value.render(&mut reply), value.kind().name() == "str"),
        Err(error) => (error.render(&mut reply), false),
    };
    assert!(written.is_ok(), "a string takes all that is written to it");
    assert!(may_be_empty || !reply.is_empty(), "a client would wait for ever");
    assert!(reply.len() <= limits::REPLY_BYTES, "{} bytes", reply.len());
    assert!(!reply.contains('\n'), "more than one line: {reply:?}");
}
