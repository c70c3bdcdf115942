//! `slow-reader`: one client that does not read stops a server that blocks.

use std::io::{self, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::mpsc::{Sender, channel};
use std::thread::JoinHandle;

use rustix::event::PollFlags;

use super::ends::Ends;
use super::sockets::{listen, poll_for, receive, receive_now, send};
use super::threads::{PATIENCE, call_of, start, this_thread, wait_until};
use super::{Lesson, Narrator, Place, Prediction};

pub(super) const LESSON: Lesson = Lesson {
    topic: "slow-reader",
    question: "Do I need non-blocking sockets if I have select?",
    prediction: Prediction {
        question: "select, blocking sockets; client 1 does not read its large reply. Then:",
        answers: ["all clients wait", "only client 1 waits", "send fails with EAGAIN"],
        right: 0,
    },
    place: Place::Anywhere,
    run,
};

/// More than the buffers of both ends take.
const REPLY: usize = 30_000_000;

fn run(narrator: &mut Narrator) -> io::Result<()> {
    let listener = listen(5)?;
    let address = listener.local_addr()?;
    let (report, reports) = channel();
    let server: JoinHandle<io::Result<()>> = start(move || serve_two(&listener, &report))?;
    let thread = reports.recv().map_err(io::Error::other)?;
    narrator.line("server", "one thread: poll, then blocking recv and send", "");

    let slow = TcpStream::connect(address)?;
    let quick = TcpStream::connect(address)?;
    reports.recv().map_err(io::Error::other)?;
    let ends = Ends::of(&slow)?;
    narrator.line("client 1", format!("asks for {REPLY} bytes, and does not read them:"), "");
    narrator.expect("client 1", "send \"all\\n\"", "4", send(&slow, b"all\n"));
    wait_until(|| call_of(thread) == "sendto" && ends.server().is_some_and(|row| row.unsent > 0));
    narrator.expect("kernel", "the server's thread waits in", "sendto", call_of(thread));
    let unsent = ends.server().map_or(0, |row| row.unsent);
    narrator.line("kernel", "bytes in the send buffer for client 1", unsent);

    narrator.expect("client 2", "send \"1+1\\n\"", "4", send(&quick, b"1+1\n"));
    let events = poll_for(&quick, PollFlags::IN, 300);
    let answer = if events.is_empty() { "no reply" } else { "a reply" };
    narrator.expect("client 2", "poll, for 0.3 s", "no reply", answer);
    narrator.expect("client 2", "recv, without a wait", "EAGAIN", receive_now(&quick));
    narrator.expect("kernel", "the server's thread still waits in", "sendto", call_of(thread));

    let read = io::copy(&mut (&slow).take(REPLY as u64), &mut io::sink())?;
    narrator.expect("client 1", "recv, until all is read", REPLY, read);
    quick.set_read_timeout(Some(PATIENCE))?;
    narrator.expect("client 2", "recv", "\"2\\n\"", receive(&quick));
    server.join().expect("it does not panic")?;

    narrator.so(
        "select says writable if there is some room. A blocking send of more than that waits, \
         and every other client waits too. Set O_NONBLOCK, keep what send does not take, and \
         wait for POLLOUT.",
    );
    narrator.python(
        "conn.setblocking(False); try: buf = buf[conn.send(buf):]\n\
         except BlockingIOError: pass    and if buf: select it for writing",
    );
    narrator.cure("socklab grade --only slow-reader -- python3 server.py {port}");
    Ok(())
}

/// A server for two clients, as it is written with select and blocking sockets.
fn serve_two(listener: &TcpListener, report: &Sender<i32>) -> io::Result<()> {
    let this = this_thread();
    report.send(this).map_err(io::Error::other)?;
    let clients = [listener.accept()?.0, listener.accept()?.0];
    report.send(this).map_err(io::Error::other)?;
    let mut served = 0;
    while served < clients.len() {
        for mut client in &clients {
            if poll_for(client, PollFlags::IN, 5).contains(PollFlags::IN) {
                match receive(client).as_str() {
                    "\"all\\n\"" => client.write_all(&vec![b'x'; REPLY])?,
                    "\"1+1\\n\"" => client.write_all(b"2\n")?,
                    _ => return Ok(()),
                }
                served += 1;
            }
        }
    }
    Ok(())
}
