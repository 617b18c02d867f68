//! Whose something is that outlives a process which is killed: a container, a directory.

use std::os::unix::fs::MetadataExt as _;

/// `<boot>/<namespace>/<process>/<start>`: no two processes of a machine have the same, not even after a restart. A process
/// of ours, that is, in our namespace of process ids; in another one, a container's, the same number is another's.
pub(super) fn owner_of(process: u32) -> Option<String> {
    let boot = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").ok()?;
    let namespace = std::fs::metadata("/proc/self/ns/pid").ok()?.ino();
    let stat = std::fs::read_to_string(format!("/proc/{process}/stat")).ok()?;
    // The name of the program, in parentheses, may hold spaces. The start is field 22, 20 after it.
    let since = stat.rsplit_once(')')?.1.split_whitespace().nth(19)?;
    Some(format!("{}/{namespace}/{process}/{since}", boot.trim()))
}

/// Whether the owner lived since this machine's last boot, where we would see it, and does no longer.
pub(super) fn is_dead(owner: &str) -> bool {
    let Some(process) = owner.split('/').nth(2).and_then(|process| process.parse().ok()) else {
        return false;
    };
    let Some(ours) = owner_of(std::process::id()) else { return false };
    let in_sight = ours.split('/').take(2).eq(owner.split('/').take(2));
    in_sight && owner_of(process).as_deref() != Some(owner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_owner_is_dead_when_its_process_is_gone_or_another_has_its_number() {
        let ours = owner_of(std::process::id()).unwrap();
        assert!(!is_dead(&ours));
        assert!(is_dead(&format!("{ours}0")));
        let elsewhere = ours.replacen(|symbol: char| symbol.is_ascii_hexdigit(), "x", 1);
        assert!(!is_dead(&elsewhere), "another machine's process cannot be judged from here");
    }

    #[test]
    fn a_process_in_another_namespace_cannot_be_judged() {
        let ours = owner_of(std::process::id()).unwrap();
        let [boot, namespace, process, since] = ours.split('/').collect::<Vec<_>>()[..] else {
            panic!("{ours}")
        };
        let dead = format!("{boot}/{namespace}/{process}/{since}0");
        assert!(is_dead(&dead), "{dead}");
        let hidden = format!("{boot}/{namespace}0/{process}/{since}0");
        assert!(!is_dead(&hidden), "{hidden}");
    }
}
