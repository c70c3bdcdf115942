//! A network of our own: a namespace with nothing but a loopback interface, where every port is
//! free and no other program connects.

use std::fs;
use std::io;
use std::process::Command;

use nix::sched::{CloneFlags, unshare};

use crate::error::{Exit, Failure};

/// The program that sets the loopback interface up.
const IP: &str = "ip";

/// Moves this process, which must have one thread, and all that it starts into a network namespace
/// of its own. A user who may not create one gets a user namespace as well, and is root there.
pub fn isolate() -> Result<(), Failure> {
    let cannot = |error: io::Error| {
        Failure::cannot("create a network namespace", &error)
            .hint("--isolate needs user namespaces, which this system may not allow")
    };
    if unshare(CloneFlags::CLONE_NEWNET).is_err() {
        let (user, group) = (rustix::process::getuid(), rustix::process::getgid());
        unshare(CloneFlags::CLONE_NEWUSER | CloneFlags::CLONE_NEWNET)
            .map_err(|error| cannot(error.into()))?;
        // user_namespaces(7): a group may be mapped once setgroups(2) is denied.
        fs::write("/proc/self/setgroups", "deny").map_err(cannot)?;
        fs::write("/proc/self/uid_map", format!("0 {} 1", user.as_raw())).map_err(cannot)?;
        fs::write("/proc/self/gid_map", format!("0 {} 1", group.as_raw())).map_err(cannot)?;
    }
    let set = Command::new(IP).args(["link", "set", "lo", "up"]).status();
    match set {
        Ok(status) if status.success() => Ok(()),
        Ok(status) => Err(Failure::new(Exit::Failed, format!("{IP} link set lo up: {status}"))),
        Err(error) => Err(Failure::cannot(format_args!("run {IP}"), &error)
            .hint("--isolate needs it, from the package iproute2")),
    }
}
