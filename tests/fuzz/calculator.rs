//! Whatever bytes the calculator is given, in both dialects: it returns in time, it keeps its
//! limits, and its reply is one line.

#![no_main]

use std::time::Duration;

use libfuzzer_sys::fuzz_target;
use rustix::time::{ClockId, clock_gettime};
use socklab::arithmetic::{Evaluation, Dialect, evaluate, limits};

/// The processor time allowed for one text: ten times the limit of work, because instrumented code
/// is slower.
const PATIENCE: Duration = Duration::from_millis(300);

fuzz_target!(|text: &[u8]| {
    for dialect in [Dialect::Python, Dialect::Integer] {
        let began = processor_time();
        let answer = evaluate(text, dialect);
        let taken = processor_time() - began;
        assert!(taken <= PATIENCE, "{taken:?}");
        check(&answer);
    }
});

/// The processor's time that the process has used so far.
fn processor_time() -> Duration {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    Duration::try_from(time).expect("time is not negative")
}

fn check(answer: &Evaluation) {
    assert!(answer.work <= limits::WORK, "{} limb products", answer.work);
    let mut reply = String::new();
    let (written, may_be_empty) = match &answer.outcome {
        // Only a string can be empty: nothing times what hex(1) is.
        Ok(value) => (value.render(&mut reply), value.kind().name() == "str"),
        Err(error) => (error.render(&mut reply), false),
    };
    assert!(written.is_ok(), "a string takes all that is written to it");
    assert!(may_be_empty || !reply.is_empty(), "a client would wait forever");
    assert!(reply.len() <= limits::REPLY_BYTES, "{} bytes", reply.len());
    assert!(!reply.contains('\n'), "more than one line: {reply:?}");
}
