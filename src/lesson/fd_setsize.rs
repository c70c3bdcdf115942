//! `fd-setsize`: select(2) has no place for descriptor 1024, however many may be open.

use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};

use nix::sys::select::{FD_SETSIZE, FdSet, select};
use nix::sys::time::{TimeVal, TimeValLike};
use rustix::event::{PollFlags, epoll};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use super::ends::Ends;
use super::sockets::{connect, epoll_wait, listen, poll_for, send, watch};
use super::{Lesson, Narrator, Place, Prediction};

pub(super) const LESSON: Lesson = Lesson {
    topic: "fd-setsize",
    question: "Why does select fail from descriptor 1024 on?",
    prediction: Prediction {
        question: "ulimit -n is 4096. A client has descriptor 1500. In C, FD_SET(1500, &set):",
        answers: ["works", "fails with EINVAL", "writes past the end of the set"],
        right: 2,
    },
    place: Place::Anywhere,
    run,
};

/// The number of a descriptor that many clients come to.
const HIGH: i32 = 1500;

fn run(narrator: &mut Narrator) -> io::Result<()> {
    let limits = getrlimit(Resource::Nofile);
    let enough = 4096.min(limits.maximum.unwrap_or(u64::MAX));
    setrlimit(Resource::Nofile, Rlimit { current: Some(enough), ..limits })?;
    narrator.line("server", "ulimit -n", enough);
    if enough <= 1500 {
        narrator.doubt("the hard limit on descriptors (ulimit -Hn) is not above 1500");
        return Ok(());
    }
    let (client, low) = connect(&listen(5)?)?;
    let high = rustix::io::fcntl_dupfd_cloexec(&low, HIGH)?;
    narrator.line(
        "server",
        "a copy of a descriptor: dup to a high number",
        format!("{} and {}", low.as_raw_fd(), high.as_raw_fd()),
    );
    narrator.expect("client", "send \"hello\"", "5", send(&client, b"hello"));
    Ends::of(&client)?.arrived(5);

    let bits = size_of::<FdSet>() * 8;
    narrator.expect("kernel", "FD_SETSIZE: the bits of a set for select", bits, FD_SETSIZE);
    let places = [by_select(low.as_fd())?, by_select(high.as_fd())?];
    let call = format!("select of descriptor {}", low.as_raw_fd());
    narrator.expect("server", call, "readable", places[0]);
    let call = format!("select of descriptor {}", high.as_raw_fd());
    narrator.expect("server", call, "no bit for it in the set", places[1]);

    let polled = poll_for(&high, PollFlags::IN, 1000).contains(PollFlags::IN);
    let call = format!("poll of descriptor {}", high.as_raw_fd());
    narrator.expect("server", call, "readable", if polled { "readable" } else { "nothing" });
    let watcher = watch(&[&high], epoll::EventFlags::empty())?;
    let waited = if epoll_wait(&watcher, 1000)?.is_empty() { "nothing" } else { "readable" };
    narrator.expect(
        "server",
        format!("epoll of descriptor {}", high.as_raw_fd()),
        "readable",
        waited,
    );

    narrator.so(
        "in C, FD_SET with descriptor 1024 writes past the end of the set, or aborts; Python's \
         select raises ValueError. No ulimit helps: the set has 1024 bits. poll and epoll have \
         no such limit.",
    );
    narrator.python("selectors.DefaultSelector()    (epoll on Linux) instead of select.select");
    narrator.cure("socklab bench HOST PORT -c 1100    (against a server with select)");
    Ok(())
}

/// The answer of select(2) about a descriptor, if there is a bit for it.
fn by_select(descriptor: BorrowedFd<'_>) -> io::Result<&'static str> {
    if usize::try_from(descriptor.as_raw_fd()).is_ok_and(|number| number >= FD_SETSIZE) {
        // FdSet::insert would panic; the macro FD_SET would write.
        return Ok("no bit for it in the set");
    }
    let mut set = FdSet::new();
    set.insert(descriptor);
    let mut limit = TimeVal::seconds(1);
    select(None, Some(&mut set), None, None, Some(&mut limit))?;
    Ok(if set.contains(descriptor) { "readable" } else { "nothing" })
}
